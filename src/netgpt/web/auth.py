"""Who calls: a key, or, while no key exists, a program on this very machine."""

from __future__ import annotations

import hmac
import ipaddress
from datetime import UTC, datetime
from functools import lru_cache
from urllib.parse import urlsplit

from fastapi import Request

from netgpt.errors import AuthenticationError, PermissionDenied
from netgpt.store.keys import hash_key
from netgpt.store.store import Store
from netgpt.types import Caller, Person, Role

__all__ = ["LOCAL_TENANT", "caller_of", "is_loopback", "person_for", "require"]

LOCAL_TENANT = "local"


async def caller_of(request: Request) -> Caller:
    """Authenticate. With no key in the store, loopback callers own the box; with one, every call needs a key.

    Raises AuthenticationError; the message never echoes what was sent.
    """
    store: Store = request.app.state.box.store
    header = request.headers.get("authorization", "")
    scheme, _, secret = header.partition(" ")
    if not await store.has_keys():
        _check_local(request)
        return Caller(LOCAL_TENANT, Role.ADMIN)
    if scheme.lower() != "bearer" or not secret.strip():
        raise AuthenticationError("a key is needed: send `Authorization: Bearer ngpt_...` (netgpt keys create)")
    digest = hash_key(secret.strip())
    row = await store.key_by_hash(digest)
    now = datetime.now(UTC)
    if row is None or not hmac.compare_digest(row.hash, digest):
        raise AuthenticationError("this key is not known here")
    if row.revoked is not None or (row.expires is not None and row.expires <= now):
        raise AuthenticationError("this key was revoked or has expired; create another with `netgpt keys create`")
    return Caller(row.tenant, Role(row.role), key_id=row.id, bound_user=row.user)


def _check_local(request: Request) -> None:
    """No key exists: only a program on this machine may ask, at a box that listens to nobody else.

    A box beyond loopback whose last key was revoked is closed, not open. A web page that resolves its own name to
    127.0.0.1 is told by its `Host` or `Origin`.
    """
    if not is_loopback(request.app.state.box.settings.server.host):
        raise AuthenticationError("no key is in force here: make one with `netgpt keys create`")
    for name, prefix in (("host", "//"), ("origin", "")):
        value = request.headers.get(name)
        if value and not is_loopback(_host_of(prefix + value)):
            raise PermissionDenied("without a key this box answers its own machine only: ask it as localhost")


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Whether this address or name means this machine."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


@lru_cache(maxsize=256)
def _host_of(url: str) -> str:
    """The host of a URL without port and brackets; empty (which is no loopback) when there is none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def require(caller: Caller, *roles: Role) -> None:
    """Raises PermissionDenied when the caller's role is none of `roles`."""
    if caller.role not in roles:
        raise PermissionDenied(f"this needs a key with the role {' or '.join(r.value for r in roles)}")


def person_for(caller: Caller, user: str | None) -> Person:
    """The person a resource call speaks for: the key's own, or the one it names within its tenant."""
    if caller.bound_user is not None:
        if user is not None and user != caller.bound_user:
            raise PermissionDenied("this key speaks for one person only", param="user")
        return Person(caller.tenant, caller.bound_user)
    return Person(caller.tenant, user or "anonymous")
