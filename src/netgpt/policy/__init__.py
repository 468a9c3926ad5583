"""Policies: rules in Cedar that decide what may leave and who may do what.

A verdict takes about 0.1 ms by Cedar and a microsecond from the cache. A policy is immutable; `InForce` loads a new one
when its file changes. A rule that fails while it is evaluated counts as a denial, because Cedar would skip a `forbid`
that fails. `Disclosure` asks what may leave in one request: on each level of the hierarchy of each kind that was found.
"""

from __future__ import annotations

import difflib
import hashlib
import logging
import re
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from netgpt.errors import PermissionDenied, SettingsError
from netgpt.files import read_text
from netgpt.types import Caller, Fact, Kept, Label, Person, Role, Terms

ACTIONS = (
    "disclose",
    "hand_over",
    "ask",
    "read_exchange",
    "read_profile",
    "train_on",
    "export",
    "forget",
    "administer",
    "manage_keys",
    "run_box",
    "change_box",
)

DEFAULT_CONTEXT: Mapping[str, object] = {
    "destination": "", "cloud": "", "region": "", "purpose": "", "consent": (), "precision": "exact", "asked": "auto",
    "tool": "", "listed": False, "stated": False,
}  # fmt: skip
"""Defaults of the context. `destination`: host name; `cloud`: model name; `asked`: "auto", or "cloud" when the caller
named the cloud; `tool`: whose arguments it would be in; `listed`: whether the settings say that the tool may see it;
`stated`: whether it is a fact that the person stated beforehand, not words of the request."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who acts: a person (perhaps with a key), or without `user` the key alone."""

    tenant: str
    role: str
    user: str | None = None
    key_id: str | None = None
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Resource:
    """What is acted on. `kind` (PERSON, EMAIL, ...), `label` and `family` (of the kind) describe information."""

    type: str
    """Information, Exchange, Profile or Box."""
    id: str = ""
    tenant: str = ""
    owner: str | None = None
    """The user to whom it belongs, within the tenant."""
    kind: str = ""
    label: str = "public"
    family: str = "other"
    """identity, contact, place, time, number, secret, health, own or other."""


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """May `principal` do `action` with `resource`? `context`: any of the names in `DEFAULT_CONTEXT`."""

    principal: Principal
    action: str
    resource: Resource
    context: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PolicyVerdict:
    """Allowed or not, and the `@id` of each rule that decided; none: no rule allows it."""

    allowed: bool
    rules: tuple[str, ...]

    @property
    def rule(self) -> str:
        """ "a, b", or "no rule allows it"."""
        return ", ".join(self.rules) or "no rule allows it"


_TOKEN = re.compile(r"//[^\n]*|\"(?:[^\"\\]|\\.)*\"?|;|[^/\";]+|/", re.DOTALL)
_ID = re.compile(r"@id\s*\(\s*\"((?:[^\"\\]|\\.)*)\"\s*\)")
_EFFECT = re.compile(r"\b(permit|forbid)\b\s*\(")
_OPEN_TEXT = "invalid token"
_UNFINISHED = ("unexpected end of input", _OPEN_TEXT)
"""Cedar's errors for the beginning of a statement that may still become valid."""
_CURE = "See `netgpt policy show balanced` for rules that work, and `netgpt policy check` for this file."


@dataclass(frozen=True, slots=True)
class Rule:
    """One `permit` or `forbid`. `line`: of its effect, from 1. `says`: the comment above it."""

    id: str
    effect: str
    file: str
    line: int
    says: str
    text: str

    @property
    def where(self) -> str:
        return f"{self.file}:{self.line}"


def read_rules(text: str, file: str) -> list[Rule]:
    """The rules of one file, in order. Raises SettingsError with file and line: what Cedar cannot parse, a rule
    without `@id`, an `@id` used twice, a template (it would allow and forbid nothing).

    Cedar's errors have no position. So the text is split at the semicolons, each statement is parsed alone, and the
    first line at which it can no longer be valid is reported.
    """
    rules: list[Rule] = []
    seen: dict[str, int] = {}
    for start, statement in _statements(text):
        rule = _rule(text, start, statement, file)
        if rule.id in seen:
            raise SettingsError(
                f'{rule.where}: the @id "{rule.id}" is used in line {seen[rule.id]} already; give each rule its own'
            )
        seen[rule.id] = rule.line
        rules.append(rule)
    return rules


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """(offset, statement) of each statement, its comments and semicolon included."""
    start = 0
    for match in _TOKEN.finditer(text):
        if match[0] == ";":
            yield start, text[start : match.end()]
            start = match.end()
    if _bare(text[start:]).strip():
        yield start, text[start:]


