"""API keys: making one, and the hash that is stored in its place.

The secret is 256 random bits, so a plain SHA-256 is enough: a slow hash (scrypt, Argon2) guards passwords because
people choose guessable ones; nobody guesses 256 bits, however fast the hash, and every request pays for its cost.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, case, delete, func, insert, or_, select, update

from netgpt.errors import NotFound
from netgpt.store.database import FastStatement
from netgpt.store.schema import ExchangeRecord, KeyLimits, KeyRow, KeyUse, key_use, keys, of_person, values_of
from netgpt.store.writer import Read, Write
from netgpt.types import Person, Role

PREFIX = "ngpt_"
"""Begins every secret, so that people and secret scanners recognise one."""


class NewKey(NamedTuple):
    """A key at the only moment its secret is known."""

    id: str
    secret: str
    hash: str

    def __repr__(self) -> str:
        return f"<NewKey {self.id}>"


def new_key() -> NewKey:
    """A fresh key: a public id to name it by, the secret to hand out once, the hash to store."""
    secret = PREFIX + secrets.token_urlsafe(32)
    return NewKey(f"key_{secrets.token_hex(6)}", secret, hash_key(secret))


def hash_key(secret: str) -> str:
    """SHA-256 of the secret, 64 hex digits. Any text is accepted: what callers send is checked by looking it up."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


# --- The rows of API keys: hashes, never secrets.


def add(connection: Connection, row: KeyRow) -> None:
    told = {"role": row.role.value, "scopes": row.scopes and list(row.scopes), "limits": asdict(row.limits)}
    connection.execute(insert(keys), values_of(row) | told)


def by_hash(connection: Connection, hash: str) -> KeyRow | None:
    """The key with this hash. The index finds it; the comparison in constant time has the last word."""
    row = connection.execute(select(keys).where(keys.c.hash == hash)).one_or_none()
    if row is None or not hmac.compare_digest(row.hash.encode(), hash.encode()):
        return None
    return _read(row)


def all_keys(connection: Connection) -> list[KeyRow]:
    """Every key, revoked ones too, oldest first."""
    return [_read(row) for row in connection.execute(select(keys).order_by(keys.c.created, keys.c.id))]


def revoke(connection: Connection, id: str, now: datetime) -> bool:
    """False: no such key, or revoked before."""
    valid = update(keys).where(keys.c.id == id, keys.c.revoked.is_(None))
    return connection.execute(valid.values(revoked=now)).rowcount > 0


def forget(connection: Connection, person: Person) -> int:
    """Revoke the keys that speak for a person, and take their name off. The rows stay: a box with keys stays one."""
    bound = of_person(keys, person)
    connection.execute(update(keys).where(bound, keys.c.revoked.is_(None)).values(revoked=datetime.now(UTC)))
    return connection.execute(update(keys).where(bound).values(user=None, name="(forgotten)")).rowcount


def any_made(connection: Connection) -> bool:
    """Whether a key was ever made. Revoked and expired ones count: a box with keys stays a box with keys."""
    return connection.execute(select(keys.c.id).limit(1)).first() is not None


def _read(row: Row[tuple[object, ...]]) -> KeyRow:
    scopes = None if row.scopes is None else tuple(row.scopes)
    return KeyRow(**row._asdict() | {"role": Role(row.role), "scopes": scopes, "limits": KeyLimits(**row.limits or {})})


# --- What keys may use, and what they have used: one row a key and day (UTC), booked in the exchange's own transaction.
#
# So a budget is exact after `kill -9`, is the same for every process on the database, and costs no commit of its
# own.

KEPT_DAYS: Final = 62
"""This month and the one before it."""

_BOOK = FastStatement(
    "INSERT INTO key_use (key_id, day, requests, tokens, cost) VALUES (:key, :day, 1, :tokens, :cost) "
    "ON CONFLICT (key_id, day) DO UPDATE SET requests = key_use.requests + 1, "
    "tokens = key_use.tokens + excluded.tokens, cost = key_use.cost + excluded.cost"
)


class Limits:
    """A part of the store: `store.limits`. Every method raises StoreError as the store's own do."""

    def __init__(self, read: Read, change: Write) -> None:
        self._read, self._change = read, change

    async def change(self, id: str, changed: Mapping[str, float | None], scopes: tuple[str, ...] | None) -> KeyLimits:
        """Set the limits named in `changed` (None: no such limit) and the scopes (None: as they are).

        In force at the next request. Raises NotFound.
        """
        return await self._change(partial(_change, id=id, changed=changed, scopes=scopes))

    async def use(self, id: str, now: datetime) -> KeyUse:
        """What a key has used on this day and in this month, both UTC."""
        return (await self._read(partial(_use, now=now, id=id))).get(id, KeyUse())

    async def all_use(self, now: datetime) -> dict[str, KeyUse]:
        """The same for every key that was used this month."""
        return await self._read(partial(_use, now=now))


def token_id(person: Person) -> str:
    """What stands where a key's id would, for a person who came with an identity provider's token."""
    name = f"{len(person.tenant)}:{person.tenant}{person.user}".encode("utf-8", "surrogatepass")
    return f"oidc_{hashlib.sha256(name).hexdigest()[:16]}"


def book(connection: Connection, row: ExchangeRecord) -> None:
    """Add one exchange to what its key has used."""
    tokens = row.prompt_tokens + row.completion_tokens
    _BOOK.run(connection, key=row.key_id, day=_day(row.received), tokens=tokens, cost=row.cost)


def expire(connection: Connection, now: datetime) -> int:
    """Delete the days that no budget asks about any more."""
    return connection.execute(delete(key_use).where(key_use.c.day < _day(now - timedelta(days=KEPT_DAYS)))).rowcount


def forget_limits(connection: Connection, person: Person) -> int:
    """Delete what the keys that speak for a person have used. Called while the keys still bear the person's name."""
    bound = select(keys.c.id).where(of_person(keys, person))
    theirs = or_(key_use.c.key_id.in_(bound), key_use.c.key_id == token_id(person))
    return connection.execute(delete(key_use).where(theirs)).rowcount


def _change(
    connection: Connection, id: str, changed: Mapping[str, float | None], scopes: tuple[str, ...] | None
) -> KeyLimits:
    row = connection.execute(select(keys.c.limits).where(keys.c.id == id)).one_or_none()
    if row is None:
        raise NotFound(f"no key {id}: `netgpt keys list` shows them", param="id")
    limits = KeyLimits(**{**(row.limits or {}), **changed})
    values: dict[str, Any] = {"limits": asdict(limits)}
    if scopes is not None:
        values["scopes"] = list(scopes) or None
    connection.execute(update(keys).where(keys.c.id == id).values(values))
    return limits


def _use(connection: Connection, now: datetime, id: str | None = None) -> dict[str, KeyUse]:
    today = _day(now)
    on_day = [func.sum(case((key_use.c.day == today, column), else_=0)) for column in _COUNTED]
    in_month = func.sum(key_use.c.cost)
    query = select(key_use.c.key_id, *on_day, in_month).where(key_use.c.day.between(f"{today[:7]}-01", today))
    if id is not None:
        query = query.where(key_use.c.key_id == id)
    rows = connection.execute(query.group_by(key_use.c.key_id))
    return {key: KeyUse(today, *used) for key, *used in rows}


_COUNTED: Final = (key_use.c.requests, key_use.c.tokens, key_use.c.cost)


def _day(moment: datetime) -> str:
    return moment.astimezone(UTC).date().isoformat()
