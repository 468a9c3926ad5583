"""Tests of a policy (who does what with what, and the expected verdict), and the reasons of a recorded exchange."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

from netgpt.errors import SettingsError
from netgpt.files import parse_toml, read_text
from netgpt.policy import (
    ACTIONS,
    DEFAULT_CONTEXT,
    READY_MADE,
    AccessRequest,
    Policy,
    PolicyVerdict,
    Principal,
    Resource,
)

EVERY = "every"
"""The set of cases that hold for any policy: what none may allow, and what each person needs."""
_KEYS = frozenset(
    ("set", "role", "who", "action", "resource", "of", "kind", "family", "label", "groups", "key", "expect", "rule")
)
_NEEDED = ("role", "who", "action", "expect")


@dataclass(frozen=True, slots=True)
class PolicyCase:
    """One row of the table. `rule`: the `@id`s that must decide; None: any."""

    set: str
    asked: AccessRequest
    expect: bool
    rule: str | None
    line: int

    @property
    def who(self) -> str:
        """Such as "user acme/ada"."""
        one = self.asked.principal
        return f"{one.role} {one.tenant}" + (f"/{one.user}" if one.user is not None else "")

    @property
    def what(self) -> str:
        """Such as "personal PLACE as city" or "Profile of acme/bob"."""
        resource, context = self.asked.resource, self.asked.context
        if resource.type == "Information":
            of = "" if resource.tenant == self.asked.principal.tenant else f" of {resource.tenant}"
            return f"{resource.label} {resource.kind}{of} as {context.get('precision', 'exact')}"
        return resource.type if resource.type == "Box" else f"{resource.type} of {resource.tenant}/{resource.owner}"

    @property
    def towards(self) -> str:
        """The rest of the context: "asked cloud, purpose treatment"."""
        rest = {name: value for name, value in self.asked.context.items() if name != "precision"}
        return ", ".join(f"{n} {' '.join(sorted(v)) if isinstance(v, frozenset) else v}" for n, v in rest.items())


@dataclass(frozen=True, slots=True)
class CaseResult:
    case: PolicyCase
    policy: str
    verdict: PolicyVerdict

    @property
    def ok(self) -> bool:
        return self.verdict.allowed is self.case.expect and self.case.rule in (None, ", ".join(self.verdict.rules))


def shipped_cases() -> list[PolicyCase]:
    """The table for the ready-made sets."""
    file = resources.files("netgpt.policy") / "cases.toml"
    return _cases(file.read_text(encoding="utf-8"), "cases.toml")


def read_cases(path: Path) -> list[PolicyCase]:
    """An operator's own table. Raises SettingsError with file and line."""
    return _cases(read_text(path, SettingsError), str(path))


def ground_cases() -> list[PolicyCase]:
    """The cases that hold for an operator's own file, too: what no policy may allow, by any rule."""
    return [replace(case, rule=None) for case in shipped_cases() if case.set == EVERY and not case.expect]


def run_cases(policy: Policy, cases: Iterable[PolicyCase]) -> list[CaseResult]:
    """Run the cases of this policy's set, and those for every policy."""
    fitting = [case for case in cases if case.set in (EVERY, policy.name)]
    verdicts = policy.decide_each([case.asked for case in fitting])
    return [CaseResult(case, policy.name, verdict) for case, verdict in zip(fitting, verdicts, strict=True)]


def _cases(text: str, file: str) -> list[PolicyCase]:
    rows = parse_toml(text, file, SettingsError).get("case", [])
    lines = [number for number, line in enumerate(text.splitlines(), 1) if line.strip() == "[[case]]"]
    if not isinstance(rows, list) or not rows or len(lines) != len(rows):
        raise SettingsError(f"{file}: no cases: begin each with a line [[case]]")
    return [_case(row, f"{file}:{line}", line) for row, line in zip(rows, lines, strict=True)]


