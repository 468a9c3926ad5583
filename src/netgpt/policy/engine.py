"""A policy in force: read once, asked often. Cedar decides; what it said is remembered for a while.

A verdict costs about 0.1 ms when Cedar is asked and about a microsecond when it is remembered. A policy is immutable:
a changed file makes a new one (`policy.watch`). Rules that fail while they are evaluated count as a denial, because
Cedar would skip a `forbid` that fails.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from netgpt.errors import SettingsError
from netgpt.policy.asked import DEFAULT_CONTEXT, AccessRequest, PolicyVerdict, Principal, Resource
from netgpt.policy.rules import Rule, read_rules
from netgpt.types import Terms

__all__ = [
    "READY_MADE",
    "AccessRequest",
    "Policy",
    "PolicyVerdict",
    "Principal",
    "Resource",
    "policy_text",
    "schema_text",
]

READY_MADE = ("open", "balanced", "strict", "health")
_GROUND = ("foundation", "access")
"""Read before every set: what no set can lift, and who may do what."""
_REMEMBERED = 8_192
_FITS = {
    "disclose": ("Information",),
    "ask": ("Box",),
    "administer": ("Box",),
    "read_exchange": ("Exchange",),
    "read_profile": ("Profile",),
    "train_on": ("Exchange", "Profile"),
    "export": ("Exchange", "Profile"),
    "forget": ("Exchange", "Profile"),
}
"""What each action can be done with, as the schema says."""


class Policy:
    """Rules, ready to be asked. Make one with `Policy.load`. Safe to use from many tasks of one event loop."""

    def __init__(self, name: str, rules: Sequence[Rule]) -> None:
        """Raises SettingsError with file and line: the rules contradict the schema."""
        from cedarpy import PolicySet

        self.name = name
        self.rules = tuple(rules)
        """Every rule, the ground first, in the order of the files."""
        text = "\n".join(rule.text for rule in rules)
        _check_schema(text, self.rules)
        self.digest = hashlib.sha256(text.encode()).hexdigest()
        """SHA-256 of all rules in force, in hexadecimal: what a receipt names."""
        self.title = f"{name} sha256:{self.digest}"
        """What an exchange is recorded with: which rules were in force."""
        self._set = PolicySet.from_str(text)
        self._verdicts: OrderedDict[tuple[Any, ...], PolicyVerdict] = OrderedDict()
        self._terms: OrderedDict[tuple[Any, ...], Terms] = OrderedDict()

    @classmethod
    def load(cls, name_or_path: str) -> Policy:
        """One of `READY_MADE`, or a file of rules. Raises SettingsError: no such file, or wrong, with file and line."""
        ground = [rule for name in _GROUND for rule in read_rules(_shipped(name), f"{name}.cedar")]
        text, file = _own_text(name_or_path)
        rules = read_rules(text, file)
        taken = {rule.id: rule for rule in ground}
        for rule in rules:
            if rule.id in taken:
                raise SettingsError(
                    f'{rule.where}: the @id "{rule.id}" belongs to {taken[rule.id].where}, which is read before every '
                    "set; choose another"
                )
        return cls(name_or_path, [*ground, *rules])

    def decide(self, asked: AccessRequest) -> PolicyVerdict:
        """Allowed or not, and by which rules. Never raises for what is asked: what Cedar cannot answer is denied."""
        return self.decide_each([asked])[0]

    def decide_each(self, asked: Sequence[AccessRequest]) -> list[PolicyVerdict]:
        """The verdicts of several questions; Cedar is asked once for those not remembered."""
        keys = [_key(one) for one in asked]
        missing = {key: one for key, one in zip(keys, asked, strict=True) if key not in self._verdicts}
        if missing:
            for key, verdict in zip(missing, self._ask(list(missing.values())), strict=True):
                self._verdicts[key] = verdict
        verdicts = []
        for key in keys:
            self._verdicts.move_to_end(key)
            verdicts.append(self._verdicts[key])
        while len(self._verdicts) > _REMEMBERED:
            self._verdicts.popitem(last=False)
        return verdicts

    def terms(
        self, principal: Principal, resource: Resource, rungs: tuple[str, ...], context: Mapping[str, object]
    ) -> Terms:
        """Which of the rungs of precision (finest first) `disclose` allows, and the rule that allows each."""
        key = (principal, resource, rungs, *context.values())
        known = self._terms.get(key)
        if known is None:
            asked = [AccessRequest(principal, "disclose", resource, {**context, "precision": rung}) for rung in rungs]
            verdicts = self.decide_each(asked)
            allowed = tuple((rung, v.rule) for rung, v in zip(rungs, verdicts, strict=True) if v.allowed)
            refusing = [verdict for verdict in reversed(verdicts) if not verdict.allowed]
            named = next((verdict for verdict in refusing if verdict.rules), None)
            known = self._terms[key] = Terms(allowed, (named or PolicyVerdict(False, ())).rule)
            if len(self._terms) > _REMEMBERED:
                self._terms.popitem(last=False)
        self._terms.move_to_end(key)
        return known

    def rule(self, id: str) -> Rule | None:
        """The rule of this `@id`, or None."""
        return next((rule for rule in self.rules if rule.id == id), None)

    def _ask(self, asked: Sequence[AccessRequest]) -> list[PolicyVerdict]:
        """Questions with the same principal and resource go to Cedar together."""
        from cedarpy import is_authorized_batch

        groups: dict[tuple[Principal, Resource], list[int]] = {}
        for number, one in enumerate(asked):
            groups.setdefault((one.principal, one.resource), []).append(number)
        verdicts = [PolicyVerdict(False, ())] * len(asked)
        for (principal, resource), numbers in groups.items():
            known = [number for number in numbers if resource.type in _FITS.get(asked[number].action, ())]
            who, what = _principal_entity(principal), _resource_entity(resource)
            requests = [_request(who, what, asked[number]) for number in known]
            answers = is_authorized_batch(requests, self._set, [who, what])
            for number, answer in zip(known, answers, strict=True):
                verdicts[number] = self._read(answer)
        return verdicts

    def _read(self, answer: Any) -> PolicyVerdict:
        reasons = tuple(self._name_of(reason) for reason in answer.diagnostics.reasons)
        failed = bool(answer.diagnostics.errors)
        return PolicyVerdict(answer.allowed and not failed, ("a rule failed",) if failed else tuple(sorted(reasons)))

    def _name_of(self, policy_id: str) -> str:
        return self.rules[int(policy_id.removeprefix("policy"))].id

    def __repr__(self) -> str:
        return f"<Policy {self.name}, {len(self.rules)} rules>"


def policy_text(name_or_path: str) -> str:
    """All that is read for a set or a file, the ground first. Raises SettingsError when there is no such file."""
    return "\n".join([*(_shipped(name) for name in _GROUND), _own_text(name_or_path)[0]])


def _own_text(name_or_path: str) -> tuple[str, str]:
    """(text, name of its file) of a ready-made set or of a file. Raises SettingsError when there is no such file."""
    if name_or_path in READY_MADE:
        return _shipped(name_or_path), f"{name_or_path}.cedar"
    path = Path(name_or_path).expanduser().absolute()
    try:
        return path.read_text(encoding="utf-8"), str(path)
    except FileNotFoundError:
        raise SettingsError(
            f"{path}: no such policy file. Name a .cedar file, or one of {', '.join(READY_MADE)}."
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: the policy cannot be read: {error}") from None


@cache
def _shipped(name: str) -> str:
    return (resources.files("netgpt.policy") / "sets" / f"{name}.cedar").read_text(encoding="utf-8")


@cache
def schema_text() -> str:
    """What rules may speak of, in Cedar's own language."""
    return (resources.files("netgpt.policy") / "schema.cedarschema").read_text(encoding="utf-8")


