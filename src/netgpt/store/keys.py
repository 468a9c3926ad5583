"""API keys: their rows (hashes, never secrets), what each may use, and what it has used.

A secret is 256 random bits, so a plain SHA-256 is enough: slow hashes (scrypt, Argon2) guard passwords, which can be
guessed, and every request would pay for one.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import secrets
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, Row, case, exists, func, insert, select, update

from netgpt.errors import NotFound
from netgpt.store.engine import driver_of
from netgpt.store.entries import (
    MISSING,
    audit,
    close_days,
    count_entry,
    entry_of,
    missing_ids,
    require_newest,
    row_fault,
    tampered,
)
from netgpt.store.ledger import PLACES, Ledger, Use, ledger_in_use, whole
from netgpt.store.schema import (
    ExchangeRecord,
    KeyLimits,
    KeyRow,
    KeyUse,
    PersonUse,
    delete_rows,
    hours,
    key_use,
    keys,
    of_person,
    values_of,
)
from netgpt.store.writer import Part
from netgpt.types import Person, Role

log = logging.getLogger(__name__)

PREFIX = "ngpt_"
"""Begins every secret, so that people and secret scanners recognise one."""
_NO_KEY: Final = "-" * 64
"""As long as a hash, and none."""


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


class Keys(Part):
    """The rows of keys: methods of the store itself."""

    async def add_key(self, row: KeyRow) -> None:
        # `fallback` is kept beside the limits: a column more would change the proof of every row there is.
        limits = asdict(row.limits) | ({"fallback": row.fallback} if row.fallback else {})
        values = values_of(row) | {"role": row.role.value, "scopes": row.scopes and list(row.scopes), "limits": limits}
        del values["fallback"]
        add = insert(keys).values(values)
        await self._change(lambda connection: connection.execute(add).rowcount)

    async def key_by_hash(self, hash: str) -> KeyRow | None:
        """The key with this hash, revoked and expired ones too: ask `row.usable(now)`.

        A wrong one costs the same steps: the index finds a row or none, the comparison in constant time decides.
        """

        def find(connection: Connection) -> KeyRow | None:
            row = connection.execute(select(keys).where(keys.c.hash == hash)).one_or_none()
            same = hmac.compare_digest((_NO_KEY if row is None else row.hash).encode(), hash.encode())
            require_newest(connection, keys)
            wrong = row_fault(connection, keys, "r.id = ?", "" if row is None else row.id)
            if row is None or not same:
                return None
            if wrong:
                log.error("the key %s %s: it is no key. `netgpt store check` shows more", row.id, wrong)
                return None
            return _read(row)

        return await self._cached(("key", hash), find)

    async def keys(self) -> list[KeyRow]:
        """Every key, revoked ones too, oldest first."""
        return await self._read(all_keys)

    async def revoke_key(self, id: str, by: str | None = None) -> bool:
        """False: no such key, or revoked before. `by`: the key that does it, which must itself be in force still: of
        two that revoke one another at the same moment, one stays."""
        change = update(keys).where(keys.c.id == id, keys.c.revoked.is_(None)).values(revoked=datetime.now(UTC))
        if by is not None:
            own = keys.alias()
            change = change.where(exists().where(own.c.id == by, own.c.revoked.is_(None)))
        return await self._change(lambda connection: connection.execute(change).rowcount > 0, needs_room=False)

    async def has_keys(self) -> bool:
        """Whether a key was ever made: from then on every call needs one, also when all were revoked."""
        return await self._cached("has keys", _has_keys)

    async def key_faults(self) -> list[str]:
        """What is wrong with the rows of keys: somebody changed the database. Reads them all."""
        return await self._read(_faults)

    async def staff(self) -> frozenset[Person]:
        """The people to whom a key of an operator or admin is bound that was not revoked: nobody else speaks for them,
        and they are not forgotten while it is there."""

        def read(connection: Connection) -> frozenset[Person]:
            rows = (row for row in all_keys(connection) if row.role is not Role.USER and row.revoked is None)
            return frozenset(Person(row.tenant, row.user) for row in rows if row.user is not None)

        return await self._cached("staff", read)


def _has_keys(connection: Connection) -> bool:
    """Keys that somebody deleted from the database count too: else deleting them all would open the box."""
    if connection.execute(select(keys.c.id).limit(1)).first() is not None:
        return True
    ledger = ledger_in_use()
    if ledger is None or ledger.ends is None:
        raise tampered("keys", "nothing tells whether there were any")
    return ledger.ends.rows[PLACES["keys"]] > 0


def _faults(connection: Connection) -> list[str]:
    ledger = ledger_in_use()
    if ledger is None:
        return ["the database's own secrets are gone"]
    return [f"{fault.table} {fault.id} {fault.what}" for fault in audit(connection, ledger, ("keys",))]


def all_keys(connection: Connection) -> list[KeyRow]:
    return [_read(row) for row in connection.execute(select(keys).order_by(keys.c.created, keys.c.id))]


def forget(connection: Connection, person: Person) -> int:
    """Revoke the keys that speak for a person, take their name off, and delete what they have used.

    The rows stay: a box with keys stays one. So do the figures of who comes with a token, until they expire: else a
    spent budget would be there again. Returns how many keys there were.
    """
    bound = of_person(keys, person)
    delete_rows(connection, key_use, key_use.c.key_id.in_(select(keys.c.id).where(bound)))
    connection.execute(update(keys).where(bound, keys.c.revoked.is_(None)).values(revoked=datetime.now(UTC)))
    return connection.execute(update(keys).where(bound).values(user=None, name="(forgotten)")).rowcount


def _read(row: Row[tuple[object, ...]]) -> KeyRow:
    scopes = None if row.scopes is None else tuple(row.scopes)
    limits = dict(row.limits or {})
    rest = {"role": Role(row.role), "scopes": scopes, "fallback": limits.pop("fallback", None)}
    return KeyRow(**row._asdict() | rest | {"limits": KeyLimits(**limits)})


_BOOK: Final = (
    "INSERT INTO key_use (key_id, day, requests, tokens, cost, seq, mac) VALUES (?, ?, ?, ?, ?, ?, ?) "
    "ON CONFLICT (key_id, day) DO UPDATE SET requests = excluded.requests, tokens = excluded.tokens, "
    "cost = excluded.cost, seq = excluded.seq, mac = excluded.mac"
)
KEPT_DAYS: Final = 62
"""This month and the one before it."""


class Limits(Part):
    """`store.limits`: what keys may use and have used, one row a key and day (UTC).

    Booked in the exchange's own transaction, so a budget is exact after `kill -9`, is the same for every process on the
    database, and costs no commit of its own.
    """

    async def change(self, id: str, changed: Mapping[str, float | None], scopes: tuple[str, ...] | None) -> KeyLimits:
        """Set the limits named in `changed` (None: no such limit) and the scopes (None: as they are).

        In force at the next request. Raises NotFound.
        """

        def change(connection: Connection) -> KeyLimits:
            row = connection.execute(select(keys.c.limits).where(keys.c.id == id)).one_or_none()
            if row is None:
                raise NotFound(f"no key {id}: `netgpt keys list` shows them", param="id")
            kept = {**(row.limits or {}), **changed}
            limits = KeyLimits(**{name: value for name, value in kept.items() if name != "fallback"})
            values: dict[str, Any] = {"limits": kept}
            if scopes is not None:
                values["scopes"] = list(scopes) or None
            connection.execute(update(keys).where(keys.c.id == id).values(values))
            return limits

        return await self._change(change)

    async def use(self, id: str, now: datetime) -> KeyUse:
        """What a key has used on this day and in this month, both UTC."""
        return await self._read(partial(use_of, id=id, now=now))

    async def all_use(self, now: datetime) -> dict[str, KeyUse]:
        """The same for every key that was used this month."""
        return await self._read(partial(_use, now=now))

    async def of_people(self, tenant: str, now: datetime) -> list[PersonUse]:
        """What each person of a tenant asked and spent today and this month (UTC), who asked last first: figures
        alone, of what was counted so far (`usage.count`). Who has nothing kept any more is not among them."""
        return await self._read(partial(_use_of_people, tenant=tenant, now=now))


def token_id(person: Person) -> str:
    """What replaces a key's id for a person who came with a token of an identity provider."""
    name = f"{len(person.tenant)}:{person.tenant}{person.user}".encode("utf-8", "surrogatepass")
    return f"oidc_{hashlib.sha256(name).hexdigest()[:16]}"


