"""The store: what the box keeps, and the only way to the database. Each topic is a class in a module of its own."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Self

from sqlalchemy import Connection, insert, select

from netgpt.errors import RequestError, StoreError
from netgpt.files import check_home
from netgpt.settings import Settings
from netgpt.store import keys, learning, migrations, queue, readings, reports, rulings, usage
from netgpt.store.clock import RetentionClock
from netgpt.store.database import Database, FreeDisk, OpenMark, scrub
from netgpt.store.encryption import GivenKeys, KeyCommand, KeyFile, KeySource, Sealer
from netgpt.store.exchanges import Answers, Exchanges
from netgpt.store.files import VouchedFiles
from netgpt.store.heads import HeadsNoted
from netgpt.store.learning import Decisions, TrainingExamples
from netgpt.store.listing import Listing
from netgpt.store.maintenance import Maintenance
from netgpt.store.people import (
    Consents,
    Exceptions,
    FactVectors,
    Maps,
    Profiles,
    SubjectData,
    delete_orphans,
    forget_consents,
)
from netgpt.store.proposals import ProposedFacts
from netgpt.store.queue import WaitingQueue
from netgpt.store.readings import Readings
from netgpt.store.receipts import Receipts
from netgpt.store.reports import Reports
from netgpt.store.rulings import Rulings
from netgpt.store.schema import (
    PlaceRow,
    decisions,
    delete_rows,
    exchanges,
    fact_vectors,
    facts,
    maps,
    of_person,
    places,
    profiles,
    proposals,
    values_of,
    waiting,
)
from netgpt.store.secrets import DatabaseSecrets
from netgpt.store.usage import UsageSums
from netgpt.store.writer import Part, Transactions
from netgpt.types import Person


class Places(Part):
    """The rows of places of interest, one set for each source: methods of the store itself."""

    async def replace_places(self, source: str, rows: Sequence[PlaceRow]) -> None:
        """Replace all that came from `source`. Readers see the old set or the new one.

        Raises RequestError: a row of another source, or an id that is there twice.
        """
        if other := next((row for row in rows if row.source != source), None):
            raise RequestError(f'place "{other.id}" comes from another source than the one to replace', param="source")
        seen: set[str] = set()
        for row in rows:
            if row.id in seen:
                raise RequestError(f'two places of the source have the id "{row.id}": ids must differ', param="id")
            seen.add(row.id)

        def replace(connection: Connection) -> None:
            delete_rows(connection, places, places.c.source == source)
            if rows:
                connection.execute(insert(places), [values_of(row) | {"tags": list(row.tags)} for row in rows])

        await self._change(replace)

    async def places(self) -> list[PlaceRow]:
        """Every place, by source and id."""

        def read(connection: Connection) -> list[PlaceRow]:
            query = select(places).order_by(places.c.source, places.c.id)
            return [PlaceRow(**row._asdict() | {"tags": tuple(row.tags)}) for row in connection.execute(query)]

        return list(await self._cached("places", read))

    async def remove_places(self, source: str) -> int:
        """How many were removed."""
        return await self._change(
            lambda connection: delete_rows(connection, places, places.c.source == source), needs_room=False
        )


class Store(Exchanges, keys.Keys, Profiles, Maps, Places):
    """Open with `Store.open`, close with `close`. Safe to use from many tasks at once.

    Every write returns once it is committed. Queries by person see that person's rows only. All methods raise
    StoreError when the database is full, locked or damaged; the store goes on when the fault is gone.
    """

    def __init__(
        self, database: Database, sealer: Sealer, secrets: DatabaseSecrets, mark: OpenMark, disk: FreeDisk
    ) -> None:
        self.path = database.path
        self._database, self._mark, self._closed = database, mark, False
        self._transactions = base = Transactions(database, disk)
        super().__init__(base, sealer)
        self.learning = TrainingExamples(base, sealer)
        self.receipts = Receipts(base, sealer)
        self.consents = Consents(base, sealer)
        self.proposals = ProposedFacts(base, sealer)
        self.subject_data = SubjectData(base, sealer)
        self.sealing = Maintenance(base, sealer, secrets, self.path)
        self.limits = keys.Limits(base, sealer)
        self.answers = Answers(base, sealer)
        self.listing, self.usage = Listing(base, sealer), UsageSums(base, sealer)
        self.readings, self.reports = Readings(base, sealer), Reports(base, sealer)
        self.rulings = Rulings(base, sealer)
        self.waiting = WaitingQueue(base, sealer)
        self.decisions = Decisions(base, sealer)
        self.exceptions = Exceptions(base, sealer)
        self.vectors = FactVectors(base, sealer)
        self.heads = HeadsNoted(base, sealer)
        self.files = VouchedFiles(database, sealer)
        self.retention = RetentionClock(base, sealer)

    @classmethod
    def open(
        cls,
        path: Path,
        sealer: Sealer,
        *,
        min_free_bytes: int = 0,
        busy_timeout_s: float = 5.0,
        power_safe: bool = False,
        after_reset: bool = False,
    ) -> Self:
        """Open the database at `path`, made (0600) if missing and migrated if old. Blocks for some milliseconds.

        `min_free_bytes`: writes are refused when the disk has less free. `busy_timeout_s`: how long to wait for
        another process's write. `power_safe`: committed rows survive a power cut too. `after_reset`: take over
        what `reset_sealed` left. Raises StoreError: not writable, locked, damaged, made by a newer version, or sealed
        with another key.
        """
        sealer = sealer.for_one_database()
        secrets = DatabaseSecrets(sealer, path)
        database = Database(path, busy_timeout_s, power_safe=power_safe, on_begin=secrets.load)
        mark = migrations.open_database(database, sealer, secrets, after_reset=after_reset)
        return cls(database, sealer, secrets, mark, FreeDisk(path, min_free_bytes))

    async def close(self) -> None:
        """Finish the waiting writes and close the files. May be called again."""
        if self._closed:
            return
        self._closed = True
        await self._transactions.close()
        self._database.forget_connections()
        self._mark.release()

    async def delete_expired(
        self,
        now: datetime,
        exchanges_days: float,
        maps_days: float,
        examples_days: float = 365.0,
        receipts_days: float = 36_500.0,
    ) -> dict[str, int]:
        """Delete what is older than its class allows (days); return how many rows of each class."""

        def expire(connection: Connection) -> dict[str, int]:
            keys.expire(connection, now)
            oldest = now - timedelta(days=exchanges_days)
            usage.expire(connection, oldest)
            readings.expire(connection, oldest)
            rulings.expire(connection, oldest)
            reports.expire(connection, oldest)
            return {
                "waiting": queue.expire(connection, now),
                "exchanges": delete_rows(connection, exchanges, exchanges.c.received < oldest),
                "decisions": delete_rows(connection, decisions, decisions.c.time < oldest),
                "maps": delete_rows(connection, maps, maps.c.used < now - timedelta(days=maps_days)),
                "facts": self._expire_facts(connection, now),
                "proposals": delete_rows(connection, proposals, proposals.c.expires <= now),
                "examples": learning.expire(connection, now - timedelta(days=examples_days)),
                "receipts": self.receipts.expire(connection, now - timedelta(days=receipts_days), receipts_days),
            }

        return await self._submit(expire, needs_room=False)

    def _expire_facts(self, connection: Connection, now: datetime) -> int:
        gone = delete_rows(connection, facts, facts.c.expires <= now)
        delete_orphans(connection)
        return gone

    async def forget(self, person: Person) -> dict[str, int]:
        """Delete all rows of a person and scrub the files, so that no trace is left; of receipts, content and person.

        Rewrites the file (seconds for gigabytes; other writes wait). Returns the number of rows by class. Raises
        StoreError (`store_not_scrubbed`) when the rows are gone but their traces are not: forget once more.
        """

        def forget(connection: Connection) -> dict[str, int]:
            tables = (exchanges, maps, facts, profiles, proposals)
            counts = {table.name: delete_rows(connection, table, of_person(table, person)) for table in tables}
            delete_rows(connection, fact_vectors, of_person(fact_vectors, person))
            usage.forget_hours(connection, person)
            rulings.forget_rulings(connection, person)
            counts["readings"] = readings.forget_readings(connection, person)
            counts["reports"] = reports.forget_reports(connection, person)
            counts["examples"] = learning.forget(connection, person)
            counts["consents"] = forget_consents(connection, person)
            counts["receipts"] = self.receipts.forget(connection, person)
            for table in (waiting, decisions):  # what is being sent just now cannot depart, or its answer is dropped
                counts[table.name] = delete_rows(connection, table, of_person(table, person))
            return counts | {"keys": keys.forget(connection, person)}

        return await self._change(forget, after=scrub, needs_room=False)

    async def forget_examples(self, person: Person) -> int:
        """Delete a person's kept examples alone and scrub the files, as `forget` does. Returns how many there were."""
        return await self._change(lambda connection: learning.forget(connection, person), after=scrub, needs_room=False)

    def __repr__(self) -> str:
        return f"<Store {self.path}>"


def open_store(settings: Settings, *, after_reset: bool = False) -> Store:
    """Open the database, making the folder (0700) and the key (0600) on first use. Raises StoreError."""
    try:
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        check_home(settings.home, StoreError)
    except OSError as error:
        raise StoreError(
            f"{settings.home}: the home folder cannot be made: {error.strerror}. Set NETGPT_HOME to a folder of yours."
        ) from None
    sealer = Sealer(key_source(settings))
    store = settings.store
    return Store.open(
        settings.database, sealer, min_free_bytes=store.min_free_bytes, power_safe=store.power_safe,
        after_reset=after_reset,
    )  # fmt: skip


def key_source(settings: Settings) -> KeySource:
    """Where the sealing key comes from: `store.key`, `store.key_command`, or the file, made on first use."""
    store = settings.store
    if store.key is not None:
        return GivenKeys.from_text(store.key.get_secret_value(), "the key in NETGPT_STORE__KEY (store.key)")
    if store.key_command:
        return KeyCommand(store.key_command, store.key_command_timeout_s)
    file = KeyFile(settings.key_file)
    if not settings.database.exists():  # a lost key is an error: a new one could not open what is there
        file.make()
    return file
