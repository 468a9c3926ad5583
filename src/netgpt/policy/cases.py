"""Cases: who would do what with what, and what must come out. How a policy is tried before it is trusted."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

from netgpt.errors import SettingsError
from netgpt.policy.asked import ACTIONS, DEFAULT_CONTEXT, AccessRequest, PolicyVerdict, Principal, Resource
from netgpt.policy.engine import READY_MADE, Policy

__all__ = ["EVERY", "CaseResult", "PolicyCase", "ground_cases", "read_cases", "run_cases", "shipped_cases"]

EVERY = "every"
"""Cases that hold for whatever policy: what no set may allow, and what each person needs."""
_KEYS = frozenset(
    ("set", "role", "who", "action", "resource", "of", "kind", "family", "label", "groups", "key", "expect", "rule")
)
_NEEDED = ("role", "who", "action", "expect")


@dataclass(frozen=True, slots=True)
class PolicyCase:
    """One row of the table. `rule`: the `@id`s that must decide; None: whichever."""

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
        """What else was told: "asked cloud, purpose treatment"."""
        told = {name: value for name, value in self.asked.context.items() if name != "precision"}
        return ", ".join(f"{n} {v if isinstance(v, str) else ' '.join(sorted(v))}" for n, v in told.items())  # type: ignore[call-overload]


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What became of a case."""

    case: PolicyCase
    policy: str
    verdict: PolicyVerdict

    @property
    def ok(self) -> bool:
        told = ", ".join(self.verdict.rules)
        return self.verdict.allowed is self.case.expect and self.case.rule in (None, told)


def shipped_cases() -> list[PolicyCase]:
    """The table over the ready-made sets."""
    file = resources.files("netgpt.policy") / "cases.toml"
    return _cases(file.read_text(encoding="utf-8"), "cases.toml")


def read_cases(path: Path) -> list[PolicyCase]:
    """An owner's own table. Raises SettingsError with file, number of the case, and cure."""
    try:
        return _cases(path.read_text(encoding="utf-8"), str(path))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: the cases cannot be read: {error}") from None


def ground_cases() -> list[PolicyCase]:
    """Those of the table that hold for an owner's own file too: what no policy may allow, by whichever rule."""
    return [replace(case, rule=None) for case in shipped_cases() if case.set == EVERY and not case.expect]


def run_cases(policy: Policy, cases: Iterable[PolicyCase]) -> list[CaseResult]:
    """Put every case that is meant for this policy to it: those of its set, and those of every."""
    fitting = [case for case in cases if case.set in (EVERY, policy.name)]
    verdicts = policy.decide_each([case.asked for case in fitting])
    return [CaseResult(case, policy.name, verdict) for case, verdict in zip(fitting, verdicts, strict=True)]


def _cases(text: str, file: str) -> list[PolicyCase]:
    try:
        rows = tomllib.loads(text).get("case", [])
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{file}: not valid TOML: {error}") from None
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
