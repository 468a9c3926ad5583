"""/v1/keys, /v1/people and /v1/lockouts: who may come in, what each may use and has used.

A key hands on no more than it has itself: its tenant, the roles that its own includes, its person where it is bound to
one, its scopes, its limits and its end. Keys are made, changed and revoked by admins, for their tenant alone; a tenant
of another name is given its first key by the owner of the box, on the command line.
"""

from __future__ import annotations

import logging
from dataclasses import asdict, fields
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from netgpt.app.gateway import Gateway
from netgpt.errors import NotFound, PermissionDenied, RequestError
from netgpt.settings.routing import Preset, WhenRefused
from netgpt.store.keys import new_key, shown_key
from netgpt.store.schema import KeyLimits, KeyRow, KeyUse, PersonUse
from netgpt.types import SCOPES, Caller, Role
from netgpt.web.auth import authenticated
from netgpt.web.rights import person_for

log = logging.getLogger(__name__)
router = APIRouter()

HANDS_ON: Final = {
    Role.ADMIN: frozenset(Role), Role.OPERATOR: frozenset((Role.OPERATOR,)), Role.USER: frozenset((Role.USER,)),
}  # fmt: skip
"""Which roles each may give. An operator gives none of a user: that one reads what people ask."""
BUDGETS: Final = ("tokens_per_day", "cost_per_day", "cost_per_month")
"""Limits that several keys could not share: whoever has one makes no keys, or each would have as much again."""
_MOST: Final = 2**53
COUNTED_NOW: Final = 4
"""Batches of exchanges that are counted before the figures of people are read; the rest is on its way."""


class LimitsBody(BaseModel):
    """What a key may use; null: as much as it likes. Money in the owner's unit; days and months are UTC's."""

    model_config = ConfigDict(extra="forbid")
    requests_per_minute: int | None = Field(None, ge=1, le=_MOST)
    tokens_per_minute: int | None = Field(None, ge=1, le=_MOST)
    tokens_per_day: int | None = Field(None, ge=1, le=_MOST)
    cost_per_day: float | None = Field(None, gt=0, le=_MOST, allow_inf_nan=False)
    cost_per_month: float | None = Field(None, gt=0, le=_MOST, allow_inf_nan=False)


Scopes = Annotated[
    list[str] | None, Field(max_length=len(SCOPES), description=f"Of {', '.join(SCOPES)}; null: all that its role may.")
]


class NewKeyBody(BaseModel):
    model_config = ConfigDict(extra="forbid")
    name: str = Field("", max_length=200, description="What it is for.")
    role: Role = Role.USER
    tenant: str | None = Field(None, max_length=256, description="The caller's own, which is also what null means.")
    user: str | None = Field(
        None, min_length=1, max_length=256, description="The only person it may speak for; null: each that it names."
    )
    scopes: Scopes = None
    limits: LimitsBody = LimitsBody()
    expires_days: float | None = Field(None, ge=0.001, le=36_500, description="Days until it stops working.")
    prefer: Preset | None = Field(None, description="What counts more where the box decides; null: routing.prefer.")
    fallback: WhenRefused | None = Field(None, description="When another model may answer; null: routing.fallback.")


class KeyChange(BaseModel):
    """What is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")
    limits: LimitsBody = LimitsBody()
    scopes: Scopes = None


@router.get("/v1/keys", tags=["keys"])
async def list_keys(request: Request) -> dict[str, Any]:
    """The tenant's keys, oldest first, with what each may use and has used; never a secret. `own`: the caller's;
    `scopes`: those that there are. For operators and admins; a bound one sees its person's keys alone."""
    gateway, caller = await authenticated(request)
    used = await gateway.store.limits.all_use(datetime.now(UTC))
    rows = [row for row in await gateway.store.keys() if _reaches(caller, row)]
    data = [_shown(row, used.get(row.id, KeyUse())) for row in rows]
    return {"object": "list", "data": data, "own": caller.key_id, "scopes": list(SCOPES)}


