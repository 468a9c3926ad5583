"""What is kept of a person beside exchanges: facts with their vectors, mode of completion, consents, pseudonym maps.

And of a tenant: words that the owner says are not private (`Exceptions`), sealed among the marks.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Final

from sqlalchemy import Connection, and_, insert, or_, select, union, update

from netgpt.errors import RequestError, StoreError
from netgpt.store.encryption import Sealer, place_of
from netgpt.store.entries import enter_changes, require_newest, row_fault, tampered
from netgpt.store.keys import all_keys
from netgpt.store.locks import FileLocks
from netgpt.store.schema import (
    ConsentRow,
    KeyRow,
    consents,
    delete_rows,
    fact_vectors,
    facts,
    maps,
    marks,
    of_person,
    profiles,
    proposals,
)
from netgpt.store.writer import MISSING, Part
from netgpt.types import Fact, Label, Person

_MODES: Final = ("select", "rewrite", "off")
PROPOSALS: Final = "proposals"
"""The purpose that lets facts be proposed from what a person says in passing: without a yes, none are."""
_TOUCH_AFTER: Final = timedelta(hours=1)


class Profiles(Part):
    """Facts, sealed whole ("religion" alone says much), and how prompts are completed: methods of the store itself."""

    async def add_fact(self, person: Person, fact: Fact) -> str:
        """Keep a fact about a person; return its id."""

        return await self._change(lambda connection: insert_fact(connection, self._sealer, person, fact))

    async def facts(self, person: Person) -> list[tuple[str, Fact]]:
        """(id, fact), oldest first; expired ones are there until retention deletes them."""

        def opened(connection: Connection) -> list[tuple[str, Fact]]:
            query = select(facts).where(of_person(facts, person)).order_by(facts.c.created, facts.c.id)
            found = []
            for row in connection.execute(query):
                texts = self._sealer.open_json(row.private, "facts", row.id, person.tenant, person.user)
                found.append((row.id, Fact(**texts | {"label": Label(texts["label"])}, expires=row.expires)))
            return found

        return list(await self._cached(("facts", person), opened))

    async def remove_fact(self, person: Person, id: str) -> bool:
        """False: this person has no such fact."""

        def remove(connection: Connection) -> bool:
            delete_rows(connection, fact_vectors, of_person(fact_vectors, person), fact_vectors.c.id == id)
            return delete_rows(connection, facts, of_person(facts, person), facts.c.id == id) > 0

        return await self._change(remove, needs_room=False)

    async def people(self, tenant: str) -> list[str]:
        """The users of a tenant who have a profile, sorted."""
        known = union(*(select(table.c.user).where(table.c.tenant == tenant) for table in (facts, profiles)))
        return await self._read(lambda connection: sorted(connection.scalars(known)))

    async def set_profile(self, person: Person, complete: str | None) -> None:
        """How prompts of this person are completed: select, rewrite, off; None: as the settings say."""
        if complete is not None and complete not in _MODES:
            raise RequestError(f"complete must be one of {', '.join(_MODES)}, or null", param="complete")

        def change(connection: Connection) -> None:
            delete_rows(connection, profiles, of_person(profiles, person))
            if complete is not None:
                connection.execute(insert(profiles).values(tenant=person.tenant, user=person.user, complete=complete))

        await self._change(change)

    async def profile_mode(self, person: Person) -> str | None:

        def read(connection: Connection) -> str | None:
            return connection.scalar(select(profiles.c.complete).where(of_person(profiles, person)))

        return await self._cached(("mode", person), read)


def insert_fact(connection: Connection, sealer: Sealer, person: Person, fact: Fact) -> str:
    """Within a change of the store: add the fact, sealed; return its id."""
    id = f"fact_{secrets.token_hex(8)}"
    texts = {name: getattr(fact, name) for name in ("text", "kind", "label", "source", "precision")}
    values = asdict(person) | {"id": id, "created": datetime.now(UTC), "expires": fact.expires}
    sealed = sealer.seal_json(texts, "facts", id, person.tenant, person.user)
    connection.execute(insert(facts).values(**values, private=sealed))
    return id


class Maps(Part):
    """Pseudonym maps of conversations, sealed; only the vault knows what is in them. Methods of the store itself."""

    locks: FileLocks | None = None
    """Where several processes answer: whose turn it is with a conversation. Maps are then read anew each time."""

    def turn_with(self, person: Person, conversation: str) -> AbstractAsyncContextManager[None]:
        """Nobody else reads and saves the conversation's map in the block: two values must not get one placeholder.
        Within this process the caller sees to that."""
        if self.locks is None:
            return nullcontext()
        who = f"{len(person.tenant)}:{person.tenant}{len(person.user)}:{person.user}"
        return self.locks.hold(f"map {who}{conversation}")

    async def load_map(self, person: Person, conversation: str) -> bytes | None:
        """The conversation's map, or None. Loading counts as use, to the hour, for retention."""
        key = ("map", person, conversation)
        known = self._cache.get(key) if self.locks is None else MISSING
        if known is not MISSING:
            return known  # type: ignore[return-value]
        seen, now = self._cache.seen, datetime.now(UTC)

        def load(connection: Connection) -> tuple[bytes | None, bool]:
            id = self._map_id(person, conversation)
            row = connection.execute(select(maps.c.private, maps.c.used).where(maps.c.id == id)).one_or_none()
            if row is None:
                return None, False
            return self._sealer.open(row.private, _map_place(id, person)), now - row.used > _TOUCH_AFTER

        def touch(connection: Connection) -> None:
            connection.execute(update(maps).where(maps.c.id == self._map_id(person, conversation)).values(used=now))

        data, stale = await self._read(load)
        if stale:
            await self._submit(touch, enters_itself=True)
        self._cache.put(key, data, seen)
        return data

    async def save_map(self, person: Person, conversation: str, data: bytes) -> None:
        """Replace the conversation's map."""
        seen, now = self._cache.seen, datetime.now(UTC)  # a `forget` meanwhile wins

        def save(connection: Connection) -> None:
            id = self._map_id(person, conversation)
            values = {"private": self._sealer.seal(data, _map_place(id, person)), "used": now}
            if connection.execute(update(maps).where(maps.c.id == id).values(values)).rowcount == 0:
                connection.execute(insert(maps).values(id=id, tenant=person.tenant, user=person.user, **values))

        await self._submit(save, enters_itself=True)
        self._cache.put(("map", person, conversation), data, seen)

    def _map_id(self, person: Person, conversation: str) -> str:
        """Within a transaction: the database's own secret is in use there."""
        return self._sealer.digest("maps", person.tenant, person.user, conversation)