def _case(row: Mapping[str, Any], where: str, line: int) -> PolicyCase:
    for name in _NEEDED:
        if not isinstance(row.get(name), str):
            raise SettingsError(f"{where}: a case needs {', '.join(_NEEDED)}; {name} is missing")
    unknown = set(row) - _KEYS - DEFAULT_CONTEXT.keys()
    if unknown:
        known = ", ".join(sorted(_KEYS | DEFAULT_CONTEXT.keys()))
        raise SettingsError(f"{where}: no such key: {', '.join(sorted(unknown))}. The keys are {known}")
    if row["action"] not in ACTIONS:
        raise SettingsError(f"{where}: no such action; the actions are {', '.join(ACTIONS)}")
    if row["expect"] not in ("allow", "deny"):
        raise SettingsError(f'{where}: expect is "allow" or "deny"')
    if row.get("set", EVERY) not in (EVERY, *READY_MADE):
        raise SettingsError(f"{where}: set is {', '.join((EVERY, *READY_MADE))}")
    tenant, user = _split(row["who"])
    groups = frozenset(row.get("groups", ()))
    principal = Principal(tenant, row["role"], user, row.get("key"), groups)
    context = {name: row[name] for name in DEFAULT_CONTEXT if name in row}
    if "consent" in context:
        context["consent"] = frozenset(context["consent"])
    asked = AccessRequest(principal, row["action"], _resource(row, tenant, user), context)
    return PolicyCase(row.get("set", EVERY), asked, row["expect"] == "allow", row.get("rule"), line)


def _resource(row: Mapping[str, Any], tenant: str, user: str | None) -> Resource:
    type_ = row.get("resource", "Information")
    if type_ == "Box":
        return Resource("Box")
    of, owner = _split(row["of"]) if "of" in row else (tenant, user)
    kind, family = row.get("kind", ""), row.get("family", "other")
    return Resource(type_, "", of, owner, kind, row.get("label", "personal"), family)


def _split(name: str) -> tuple[str, str | None]:
    """ "acme/ada" -> ("acme", "ada"); "acme" -> ("acme", None)."""
    tenant, slash, user = name.partition("/")
    return tenant, user if slash else None


@dataclass(frozen=True, slots=True)
class Reason:
    """One private value that was found. `became`: "[EMAIL_1]", "region", "as it is", "kept on the box", "left out"."""

    what: str
    became: str
    count: int
    found_by: str
    rule: str
    says: str
    """The rule's comment in the policy in force now."""


@dataclass(frozen=True, slots=True)
class PolicyReasons:
    """The reasons of one exchange. `policy`: name and SHA-256 of the rules that were in force then."""

    policy: str
    reasons: tuple[Reason, ...]
    remarks: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        found = [asdict(reason) for reason in self.reasons]
        return {"policy": self.policy, "reasons": found, "remarks": list(self.remarks)}


def reasons(account: Mapping[str, Any], now: Policy) -> PolicyReasons:
    """What the rules did to one exchange, from its record, never from its text.

    `account`: `as_dict()` of a recorded exchange. `now`: the policy in force, for the comments of its rules.
    """
    then = str(account.get("policy") or "")
    found = tuple(_found(account, now))
    remarks = [] if found else ["nothing private was found in it"]
    if not then:
        remarks = [f"no policy was asked: {account.get('kept_because') or 'it did not come so far'}"]
    elif then != now.title:
        remarks.append("the rules have changed since; their comments are those of now")
    if account.get("outbound") is None and then:
        remarks.append(f"nothing left: {account.get('kept_because')}")
    return PolicyReasons(then, found, tuple(remarks))


def _found(account: Mapping[str, Any], now: Policy) -> Iterator[Reason]:
    def says(rule: str) -> str:
        rules = (now.rule(one) for one in rule.split(", "))
        return " ".join(one.says for one in rules if one is not None)

    for hidden in account.get("hidden") or ():
        rule = hidden.get("policy_rule") or ""
        yield Reason(hidden["kind"], hidden["placeholder"], hidden["count"], hidden["rule"], rule, says(rule))
    for coarser in account.get("generalised") or ():
        rule, was = coarser["policy_rule"], coarser["was"]
        became = "as it is" if coarser["now"] in ("exact", was) else coarser["now"]
        what = coarser["kind"] if was == "exact" else f"{coarser['kind']} ({was})"
        yield Reason(what, became, coarser["count"], coarser["rule"], rule, says(rule))
    for kept in account.get("kept") or ():
        rule = kept["policy_rule"]
        yield Reason(kept["kind"], "kept on the box", kept["count"], "", rule, says(rule))