def _rule(text: str, start: int, statement: str, file: str) -> Rule:
    bare = _bare(statement)
    first = text.count("\n", 0, start) + 1
    effect = _EFFECT.search(bare)
    line = first + statement.count("\n", 0, effect.start() if effect else len(bare) - len(bare.lstrip()))
    _check_syntax(statement, file, first)
    named = _ID.search(statement)
    if effect is None or named is None or not named[1].strip():
        raise SettingsError(
            f'{file}:{line}: this rule has no name; write @id("what-it-does") in the line above it. {_CURE}'
        )
    if re.search(r"\?(principal|resource)\b", bare):
        raise SettingsError(f"{file}:{line}: a template decides nothing; write the principal or resource out. {_CURE}")
    return Rule(named[1], effect[1], file, line, _comment(statement), statement.strip())


def _check_syntax(statement: str, file: str, first: int) -> None:
    error = _parse_error(statement)
    if error is None:
        return
    lines = statement.splitlines()

    @cache
    def error_after(number: int) -> str:
        return _parse_error("\n".join(lines[: number + 1])) or ""

    def is_over(number: int) -> bool:
        found = error_after(number)
        return bool(found) and not found.startswith(_UNFINISHED)

    # What no further line can mend stays so: some parses find the first such line, however many lines there are.
    wrong = min(bisect_left(range(len(lines)), True, key=is_over), len(lines) - 1)
    if error.startswith(_OPEN_TEXT):  # the line in which the string begins that is never closed
        wrong = bisect_left(range(wrong), True, key=lambda number: error_after(number).startswith(_OPEN_TEXT))
    raise SettingsError(f"{file}:{first + wrong}: not a Cedar policy: {error_after(wrong) or error}. {_CURE}")


def _parse_error(text: str) -> str | None:
    from cedarpy import PolicySet

    try:
        PolicySet.from_str(text)
    except ValueError as error:
        return str(error)
    return None


def _bare(statement: str) -> str:
    """The statement with comments and strings blanked out, at the same length."""
    return _TOKEN.sub(
        lambda match: re.sub(r"[^\n]", " ", match[0]) if match[0].startswith(("//", '"')) else match[0], statement
    )


def _comment(statement: str) -> str:
    """The comment right above the rule, as one line."""
    block: list[str] = []
    for line in map(str.strip, statement.splitlines()):
        if line and not line.startswith("//"):
            break
        block = [*block, line.lstrip("/ ")] if line else []
    return " ".join(block)


READY_MADE = ("open", "balanced", "strict", "health")
_GROUND = ("foundation", "access")
"""Loaded before every set: what no set can allow, and who may do what."""
_CACHED = 8_192
_FITS = {
    "disclose": ("Information",),
    "hand_over": ("Information",),
    "ask": ("Box",),
    "administer": ("Box",),
    "manage_keys": ("Box",),
    "run_box": ("Box",),
    "change_box": ("Box",),
    "read_exchange": ("Exchange",),
    "read_profile": ("Profile",),
    "train_on": ("Exchange", "Profile"),
    "export": ("Exchange", "Profile"),
    "forget": ("Exchange", "Profile"),
}
"""Action -> resource types, as in the schema."""