@router.post("/v1/keys", status_code=201, tags=["keys"])
async def make_key(request: Request, asked: NewKeyBody) -> JSONResponse:
    """Make a key. The answer holds its secret, which is kept nowhere and never shown again. The first key of a box
    closes it to callers without one, so that one is an admin's for the whole tenant."""
    gateway, caller = await authenticated(request)
    now = datetime.now(UTC)
    expires = now + timedelta(days=asked.expires_days) if asked.expires_days is not None else None
    user = caller.bound_user if asked.user is None else asked.user
    scopes, limits = _checked_scopes(asked.scopes), KeyLimits(**asked.limits.model_dump())
    id, secret, hash = new_key()
    row = KeyRow(id, hash, caller.tenant, asked.role, user, asked.name.strip(), now, expires, scopes=scopes,
                 limits=limits, prefer=asked.prefer, fallback=asked.fallback)  # fmt: skip
    if asked.tenant not in (None, caller.tenant):
        raise PermissionDenied(
            "a key is made for the caller's own tenant; the owner of the box makes one for another: "
            "netgpt keys create --tenant NAME",
            param="tenant",
        )
    await _check_person(gateway, caller, row.user)
    if not await gateway.store.has_keys() and caller.key_id is None:
        _check_first(row)
    _check_within(await _own(gateway, caller), row)
    if asked.role not in HANDS_ON[caller.role]:
        raise PermissionDenied(f"a key of the role {caller.role} makes none of the role {asked.role}", param="role")
    await gateway.store.add_key(row)
    log.info("keys: %s (%s, tenant %s) was made by %s", id, row.role, row.tenant, _name_of(caller))
    body = _shown(row, KeyUse()) | {"secret": secret}
    return JSONResponse(body, 201, headers={"cache-control": "no-store"})


@router.patch("/v1/keys/{key_id}", tags=["keys"])
async def change_key(request: Request, key_id: str, asked: KeyChange) -> dict[str, Any]:
    """Change limits and scopes of a key, in force at its next request. Never to more than the caller's own key has."""
    gateway, caller = await authenticated(request)
    row, own = await _key(gateway, caller, key_id), await _own(gateway, caller)
    changed = asked.limits.model_dump(exclude_unset=True)
    given = _checked_scopes(asked.scopes) if "scopes" in asked.model_fields_set else row.scopes
    wanted = KeyRow(row.id, row.hash, row.tenant, row.role, row.user, row.name, row.created, row.expires, scopes=given,
                    limits=KeyLimits(**asdict(row.limits) | changed))  # fmt: skip
    if row.role not in HANDS_ON[caller.role]:
        raise PermissionDenied(f"a key of the role {caller.role} changes none of the role {row.role}", param="key_id")
    if own is not None:
        _check_change(own, row, wanted)
    scopes = (given or ()) if "scopes" in asked.model_fields_set else None
    await gateway.store.limits.change(row.id, changed, scopes)
    log.info("keys: limits or scopes of %s were changed by %s", row.id, _name_of(caller))
    return _shown(await _key(gateway, caller, key_id), await gateway.store.limits.use(row.id, datetime.now(UTC)))


@router.delete("/v1/keys/{key_id}", tags=["keys"])
async def revoke_key(request: Request, key_id: str) -> dict[str, Any]:
    """Take a key out of force at once and for good. No key revokes itself (409): so the last admin stays."""
    gateway, caller = await authenticated(request)
    row = await _key(gateway, caller, key_id)
    if row.id == caller.key_id:
        raise RequestError("a key does not revoke itself: make another, sign in with that one, and revoke this one "
                           "with it", param="key_id", code="own_key", status=409)  # fmt: skip
    if row.role not in HANDS_ON[caller.role]:
        raise PermissionDenied(f"a key of the role {caller.role} revokes none of the role {row.role}", param="key_id")
    by = caller.key_id if await _own(gateway, caller) is not None else None
    if not await gateway.store.revoke_key(row.id, by):
        raise RequestError("this key is revoked already", param="key_id", code="revoked", status=409)
    log.info("keys: %s was revoked by %s", row.id, _name_of(caller))
    return {"object": "netgpt.key", "id": row.id, "revoked": True}


