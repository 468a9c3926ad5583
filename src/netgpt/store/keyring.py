"""The rows of API keys: hashes, never secrets."""

from __future__ import annotations

import hmac
from dataclasses import asdict
from datetime import UTC, datetime

from sqlalchemy import Connection, Row, insert, select, update

from netgpt.store.rows import KeyLimits, KeyRow, values_of
from netgpt.store.schema import keys, of_person
from netgpt.types import Person, Role

__all__ = ["add", "all_keys", "any_made", "by_hash", "forget", "revoke"]


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