class Policy:
    """Parsed rules with a cache of verdicts. Made by `Policy.load`; safe for many tasks of one event loop."""

    def __init__(self, name: str, rules: Sequence[Rule]) -> None:
        """Raises SettingsError with file and line: the rules do not fit the schema."""
        from cedarpy import PolicySet

        self.name = name
        self.rules = tuple(rules)
        text = "\n".join(rule.text for rule in rules)
        _check_schema(text, self.rules)
        self.digest = hashlib.sha256(text.encode()).hexdigest()
        """SHA-256 of all rules in hexadecimal, for receipts."""
        self.title = f"{name} sha256:{self.digest}"
        """What an exchange is recorded with."""
        self._set = PolicySet.from_str(text)
        self._verdicts: OrderedDict[tuple[Any, ...], PolicyVerdict] = OrderedDict()
        self._terms: OrderedDict[tuple[Any, ...], Terms] = OrderedDict()

    @classmethod
    def load(cls, name_or_path: str) -> Policy:
        """One of `READY_MADE`, or a file of rules. Raises SettingsError with file and line: missing or invalid."""
        text, file = own_text(name_or_path)
        return cls.of_text(text, file, name_or_path)

    @classmethod
    def of_text(cls, text: str, file: str, name: str) -> Policy:
        """Rules that are not in force yet. `file`: said in errors. Raises SettingsError, as `load`."""
        ground = [rule for each in _GROUND for rule in read_rules(_shipped(each), f"{each}.cedar")]
        rules = read_rules(text, file)
        taken = {rule.id: rule for rule in ground}
        for rule in (rule for rule in rules if rule.id in taken):
            where = taken[rule.id].where
            raise SettingsError(
                f'{rule.where}: the @id "{rule.id}" belongs to {where}, which is read before every set; choose another'
            )
        return cls(name, [*ground, *rules])

    def decide(self, asked: AccessRequest) -> PolicyVerdict:
        """Allowed or not, and by which rules. What Cedar cannot evaluate is denied, never an error."""
        return self.decide_each([asked])[0]

    def decide_each(self, asked: Sequence[AccessRequest]) -> list[PolicyVerdict]:
        """The verdicts of several requests; those not in the cache go to Cedar together."""
        keys = [_key(one) for one in asked]
        missing = {key: one for key, one in zip(keys, asked, strict=True) if key not in self._verdicts}
        if missing:
            self._verdicts.update(zip(missing, self._ask(list(missing.values())), strict=True))
        for key in keys:
            self._verdicts.move_to_end(key)
        verdicts = [self._verdicts[key] for key in keys]
        while len(self._verdicts) > _CACHED:
            self._verdicts.popitem(last=False)
        return verdicts

    def terms(
        self,
        principal: Principal,
        resource: Resource,
        levels: tuple[str, ...],
        context: Mapping[str, object],
        action: str = "disclose",
    ) -> Terms:
        """Which of the levels of precision (finest first) `action` allows, with the rule that allows each."""
        key = (principal, action, resource, levels, *context.values())
        known = self._terms.get(key)
        if known is None:
            contexts = ({**context, "precision": level} for level in levels)
            verdicts = self.decide_each([AccessRequest(principal, action, resource, each) for each in contexts])
            allowed = tuple((level, v.rule) for level, v in zip(levels, verdicts, strict=True) if v.allowed)
            refusing = (verdict for verdict in reversed(verdicts) if not verdict.allowed and verdict.rules)
            known = self._terms[key] = Terms(allowed, next(refusing, PolicyVerdict(False, ())).rule)
            if len(self._terms) > _CACHED:
                self._terms.popitem(last=False)
        self._terms.move_to_end(key)
        return known

    def rule(self, id: str) -> Rule | None:
        return next((rule for rule in self.rules if rule.id == id), None)

    def _ask(self, asked: Sequence[AccessRequest]) -> list[PolicyVerdict]:
        """Requests with the same principal and resource go to Cedar in one batch."""
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
        if answer.diagnostics.errors:
            return PolicyVerdict(False, ("a rule failed",))
        reasons = (self.rules[int(reason.removeprefix("policy"))].id for reason in answer.diagnostics.reasons)
        return PolicyVerdict(answer.allowed, tuple(sorted(reasons)))

    def __repr__(self) -> str:
        return f"<Policy {self.name}, {len(self.rules)} rules>"


def policy_text(name_or_path: str) -> str:
    """All rules of a set or a file as text, the ground first. Raises SettingsError: no such file."""
    return "\n".join([*(_shipped(name) for name in _GROUND), own_text(name_or_path)[0]])