@router.get("/v1/people", tags=["keys"])
async def list_people(request: Request, limit: Annotated[int, Query(ge=1, le=1000)] = 200) -> dict[str, Any]:
    """The people of the tenant, who asked last first: figures alone, `last_seen` to the hour. Those who never asked
    are there for their keys."""
    gateway, caller = await authenticated(request)
    await gateway.store.usage.count(COUNTED_NOW)
    people = await gateway.store.limits.of_people(caller.tenant, datetime.now(UTC))
    rows = [row for row in await gateway.store.keys() if row.tenant == caller.tenant and row.revoked is None]
    names = {row.id: row.name for row in rows}
    keys: dict[str, int] = {}
    for row in rows:
        keys[row.user or row.id] = keys.get(row.user or row.id, 0) + 1
    seen = {one.user for one in people}
    shown = [_person(one, names, keys) for one in people if caller.bound_user in (None, one.user)]
    shown += [
        {"object": "netgpt.person", "user": row.user, "key": None, "keys": keys[row.user], "last_seen": None}
        | _figures(0, 0, 0.0, 0.0)
        for row in {row.user: row for row in rows}.values()
        if row.user is not None and row.user not in seen and caller.bound_user in (None, row.user)
    ]
    return {"object": "list", "data": shown[:limit], "has_more": len(shown) > limit}


@router.get("/v1/lockouts", tags=["keys"])
async def list_lockouts(request: Request) -> dict[str, Any]:
    """Addresses that must wait after too many wrong keys, as this process knows them, with the seconds left."""
    await authenticated(request)
    locked = request.app.state.access.lockout.locked()
    return {"object": "list", "data": [{"source": source, "seconds": round(left)} for source, left in locked.items()]}


@router.delete("/v1/lockouts/{address}", tags=["keys"])
async def release(request: Request, address: str) -> dict[str, Any]:
    """Let an address try again, at once."""
    _, caller = await authenticated(request)
    released = request.app.state.access.lockout.release(address)
    if released:
        log.info("keys: the lock-out of an address was lifted by %s", _name_of(caller))
    return {"object": "netgpt.lockout", "source": address, "released": released}


def _reaches(caller: Caller, row: KeyRow) -> bool:
    return row.tenant == caller.tenant and caller.bound_user in (None, row.user)


async def _key(gateway: Gateway, caller: Caller, id: str) -> KeyRow:
    """Raises NotFound, also for what is another tenant's, or beyond the caller's person."""
    for row in await gateway.store.keys():
        if row.id == id and _reaches(caller, row):
            return row
    raise NotFound("there is no such key", param="key_id")


async def _own(gateway: Gateway, caller: Caller) -> KeyRow | None:
    """The caller's key; None: the owner of the box, without one. Raises PermissionDenied: it came with a token, which
    ends with its bearer's place in the organisation, and a key would not."""
    if caller.key_id is None:
        return None
    for row in await gateway.store.keys():
        if row.id == caller.key_id:
            return row
    raise PermissionDenied("who came with a token of the identity provider changes no keys: sign in with an admin's "
                           "key, or use `netgpt keys`")  # fmt: skip


async def _check_person(gateway: Gateway, caller: Caller, user: str | None) -> None:
    """Whether a key may be bound to them by this caller."""
    if user is None:
        return
    if not user.isprintable() or user.isspace() or Caller(caller.tenant, Role.USER).person(user) is None:
        raise RequestError("user: not a name of a person (or that of a key)", param="user")
    if user == "anonymous":
        raise RequestError("user: nobody is called so; leave it out for a key that names its people", param="user")
    await person_for(gateway, caller, user)


def _check_first(row: KeyRow) -> None:
    """The first key closes the box: whoever made another than an admin's would have locked themselves out."""
    if row.role is not Role.ADMIN or row.user is not None or row.scopes or row.expires or row.limits != KeyLimits():
        raise RequestError(
            "the first key closes this box to callers without one, so it must be able to make the others: role admin, "
            "with no person, scopes, limits or end",
            code="first_key",
            status=409,
        )


