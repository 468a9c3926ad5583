"""Who read a person's texts, when, and why: for the person to see, sealed like all that is theirs, gone with them."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from sqlalchemy import Connection, insert, select

from netgpt.errors import StoreError
from netgpt.store.schema import delete_rows, of_person, readings
from netgpt.store.writer import Part
from netgpt.types import Person

_MOST: Final = 10_000
"""Rows shown, the newest."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One look at a person's texts."""

    id: str
    time: datetime
    by: str
    """The id of the key, or of the token's bearer."""
    what: str
    """What was read: "exchange", "profile", ..."""
    of: str
    """Its id; empty: all of this sort."""
    reason: str = field(repr=False)

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.id, "object": "netgpt.reading", "time": self.time.isoformat(), "by": self.by,
            "what": self.what, "of": self.of, "reason": self.reason,
        }  # fmt: skip


class Readings(Part):
    """`store.readings`."""

    async def note(self, person: Person, by: str, what: str, of: str, reason: str) -> None:
        """Keep that somebody is about to read. Within an hour the same look is noted once. Raises StoreError: it could
        not be kept, and then nothing may be shown."""
        now, owner = datetime.now(UTC), (person.tenant, person.user)
        parts = {"by": by, "what": what, "of": of, "reason": reason}

        def add(connection: Connection) -> None:
            hour = str(int(now.timestamp() // 3600))
            id = "rd_" + self._sealer.digest("readings", *owner, hour, *parts.values())[:24]
            if connection.execute(select(readings.c.id).where(readings.c.id == id)).first() is None:
                sealed = self._sealer.seal_json(parts, "readings", id, *owner)
                row = {"id": id, "tenant": person.tenant, "user": person.user, "time": now, "private": sealed}
                connection.execute(insert(readings).values(**row))

        await self._submit(add, enters_itself=True)

    async def of(self, person: Person) -> list[Reading]:
        """All that is kept of looks at the person's texts, newest first."""
        query = select(readings.c.id, readings.c.time, readings.c.private).where(of_person(readings, person))
        query = query.order_by(readings.c.time.desc(), readings.c.id).limit(_MOST)

        def opened(connection: Connection) -> list[Reading]:
            found = []
            for row in connection.execute(query):
                try:
                    parts = self._sealer.open_json(row.private, "readings", row.id, person.tenant, person.user)
                except StoreError:
                    parts = {"by": "?", "what": "?", "of": "", "reason": "this row was changed by somebody"}
                found.append(Reading(row.id, row.time, **parts))
            return found

        return await self._read(opened)


def forget_readings(connection: Connection, person: Person) -> int:
    return delete_rows(connection, readings, of_person(readings, person))


def expire(connection: Connection, before: datetime) -> int:
    """Delete what is past its time: as long as the exchanges are kept."""
    return delete_rows(connection, readings, readings.c.time < before)