def _map_place(id: str, person: Person) -> bytes:
    return place_of("maps", id, person.tenant, person.user)


@dataclass(frozen=True, slots=True)
class ConsentEntry:
    """One thing that a person said of a purpose: yes or no, from then, until then, for one third party or everybody."""

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


class Consents(Part):
    """`store.consents`: what people allow, a history that only grows.

    Towards a receiver the last entry counts among those for everybody and those for this receiver.
    """

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
        await self._change(partial(add_consent, person=person, entry=entry))
        return entry

    async def of(self, person: Person) -> tuple[ConsentEntry, ...]:
        """All that the person ever said, oldest first."""
        return await self._cached(("consents", person), partial(entries_of, person=person))


def standing(entries: Sequence[ConsentEntry], now: datetime, receiver: str | None = None) -> frozenset[str]:
    """The purposes that the person consents to now, towards `receiver` (None: towards everybody)."""
    last = _last_entries(entries, receiver)
    return frozenset(purpose for purpose, entry in last.items() if entry.given and entry.holds(now))


def refused(entries: Sequence[ConsentEntry], now: datetime, receiver: str | None = None) -> frozenset[str]:
    """The purposes that the person named and does not consent to now: taken back, ended, or not begun."""
    return frozenset(_last_entries(entries, receiver)) - standing(entries, now, receiver)


def _last_entries(entries: Sequence[ConsentEntry], receiver: str | None) -> dict[str, ConsentEntry]:
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


def add_consent(connection: Connection, person: Person, entry: ConsentEntry) -> None:
    names = ("purpose", "given", "said", "begins", "ends", "third_party")
    values: dict[str, Any] = {name: getattr(entry, name) for name in names}
    connection.execute(insert(consents).values(tenant=person.tenant, user=person.user, **values))
    if (
        entry.purpose == PROPOSALS and not entry.given and entry.third_party is None
    ):  # they were there by this consent alone
        delete_rows(connection, proposals, of_person(proposals, person))
    enter_changes(connection)


def entries_of(connection: Connection, person: Person) -> tuple[ConsentEntry, ...]:
    """All entries of a person, oldest first. Raises StoreError: somebody changed the table by hand."""
    require_newest(connection, consents, all_there=True)
    return _entries_of(connection, person)


