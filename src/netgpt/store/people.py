"""What is known of people: facts, sealed whole, and how each wants prompts completed."""

from __future__ import annotations

import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, delete, insert, select, union, update

from netgpt.errors import RequestError
from netgpt.store import keys
from netgpt.store.encryption import Sealer, place_of
from netgpt.store.schema import ConsentRow, KeyRow, consents, facts, maps, of_person, profiles
from netgpt.store.writer import Read, Remember, Write
from netgpt.types import Fact, Label, Person


def add_fact(connection: Connection, sealer: Sealer, person: Person, fact: Fact) -> str:
    """Add a fact; return its new id. Kind, label and source are sealed too: "religion" alone says much."""
    id = f"fact_{secrets.token_hex(8)}"
    texts = {name: getattr(fact, name) for name in ("text", "kind", "label", "source", "precision")}
    connection.execute(
        insert(facts).values(
            id=id,
            tenant=person.tenant,
            user=person.user,
            created=datetime.now(UTC),
            expires=fact.expires,
            private=sealer.seal(json.dumps(texts).encode("ascii"), _place(id, person)),
        )
    )
    return id


def facts_of(connection: Connection, sealer: Sealer, person: Person) -> list[tuple[str, Fact]]:
    """(id, fact), oldest first; expired ones are there until retention deletes them."""
    found = []
    order = select(facts).where(of_person(facts, person)).order_by(facts.c.created, facts.c.id)
    for row in connection.execute(order):
        texts = json.loads(sealer.open(row.private, _place(row.id, person)))
        found.append((row.id, Fact(**texts | {"label": Label(texts["label"])}, expires=row.expires)))
    return found


def remove_fact(connection: Connection, person: Person, id: str) -> bool:
    """False: this person has no such fact."""
    return connection.execute(delete(facts).where(of_person(facts, person), facts.c.id == id)).rowcount > 0


def people(connection: Connection, tenant: str) -> list[str]:
    """The users of a tenant who have a profile, sorted."""
    known = union(*(select(table.c.user).where(table.c.tenant == tenant) for table in (facts, profiles)))
    return sorted(connection.scalars(known))


def set_mode(connection: Connection, person: Person, complete: str | None) -> None:
    """None: back to what the settings say."""
    connection.execute(delete(profiles).where(of_person(profiles, person)))
    if complete is not None:
        connection.execute(insert(profiles).values(tenant=person.tenant, user=person.user, complete=complete))


def mode(connection: Connection, person: Person) -> str | None:
    return connection.scalar(select(profiles.c.complete).where(of_person(profiles, person)))


def expire_facts(connection: Connection, now: datetime) -> int:
    return connection.execute(delete(facts).where(facts.c.expires <= now)).rowcount


def forget_profile(connection: Connection, person: Person) -> dict[str, int]:
    return {
        "facts": connection.execute(delete(facts).where(of_person(facts, person))).rowcount,
        "profiles": connection.execute(delete(profiles).where(of_person(profiles, person))).rowcount,
    }


def _place(id: str, person: Person) -> bytes:
    return place_of("facts", id, person.tenant, person.user)


# --- What people allow: a history that only grows. What holds now follows from the last word that covers a purpose.
#
# An entry says: for this purpose, yes or no, from then, until then or for good, for one third party or for
# everybody. For a given receiver the last entry counts among those for everybody and those for this receiver.


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


def forget_consents(connection: Connection, person: Person) -> int:
    """Delete the person's history. Returns the number of purposes that they had spoken of."""
    purposes = set(connection.scalars(select(consents.c.purpose).where(of_person(consents, person)).distinct()))
    connection.execute(delete(consents).where(of_person(consents, person)))
    return len(purposes)


# --- The pseudonym maps of conversations, sealed. What is in them only the vault knows.

_TOUCH_AFTER: Final = timedelta(hours=1)


def load(
    connection: Connection, sealer: Sealer, person: Person, conversation: str, now: datetime
) -> tuple[bytes | None, bool]:
    """The map, and whether its time of use is old enough to be written anew (`touch`)."""
    id = _id(sealer, person, conversation)
    row = connection.execute(select(maps.c.private, maps.c.used).where(maps.c.id == id)).one_or_none()
    if row is None:
        return None, False
    return sealer.open(row.private, _place_maps(id, person)), now - row.used > _TOUCH_AFTER


def kept_of(connection: Connection, sealer: Sealer, person: Person) -> list[tuple[datetime, bytes]]:
    """(last use, map) of all conversations of a person, oldest use first."""
    mine = of_person(maps, person)
    rows = connection.execute(select(maps.c.id, maps.c.used, maps.c.private).where(mine).order_by(maps.c.used))
    return [(row.used, sealer.open(row.private, _place_maps(row.id, person))) for row in rows]


def save(connection: Connection, sealer: Sealer, person: Person, conversation: str, data: bytes, now: datetime) -> None:
    """Keep `data` in the place of what was there."""
    id = _id(sealer, person, conversation)
    values = {"private": sealer.seal(data, _place_maps(id, person)), "used": now}
    if connection.execute(update(maps).where(maps.c.id == id).values(values)).rowcount == 0:
        connection.execute(insert(maps).values(id=id, tenant=person.tenant, user=person.user, **values))


def touch(connection: Connection, sealer: Sealer, person: Person, conversation: str, now: datetime) -> None:
    """Note that the conversation goes on, so that retention leaves its map alone."""
    connection.execute(update(maps).where(maps.c.id == _id(sealer, person, conversation)).values(used=now))


def expire_maps(connection: Connection, used_before: datetime) -> int:
    return connection.execute(delete(maps).where(maps.c.used < used_before)).rowcount


def forget_maps(connection: Connection, person: Person) -> int:
    mine = of_person(maps, person)
    return connection.execute(delete(maps).where(mine)).rowcount


def _id(sealer: Sealer, person: Person, conversation: str) -> str:
    return sealer.digest("maps", person.tenant, person.user, conversation)


def _place_maps(id: str, person: Person) -> bytes:
    return place_of("maps", id, person.tenant, person.user)


# --- What the store holds of one person beyond exchanges and facts, for whoever has a right to all of it.


@dataclass(frozen=True, slots=True)
class KeptMap:
    """The pseudonym map of one conversation. `data` is the vault's; the conversation's name is not kept."""

    used: datetime
    data: bytes = field(repr=False)


class SubjectData:
    """A part of the store: `store.holdings`. Every method raises StoreError as the store's own do."""

    def __init__(self, read: Read, sealer: Sealer) -> None:
        self._read, self._sealer = read, sealer

    async def maps(self, person: Person) -> list[KeptMap]:
        """All pseudonym maps of the person, the one used longest ago first."""

        def opened(connection: Connection) -> list[KeptMap]:
            return [KeptMap(used, data) for used, data in kept_of(connection, self._sealer, person)]

        return await self._read(opened)

    async def keys(self, person: Person) -> list[KeyRow]:
        """The keys that speak for this person alone."""

        def bound(connection: Connection) -> list[KeyRow]:
            rows = keys.all_keys(connection)
            return [row for row in rows if row.user is not None and Person(row.tenant, row.user) == person]

        return await self._read(bound)
