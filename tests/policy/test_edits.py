"""What an edit of the rules changes: named, and never called harmless where it may let more leave."""

from __future__ import annotations

import pytest

from netgpt.policy import Destination, Policy, own_text
from netgpt.policy.edits import KindsOf, More, failed_cases, more_allowed, rule_changes

KINDS: KindsOf = {
    "PERSON": ("identity", ("exact", "order", "placeholder")),
    "EMAIL": ("contact", ("exact", "placeholder")),
    "PLACE": ("place", ("exact", "city", "country", "placeholder")),
    "HEALTH": ("health", ("exact", "placeholder")),
}
CLOUD = Destination("cloud.example", "m", "eu", "support")
PERMIT = 'permit (principal, action == Action::"disclose", resource)'


def edited(add: str = "", take: str = "", put: str = "") -> Policy:
    text = own_text("balanced")[0]
    assert take in text
    return Policy.of_text(text.replace(take, put) + add if take else text + add, "edit.cedar", "edit")


def difference(new: Policy, old: Policy | None = None) -> tuple[bool, list[More]]:
    old = old or edited()
    changes = rule_changes(old, new)
    return any(change.loosens for change in changes), more_allowed(old, new, KINDS, [CLOUD], changes)[0]


@pytest.mark.parametrize(
    ("add", "what", "who"),
    [
        (f'@id("a") {PERMIT} when {{ resource.kind == "EMAIL" }};', "personal contact (EMAIL) as exact", "anybody"),
        (f'@id("a") {PERMIT} when {{ context.precision == "city" }};', "personal place (PLACE) as city", "anybody"),
        (f'@id("a") {PERMIT} when {{ principal in Group::"doctors" }};', "personal place (PLACE) as exact", "doctors"),
        (
            '@id("a") permit (principal == Person::"local/ada", action == Action::"disclose", resource);',
            "personal contact (EMAIL) as exact",
            "ada",
        ),
        (
            f'@id("a") {PERMIT} when {{ context.purpose == "care" && context.destination == "clinic.example" }};',
            "personal identity (PERSON) as exact",
            "anybody",
        ),
        (
            f'@id("a") {PERMIT} when {{ context.consent.contains("newsletter") }};',
            "personal contact (EMAIL) as exact",
            "anybody",
        ),
        (
            '@id("a") permit (principal in Role::"operator", action == Action::"read_profile", resource);',
            "read a profile of one's own",
            "role operator",
        ),
        (
            '@id("a") permit (principal, action == Action::"hand_over", resource) when { context.tool == "mail" };',
            "personal contact (EMAIL) as exact",
            "anybody",
        ),
    ],
)
def test_what_would_be_allowed_more_is_found_by_the_words_of_the_rule(add: str, what: str, who: str) -> None:
    loosens, more = difference(edited(add))
    assert loosens and (what, who) in [(each.what, each.who) for each in more]


def test_a_forbid_that_is_taken_away_or_narrowed_loosens() -> None:
    stays = own_text("balanced")[0]
    start = stays.index('@id("sensitive-stays")')
    forbid = stays[start : stays.index(";", start) + 1]
    narrower = forbid.replace('context.asked != "cloud"', 'context.asked != "cloud" && resource.kind == "HEALTH"')
    assert difference(edited(take=forbid))[0] and difference(edited(take=forbid, put=narrower))[0]


@pytest.mark.parametrize(
    ("take", "put"),
    [
        ("", ""),
        ("// What is personal leaves as a placeholder only.", "// In other words."),
        ('@id("personal-as-placeholder")', '@id("another-name")'),
        ("when { resource.label ==", "when {\n  resource.label   =="),
    ],
)
def test_other_comments_spaces_and_names_change_nothing(take: str, put: str) -> None:
    assert rule_changes(edited(), edited(take=take, put=put)) == []


def test_spaces_and_comment_signs_within_a_text_are_a_change() -> None:
    one, other = (edited(f'@id("a") {PERMIT} when {{ context.purpose == "{word}" }};') for word in ("a b", "a  b"))
    assert difference(other, one)[0]
    one, other = (edited(f'@id("a") {PERMIT} when {{ context.purpose == "//{word}" }};') for word in ("x", "y"))
    assert difference(other, one)[0]


@pytest.mark.parametrize(("old", "new", "is_more"), [("balanced", "strict", False), ("strict", "open", True)])
def test_ready_made_sets_are_compared(old: str, new: str, is_more: bool) -> None:
    loosens, more = difference(Policy.load(new), Policy.load(old))
    assert loosens and bool(more) == is_more


def test_a_permit_that_may_fail_counts_when_it_goes() -> None:
    fails = f'@id("a") {PERMIT} when {{ 9223372036854775807 + 1 > 0 }};'
    assert difference(edited(), edited(fails))[0]


def test_rules_that_allow_what_none_may_are_named() -> None:
    assert failed_cases(edited('@id("all") permit (principal, action, resource);'))
    assert failed_cases(edited()) == [] and failed_cases(Policy.load("strict")) == []
