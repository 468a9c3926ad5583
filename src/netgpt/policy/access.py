"""Who may reach what: a caller and a thing of somebody's, asked of the policy. Denials tell no more than needed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from netgpt.errors import PermissionDenied
from netgpt.policy import AccessRequest, Policy, PolicyVerdict, Principal, Resource
from netgpt.types import Caller, Person, Role

BOX = Resource("Box")
"""The box itself: what `ask` and `administer` are about."""
_DOES = {
    "ask": "ask questions",
    "administer": "run the box",
    "disclose": "let this leave the box",
    "read_exchange": "read this exchange",
    "read_profile": "read this profile",
    "train_on": "train on this",
    "export": "take this along",
    "forget": "have this forgotten",
}


def principal_of(caller: Caller, user: str | None = None, groups: Iterable[str] = ()) -> Principal:
    """Who the policy sees: the person that the key is bound to, else `user`, else the key alone (no single person)."""
    who = caller.bound_user if caller.bound_user is not None else user
    return Principal(caller.tenant, caller.role.value, who, caller.key_id, caller.groups.union(groups))


def exchange_of(person: Person, id: str = "") -> Resource:
    """An exchange of this person's; without `id`, any of them."""
    return Resource("Exchange", id, person.tenant, person.user, label="personal")


def profile_of(person: Person) -> Resource:
    """All that the box knows of this person."""
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
    """The policy's verdict. `user`: the person that the caller speaks for, when its key is bound to nobody."""
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
    """As `may`, but raises PermissionDenied. Operators and admins are told the rule, others what they would need."""
    verdict = may(policy, caller, action, resource, user=user, consent=consent, groups=groups)
    if verdict.allowed:
        return verdict
    does = _DOES.get(action, action)
    if caller.role in (Role.OPERATOR, Role.ADMIN):
        needed = _roles_that_may(policy, caller, action, resource, user)
        hint = f"; it needs a key with the role {needed}" if needed else ""
        raise PermissionDenied(f"this key may not {does}{hint}. Policy {policy.name}: {verdict.rule}")
    needed = _roles_that_may(policy, caller, action, resource, user)
    raise PermissionDenied(
        f"this needs a key with the role {needed}" if needed else f"this key may not {does}: ask who runs the box"
    )


def _roles_that_may(policy: Policy, caller: Caller, action: str, resource: Resource, user: str | None) -> str:
    """The roles with which the same caller could do it: "operator or admin"; empty when none could."""
    others = [role for role in Role if role is not caller.role]
    able = [
        role.value for role in others if may(policy, replace(caller, role=role), action, resource, user=user).allowed
    ]
    return " or ".join(able)
