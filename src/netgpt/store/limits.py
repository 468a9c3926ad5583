"""What keys may use, and what they have used: one row a key and day (UTC), booked in the exchange's own transaction.

So a budget is exact after `kill -9`, is the same for every process on the database, and costs no commit of its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, case, delete, func, or_, select, update

from netgpt.errors import NotFound
from netgpt.store.quick import QuickStatement
from netgpt.store.rows import ExchangeRow, KeyLimits, KeyUse
from netgpt.store.schema import key_use, keys, of_person
from netgpt.store.writer import Read, Write
from netgpt.types import Person

__all__ = ["Limits", "book", "expire", "forget", "token_id"]

KEPT_DAYS: Final = 62
"""This month and the one before it."""

_BOOK = QuickStatement(
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


def book(connection: Connection, row: ExchangeRow) -> None:
    """Add one exchange to what its key has used."""
    tokens = row.prompt_tokens + row.completion_tokens
    _BOOK.run(connection, key=row.key_id, day=_day(row.received), tokens=tokens, cost=row.cost)


def expire(connection: Connection, now: datetime) -> int:
    """Delete the days that no budget asks about any more."""
    return connection.execute(delete(key_use).where(key_use.c.day < _day(now - timedelta(days=KEPT_DAYS)))).rowcount


def forget(connection: Connection, person: Person) -> int:
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