def _check_within(own: KeyRow | None, new: KeyRow) -> None:
    """Whether `new` has no more than the key that makes it. Raises PermissionDenied."""
    if own is None:
        return
    _check_budgets(own)
    _check_scopes(own, new)
    _check_limits(own, new)
    if own.expires is not None and (new.expires is None or new.expires > own.expires):
        raise PermissionDenied(f"this key ends at {own.expires:%Y-%m-%d %H:%M} UTC: one that it makes ends no later",
                               param="expires_days")  # fmt: skip


def _check_change(own: KeyRow, old: KeyRow, new: KeyRow) -> None:
    """Whether what a change adds is within the key that makes it; what it takes away always is."""
    if old.scopes != new.scopes and not _is_less(old.scopes, new.scopes):
        _check_scopes(own, new)
    if raised := [limit for limit in _names() if _more(getattr(new.limits, limit), getattr(old.limits, limit))]:
        _check_budgets(own)
        if own.id == old.id:
            raise PermissionDenied("no key raises its own limits: another admin's does", param=f"limits.{raised[0]}")
        _check_limits(own, new)


def _check_budgets(own: KeyRow) -> None:
    if held := [limit for limit in BUDGETS if getattr(own.limits, limit) is not None]:
        raise PermissionDenied(f"this key has a budget itself ({held[0]}): it makes no keys and raises no limits, or "
                               "each would spend as much again", param="limits")  # fmt: skip


def _check_scopes(own: KeyRow, new: KeyRow) -> None:
    if own.scopes and not set(new.scopes or SCOPES) <= set(own.scopes):
        raise PermissionDenied(f"this key is for {', '.join(own.scopes)}: it hands on no other scope", param="scopes")


def _check_limits(own: KeyRow, new: KeyRow) -> None:
    for limit in _names():
        if _more(getattr(new.limits, limit), bound := getattr(own.limits, limit)):
            raise PermissionDenied(f"this key has {limit} = {bound}: it gives no more", param=f"limits.{limit}")


def _names() -> list[str]:
    return [each.name for each in fields(KeyLimits)]


def _more(new: float | None, old: float | None) -> bool:
    """Whether the limit `new` lets pass more than `old`; None lets all pass."""
    return old is not None and (new is None or new > old)


def _is_less(old: tuple[str, ...] | None, new: tuple[str, ...] | None) -> bool:
    return set(new or SCOPES) <= set(old or SCOPES)


def _checked_scopes(names: list[str] | None) -> tuple[str, ...] | None:
    """In their usual order; None for all. Raises RequestError."""
    if names is None:
        return None
    for name in names:
        if name not in SCOPES:
            raise RequestError(f"there is no scope {name[:40]!r}; the scopes are {', '.join(SCOPES)}", param="scopes")
    if not names:
        raise RequestError("scopes: name at least one, or null for all that the role may", param="scopes")
    return tuple(name for name in SCOPES if name in names)


def _name_of(caller: Caller) -> str:
    return caller.key_id or "the owner, without a key"


def _shown(row: KeyRow, use: KeyUse) -> dict[str, Any]:
    return {"object": "netgpt.key", **shown_key(row, use)}


def _figures(requests: int, requests_month: int, cost: float, cost_month: float) -> dict[str, Any]:
    return {"requests_today": requests, "requests_this_month": requests_month, "cost_today": round(cost, 6),
            "cost_this_month": round(cost_month, 6)}  # fmt: skip


def _person(one: PersonUse, names: dict[str, str], keys: dict[str, int]) -> dict[str, Any]:
    """`key`: the name of the key that asked, where nobody was named."""
    named = {"object": "netgpt.person", "user": one.user, "key": names.get(one.user), "keys": keys.get(one.user, 0)}
    figures = _figures(one.requests, one.requests_month, one.cost, one.cost_month)
    return named | {"last_seen": one.seen.isoformat(timespec="seconds")} | figures
