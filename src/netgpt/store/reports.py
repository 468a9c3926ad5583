"""What people say was wrong with what was hidden: told to who runs the tenant, without words unless they agree.

Sealed like all that is a person's, and gone with them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

from sqlalchemy import Connection, insert, select

from netgpt.errors import StoreError
from netgpt.store.schema import delete_rows, of_person, reports
from netgpt.store.writer import Part
from netgpt.types import Person

MOST: Final = 200
"""Kept of one person; the oldest go."""
_SHOWN: Final = 1000


@dataclass(frozen=True, slots=True)
class Report:
    """One thing that was found without need, or was not found."""

    what: str
    """"false_find" or "missed_find"."""
    exchange: str
    kind: str
    rule: str = ""
    """What found it; empty: nothing did."""
    length: int = 0
    """Characters of what is meant."""
    text: str | None = field(default=None, repr=False)
    """The words, where the person agreed that they are shown."""
    id: str = ""
    time: datetime | None = None

    def as_dict(self) -> dict[str, Any]:
        return {
            "id": self.id, "object": "netgpt.report", "time": self.time and self.time.isoformat(), "what": self.what,
            "exchange": self.exchange, "kind": self.kind, "rule": self.rule, "length": self.length, "text": self.text,
        }  # fmt: skip


class Reports(Part):
    """`store.reports`."""

    async def add(self, person: Person, new: Report) -> Report:
        """Keep what a person says. Returns it with id and time."""
        id, now, owner = f"rp_{uuid4().hex[:24]}", datetime.now(UTC), (person.tenant, person.user)
        kept = {name: getattr(new, name) for name in ("what", "exchange", "kind", "rule", "length", "text")}

        def add(connection: Connection) -> None:
            sealed = self._sealer.seal_json(kept, "reports", id, *owner)
            row = {"id": id, "tenant": person.tenant, "user": person.user, "time": now, "private": sealed}
            connection.execute(insert(reports).values(**row))
            theirs = select(reports.c.id).where(of_person(reports, person)).order_by(reports.c.time.desc())
            delete_rows(connection, reports, reports.c.id.in_(connection.scalars(theirs).all()[MOST:]))

        await self._submit(add, enters_itself=True)
        return Report(**kept, id=id, time=now)

    async def of_tenant(self, tenant: str) -> list[Report]:
        """All that the tenant's people said, newest first, and nothing of who."""
        return await self._listed(reports.c.tenant == tenant)

    async def of(self, person: Person) -> list[Report]:
        """What one person said."""
        return await self._listed(of_person(reports, person))

    async def _listed(self, which: Any) -> list[Report]:
        query = select(reports).where(which).order_by(reports.c.time.desc(), reports.c.id).limit(_SHOWN)

        def opened(connection: Connection) -> list[Report]:
            found = []
            for row in connection.execute(query):
                try:
                    kept = self._sealer.open_json(row.private, "reports", row.id, row.tenant, row.user)
                except StoreError:
                    continue  # `netgpt store check` names it
                found.append(Report(**kept, id=row.id, time=row.time))
            return found

        return await self._read(opened)

    async def remove(self, tenant: str, id: str) -> bool:
        """It was dealt with. False: there is no such report of this tenant."""
        which = (reports.c.tenant == tenant, reports.c.id == id)
        gone = await self._submit(
            lambda connection: delete_rows(connection, reports, *which), needs_room=False, enters_itself=True
        )
        return gone > 0


def forget_reports(connection: Connection, person: Person) -> int:
    return delete_rows(connection, reports, of_person(reports, person))


def expire(connection: Connection, before: datetime) -> int:
    """Delete what is past its time: as long as the exchanges are kept."""
    return delete_rows(connection, reports, reports.c.time < before)