def _check_schema(text: str, rules: Sequence[Rule]) -> None:
    from cedarpy import validate_policies

    result = validate_policies(text, schema_text())
    faults = []
    for error in result.errors:
        rule = rules[int(error.policy_id.removeprefix("policy"))]
        told = error.error.removeprefix(f"for policy `{error.policy_id}`, ")
        faults.append(f"{rule.file}:{_line_in(rule, told)}: {told}")
    if faults:
        raise SettingsError("\n".join(faults) + "\nWhat rules may speak of: `netgpt policy show schema`.")


def _line_in(rule: Rule, told: str) -> int:
    """The line of the rule that holds the word that Cedar complains of; the rule's own line when there is none."""
    lines = rule.text.splitlines()
    effect = next((n for n, line in enumerate(lines) if line.lstrip().startswith(rule.effect)), 0)
    for word in told.split("`")[1::2]:
        for number, line in enumerate(lines):
            if word in line and not line.lstrip().startswith("//"):
                return rule.line + number - effect
    return rule.line


def _key(asked: AccessRequest) -> tuple[Any, ...]:
    context = tuple((name, _plain(value)) for name, value in asked.context.items())
    return asked.principal, asked.action, asked.resource, context


def _plain(value: object) -> object:
    """Something that can be compared: consent may come as a list or a set."""
    return frozenset(value) if isinstance(value, Iterable) and not isinstance(value, str) else value


def _uid(type_: str, id: str) -> dict[str, str]:
    return {"type": type_, "id": id}


def _principal_entity(who: Principal) -> dict[str, Any]:
    parents = [_uid("Tenant", who.tenant), _uid("Role", who.role), *(_uid("Group", g) for g in sorted(who.groups))]
    attributes: dict[str, Any] = {"tenant": {"__entity": _uid("Tenant", who.tenant)}}
    if who.user is None:
        return {"uid": _uid("Key", who.key_id or ""), "attrs": attributes, "parents": parents}
    if who.key_id is not None:
        parents.append(_uid("Key", who.key_id))
    attributes["user"] = who.user
    return {"uid": _uid("Person", _person_id(who.tenant, who.user)), "attrs": attributes, "parents": parents}


def _person_id(tenant: str, user: str) -> str:
    """`acme/ada`: a slash in the tenant's name is escaped, so that no two people share an id."""
    return f"{tenant.replace('%', '%25').replace('/', '%2F')}/{user}"


def _resource_entity(what: Resource) -> dict[str, Any]:
    attributes: dict[str, Any] = {}
    if what.tenant or what.type != "Box":
        attributes["tenant"] = {"__entity": _uid("Tenant", what.tenant)}
    if what.type != "Box":
        attributes["label"] = what.label
        if what.owner is not None:
            attributes["owner"] = what.owner
    if what.type == "Information":
        attributes |= {"kind": what.kind, "family": what.family}
    return {"uid": _uid(what.type, what.id), "attrs": attributes, "parents": []}


def _request(who: Mapping[str, Any], what: Mapping[str, Any], asked: AccessRequest) -> dict[str, Any]:
    context = {**DEFAULT_CONTEXT, **asked.context}
    context["consent"] = sorted(str(one) for one in context["consent"])  # type: ignore[attr-defined]
    return {
        "principal": who["uid"],
        "action": _uid("Action", asked.action),
        "resource": what["uid"],
        "context": context,
    }