def _entries_of(connection: Connection, person: Person) -> tuple[ConsentEntry, ...]:
    query = select(consents).where(of_person(consents, person)).order_by(consents.c.number)
    found = connection.execute(query).all()
    for row in found:
        if wrong := row_fault(connection, consents, "r.number = ?", row.number):
            raise tampered("consents", f"{row.number} {wrong}")
    return tuple(ConsentEntry(row.purpose, row.given, row.said, row.begins, row.ends, row.third_party) for row in found)


def consenting(connection: Connection, purpose: str) -> list[Person]:
    """Everyone who consents to `purpose` now, sorted. Raises StoreError as `entries_of` does."""
    require_newest(connection, consents, all_there=True)
    asked = select(consents.c.tenant, consents.c.user).where(consents.c.purpose == purpose).distinct()
    people = [Person(row.tenant, row.user) for row in connection.execute(asked)]
    now = datetime.now(UTC)
    found = [person for person in people if purpose in standing(_entries_of(connection, person), now)]
    return sorted(found, key=lambda person: (person.tenant, person.user))


def forget_consents(connection: Connection, person: Person) -> int:
    """Delete the person's history. Returns the number of purposes in it."""
    purposes = set(connection.scalars(select(consents.c.purpose).where(of_person(consents, person)).distinct()))
    delete_rows(connection, consents, of_person(consents, person))
    return len(purposes)


@dataclass(frozen=True, slots=True)
class KeptMap:
    """The pseudonym map of one conversation. `data` is the vault's; the conversation's name is not kept."""

    used: datetime
    data: bytes = field(repr=False)


class SubjectData(Part):
    """`store.subject_data`: what else is kept of one person, for whoever has a right to all of it."""

    async def maps(self, person: Person) -> list[KeptMap]:
        """All pseudonym maps of the person, the one used longest ago first."""
        query = select(maps.c.id, maps.c.used, maps.c.private).where(of_person(maps, person)).order_by(maps.c.used)

        def opened(connection: Connection) -> list[KeptMap]:
            rows = connection.execute(query)
            return [KeptMap(row.used, self._sealer.open(row.private, _map_place(row.id, person))) for row in rows]

        return await self._read(opened)

    async def keys(self, person: Person) -> list[KeyRow]:
        """The keys that speak for this person alone."""
        rows = await self._read(all_keys)
        return [row for row in rows if row.user is not None and Person(row.tenant, row.user) == person]


_MODEL_CHARACTERS: Final = 64


class FactVectors(Part):
    """`store.vectors`: what a model has read of facts, kept so that a start need not read each fact anew.

    As private as the facts, sealed like them, each in its place, and gone with its fact; no export holds them, since
    they say nothing that the fact does not. `model`: a digest of the weights that made them (64 characters of ASCII):
    for other weights it is as if they were not there. So it is with a row that was changed by hand.
    """

    async def of_person(self, person: Person, model: str) -> dict[str, bytes]:
        """What this model made of the person's facts, by the fact's id."""

        def opened(connection: Connection) -> dict[str, bytes]:
            wanted = (of_person(fact_vectors, person), fact_vectors.c.model == model)
            found, mark = {}, _made_by(model)
            for row in connection.execute(select(fact_vectors.c.id, fact_vectors.c.private).where(*wanted)):
                with suppress(StoreError):  # `netgpt store check` names it
                    data = self._sealer.open(row.private, _vectors_place(row.id, person))
                    if data.startswith(mark):
                        found[row.id] = data[len(mark) :]
            return found

        return await self._read(opened)

    async def save(self, person: Person, model: str, vectors: Mapping[str, bytes]) -> int:
        """Keep them, by the fact's id, in the place of older ones. Returns how many: not of facts that are gone."""

        def save(connection: Connection) -> int:
            there = select(facts.c.id).where(of_person(facts, person), facts.c.id.in_(list(vectors)))
            ids = list(connection.scalars(there))
            delete_rows(connection, fact_vectors, fact_vectors.c.id.in_(ids))
            owner, mark = {"tenant": person.tenant, "user": person.user, "model": model}, _made_by(model)
            sealed = {id: self._sealer.seal(mark + vectors[id], _vectors_place(id, person)) for id in ids}
            rows = [owner | {"id": id, "private": private} for id, private in sealed.items()]
            if rows:
                connection.execute(insert(fact_vectors), rows)
            return len(rows)

        return await self._submit(save, enters_itself=True)  # not guarded: see `ledger.py`

    async def missing(self, model: str, limit: int, but: Collection[Person] = ()) -> dict[Person, list[str]]:
        """Ids of facts in force that this model has not read, `limit` at most, by person; none of the people `but`."""

        def read(connection: Connection) -> dict[Person, list[str]]:
            join = and_(fact_vectors.c.id == facts.c.id, fact_vectors.c.model == model)
            query = (
                select(facts.c.id, facts.c.tenant, facts.c.user)
                .select_from(facts.outerjoin(fact_vectors, join))
                .where(fact_vectors.c.id.is_(None), or_(facts.c.expires.is_(None), facts.c.expires > datetime.now(UTC)))
                .where(*(~of_person(facts, person) for person in but))
                .order_by(facts.c.tenant, facts.c.user)
                .limit(limit)
            )
            found: dict[Person, list[str]] = {}
            for row in connection.execute(query):
                found.setdefault(Person(row.tenant, row.user), []).append(row.id)
            return found

        return await self._read(read)


