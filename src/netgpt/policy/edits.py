"""What an edit of the rules changes: which rules, whether more could be allowed, and what more, as far as it was tried.

Rules that only forbid more, or permit less, cannot allow more: that is read from the texts and holds for everything.
Where a permit is new or changed, or a forbid is gone, more may be allowed. What, is tried: each kind, label, precision
and consent, towards each receiver, and for the people, groups and words that the changed rules name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice, product
from typing import Any, Final

from netgpt.policy import (
    BOX,
    READY_MADE,
    AccessRequest,
    Destination,
    Policy,
    Principal,
    Resource,
    Rule,
    _bare,
)
from netgpt.policy.cases import CaseResult, ground_cases, run_cases, shipped_cases
from netgpt.types import Label, Role

KindsOf = Mapping[str, tuple[str, tuple[str, ...]]]
"""Kind -> (family, levels of precision, finest first)."""
MOST_TRIED: Final = 150_000
_MAY_FAIL: Final = re.compile(r"[-+*]|\b(?:ip|decimal|datetime|duration)\s*\(")
"""In the text of a rule: it may fail, which denies. Without such a rule more may be allowed."""
_TEXT: Final = re.compile(r"\"((?:[^\"\\]|\\.)*)\"")
_ENTITY: Final = re.compile(r"\b(Person|Group|Tenant|Key)\s*::\s*\"((?:[^\"\\]|\\.)*)\"")
_FIELDS: Final = ("destination", "cloud", "region", "purpose", "tool")
_PURPOSES: Final = ("location", "profile", "constraints", "tools", "training")
_COMBINED: Final = 64
_ACCESS: Final = re.compile(r"\"(?!disclose\b|hand_over\b)\w+\"")
"""Names an action other than those of what leaves, or something that may be one."""
_HERE: Final = Principal("local", Role.USER.value, "somebody")


@dataclass(frozen=True, slots=True)
class RuleChange:
    """One rule that an edit touches. `how`: "new", "changed" or "gone"."""

    id: str
    effect: str
    how: str
    loosens: bool
    """Whether it may allow more."""
    rule: Rule


@dataclass(frozen=True, slots=True)
class More:
    """Something that was denied and would be allowed. `what`, `who`, `when`: in words; `rule`: that allows it."""

    action: str
    what: str
    who: str
    when: str
    rule: str


def rule_changes(old: Policy, new: Policy) -> list[RuleChange]:
    """The rules that differ in more than comments, spaces and names."""
    before, after = {_meant(rule) for rule in old.rules}, {_meant(rule) for rule in new.rules}
    added = [rule for rule in new.rules if _meant(rule) not in before]
    gone = [rule for rule in old.rules if _meant(rule) not in after]
    both = {rule.id for rule in added} & {rule.id for rule in gone}
    changes = [
        RuleChange(rule.id, rule.effect, "changed" if rule.id in both else "new", rule.effect == "permit", rule)
        for rule in added
    ]
    for rule in gone:
        loosens = rule.effect == "forbid" or _MAY_FAIL.search(_condition(rule)) is not None
        changes.append(RuleChange(rule.id, rule.effect, "changed" if rule.id in both else "gone", loosens, rule))
    return changes


def _condition(rule: Rule) -> str:
    """Without comments, strings blanked out."""
    return _bare(rule.text)


def _meant(rule: Rule) -> str:
    """The rule without comments, its name and spaces: the same text means the same."""
    pieces, at, text = [], 0, rule.text
    for match in re.finditer(r"//[^\n]*|\"(?:[^\"\\]|\\.)*\"", text):
        pieces += [re.sub(r"\s+", "", text[at : match.start()]), match[0] if match[0].startswith('"') else ""]
        at = match.end()
    pieces.append(re.sub(r"\s+", "", text[at:]))
    return re.sub(r"@id\(\"(?:[^\"\\]|\\.)*\"\)", "", "".join(pieces))


def failed_cases(policy: Policy) -> list[CaseResult]:
    """The cases of the table that come out wrong under these rules; of a ready-made set, all that were written for it.
    Such rules are never put in force."""
    cases = shipped_cases() if policy.name in READY_MADE else ground_cases()
    return [outcome for outcome in run_cases(policy, cases) if not outcome.ok]


def more_allowed(
    old: Policy, new: Policy, kinds: KindsOf, receivers: Sequence[Destination], changes: Iterable[RuleChange]
) -> tuple[list[More], int]:
    """What `new` allows that `old` denies, and how many cases were tried (0: none need be). Takes some seconds at
    most: not for the event loop."""
    touched = [change.rule for change in changes if change.loosens]
    if not touched:
        return [], 0
    asked = list(islice(_tried(touched, _spread(touched, kinds), receivers), MOST_TRIED))
    found: dict[tuple[str, str, str], More] = {}
    before, after = old.decide_each(asked), new.decide_each(asked)
    for one, was, now in zip(asked, before, after, strict=True):
        if now.allowed and not was.allowed:
            more = _in_words(one, now.rule)
            found.setdefault((more.action, more.what, more.who), more)  # the plainest circumstances come first
    return list(found.values()), len(asked)


def _spread(touched: Sequence[Rule], kinds: KindsOf) -> KindsOf:
    """The kinds that the rules name, and one of each family with the same levels: rules see no more of a kind."""
    words = {word for rule in touched for word in _TEXT.findall(rule.text)}
    chosen, seen = {kind: about for kind, about in kinds.items() if kind in words}, set()
    for kind, about in sorted(kinds.items()):
        if kind not in words and about not in seen:
            seen.add(about)
            chosen[kind] = about
    return chosen


def _tried(touched: Sequence[Rule], kinds: KindsOf, receivers: Sequence[Destination]) -> Iterator[AccessRequest]:
    people, contexts = _people(touched), _unlike(_contexts(touched, receivers))
    about_access = any("action" not in _condition(rule) or _ACCESS.search(rule.text) for rule in touched)
    for who in people:
        yield from _access(who) if about_access else ()
        for (kind, (family, levels)), label in product(kinds.items(), Label):
            what = Resource("Information", "", who.tenant, who.user, kind, label.value, family)
            for context, level in product(contexts, levels):
                yield AccessRequest(who, "disclose", what, {**context, "precision": level})
                if "tool" in context:
                    yield AccessRequest(who, "hand_over", what, {**context, "precision": level})


def _unlike(contexts: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    return list({tuple(sorted(each.items(), key=lambda pair: pair[0])): each for each in contexts}.values())


def _access(who: Principal) -> Iterator[AccessRequest]:
    """What each role may do with what is its own and what is another's."""
    for role, consent in product(Role, (frozenset[str](), frozenset(_PURPOSES))):
        one = replace(who, role=role.value)
        for action in ("ask", "administer", "manage_keys", "run_box", "change_box"):
            yield AccessRequest(one, action, BOX, {"consent": consent})
        for type_, owner in product(("Exchange", "Profile"), (one.user, "another")):
            what = Resource(type_, "", one.tenant, owner, label=Label.PERSONAL.value)
            for action in ("read_exchange", "read_profile", "export", "forget", "train_on"):
                yield AccessRequest(one, action, what, {"consent": consent})