def own_text(name_or_path: str) -> tuple[str, str]:
    """(text, file name) of a ready-made set or of a file. Raises SettingsError: no such file."""
    if name_or_path in READY_MADE:
        return _shipped(name_or_path), f"{name_or_path}.cedar"
    path = Path(name_or_path).expanduser().absolute()
    if not path.exists():
        near = difflib.get_close_matches(name_or_path.casefold(), READY_MADE, 1, 0.7)
        hint = (
            f'; did you mean "{near[0]}"?' if near else f". There are {', '.join(READY_MADE)}, or name a .cedar file."
        )
        if path.suffix == ".cedar" or "/" in name_or_path:
            raise SettingsError(f"{path}: no such policy file{hint}")
        raise SettingsError(f'no set of rules is called "{name_or_path}"{hint}')
    return read_text(path, SettingsError), str(path)


@cache
def _shipped(name: str) -> str:
    return (resources.files("netgpt.policy") / "sets" / f"{name}.cedar").read_text(encoding="utf-8")


@cache
def schema_text() -> str:
    """The entities, actions and context that rules may use, in Cedar's schema language."""
    return (resources.files("netgpt.policy") / "schema.cedarschema").read_text(encoding="utf-8")


def _check_schema(text: str, rules: Sequence[Rule]) -> None:
    from cedarpy import validate_policies

    result = validate_policies(text, schema_text())
    faults = []
    for error in result.errors:
        rule = rules[int(error.policy_id.removeprefix("policy"))]
        message = error.error.removeprefix(f"for policy `{error.policy_id}`, ")
        faults.append(f"{rule.file}:{_line_in(rule, message)}: {message}")
    if faults:
        raise SettingsError("\n".join(faults) + "\nWhat rules may speak of: `netgpt policy show schema`.")


def _line_in(rule: Rule, message: str) -> int:
    """The line with the word that Cedar's message quotes; the rule's own line when there is none."""
    lines = rule.text.splitlines()
    effect = next((n for n, line in enumerate(lines) if line.lstrip().startswith(rule.effect)), 0)
    for word in message.split("`")[1::2]:
        for number, line in enumerate(lines):
            if word in line and not line.lstrip().startswith("//"):
                return rule.line + number - effect
    return rule.line


def _key(asked: AccessRequest) -> tuple[Any, ...]:
    """Hashable; consent may come as a list or a set."""
    context = (
        (name, frozenset(value) if isinstance(value, Iterable) and not isinstance(value, str) else value)
        for name, value in asked.context.items()
    )
    return asked.principal, asked.action, asked.resource, tuple(context)


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
    """`acme/ada`, with a slash in the tenant's name escaped: no two people share an id."""
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
    action = _uid("Action", asked.action)
    return {"principal": who["uid"], "action": action, "resource": what["uid"], "context": context}


log = logging.getLogger(__name__)


class InForce:
    """The policy in force, reloaded when its file changes (`look`: periodically and on SIGHUP)."""

    def __init__(self, name_or_path: str) -> None:
        """Raises SettingsError with file and line: a gateway does not start with rules that it cannot read."""
        self._name = name_or_path
        self._path = None if name_or_path in READY_MADE else Path(name_or_path).expanduser().absolute()
        self._stamp = self._stamp_now()
        self.current = Policy.load(name_or_path)
        self.fault: str | None = None
        """Why the file as it is now is not in force; None: it is."""

    def look(self) -> bool:
        """Reload the file if it changed. True: new rules are in force. An invalid file is logged once for each change,
        and the rules read before stay."""
        stamp = self._stamp_now()
        if self._path is None or stamp == self._stamp:
            return False
        self._stamp = stamp
        try:
            policy = Policy.load(self._name)
        except SettingsError as error:
            self.fault = error.message
            log.error("policy: %s\nThe rules read before stay in force.", error.message)
            return False
        self.fault = None
        changed = policy.digest != self.current.digest
        if changed:
            self.current = policy
            log.warning("policy: %s was read anew: %d rules, sha256 %s", self._path, len(policy.rules), policy.digest)
        return changed

    @property
    def name(self) -> str:
        """The set or the file, as it was named."""
        return self._name

    @property
    def path(self) -> Path | None:
        """The owner's file; None: a ready-made set."""
        return self._path

    def follow(self, name_or_path: str) -> None:
        """Put another set or file in force from now on. Raises SettingsError, and then all stays as it was."""
        self.__dict__.update(InForce(name_or_path).__dict__)

    def _stamp_now(self) -> tuple[int, int, int] | None:
        try:
            found = self._path.stat() if self._path is not None else None
        except OSError:
            return None
        return (found.st_mtime_ns, found.st_size, found.st_ino) if found is not None else None