def delete_orphans(connection: Connection) -> int:
    """Delete the vectors of facts that are gone. Returns how many."""
    return delete_rows(connection, fact_vectors, fact_vectors.c.id.not_in(select(facts.c.id)))


def _made_by(model: str) -> bytes:
    """Within the seal, so that the column beside it can claim nothing else."""
    return model.encode("ascii").ljust(_MODEL_CHARACTERS)


def _vectors_place(id: str, person: Person) -> bytes:
    return place_of("fact_vectors", id, person.tenant, person.user)


MOST: Final = 1_000
"""Exceptions of one tenant."""


@dataclass(frozen=True, slots=True)
class ExceptionEntry:
    """One word. `by`: the key that added it, or "the command line"."""

    word: str = field(repr=False)
    added: str
    by: str


class Exceptions(Part):
    """Methods of `store.exceptions`. Words are given as they are compared: see `netgpt.privacy.detectors`."""

    async def of_tenant(self, tenant: str) -> tuple[ExceptionEntry, ...]:
        """The exceptions, oldest first."""
        entries = await self._cached(("exceptions", tenant), lambda connection: self._opened(connection, tenant))
        return tuple(entries)

    async def words(self, tenant: str) -> frozenset[str]:
        """The words alone."""
        return frozenset(entry.word for entry in await self.of_tenant(tenant))

    async def add(self, tenant: str, word: str, by: str) -> ExceptionEntry:
        """Add one; one that is there already stays as it was. Raises RequestError: there are too many."""
        new = ExceptionEntry(word, datetime.now(UTC).isoformat(timespec="seconds"), by)

        def added(entries: list[ExceptionEntry]) -> list[ExceptionEntry]:
            if any(entry.word == word for entry in entries):
                return entries
            if len(entries) >= MOST:
                raise RequestError(f"a tenant has at most {MOST} exceptions; remove some first", param="word")
            return [*entries, new]

        kept = await self._replace(tenant, added)
        return next(entry for entry in kept if entry.word == word)

    async def remove(self, tenant: str, word: str) -> bool:
        """False: there is no such exception."""
        if word not in await self.words(tenant):
            return False
        await self._replace(tenant, lambda entries: [entry for entry in entries if entry.word != word])
        return True

    async def _replace(
        self, tenant: str, change: Callable[[list[ExceptionEntry]], list[ExceptionEntry]]
    ) -> list[ExceptionEntry]:
        name = _mark(tenant)

        def replace(connection: Connection) -> list[ExceptionEntry]:
            entries = change(self._opened(connection, tenant))
            sealed = self._sealer.seal_json([asdict(entry) for entry in entries], "marks", name)
            if connection.execute(update(marks).where(marks.c.name == name).values(value=sealed)).rowcount == 0:
                connection.execute(insert(marks).values(name=name, value=sealed))
            return entries

        return await self._change(replace)

    def _opened(self, connection: Connection, tenant: str) -> list[ExceptionEntry]:
        if wrong := row_fault(connection, marks, "r.name = ?", _mark(tenant)):
            raise tampered("marks", f"{_mark(tenant)} {wrong}")
        sealed = connection.scalar(select(marks.c.value).where(marks.c.name == _mark(tenant)))
        rows: list[dict[str, Any]] = [] if sealed is None else self._sealer.open_json(sealed, "marks", _mark(tenant))
        return [ExceptionEntry(**row) for row in rows]


def _mark(tenant: str) -> str:
    return f"exceptions of {tenant}"
