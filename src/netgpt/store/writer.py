"""How the store reads and writes: one thread that writes, a few that read, and a cache of what hardly ever changes."""

from __future__ import annotations

import asyncio
import os
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import Any, Final, TypeVar

from sqlalchemy import Connection, text

from netgpt.errors import NetGPTError, StoreError
from netgpt.store.database import FreeDisk
from netgpt.store.encryption import Sealer
from netgpt.store.engine import READERS, MarkConnection, StoreDatabase, database_of
from netgpt.store.entries import enter_changes
from netgpt.store.ledger import ledger_in_use

T = TypeVar("T")
Operation = Callable[[Connection], T]
"""A write: gets the connection within a transaction; its result goes to the caller after the COMMIT."""


_MAX_GROUP: Final = 128
ENDS_EVERY_S: Final = 1.0
"""The ends of the ledger follow what the chats write after so long at most."""


class _Job:
    """One write on its way."""

    def __init__(
        self, work: Operation[Any], after: Operation[None] | None, needs_room: bool, enters_itself: bool
    ) -> None:
        self.work, self.after, self.needs_room, self.enters_itself = work, after, needs_room, enters_itself
        self.result: Any = None
        self.error: BaseException | None = None
        self.loop = asyncio.get_running_loop()
        self.done: asyncio.Future[Any] = self.loop.create_future()

    def settle(self) -> None:
        """Wake the caller, in its event loop. A cancelled caller does not undo the write."""
        if self.done.done():
            return
        if self.error is not None:
            self.done.set_exception(self.error)
        else:
            self.done.set_result(self.result)


