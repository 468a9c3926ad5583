"""Policies: deny by default, refused with file and line when wrong, the same answer remembered and asked."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netgpt.errors import SettingsError
from netgpt.policy import READY_MADE, AccessRequest, InForce, Policy, Principal, Resource, policy_text
from netgpt.policy.cases import PolicyCase, ground_cases, run_cases, shipped_cases
from netgpt.privacy.kinds import HIERARCHIES, family, hierarchy

SETS = {name: Policy.load(name) for name in READY_MADE}
ADA = Principal("acme", "user", "ada", "key_1", frozenset({"nurses"}))
ALLOWS_ALL = '@id("all")\npermit (principal, action, resource);\n'
DISCLOSE = '@id("{}")\n{} (principal, action == Action::"disclose", resource)'


def own(tmp_path: Path, text: str) -> Policy:
    file = tmp_path / "own.cedar"
    file.write_text(text, encoding="utf-8")
    return Policy.load(str(file))


def information(kind: str = "PERSON", label: str = "personal", tenant: str = "acme") -> Resource:
    return Resource("Information", "", tenant, "ada", kind, label, family(kind))


@pytest.mark.parametrize("name", READY_MADE)
def test_every_case_of_the_table_comes_out_as_expected(name: str) -> None:
    outcomes = run_cases(SETS[name], shipped_cases())
    assert len(outcomes) >= 40
    assert [(o.case.line, o.verdict) for o in outcomes if not o.ok] == []


def test_the_table_is_large_and_its_families_are_those_of_the_detector() -> None:
    cases = shipped_cases()
    assert len(cases) >= 60 and {case.set for case in cases} == {"every", *READY_MADE}
    resources = {case.asked.resource for case in cases if case.asked.resource.kind}
    assert [r.kind for r in resources if r.family != family(r.kind) and r.kind not in ("TEXT", "MEDIA")] == []


@pytest.mark.parametrize("name", READY_MADE)
def test_each_rule_decides_some_case_and_says_what_it_is_for(name: str) -> None:
    decided = {rule for outcome in run_cases(SETS[name], shipped_cases()) for rule in outcome.verdict.rules}
    assert {rule.id for rule in SETS[name].rules} == decided
    assert all(rule.says for rule in SETS[name].rules)


def test_an_empty_policy_lets_nothing_leave(tmp_path: Path) -> None:
    policy = own(tmp_path, "// nothing\n")
    verdict = policy.decide(AccessRequest(ADA, "disclose", information(label="public")))
    assert not verdict.allowed and verdict.rules == () and verdict.rule == "no rule allows it"


def test_no_file_of_the_owner_lifts_what_keeps_tenants_and_people_apart(tmp_path: Path) -> None:
    policy = own(tmp_path, ALLOWS_ALL)
    apart = [case for case in ground_cases() if case.asked.resource.tenant not in ("", "acme") or _of_another(case)]
    assert len(apart) >= 10
    assert [o.case.line for o in run_cases(policy, apart) if not o.ok] == []


def _of_another(case: PolicyCase) -> bool:
    user = case.asked.principal.user
    return user is not None and case.asked.resource.owner not in (None, user)


@given(
    mine=st.text(min_size=1, max_size=8),
    theirs=st.text(min_size=1, max_size=8),
    user=st.none() | st.text(max_size=8),
    role=st.sampled_from(("user", "operator", "admin")),
    action=st.sampled_from(("disclose", "read_exchange", "read_profile", "train_on", "export", "forget")),
)
def test_two_tenants_never_meet_whatever_they_are_called(
    mine: str, theirs: str, user: str | None, role: str, action: str
) -> None:
    types = {"disclose": "Information", "read_exchange": "Exchange"}
    resource = Resource(types.get(action, "Profile"), "", theirs, user, "PERSON", "public")
    asked = AccessRequest(
        Principal(mine, role, user), action, resource, {"consent": ["training"], "precision": "placeholder"}
    )
    for policy in SETS.values():
        verdict = policy.decide(asked)
        assert mine == theirs or (not verdict.allowed and "tenants-apart" in verdict.rules)


@given(
    kind=st.sampled_from(("PERSON", "PLACE", "DATE", "AGE", "CARD", "HEALTH", "OWN")),
    label=st.sampled_from(("public", "personal", "sensitive")),
    asked=st.sampled_from(("auto", "cloud")),
)
def test_what_is_remembered_is_what_cedar_says(kind: str, label: str, asked: str) -> None:
    for name, policy in SETS.items():
        terms = policy.terms(ADA, information(kind, label), hierarchy(kind), {"asked": asked})
        fresh = Policy.load(name)
        said = [
            level
            for level in hierarchy(kind)
            if fresh.decide(
                AccessRequest(ADA, "disclose", information(kind, label), {"asked": asked, "precision": level})
            ).allowed
        ]
        assert [level for level, _ in terms.allowed] == said
        assert policy.terms(ADA, information(kind, label), hierarchy(kind), {"asked": asked}) == terms


def test_the_levels_run_from_the_finest_to_the_placeholder() -> None:
    assert all(levels[0] == "exact" and levels[-1] == "placeholder" for levels in HIERARCHIES.values())


def test_rules_may_speak_of_people_keys_groups_and_circumstances(tmp_path: Path) -> None:
    policy = own(
        tmp_path,
        DISCLOSE.format("nurses", "permit") + ' when { principal in Group::"nurses" && context.region == "eu" };\n'
        + DISCLOSE.format("not-ada", "forbid")
        + ' when { principal == Person::"acme/ada" && resource.kind == "PHONE" };\n'
        + DISCLOSE.format("not-key", "forbid") + ' when { principal in Key::"key_1" && resource.kind == "EMAIL" };\n',
    )  # fmt: skip

    def decided(kind: str, region: str) -> tuple[bool, tuple[str, ...]]:
        verdict = policy.decide(AccessRequest(ADA, "disclose", information(kind), {"region": region}))
        return verdict.allowed, verdict.rules

    assert decided("PERSON", "eu") == (True, ("nurses",)) and decided("PERSON", "us") == (False, ())
    assert decided("PHONE", "eu") == (False, ("not-ada",)) and decided("EMAIL", "eu") == (False, ("not-key",))


def test_a_rule_that_fails_while_it_is_evaluated_denies(tmp_path: Path) -> None:
    policy = own(
        tmp_path,
        ALLOWS_ALL
        + DISCLOSE.format("counts", "forbid")
        + ' when { 9223372036854775807 + (if resource.kind == "PHONE" then 1 else 0) == 3 };\n',
    )
    assert policy.decide(AccessRequest(ADA, "disclose", information("PERSON"))).allowed
    assert policy.decide(AccessRequest(ADA, "disclose", information("PHONE"))).rules == ("a rule failed",)


@pytest.mark.parametrize(
    "asked",
    [
        AccessRequest(ADA, "steal", information()),
        AccessRequest(ADA, "disclose", Resource("Money")),
        AccessRequest(ADA, "ask", information()),
    ],
)
def test_what_the_schema_does_not_know_is_denied(asked: AccessRequest) -> None:
    assert not SETS["open"].decide(asked).allowed


@pytest.mark.parametrize(
    ("text", "line", "fault"),
    [
        (DISCLOSE.format("x", "permit") + "\nwhen { resource.label == };\n", 3, "unexpected token"),
        (DISCLOSE.format("x", "permit") + '\nwhen { resource.lable == "a" };\n', 3, "`lable`"),
        ('// c\n@id("x")\npermit (principal, action == Action::"dislcose", resource);\n', 3, "unrecognized action"),
        ("// c\n\npermit (principal, action, resource);\n", 3, "no name"),
        (ALLOWS_ALL + ALLOWS_ALL, 4, "used in line 2"),
        ('@id("x")\npermit (principal == ?principal, action, resource);\n', 2, "template"),
        ('@id("tenants-apart")\npermit (principal, action, resource);\n', 2, "foundation.cedar"),
        ('@id("x")\npermit (principal, action, resource)\n', 2, "unexpected end of input"),
        ('@id("x")\npermit (principal, action, resource)\nwhen { resource.label == "a };\n', 3, "invalid token"),
        (
            '@id("x")\npermit (principal, action == Action::"ask", resource)\nwhen { context.region == 3 };\n',
            2,
            "String",
        ),
    ],
)
def test_a_wrong_policy_is_refused_with_file_line_and_cure(tmp_path: Path, text: str, line: int, fault: str) -> None:
    with pytest.raises(SettingsError) as raised:
        own(tmp_path, text)
    message = raised.value.message
    assert f"own.cedar:{line}: " in message and fault in message
    assert any(cure in message for cure in ("netgpt policy", "choose another", "give each rule its own"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"gone\.cedar: no such policy file"):
        Policy.load(str(tmp_path / "gone.cedar"))


def test_semicolons_and_braces_in_texts_and_comments_cut_nothing(tmp_path: Path) -> None:
    text = '// a; b\n@id("one; two")\npermit (principal, action, resource) // x;\n'
    text += 'when { context.region == "a;\\"b//c" };\n'
    policy = own(tmp_path, text)
    assert [rule.id for rule in policy.rules][-1] == "one; two" and policy.rules[-1].line == 3
    assert policy.rules[-1].says == "a; b"


def test_what_is_shown_is_what_is_read(tmp_path: Path) -> None:
    shown = policy_text("balanced")
    assert all(f'@id("{rule.id}")' in shown for rule in SETS["balanced"].rules)


def test_a_changed_file_comes_into_force_and_a_wrong_one_does_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "own.cedar"
    file.write_text(ALLOWS_ALL)
    rules = InForce(str(file))
    asked = AccessRequest(ADA, "disclose", information())
    assert rules.current.decide(asked).allowed and not rules.look()
    file.write_text(ALLOWS_ALL + '@id("y")\npermit (principal action);\n')
    os.utime(file, ns=(1, 1))
    with caplog.at_level(logging.ERROR):
        assert not rules.look() and not rules.look()
    assert caplog.text.count("own.cedar:4") == 1 and "stay in force" in caplog.text
    assert rules.current.decide(asked).allowed and rules.fault is not None
    file.write_text(DISCLOSE.format("none", "forbid") + ";\n")
    assert rules.look() and rules.fault is None
    assert rules.current.decide(asked).rules == ("none",)


def test_a_ready_made_set_has_nothing_to_look_at() -> None:
    assert not InForce("strict").look()
