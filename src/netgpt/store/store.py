"""The store: what the box keeps. The only door to the database; every method is one line to the file of its topic.

Every write returns once it is committed. Queries by person take a `Person` (tenant and user) and see that person's
rows only. All methods raise StoreError when the database is full, locked or damaged; the store stays usable and goes
on when the fault is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Final, Self, TypeVar

from sqlalchemy import Connection, delete, insert, select

from netgpt.errors import RequestError, StoreError
from netgpt.settings import Settings
from netgpt.store import exchanges, keys, learning, migrations, people, queue
from netgpt.store.database import Database, FreeDisk, OpenMark, scrub
from netgpt.store.encryption import GivenKeys, KeyCommand, KeyFile, KeySource, Sealer
from netgpt.store.exchanges import Answers
from netgpt.store.keys import Limits
from netgpt.store.learning import Decisions, TrainingExamples
from netgpt.store.maintenance import Maintenance
from netgpt.store.people import Consents, SubjectData
from netgpt.store.queue import WaitingQueue
from netgpt.store.receipts import Receipts
from netgpt.store.schema import ExchangeRecord, KeyRow, PlaceRow, places, values_of
from netgpt.store.secrets import OwnSecrets
from netgpt.store.writer import MISSING, Operation, ReadCache, Readers, Writer, mark_change
from netgpt.types import Fact, Person

# --- The rows of places of interest, one set for each source they were imported from.


def replace(connection: Connection, source: str, rows: Sequence[PlaceRow]) -> None:
    """Put `rows` in the place of all that came from `source` before. Readers see the old set or the new one."""
    seen: set[str] = set()
    for row in rows:
        if row.source != source:
            raise RequestError(f'place "{row.id}" comes from another source than the one to replace', param="source")
        if row.id in seen:
            raise RequestError(f'two places of the source have the id "{row.id}": ids must differ', param="id")
        seen.add(row.id)
    remove(connection, source)
    if rows:
        connection.execute(insert(places), [values_of(row) | {"tags": list(row.tags)} for row in rows])


def remove(connection: Connection, source: str) -> int:
    return connection.execute(delete(places).where(places.c.source == source)).rowcount


def all_places(connection: Connection) -> list[PlaceRow]:
    """Every place, by source and id."""
    found = connection.execute(select(places).order_by(places.c.source, places.c.id))
    return [PlaceRow(**row._asdict() | {"tags": tuple(row.tags)}) for row in found]


# --- What goes when a person is forgotten, and when it is too old: class by class, in one write.


def forget(connection: Connection, receipts: Receipts, person: Person) -> dict[str, int]:
    """Delete all rows of a person; of receipts, the contents and the person. Returns how many of each class."""
    counts = {"exchanges": exchanges.forget(connection, person), "maps": people.forget_maps(connection, person)}
    counts |= people.forget_profile(connection, person) | learning.forget(connection, person)
    counts["receipts"] = receipts.forget(connection, person)
    counts["waiting"] = queue.forget(connection, person)
    counts["decisions"] = learning.forget_decisions(connection, person)
    keys.forget_limits(connection, person)
    return counts | {"keys": keys.forget(connection, person)}


def expire(
    connection: Connection,
    receipts: Receipts,
    now: datetime,
    exchanges_days: float,
    maps_days: float,
    examples_days: float,
    receipts_days: float,
) -> dict[str, int]:
    """Delete what is older than its class allows (days). Returns how many of each class."""
    keys.expire(connection, now)
    return {
        "waiting": queue.expire(connection, now),
        "exchanges": exchanges.expire(connection, now - timedelta(days=exchanges_days)),
        "decisions": learning.expire_decisions(connection, now - timedelta(days=exchanges_days)),
        "maps": people.expire_maps(connection, now - timedelta(days=maps_days)),
        "facts": people.expire_facts(connection, now),
        "examples": learning.expire(connection, now - timedelta(days=examples_days)),
        "receipts": receipts.expire(connection, now - timedelta(days=receipts_days), receipts_days),
    }


T = TypeVar("T")

_MAX_PAGE: Final = 1000
_MODES: Final = ("select", "rewrite", "off")


class Store:
    """Open with `Store.open`, close with `close`. Safe to use from many tasks at once."""

    def __init__(self, database: Database, sealer: Sealer, own: OwnSecrets, mark: OpenMark, disk: FreeDisk) -> None:
        self.path = database.path
        self._database = database
        self._sealer = sealer
        self._mark = mark
        self._writer = Writer(database, disk)
        self._memory = ReadCache(database.path)
        self._readers = Readers(database)
        self._read = self._readers.read
        self._closed = False
        self.learning = TrainingExamples(self._read, self._change, sealer)
        """Consents to training, and the examples that adapters learnt from."""
        self.receipts = Receipts(self._read, self._writer.submit, sealer)
        """What left the box, chained."""
        self.consents = Consents(self._change, self._remembered)
        """What people allow, and the history of it."""
        self.subject_data = SubjectData(self._read, sealer)
        """What else is kept of a person: maps and keys."""
        self.sealing = Maintenance(self._read, self._writer.submit, sealer, own, self.path)
        """The key: changing it, and checking what is sealed with it."""
        self.limits = Limits(self._read, self._change)
        """What keys may use, and what they have used."""
        self.answers = Answers(self._read, sealer)
        """Complete answers, found by what was asked."""
        self.waiting = WaitingQueue(self._read, self._writer.submit, sealer)
        """Requests that nobody could answer, to be sent once."""
        self.decisions = Decisions(self._read, self._writer.submit, sealer)
        """Where requests went and what came of it; and what was learnt of all."""

    @classmethod
    def open(
        cls,
        path: Path,
        sealer: Sealer,
        *,
        min_free_bytes: int = 0,
        busy_timeout_s: float = 5.0,
        power_safe: bool = False,
    ) -> Self:
        """Open the database at `path`, made (0600) if missing and migrated if old. Blocks for some milliseconds.

        `min_free_bytes`: writes are refused when the disk has less free. `busy_timeout_s`: how long to wait for
        another process's write. `power_safe`: committed rows survive a power cut too. Raises StoreError: not
        writable, locked, damaged, made by a newer version, or sealed with another key.
        """
        sealer = sealer.for_one_database()
        own = OwnSecrets(sealer, path)
        database = Database(path, busy_timeout_s, power_safe=power_safe, attend=own.attend)
        mark = migrations.open_database(database, sealer, own)
        return cls(database, sealer, own, mark, FreeDisk(path, min_free_bytes))

    async def close(self) -> None:
        """Finish the waiting writes and close the files. May be called again."""
        if self._closed:
            return
        self._closed = True
        self._readers.refuse()
        await asyncio.to_thread(self._writer.close)
        await asyncio.to_thread(self._readers.shutdown)
        self._memory.close()
        self._database.forget_connections()
        self._mark.release()

    # exchanges

    async def save_exchange(self, row: ExchangeRecord) -> None:
        """Raises StoreError (`conflict`) when the id is there already."""
        await self._writer.submit(partial(exchanges.save, sealer=self._sealer, row=row))

    async def exchange(self, id: str) -> ExchangeRecord | None:
        """The row, whoever it belongs to: the caller checks `row.person`."""
        return await self._read(partial(exchanges.find, sealer=self._sealer, id=id))

    async def exchanges(
        self,
        person: Person | None,
        limit: int = 50,
        before: str | None = None,
        *,
        rating: int | None = None,
        tenant: str | None = None,
        texts: bool = True,
    ) -> list[ExchangeRecord]:
        """Newest first, at most 1,000. `person=None`: everyone's, for the operator. `before`: the id to go on from.

        `rating`: only those that were rated so. `tenant`: only those of this tenant's people. `texts=False` leaves
        what is sealed closed.
        """
        if not 1 <= limit <= _MAX_PAGE:
            raise RequestError(f"limit must be 1 to {_MAX_PAGE}", param="limit")
        which = partial(exchanges.page, person=person, limit=limit, before=before, rating=rating, tenant=tenant)
        return await self._read(partial(which, sealer=self._sealer, texts=texts))

    async def rate_exchange(self, id: str, rating: int) -> bool:
        """Keep what the person thought of the answer (-1, 0, 1). False when there is no such exchange."""
        return await self._writer.submit(partial(exchanges.rate, id=id, rating=rating))

    async def outcomes(self, adapter: str, against: str | None, since: datetime) -> dict[str, dict[str, int]]:
        """Counts of what became of exchanges with and without an adapter: see `store/exchanges.py`. No text is read."""
        return await self._read(partial(exchanges.outcomes_by_adapter, id=adapter, against=against, since=since))

    async def delete_expired(
        self,
        now: datetime,
        exchanges_days: float,
        maps_days: float,
        examples_days: float = 365.0,
        receipts_days: float = 36_500.0,
    ) -> dict[str, int]:
        """Delete what is older than its class allows (days); return how many rows of each class."""
        days = (exchanges_days, maps_days, examples_days, receipts_days)
        return await self._writer.submit(
            lambda connection: expire(connection, self.receipts, now, *days), needs_room=False
        )

    # keys

    async def add_key(self, row: KeyRow) -> None:
        await self._change(partial(keys.add, row=row))

    async def key_by_hash(self, hash: str) -> KeyRow | None:
        """The key with this hash, revoked and expired ones too: ask `row.usable(now)`."""
        return await self._remembered(("key", hash), partial(keys.by_hash, hash=hash))

    async def keys(self) -> list[KeyRow]:
        return await self._read(keys.all_keys)

    async def revoke_key(self, id: str) -> bool:
        """False: no such key, or revoked before."""
        return await self._change(partial(keys.revoke, id=id, now=datetime.now(UTC)), needs_room=False)

    async def has_keys(self) -> bool:
        """Whether a key was ever made: from then on every call needs one, also when all were revoked."""
        return await self._remembered("has keys", keys.any_made)

    # profiles

    async def add_fact(self, person: Person, fact: Fact) -> str:
        """Keep a fact about a person; return its id."""
        return await self._change(partial(people.add_fact, sealer=self._sealer, person=person, fact=fact))

    async def facts(self, person: Person) -> list[tuple[str, Fact]]:
        """(id, fact), oldest first."""
        query = partial(people.facts_of, sealer=self._sealer, person=person)
        return list(await self._remembered(("facts", person), query))

    async def remove_fact(self, person: Person, id: str) -> bool:
        """False: this person has no such fact."""
        return await self._change(partial(people.remove_fact, person=person, id=id), needs_room=False)

    async def people(self, tenant: str) -> list[str]:
        """The users of a tenant who have a profile, sorted."""
        return await self._read(partial(people.people, tenant=tenant))

    async def set_profile(self, person: Person, complete: str | None) -> None:
        """How prompts of this person are completed: select, rewrite, off; None: as the settings say."""
        if complete is not None and complete not in _MODES:
            raise RequestError(f"complete must be one of {', '.join(_MODES)}, or null", param="complete")
        await self._change(partial(people.set_mode, person=person, complete=complete))

    async def profile_mode(self, person: Person) -> str | None:
        return await self._remembered(("mode", person), partial(people.mode, person=person))

    async def forget(self, person: Person) -> dict[str, int]:
        """Delete all rows of a person and scrub the files, so that no trace is left in them.

        Rewrites the file (seconds for gigabytes; other writes wait). Returns the number of rows by class. Raises
        StoreError (`store_not_scrubbed`) when the rows are gone but their traces are not: forget once more.
        """

        work = partial(forget, receipts=self.receipts, person=person)
        return await self._change(work, after=scrub, needs_room=False)

    async def forget_examples(self, person: Person) -> int:
        """Delete a person's kept examples alone and scrub the files, as `forget` does. Returns how many there were."""

        def forget(connection: Connection) -> int:
            return learning.forget(connection, person, consent=False)["examples"]

        return await self._change(forget, after=scrub, needs_room=False)

    # places

    async def replace_places(self, source: str, rows: Sequence[PlaceRow]) -> None:
        """Put `rows` in the place of all that came from `source` before."""
        await self._change(partial(replace, source=source, rows=rows))

    async def places(self) -> list[PlaceRow]:
        return list(await self._remembered("places", all_places))

    async def remove_places(self, source: str) -> int:
        """How many were removed."""
        return await self._change(partial(remove, source=source), needs_room=False)

    # maps

    async def load_map(self, person: Person, conversation: str) -> bytes | None:
        """The conversation's map, or None. Loading counts as use, to the hour, for retention."""
        key = ("map", person, conversation)
        known = self._memory.get(key)
        if known is not MISSING:
            return known  # type: ignore[no-any-return]
        seen, now = self._memory.seen, datetime.now(UTC)
        which = partial(people.load, sealer=self._sealer, person=person, conversation=conversation, now=now)
        data, stale = await self._read(which)
        if stale:
            await self._writer.submit(
                partial(people.touch, sealer=self._sealer, person=person, conversation=conversation, now=now)
            )
        self._memory.put(key, data, seen)
        return data

    async def save_map(self, person: Person, conversation: str, data: bytes) -> None:
        """Keep `data` in the place of what was there."""
        seen, now = self._memory.seen, datetime.now(UTC)  # a `forget` meanwhile wins
        await self._writer.submit(
            partial(people.save, sealer=self._sealer, person=person, conversation=conversation, data=data, now=now)
        )
        self._memory.put(("map", person, conversation), data, seen)

    async def _change(self, work: Operation[T], *, after: Operation[None] | None = None, needs_room: bool = True) -> T:
        """A write after which nobody, in this process or another, may use what he remembers."""

        def changed(connection: Connection) -> T:
            result = work(connection)
            mark_change(connection)
            return result

        return await self._writer.submit(changed, after=after, needs_room=needs_room)

    async def _remembered(self, key: Hashable, query: Operation[T]) -> T:
        known = self._memory.get(key)
        if known is not MISSING:
            return known  # type: ignore[no-any-return]
        seen = self._memory.seen
        value = await self._read(query)
        self._memory.put(key, value, seen)
        return value

    def __repr__(self) -> str:
        return f"<Store {self.path}>"


# --- The database of a box, as its settings say. Imports the store alone: who reads one row needs nothing else.


def open_store(settings: Settings) -> Store:
    """Open the database, making the folder (0700) and the key (0600) on first use. Raises StoreError."""
    try:
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"{settings.home}: the home folder cannot be made: {error.strerror}. Set NETGPT_HOME to a folder of yours."
        ) from None
    sealer = Sealer(key_source(settings))
    kept = settings.store
    return Store.open(settings.database, sealer, min_free_bytes=kept.min_free_bytes, power_safe=kept.power_safe)


def key_source(settings: Settings) -> KeySource:
    """Where the sealing key comes from: `store.key`, `store.key_command`, or the file, made on first use."""
    kept = settings.store
    if kept.key is not None:
        return GivenKeys.from_text(kept.key.get_secret_value(), "the key in NETGPT_STORE__KEY (store.key)")
    if kept.key_command:
        return KeyCommand(kept.key_command, kept.key_command_timeout_s)
    file = KeyFile(settings.key_file)
    if not settings.database.exists():  # a lost key is told, not replaced: a new one could not open what is there
        file.make()
    return file
