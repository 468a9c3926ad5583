"""What people allow: a history that only grows. What holds now follows from the last word that covers a purpose.

An entry says: for this purpose, yes or no, from then, until then or for good, for one third party or for everybody. For
a given receiver the last entry counts among those for everybody and those for this receiver.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from netgpt.errors import RequestError
from netgpt.store.rows import ConsentRow
from netgpt.store.schema import consents, of_person
from netgpt.store.writer import Remember, Write
from netgpt.types import Person

__all__ = [
    "ConsentEntry", "Consents", "add", "consenting", "entries_of", "forget", "refused", "standing", "state_of"
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class ConsentEntry:
    """One thing that a person said. Times are timezone-aware."""

    purpose: str
    given: bool
    said: datetime
    begins: datetime
    ends: datetime | None = None
    """None: for good."""
    third_party: str | None = field(default=None)
    """The receiver it is about (a host name); None: everybody."""

    def holds(self, now: datetime) -> bool:
        """Whether `now` is within its time."""
        return self.begins <= now and (self.ends is None or now < self.ends)


class Consents:
    """A part of the store: `store.consents`. Every method raises StoreError as the store's own do."""

    def __init__(self, change: Write, remembered: Remember) -> None:
        self._change, self._remembered = change, remembered

    async def say(
        self,
        person: Person,
        purpose: str,
        given: bool,
        *,
        begins: datetime | None = None,
        ends: datetime | None = None,
        third_party: str | None = None,
    ) -> ConsentEntry:
        """Keep what the person says. Counts at the next request, of every process. Raises RequestError: bad times."""
        now = datetime.now(UTC)
        third_party = third_party and third_party.strip().rstrip(".").lower()  # as the host of an address is read
        if third_party and any(c in "/: \t" for c in third_party):
            raise RequestError('a third party is a host name, such as "cloud.example"', param="third_party")
        entry = ConsentEntry(purpose, given, now, begins or now, ends, third_party)
        if entry.ends is not None and entry.ends <= entry.begins:
            raise RequestError("a consent ends after it begins", param="until")
        await self._change(partial(add, person=person, entry=entry))
        return entry

    async def of(self, person: Person) -> tuple[ConsentEntry, ...]:
        """All that the person ever said, oldest first. Remembered in the process until somebody says something."""
        return await self._remembered(("consents", person), partial(entries_of, person=person))


def standing(entries: Sequence[ConsentEntry], now: datetime, receiver: str | None = None) -> frozenset[str]:
    """The purposes that the person consents to now, towards `receiver` (None: towards everybody)."""
    last = _last_words(entries, receiver)
    return frozenset(purpose for purpose, entry in last.items() if entry.given and entry.holds(now))


def refused(entries: Sequence[ConsentEntry], now: datetime, receiver: str | None = None) -> frozenset[str]:
    """The purposes that the person spoke of and does not consent to now: taken back, ended, or not begun."""
    return frozenset(_last_words(entries, receiver)) - standing(entries, now, receiver)


def _last_words(entries: Sequence[ConsentEntry], receiver: str | None) -> dict[str, ConsentEntry]:
    return {entry.purpose: entry for entry in entries if entry.third_party in (None, receiver)}


def state_of(person: Person, purpose: str, entries: Sequence[ConsentEntry]) -> ConsentRow | None:
    """What holds of a purpose for everybody: since when, or since when no longer."""
    row: ConsentRow | None = None
    for entry in entries:
        if entry.purpose != purpose or entry.third_party is not None:
            continue
        if entry.given:
            row = ConsentRow(person.tenant, person.user, purpose, entry.begins, None, entry.ends)
        else:
            row = ConsentRow(person.tenant, person.user, purpose, row.given if row else None, entry.begins)
    return row


def add(connection: Connection, person: Person, entry: ConsentEntry) -> None:
    """Append an entry."""
    names = ("purpose", "given", "said", "begins", "ends", "third_party")
    values: dict[str, Any] = {name: getattr(entry, name) for name in names}
    connection.execute(insert(consents).values(tenant=person.tenant, user=person.user, **values))


def entries_of(connection: Connection, person: Person) -> tuple[ConsentEntry, ...]:
    """All entries of a person, oldest first."""
    found = connection.execute(select(consents).where(of_person(consents, person)).order_by(consents.c.number))
    return tuple(ConsentEntry(row.purpose, row.given, row.said, row.begins, row.ends, row.third_party) for row in found)


def consenting(connection: Connection, purpose: str) -> list[Person]:
    """Everyone whose consent to `purpose` stands now, sorted."""
    spoke = select(consents.c.tenant, consents.c.user).where(consents.c.purpose == purpose).distinct()
    people = [Person(row.tenant, row.user) for row in connection.execute(spoke)]
    now = datetime.now(UTC)
    found = [person for person in people if purpose in standing(entries_of(connection, person), now)]
    return sorted(found, key=lambda person: (person.tenant, person.user))


def forget(connection: Connection, person: Person) -> int:
    """Delete the person's history. Returns the number of purposes that they had spoken of."""
    purposes = set(connection.scalars(select(consents.c.purpose).where(of_person(consents, person)).distinct()))
    connection.execute(delete(consents).where(of_person(consents, person)))
    return len(purposes)
