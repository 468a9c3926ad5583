"""The question that a policy answers, and its answer. Plain values: who, what, with what, under which circumstances."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["ACTIONS", "DEFAULT_CONTEXT", "AccessRequest", "PolicyVerdict", "Principal", "Resource"]

ACTIONS = ("disclose", "ask", "read_exchange", "read_profile", "train_on", "export", "forget", "administer")

DEFAULT_CONTEXT: Mapping[str, object] = {
    "destination": "",
    "cloud": "",
    "region": "",
    "purpose": "",
    "consent": (),
    "precision": "exact",
    "asked": "auto",
}
"""What stands for a circumstance that was not told. `destination`: host name; `cloud`: model name; `asked`: "auto",
or "cloud" when the caller asked for the cloud by name."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who does it. With `user` a person (who may come with a key), without one the key alone."""

    tenant: str
    role: str
    user: str | None = None
    key_id: str | None = None
    groups: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Resource:
    """What it is done with. `kind` and `label` speak of information; the others carry their tenant and owner."""

    type: str
    """Information, Exchange, Profile or Box."""
    id: str = ""
    tenant: str = ""
    owner: str | None = None
    """The user whose it is, within the tenant."""
    kind: str = ""
    """Upper case: PERSON, EMAIL, ... as the detector names it."""
    label: str = "public"
    family: str = "other"
    """What the kind belongs to: identity, contact, place, time, number, secret, health, own, other."""


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """May `principal` do `action` with `resource`? `context`: any of the names in `DEFAULT_CONTEXT`."""

    principal: Principal
    action: str
    resource: Resource
    context: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PolicyVerdict:
    """The answer, and the `@id` of each rule that decided; none means that no rule allows it."""

    allowed: bool
    rules: tuple[str, ...]

    @property
    def rule(self) -> str:
        """The rules in words: "a, b", or "no rule allows it"."""
        return ", ".join(self.rules) or "no rule allows it"