BOX = Resource("Box")
"""The resource of `ask`, `administer`, `manage_keys`, `run_box` and `change_box`."""
_DOES = {
    "ask": "ask questions",
    "administer": "run this tenant",
    "manage_keys": "make, change or revoke keys, which the tenant's admins do",
    "run_box": "run what all tenants share, which operators and admins of the tenant local do",
    "change_box": "change how the box works, which admins of the tenant local do",
    "disclose": "let this leave the box",
    "hand_over": "give this to a tool",
    "read_exchange": "read this exchange",
    "read_profile": "read this profile",
    "train_on": "train on this",
    "export": "take this along",
    "forget": "have this forgotten",
}


def principal_of(caller: Caller, user: str | None = None, groups: Iterable[str] = ()) -> Principal:
    """The caller for the policy: the person that the key is bound to, else `user`, else the key alone."""
    who = caller.bound_user if caller.bound_user is not None else user
    return Principal(caller.tenant, caller.role.value, who, caller.key_id, caller.groups.union(groups))


def exchange_of(person: Person, id: str = "") -> Resource:
    """An exchange of this person's; without `id`, any of them."""
    return Resource("Exchange", id, person.tenant, person.user, label="personal")


def profile_of(person: Person) -> Resource:
    """All that is stored about this person."""
    return Resource("Profile", "", person.tenant, person.user, label="personal")


def may(
    policy: Policy,
    caller: Caller,
    action: str,
    resource: Resource = BOX,
    *,
    user: str | None = None,
    consent: Iterable[str] = (),
    groups: Iterable[str] = (),
) -> PolicyVerdict:
    """The policy's verdict. `user`: the person that the caller acts for, when its key is bound to nobody."""
    context = {"consent": frozenset(consent)}
    return policy.decide(AccessRequest(principal_of(caller, user, groups), action, resource, context))


def check_access(
    policy: Policy,
    caller: Caller,
    action: str,
    resource: Resource = BOX,
    *,
    user: str | None = None,
    consent: Iterable[str] = (),
    groups: Iterable[str] = (),
) -> PolicyVerdict:
    """As `may`, but raises PermissionDenied: operators and admins see the rule, others the role that they need."""
    verdict = may(policy, caller, action, resource, user=user, consent=consent, groups=groups)
    if verdict.allowed:
        return verdict
    does = _DOES.get(action, action)
    others = (replace(caller, role=role) for role in Role if role is not caller.role)
    needed = " or ".join(each.role.value for each in others if may(policy, each, action, resource, user=user).allowed)
    if caller.role in (Role.OPERATOR, Role.ADMIN):
        hint = f"; it needs a key with the role {needed}" if needed else ""
        raise PermissionDenied(f"this key may not {does}{hint}. Policy {policy.name}: {verdict.rule}")
    raise PermissionDenied(
        f"this needs a key with the role {needed}" if needed else f"this key may not {does}: ask who runs the box"
    )