def book(connection: Connection, ledger: Ledger, row: ExchangeRecord, seq: int) -> None:
    """Add an exchange, the one with this number, to what its key has used.

    The row is read only where another process may have written it. One that somebody changed is not made right by it.
    """
    key, day = str(row.key_id), _day(row.received)
    old = ledger.used.get((key, day)) or _read_use(connection, key, day)
    tokens, cost = old.tokens + row.prompt_tokens + row.completion_tokens, old.cost + row.cost
    plain = [key, day, old.requests + 1, tokens, whole(cost), seq]
    mac = ledger.mac("key_use", f"{key}/{day}", plain) if old.genuine else b""
    driver = driver_of(connection)
    driver.execute(_BOOK, (key, day, old.requests + 1, tokens, cost, seq, mac))
    if old.entered and old.genuine:
        count_entry(ledger, "key_use", entry_of(connection, "key_use", f"{key}/{day}"), mac)
        driver.execute("UPDATE ledger SET mac = ? WHERE name = 'key_use' AND id = ?", (mac, f"{key}/{day}"))
    ledger.keep_use(key, day, Use(old.requests + 1, tokens, cost, old.genuine, old.entered))


def _read_use(connection: Connection, key: str, day: str) -> Use:
    where = (key_use.c.key_id == key, key_use.c.day == day)
    found = connection.execute(select(key_use.c.requests, key_use.c.tokens, key_use.c.cost).where(*where)).one_or_none()
    entered = entry_of(connection, "key_use", f"{key}/{day}") is not None
    if found is None:
        return Use(0, 0, 0.0, genuine=not entered, entered=entered)
    genuine = row_fault(connection, key_use, "r.key_id = ? AND r.day = ?", key, day) is None
    return Use(*found, genuine, entered)


