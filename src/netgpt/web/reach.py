"""Whose exchanges and receipts a caller reaches: the person it speaks for, or, for operators, figures of all."""

from __future__ import annotations

from netgpt.types import Caller, Person, Role
from netgpt.web.auth import person_for

__all__ = ["may_see", "owns_the_box", "sees_figures", "speaks_for"]


def owns_the_box(caller: Caller) -> bool:
    """No key exists: one program on this machine owns the box and all that is in it."""
    return caller.key_id is None and caller.bound_user is None


def sees_figures(caller: Caller) -> bool:
    """An operator that speaks for no single person."""
    return caller.role is Role.OPERATOR and caller.bound_user is None


def speaks_for(caller: Caller, user: str | None) -> str | None:
    """Who the policy is told the caller speaks for when it names `user`; None: nobody in particular.

    Raises PermissionDenied: its key is another person's.
    """
    if user is None and (owns_the_box(caller) or sees_figures(caller)):
        return None
    return person_for(caller, user).user


def may_see(caller: Caller, tenant: str | None, owner: str | None, user: str | None) -> bool:
    """Whether a row of this tenant and owner is within reach. What is not is "not found": nobody learns that it is.

    Raises PermissionDenied: the caller names somebody whom its key does not speak for.
    """
    if tenant is None or tenant != caller.tenant:
        return False
    if user is None and (owns_the_box(caller) or sees_figures(caller)):
        return True
    return owner is not None and Person(tenant, owner) == person_for(caller, user)