class Writer:
    """Takes writes from any number of tasks and event loops. `close` finishes what waits.

    Writes that wait together share one transaction, and so one fsync (group commit). Each has its own savepoint: one
    that fails leaves its neighbours alone. A fault of the database itself (full, locked, damaged) fails the group; the
    next one starts with a fresh connection, so writing goes on by itself when the fault is gone.
    """

    def __init__(self, database: StoreDatabase, disk: FreeDisk, *, max_waiting: int = 1024) -> None:
        """`max_waiting`: writes that may queue; more are refused, so that a dead disk does not fill the memory."""
        self.groups = 0
        """How many transactions were tried: with the number of writes, this shows how well they group."""
        self._database, self._disk, self._max_waiting = database, disk, max_waiting
        self._jobs: SimpleQueue[_Job | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._open = True
        self._connection: Connection | None = None
        self._worked = False
        """Whether a write of the present group has begun."""
        self._behind, self._followed = False, float("-inf")
        """Whether the ledger's ends are behind, and when they were not (`time.monotonic`)."""
        self._thread = threading.Thread(target=self._run, name="netgpt-store-writer", daemon=True)
        self._thread.start()

    async def submit(
        self,
        work: Operation[T],
        *,
        after: Operation[None] | None = None,
        needs_room: bool = True,
        enters_itself: bool = False,
    ) -> T:
        """Run `work` in a transaction and return its result, once it is committed.

        `after` runs after the COMMIT, outside of any transaction. `needs_room=False`: allowed on a full disk,
        for what frees space. `enters_itself`: it touches no guarded row, or counts it in the ledger itself. Raises
        StoreError; a cancelled caller does not stop the write.
        """
        job = _Job(work, after, needs_room, enters_itself)
        with self._lock:
            if not self._open:
                raise StoreError(f"{self._database.name}: the store is closed.", code="store_closed")
            if self._jobs.qsize() >= self._max_waiting:
                raise StoreError(
                    f"{self._database.name}: {self._max_waiting} writes wait already. The disk is too slow or stuck; "
                    "try again later.",
                    code="store_busy",
                    retry_after=1.0,
                )
            self._jobs.put(job)
        result: T = await job.done
        return result

    def close(self) -> None:
        """Finish the waiting writes and stop. Blocks; call it from a thread. May be called again."""
        with self._lock:
            if self._open:
                self._open = False
                self._jobs.put(None)
        self._thread.join()

    def _run(self) -> None:
        while group := self._next_group():
            self.groups += 1
            try:
                self._commit_or_again(group)
            except Exception as error:  # noqa: BLE001 - the thread must outlive every fault; each caller gets it
                self._drop_connection()
                for job in group:
                    job.error = job.error or self._database.error(error)
            for job in group:
                with suppress(RuntimeError):  # its loop has ended
                    job.loop.call_soon_threadsafe(job.settle)
            self._database.wrote(len(group))
        self._drop_connection()

    def _commit_or_again(self, group: list[_Job]) -> None:
        """A connection that broke while nobody wrote is found by the next BEGIN: nothing was done yet."""
        self._worked = False
        try:
            self._commit(group)
        except Exception as error:
            if self._worked or not self._database.is_lost(error):
                raise
            self._drop_connection()
            self._commit(group)

    def _next_group(self) -> list[_Job]:
        """Wait for a write, then take all that wait with it. Empty: the end."""
        try:
            first = self._jobs.get(timeout=ENDS_EVERY_S if self._behind else None)
        except Empty:
            self._catch_up()
            first = self._jobs.get()
        if first is None:
            if self._behind:
                self._catch_up()
            return []
        group = [first]
        while len(group) < _MAX_GROUP:
            try:
                job = self._jobs.get_nowait()
            except Empty:
                break
            if job is None:
                self._jobs.put(None)  # finish this group first
                break
            group.append(job)
        return group

    def _commit(self, group: list[_Job]) -> None:
        if self._connection is None:
            self._connection = self._database.writing.connect()
            self._database.watch(self._connection)
        connection = self._connection
        if len(group) == 1:
            self._alone(connection, group[0])
        else:
            with connection.begin():
                for job in group:
                    self._try(connection, job)
                self._finish(connection)
        for job in group:
            if job.after is not None and job.error is None:
                try:
                    job.after(connection)
                except Exception as error:  # noqa: BLE001 - handed to its caller
                    job.error = self._database.error(error)

    def _alone(self, connection: Connection, job: _Job) -> None:
        """A group of one needs no savepoint: rolling back its transaction undoes it alone."""
        transaction = connection.begin()
        try:
            self._work(connection, job)
            self._finish(connection)
        except Exception as error:
            job.error = self._database.error(error)
            lost = not self._database.in_transaction(connection)
            transaction.rollback()
            if lost:
                raise
            return
        transaction.commit()

    def _work(self, connection: Connection, job: _Job) -> None:
        self._worked = True
        if job.needs_room:
            self._disk.check()
        job.result = job.work(connection)
        if not job.enters_itself:
            enter_changes(connection)

    def _try(self, connection: Connection, job: _Job) -> None:
        """Run one write in its savepoint. Raises only when the fault has ended the whole transaction."""
        ledger = ledger_in_use()
        before = None if ledger is None else ledger.snapshot()
        connection.exec_driver_sql("SAVEPOINT write")
        try:
            self._work(connection, job)
            connection.exec_driver_sql("RELEASE write")
        except Exception as error:
            job.error = self._database.error(error)
            if not self._database.in_transaction(connection):
                raise  # SQLite itself rolled everything back: nothing of this group is there
            connection.exec_driver_sql("ROLLBACK TO write")
            connection.exec_driver_sql("RELEASE write")
            if ledger is not None and before is not None:
                ledger.restore(before)

    def _finish(self, connection: Connection) -> None:
        """Write the ledger's ends where entries changed, or when they were behind for a while."""
        ledger = ledger_in_use()
        if ledger is not None:
            follow = time.monotonic() - self._followed >= ENDS_EVERY_S
            self._behind = ledger.finish(connection, follow=follow)
            if follow:
                self._followed = time.monotonic()

    def _catch_up(self) -> None:
        """Nobody writes: let the ledger's ends hold the newest exchange and receipt."""
        self._behind, self._followed = False, float("-inf")
        try:
            if self._connection is not None:
                with self._connection.begin():
                    self._finish(self._connection)
        except Exception:  # noqa: BLE001 - nobody waits for it: the next write tries again, and is told
            self._drop_connection()

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.invalidate()
            self._connection.close()
            self._connection = None
        self._database.forget_connections()


class Readers:
    """Run queries on a few threads of their own: neither the event loop nor the writer waits for them."""

    def __init__(self, database: StoreDatabase) -> None:
        self._database = database
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="netgpt-store-reader")
        self.closed = False

    async def read(self, query: Callable[[Connection], T]) -> T:
        """What `query` returns, run within a transaction that only reads. Raises StoreError."""
        if self.closed:
            raise StoreError(f"{self._database.name}: the store is closed.", code="store_closed")
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._query, query)

    def _query(self, query: Callable[[Connection], T]) -> T:
        for last in (False, True):
            begun = False
            try:
                with self._database.reading.begin() as connection:  # begun before any value is bound: see `UserId`
                    begun = True
                    return query(connection)
            except NetGPTError:
                raise
            except Exception as error:  # noqa: BLE001 - mapped to StoreError
                self._database.reading.dispose()
                if begun or last or not self._database.is_lost(error):  # else it broke while nobody read
                    raise self._database.error(error) from None
        raise AssertionError

    def close(self) -> None:
        """Take no more queries, and wait for those under way. Blocks."""
        self.closed = True
        self._threads.shutdown()