def _people(touched: Sequence[Rule]) -> list[Principal]:
    """Somebody here, and those whom the rules name."""
    found = {_HERE: None}
    for type_, id in (match for rule in touched for match in _ENTITY.findall(rule.text)):
        tenant, slash, user = id.partition("/")
        if type_ == "Person" and slash:
            found[replace(_HERE, tenant=tenant, user=user)] = None
        elif type_ == "Group":
            found[replace(_HERE, groups=frozenset((id,)))] = None
        elif type_ == "Tenant":
            found[replace(_HERE, tenant=id)] = None
        elif type_ == "Key":
            found[replace(_HERE, key_id=id)] = None
    return list(found)


def _contexts(touched: Sequence[Rule], receivers: Sequence[Destination]) -> Iterator[dict[str, Any]]:
    """Circumstances: as usual towards each receiver, with each consent, and as each rule's own words may mean."""
    usual: list[dict[str, Any]] = [
        {"destination": each.host, "cloud": each.model, "region": each.region, "purpose": each.purpose}
        for each in dict.fromkeys((Destination(), *receivers))
    ]
    conditions = " ".join(map(_condition, touched))
    consents = [frozenset[str]()]
    if "consent" in conditions:
        consents += [frozenset((purpose,)) for purpose in _PURPOSES] + [frozenset(_PURPOSES)]
    for context, asked, consent in product(usual, ("auto", "cloud"), consents):
        yield {**context, "asked": asked, "consent": consent}
    if any("hand_over" in rule.text or "Action" not in rule.text for rule in touched):
        for listed, consent in product((False, True), consents):
            yield {"tool": "a tool", "listed": listed, "consent": consent}
    for rule in touched:
        words = list(dict.fromkeys(_TEXT.findall(rule.text)))
        named = [field for field in _FIELDS if re.search(rf"\b{field}\b", _condition(rule))]
        consents = [frozenset[str](), *([frozenset(words)] if "consent" in _condition(rule) else [])]
        values = ([None, *words] for _ in named)
        for chosen in islice(product(*values), _COMBINED):
            own = {field: value for field, value in zip(named, chosen, strict=True) if value is not None}
            for context, asked, consent in product(usual, ("auto", "cloud"), consents):
                if own or consent:
                    yield {**context, **own, "asked": asked, "consent": consent}


_DOES: Final = {
    "ask": "ask questions", "administer": "run the tenant", "run_box": "run the box", "manage_keys": "make keys",
    "change_box": "change how the box works",
    "read_exchange": "read an exchange", "read_profile": "read a profile", "export": "take a profile along",
    "forget": "have a person forgotten", "train_on": "train on a person's answers",
}  # fmt: skip


def _in_words(asked: AccessRequest, rule: str) -> More:
    who, what, context = asked.principal, asked.resource, asked.context
    named = [*sorted(who.groups), *([who.key_id] if who.key_id else [])]
    person = ", ".join(named) or ("anybody" if who.user == _HERE.user else who.user or "")
    person = person if who.tenant == _HERE.tenant else f"{person} of {who.tenant}"
    consent = context.get("consent") or ()
    when = [f"{name} {context[name]}" for name in _FIELDS if context.get(name)]
    when += ["the caller named the cloud"] if context.get("asked") == "cloud" else []
    when += ["the settings list it for the tool"] if context.get("listed") else []
    when += [f"consent to {', '.join(sorted(map(str, consent)))}"] if consent else []  # type: ignore[call-overload]
    if what.type == "Information":
        does = f"{what.label} {what.family} ({what.kind}) as {context.get('precision', 'exact')}"
        return More(asked.action, does, person, "; ".join(when), rule)
    whose = "" if what.type == "Box" else " of one's own" if what.owner == who.user else " of another person"
    return More(asked.action, _DOES[asked.action] + whose, f"role {who.role}", "; ".join(when), rule)
