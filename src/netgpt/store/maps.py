"""The pseudonym maps of conversations, sealed. What is in them only the vault knows."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, delete, insert, select, update

from netgpt.store.schema import maps, of_person
from netgpt.store.seal import Sealer, place_of
from netgpt.types import Person

__all__ = ["expire", "forget", "kept_of", "load", "save", "touch"]

_TOUCH_AFTER: Final = timedelta(hours=1)


def load(
    connection: Connection, sealer: Sealer, person: Person, conversation: str, now: datetime
) -> tuple[bytes | None, bool]:
    """The map, and whether its time of use is old enough to be written anew (`touch`)."""
    id = _id(sealer, person, conversation)
    row = connection.execute(select(maps.c.private, maps.c.used).where(maps.c.id == id)).one_or_none()
    if row is None:
        return None, False
    return sealer.open(row.private, _place(id, person)), now - row.used > _TOUCH_AFTER


def kept_of(connection: Connection, sealer: Sealer, person: Person) -> list[tuple[datetime, bytes]]:
    """(last use, map) of all conversations of a person, oldest use first."""
    mine = of_person(maps, person)
    rows = connection.execute(select(maps.c.id, maps.c.used, maps.c.private).where(mine).order_by(maps.c.used))
    return [(row.used, sealer.open(row.private, _place(row.id, person))) for row in rows]


def save(connection: Connection, sealer: Sealer, person: Person, conversation: str, data: bytes, now: datetime) -> None:
    """Keep `data` in the place of what was there."""
    id = _id(sealer, person, conversation)
    values = {"private": sealer.seal(data, _place(id, person)), "used": now}
    if connection.execute(update(maps).where(maps.c.id == id).values(values)).rowcount == 0:
        connection.execute(insert(maps).values(id=id, tenant=person.tenant, user=person.user, **values))


def touch(connection: Connection, sealer: Sealer, person: Person, conversation: str, now: datetime) -> None:
    """Note that the conversation goes on, so that retention leaves its map alone."""
    connection.execute(update(maps).where(maps.c.id == _id(sealer, person, conversation)).values(used=now))


def expire(connection: Connection, used_before: datetime) -> int:
    return connection.execute(delete(maps).where(maps.c.used < used_before)).rowcount


def forget(connection: Connection, person: Person) -> int:
    mine = of_person(maps, person)
    return connection.execute(delete(maps).where(mine)).rowcount


def _id(sealer: Sealer, person: Person, conversation: str) -> str:
    return sealer.digest("maps", person.tenant, person.user, conversation)


def _place(id: str, person: Person) -> bytes:
    return place_of("maps", id, person.tenant, person.user)