def expire(connection: Connection, now: datetime) -> int:
    """Delete the days that no budget needs any more, and close those that are over."""
    close_days(connection, _day(now - timedelta(days=1)))
    return delete_rows(connection, key_use, key_use.c.day < _day(now - timedelta(days=KEPT_DAYS)))


_COUNTED: Final = (key_use.c.requests, key_use.c.tokens, key_use.c.cost)


def _use(connection: Connection, now: datetime, id: str | None = None) -> dict[str, KeyUse]:
    today = _day(now)
    if id is not None:
        first = f"{today[:7]}-01"
        wrong = row_fault(connection, key_use, "r.key_id = ? AND r.day BETWEEN ? AND ?", id, first, today)
        if missing_ids(connection, key_use, f"{id}/{first}", f"{id}/{today}"):
            wrong = MISSING
        if wrong:
            raise tampered("key_use", f"{id} {wrong}")
    on_day = [func.sum(case((key_use.c.day == today, column), else_=0)) for column in _COUNTED]
    in_month = func.sum(key_use.c.cost)
    query = select(key_use.c.key_id, *on_day, in_month).where(key_use.c.day.between(f"{today[:7]}-01", today))
    if id is not None:
        query = query.where(key_use.c.key_id == id)
    rows = connection.execute(query.group_by(key_use.c.key_id))
    return {key: KeyUse(today, *used) for key, *used in rows}


def _use_of_people(connection: Connection, tenant: str, now: datetime) -> list[PersonUse]:
    """By the sums of `usage.py`: a million exchanges are some thousand rows there."""
    today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    on_day, in_month = (hours.c.hour >= int(at.timestamp() // 3600) for at in (today, today.replace(day=1)))
    requests, cost = hours.c.figures["requests"].as_integer(), hours.c.figures["cost"].as_float()
    counted = [
        func.coalesce(func.sum(case((since, what))), 0) for what in (requests, cost) for since in (on_day, in_month)
    ]
    query = (
        select(hours.c.user, func.max(hours.c.hour), *counted).where(hours.c.tenant == tenant).group_by(hours.c.user)
    )
    people = [
        PersonUse(user, datetime.fromtimestamp(hour * 3600, UTC), *figures)
        for user, hour, *figures in connection.execute(query)
    ]
    return sorted(people, key=lambda one: one.seen, reverse=True)


def shown_key(row: KeyRow, use: KeyUse) -> dict[str, Any]:
    """Everything of a key but its hash, as JSON values: for its owner."""
    expired = row.expires is not None and row.expires <= datetime.now(UTC)
    return {
        "id": row.id, "name": row.name, "role": row.role.value, "tenant": row.tenant, "user": row.user,
        "created": row.created.isoformat(timespec="seconds"),
        "expires": row.expires.isoformat(timespec="seconds") if row.expires else None,
        "revoked": row.revoked.isoformat(timespec="seconds") if row.revoked else None,
        "state": "revoked" if row.revoked else "expired" if expired else "in force",
        "scopes": list(row.scopes) if row.scopes else None,
        "limits": asdict(row.limits), "prefer": row.prefer, "fallback": row.fallback,
        "used": {
            "requests_today": use.requests, "tokens_today": use.tokens,
            "cost_today": round(use.cost, 6), "cost_this_month": round(use.cost_month, 6),
        },
    }  # fmt: skip


def use_of(connection: Connection, id: str, now: datetime) -> KeyUse:
    """What one key has used on this day and in this month, both UTC."""
    return _use(connection, now, id).get(id, KeyUse())


def _day(moment: datetime) -> str:
    return moment.astimezone(UTC).date().isoformat()