MISSING: Final = object()
"""What `get` returns for what is not cached (None is a value)."""

_ENTRIES: Final = 10_000
_AGE_S: Final = 600.0
"""Seconds after which a value is read again even if nobody changed it."""

_MARK = text(
    "INSERT INTO marks (name, value) VALUES ('generation', :value) "
    "ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)

_READ = "SELECT value FROM marks WHERE name = 'generation'"


def mark_change(connection: Connection) -> None:
    """Within a write: make all processes forget what they have cached."""
    connection.execute(_MARK, {"value": os.urandom(8)})
    database_of(connection).announce(connection)


class ReadCache:
    """What hardly ever changes and every request needs (keys, profiles), until somebody changes it.

    Every write that changes such rows also changes one mark in the database, in the same transaction, and the mark is
    read before a value is used: microseconds, where a full read costs a change of threads. So a change by another
    process counts at the next request (PostgreSQL: within a second). Used on one event loop at a time.
    """

    def __init__(self, database: StoreDatabase) -> None:
        self._database = database
        self._connection: MarkConnection | None = None
        self._own = 0
        self.seen: tuple[bytes, int] | None = None
        """The mark at the last `get`, and how many changes were made here: take it before reading, give it to `put`."""
        self._fresh_in: asyncio.AbstractEventLoop | None = None
        """The loop in whose present turn the mark was read."""
        self._values: OrderedDict[Hashable, tuple[float, Any]] = OrderedDict()

    def get(self, key: Hashable) -> Any:
        """The value, or MISSING. What cannot be checked is not used."""
        loop = asyncio.get_running_loop()
        if self._fresh_in is not loop:
            try:
                if self._connection is None:
                    self._connection = self._database.open_mark()
                row = self._connection.execute(_READ).fetchone()
            except self._database.faults:
                self.close()
                return MISSING
            mark = row[0] if row else b""
            if (mark, self._own) != self.seen:
                self._values.clear()
                self.seen = mark, self._own
            # Good for this turn of the loop: a request that comes in after this is answered in a later one.
            self._fresh_in = loop
            loop.call_soon(setattr, self, "_fresh_in", None)
        since, value = self._values.get(key, (0.0, MISSING))
        return MISSING if value is MISSING or time.monotonic() - since > _AGE_S else value

    def put(self, key: Hashable, value: Any, seen: tuple[bytes, int] | None) -> None:
        """Keep what was read while the mark was `seen`, unless it has changed since."""
        if seen is not None and seen == self.seen:
            self._values[key] = (time.monotonic(), value)
            while len(self._values) > _ENTRIES:
                self._values.popitem(last=False)

    def changed(self) -> None:
        """A change was committed here: it counts at once, whenever the mark is seen to have changed."""
        self._own += 1
        self._fresh_in = None

    def close(self) -> None:
        """Forget everything and close the connection; the next `get` opens it again."""
        self._values.clear()
        self.seen, self._fresh_in = None, None
        if self._connection is not None:
            self._connection.close()
            self._connection = None


class Transactions:
    """What all parts of an open store share."""

    def __init__(self, database: StoreDatabase, disk: FreeDisk) -> None:
        self._writer, self._readers = Writer(database, disk), Readers(database)
        self.cache = ReadCache(database)
        self.submit, self.read = self._writer.submit, self._readers.read

    async def change(self, work: Operation[T], *, after: Operation[None] | None = None, needs_room: bool = True) -> T:
        """A write to rows that are cached, here and in other processes. Arguments as of `Writer.submit`."""

        def changed(connection: Connection) -> T:
            result = work(connection)
            mark_change(connection)
            return result

        try:
            return await self.submit(changed, after=after, needs_room=needs_room)
        finally:
            self.cache.changed()

    async def cached(self, key: Hashable, query: Operation[T]) -> T:
        """A read of rows that are changed by `change` alone."""
        known = self.cache.get(key)
        if known is MISSING:
            seen = self.cache.seen
            known = await self.read(query)
            self.cache.put(key, known, seen)
        return known  # type: ignore[no-any-return]

    async def close(self) -> None:
        self._readers.closed = True
        await asyncio.to_thread(self._writer.close)
        await asyncio.to_thread(self._readers.close)
        self.cache.close()


class Part:
    """A topic of the store. Its methods raise StoreError when the database is full, locked or damaged."""

    def __init__(self, transactions: Transactions, sealer: Sealer) -> None:
        self._read, self._submit, self._change = transactions.read, transactions.submit, transactions.change
        self._cached, self._cache, self._sealer = transactions.cached, transactions.cache, sealer