TEXT = "TEXT"
"""The kind of a request's words in which nothing private was found."""
MEDIA = "MEDIA"
"""The kind of images, audio and files that the settings let leave unchecked."""
_EXACT = ("exact",)


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a request would go: host, name of the model there, region of the server, purpose of the processing."""

    host: str = ""
    model: str = ""
    region: str = ""
    purpose: str = ""

    @classmethod
    def of(cls, base_url: str | None, model: str, region: str, purpose: str) -> Destination:
        """From the settings of the cloud."""
        return cls((urlsplit(base_url).hostname or "") if base_url else "", model, region, purpose)


class Disclosure:
    """One person's request to one destination. Called with a kind, it returns the terms on which that may leave."""

    def __init__(
        self,
        policy: Policy,
        principal: Principal,
        destination: Destination,
        *,
        hierarchy: Callable[[str], tuple[str, ...]],
        family: Callable[[str], str],
        consent: frozenset[str] = frozenset(),
        asked: str = "auto",
        sensitive: frozenset[str] = frozenset(),
        tool: str = "",
        sees: frozenset[str] = frozenset(),
    ) -> None:
        """`hierarchy`, `family`: of a kind. `asked`: "cloud" when the caller named the cloud. `sensitive`: kinds with
        that label. `tool`: the question is what this tool may be given; `sees`: the kinds and families that the
        settings list for it."""
        self._action, self._sees = "hand_over" if tool else "disclose", sees
        self._policy, self._principal, self._sensitive = policy, principal, sensitive
        self._hierarchy, self._family = hierarchy, family
        self._context: Mapping[str, object] = {
            "destination": destination.host, "cloud": destination.model, "region": destination.region,
            "purpose": destination.purpose, "consent": consent, "asked": asked, "tool": tool, "listed": False,
        }  # fmt: skip
        self._answers: dict[tuple[str, Label, tuple[str, ...], bool], Terms] = {}

    def __call__(self, kind: str, public: bool = False) -> Terms:
        """The terms on which this kind may leave. `public`: the words are public, whatever their kind."""
        label = Label.SENSITIVE if kind in self._sensitive else Label.PUBLIC if public else Label.PERSONAL
        return self._terms(kind, label, self._hierarchy(kind))

    def same_as(self, other: Disclosure) -> bool:
        """Whether `other`, for another destination, got the same terms for all that it was asked so far."""
        return all(self._terms(*asked) == terms for asked, terms in other._answers.items())

    def passes(self, fact: Fact) -> bool:
        """Whether a fact may leave as it is."""
        return bool(self._terms(fact.kind.upper(), fact.label, _EXACT).allowed)

    def of_stated(self, kind: str) -> Terms:
        """The terms on which a personal value of this kind may leave that the person stated beforehand."""
        return self._terms(kind, Label.PERSONAL, self._hierarchy(kind), stated=True)

    def keeps_facts(self, facts: Iterable[Fact]) -> tuple[Kept, ...]:
        """The sensitive ones of a request's chosen facts that may leave at no level: they keep the request on the box,
        although they are left out of what would leave."""
        kinds = (fact.kind.upper() for fact in facts if fact.label is Label.SENSITIVE)
        terms = [(kind, self._terms(kind, Label.SENSITIVE, self._hierarchy(kind))) for kind in kinds]
        return tuple(Kept(kind, each.refused_by, 1) for kind, each in terms if not each.allowed)

    def keeps_text(self) -> tuple[Kept, ...]:
        """The rule by which no text at all may leave, if any."""
        terms = self._terms(TEXT, Label.PUBLIC, _EXACT)
        return () if terms.allowed else (Kept(TEXT, terms.refused_by, 1),)

    def keeps_media(self) -> str | None:
        """The rule that keeps images, audio and files on the box although the settings let them leave, or None."""
        terms = self._terms(MEDIA, Label.PUBLIC, _EXACT)
        return None if terms.allowed else terms.refused_by

    def wants(self, levels: frozenset[str], kinds: Iterable[str]) -> bool:
        """Whether any of these kinds may leave at one of these precisions."""
        return any(precision in levels for kind in kinds for precision, _ in self(kind).allowed)

    def _terms(self, kind: str, label: Label, levels: tuple[str, ...], stated: bool = False) -> Terms:
        key = (kind, label, levels, stated)
        known = self._answers.get(key)
        if known is None:
            who = self._principal
            what = Resource("Information", "", who.tenant, who.user, kind, label.value, self._family(kind))
            listed = not self._sees.isdisjoint((kind, what.family))
            context = {**self._context, "listed": listed, "stated": stated}
            known = self._answers[key] = self._policy.terms(who, what, levels, context, self._action)
        return known
