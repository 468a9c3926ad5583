"""The connections to one SQLite file: how they are set up, what is checked before the first use, and its errors.

WAL mode: readers and the writer do not wait for each other, and what was committed survives `kill -9`.
A power cut may cost the last seconds (the file stays sound), unless `power_safe` pays one fsync per group of writes.
"""

from __future__ import annotations

import fcntl
import logging
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import orjson
from sqlalchemy import URL, Connection, Engine, NullPool, QueuePool, create_engine, event

from netgpt.errors import NetGPTError, RequestError, StoreError
from netgpt.files import keep_private, open_own, why_not
from netgpt.store.engine import READERS, FirstRead, foreign_error, options_for, wrong_shape
from netgpt.store.sqlite_words import SqliteWords
from netgpt.store.wal import keep_aside, lost_commits

log = logging.getLogger(__name__)

_PRIMARY = 0xFF  # SQLite's extended codes keep the primary code in the low byte (https://www.sqlite.org/rescode.html)


def store_error(error: BaseException, path: Path) -> NetGPTError:
    """The error to raise for `error`: ours as it is, any other as a StoreError that names file, fault and cure."""
    ours, original = foreign_error(error, str(path))
    if ours is not None:
        return ours
    return _of_sqlite(original, path) if isinstance(original, sqlite3.Error) else wrong_shape(error, str(path))


def damaged(path: Path, what: str) -> StoreError:
    """The error for a file that cannot be trusted any more. It is never overwritten or repaired in place."""
    return StoreError(
        f"{path}: the database file is damaged ({what}). Stop NetGPT and move it aside with {path.name}-wal and "
        f"{path.name}-shm: mv {path}* /some/where/. Then put a backup in its place, or start again and a new, empty "
        "database is made. `sqlite3 FILE .recover` rescues what is readable.",
        code="store_damaged",
    )


def _of_sqlite(error: sqlite3.Error, path: Path) -> StoreError:
    code = getattr(error, "sqlite_errorcode", 0) & _PRIMARY
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return damaged(path, name)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return StoreError(
            f"{path}: the database is locked by another program ({name}). Close what holds it (`fuser {path}` names "
            "it), then try again.",
            code="store_locked",
            retry_after=5.0,
        )
    if code == sqlite3.SQLITE_CONSTRAINT:
        return StoreError(f"{path}: the row was refused ({name}): one with this id is there already.", code="conflict")
    fault, cure, word = _FAULTS.get(code, ("the database failed", "Look at the disk and try again", "unavailable"))
    return StoreError(f"{path}: {fault} ({name}). {cure}.", code=f"store_{word}")


_FAULTS = {
    sqlite3.SQLITE_FULL: ("the disk or the file's quota is full", "Free some space; writing goes on by itself", "full"),
    sqlite3.SQLITE_IOERR: ("the disk gave an error", "Check its space and health; writing goes on by itself", "disk"),
    sqlite3.SQLITE_READONLY: ("the file may only be read", "Make it writable for this user", "readonly"),
    sqlite3.SQLITE_CANTOPEN: ("the file cannot be opened", "Check that the folder exists and who owns it", "unopened"),
    sqlite3.SQLITE_PERM: ("access is denied", "Check who owns the file", "denied"),
}


_SCRUB_S: Final = 2.0
"""Seconds for the log to be free."""
_CHECKPOINT_EVERY: Final = 256
"""Writes, of about five pages each."""


class Database(SqliteWords):
    """The engine that writes (one connection, one thread) and the engine that reads (`READERS` connections)."""

    faults: tuple[type[Exception], ...] = (sqlite3.Error,)

    def __init__(
        self, path: Path, busy_timeout_s: float = 5.0, *, power_safe: bool = False, first: FirstRead | None = None
    ) -> None:
        self.path = path.absolute()
        self.name = str(self.path)
        safe = (
            f"PRAGMA synchronous={'FULL' if power_safe else 'NORMAL'}",
            "PRAGMA foreign_keys=ON",
            "PRAGMA secure_delete=ON",
            "PRAGMA journal_size_limit=16777216",  # a big deletion does not leave a big log behind
            "PRAGMA wal_autocheckpoint=8000",  # pages; long before, a thread of its own does the work: see `Writer`
        )
        self._first, self._busy_timeout_s = first, busy_timeout_s
        self.writing = self._engine(safe, begin="BEGIN IMMEDIATE", poolclass=NullPool)
        self.reading = self._engine(
            ("PRAGMA query_only=ON",), begin="BEGIN", poolclass=QueuePool, pool_size=READERS, max_overflow=0
        )
        self._mark: OpenMark | None = None
        self._checkpoints, self._written = Checkpoints(self.path), 0

    def _engine(self, pragmas: tuple[str, ...], *, begin: str, **pool: Any) -> Engine:
        url = URL.create("sqlite+pysqlite", database=str(self.path))
        connect = {"timeout": self._busy_timeout_s, "check_same_thread": False}
        engine = create_engine(
            url, connect_args=connect, hide_parameters=True, json_serializer=_json, execution_options=options_for(self),
            **pool,
        )  # fmt: skip
        first = self._first
        sql = None if first is None else first.sql(self.as_bytes)

        @event.listens_for(engine, "connect")
        def set_up(connection: sqlite3.Connection, record: object) -> None:
            connection.isolation_level = (
                None  # the driver's own BEGIN comes too late for BEGIN IMMEDIATE and savepoints
            )
            for pragma in pragmas:
                connection.execute(pragma)

        @event.listens_for(engine, "begin")
        def start(connection: Connection) -> None:
            driver = raw(connection)
            driver.execute(begin)  # SQLAlchemy's own way costs more than SQLite's BEGIN itself
            if first is not None and sql is not None:
                try:
                    row = driver.execute(sql).fetchone()
                except sqlite3.OperationalError:  # no such table: a new database
                    row = None
                first.take(row)

        return engine

    def error(self, error: BaseException) -> NetGPTError:
        return store_error(error, self.path)

    def is_lost(self, error: BaseException) -> bool:
        return False  # a file does not break off

    def prepare(self) -> None:
        make_private(self.path)
        self._mark = mark = OpenMark(self.path)
        if mark.take():
            self._check_pages()  # left open by a crash or a kill: cheap for a box's database, and then only
            _look_at_log(self.path.with_name(f"{self.path.name}-wal"))
        self._use_wal()

    def opened(self) -> None:
        if self._mark is not None:
            self._mark.share()

    def settle(self, connection: Connection) -> None:
        """Triggers are each connection's own: see `watch`."""

    def is_settled(self, connection: Connection) -> bool:
        return True

    def release(self) -> None:
        self._checkpoints.close()
        self.forget_connections()
        if self._mark is not None:
            self._mark.release()
            self._mark = None

    def forget_connections(self) -> None:
        self.reading.dispose()
        self.writing.dispose()

    def _check_pages(self) -> None:
        """Read the whole file for damage (`PRAGMA quick_check`), and change nothing. Raises StoreError.

        A connection that may write would, when it closes, copy the log over the damaged file and delete it.
        """
        with closing(sqlite3.connect(f"{self.path.as_uri()}?mode=ro", uri=True)) as connection:
            answer = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if answer != "ok":
            raise damaged(self.path, "its pages contradict each other")

    def _use_wal(self) -> None:
        """Switch to write-ahead logging; the file remembers it, so this is a read when it is on already."""
        connection = self.writing.raw_connection()
        try:
            mode = connection.cursor().execute("PRAGMA journal_mode=WAL").fetchone()[0]
        finally:
            connection.close()
        if mode != "wal":
            raise StoreError(
                f"{self.path}: this file system has no shared memory, which the database needs (WAL). Set "
                "NETGPT_HOME to a folder on a local disk."
            )

    def wrote(self, writes: int) -> None:
        self._written += writes
        if self._written >= _CHECKPOINT_EVERY:
            self._written = 0
            self._checkpoints.due()

    def open_mark(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=0, check_same_thread=False, isolation_level=None)  # no waiting
        connection.execute("PRAGMA query_only=ON")
        return connection

    def announce(self, connection: Connection) -> None:
        """Everybody reads the mark before using what is cached."""

    def in_transaction(self, connection: Connection) -> bool:
        return raw(connection).in_transaction

    def make_durable(self, connection: Connection) -> None:
        raw(connection).execute("PRAGMA synchronous=FULL")

    def scrub(self, connection: Connection) -> None:
        """Rewrite the file without its free pages and empty the log.

        Deleting zeroes the content (`secure_delete`), but copies stay in pages that were split or moved, and in the
        log.
        """
        database = raw(connection)
        try:
            database.execute("VACUUM")
            until = time.monotonic() + _SCRUB_S
            while busy := database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                if time.monotonic() > until:
                    break
                time.sleep(0.02)  # the box's own copying of the log: SQLite does not wait for another one to end
            reason = "another program reads the file" if busy else None
        except sqlite3.Error as error:
            reason = getattr(error, "sqlite_errorname", type(error).__name__)
        if reason:
            raise StoreError(
                f"{self.path}: the rows are deleted, but traces may be left in the file ({reason}). Forget once more "
                "when the disk has room and nothing else uses the file.",
                code="store_not_scrubbed",
            )

    def check(self) -> list[str]:
        """SQLite's own check of every page and index (`PRAGMA integrity_check`)."""
        with closing(sqlite3.connect(f"{self.path.as_uri()}?mode=ro", uri=True)) as connection:
            try:
                sound = connection.execute("PRAGMA integrity_check(1)").fetchone()[0] == "ok"
            except sqlite3.DatabaseError:
                sound = False
        return [] if sound else ["its pages contradict each other"]

    def sizes(self, connection: Connection) -> tuple[int, int]:
        log = self.path.with_name(self.path.name + "-wal")
        return self.path.stat().st_size, log.stat().st_size if log.exists() else 0

    def backup(self, target: Path) -> int:
        return _copy(self.path, target)

    @contextmanager
    def alone(self, what: str) -> Iterator[None]:
        lock = self.path.with_name(f"{self.path.name}-{what}")
        try:
            descriptor = open_own(lock, os.O_RDWR | os.O_CREAT)
        except OSError as error:
            raise StoreError(f"{lock}: cannot be used: {why_not(error)}") from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError:
            raise StoreError(
                f"{self.path}: the key is being changed already; wait for it.", code="store_busy"
            ) from None
        finally:
            os.close(descriptor)


def raw(connection: Connection) -> sqlite3.Connection:
    """The driver's own connection, for what runs outside transactions: VACUUM, checkpoints, `in_transaction`."""
    driver = connection.connection.driver_connection
    if not isinstance(driver, sqlite3.Connection):
        raise TypeError("not a SQLite connection")
    return driver


class Checkpoints:
    """Copies the log into the file from a thread of its own: a commit that has to do it takes up to 100 ms."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._due, self._ended = threading.Event(), False
        self._thread: threading.Thread | None = None

    def due(self) -> None:
        """Copy what is in the log, soon."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="netgpt-store-checkpoints", daemon=True)
            self._thread.start()
        self._due.set()

    def close(self) -> None:
        """Stop; blocks until the copy under way is done."""
        self._ended = True
        if self._thread is not None:
            self._due.set()
            self._thread.join()

    def _run(self) -> None:
        while self._due.wait() and not self._ended:
            self._due.clear()
            with suppress(sqlite3.Error), closing(sqlite3.connect(self._path)) as connection:
                # The writer's own check, or the next commit, finds the fault and says it.
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def make_private(path: Path) -> None:
    """Make the folder (0700) and the file (0600) if they are missing, and restrict files that others can read.

    SQLite gives `-wal` and `-shm` the mode of the file itself, so making the file first covers all three. An existing
    file is never opened here: closing any descriptor of it drops all locks that SQLite holds on it in this process
    (POSIX locks), and another process would then take the log away. Raises StoreError: nothing can be made, or a file
    is a link or another user's.
    """
    name = path
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
        for name in (path, *(path.with_name(path.name + end) for end in ("-wal", "-shm"))):
            keep_private(name)
    except OSError as error:
        raise StoreError(f"{name}: cannot be used: {why_not(error)}.") from None


class OpenMark:
    """A lock on `<database>-open`, held as long as the store is open; the kernel drops it when the process dies.

    Whoever gets it alone while a `-wal` with content lies there has found a database that nobody closed.
    """

    def __init__(self, path: Path) -> None:
        self._log = path.with_name(path.name + "-wal")
        try:
            self._descriptor = open_own(mark := path.with_name(path.name + "-open"), os.O_RDWR | os.O_CREAT)
        except OSError as error:
            raise StoreError(f"{mark}: cannot be used: {why_not(error)}") from None

    def take(self) -> bool:
        """Take the mark. True: nobody else has the database open, and it was not closed cleanly.

        In that case the mark is held alone, so that others wait, until `share` is called.
        """
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.share()
            return False
        return self._log.exists() and self._log.stat().st_size > 0

    def alone(self) -> bool:
        """Whether nobody else has the database open; then nobody opens it until this mark is released or shared."""
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        return True

    def share(self) -> None:
        """Let others open the database too."""
        fcntl.flock(self._descriptor, fcntl.LOCK_SH)

    def release(self) -> None:
        os.close(self._descriptor)


class FreeDisk:
    """Refuses writes when the disk of `path` has less than `min_free_bytes` left. Looks at most once a second."""

    def __init__(self, path: Path, min_free_bytes: int) -> None:
        self._path, self._minimum = path, min_free_bytes
        self._checked_at, self._free = float("-inf"), 0

    def check(self) -> None:
        """Raises StoreError (code `store_full`) when there is too little room."""
        if self._minimum <= 0:
            return
        now = time.monotonic()
        if now - self._checked_at >= 1.0:
            self._free, self._checked_at = shutil.disk_usage(self._path.parent).free, now
        if self._free < self._minimum:
            raise StoreError(
                f"{self._path}: {self._free:,} bytes are free on its disk, less than the {self._minimum:,} to be kept "
                "(store.min_free_bytes). Free some space, or keep exchanges for fewer days; writing goes on by itself.",
                code="store_full",
                retry_after=60.0,
            )


def _look_at_log(path: Path) -> None:
    """Say when committed writes are lost with a damaged log, which SQLite passes over, and keep a copy of it."""
    if lost := lost_commits(path):
        aside = keep_aside(path)
        log.error(
            "%s: the log is damaged: the last %d committed writes are lost (a changed byte, or a power cut). A copy "
            "is kept: %s. `netgpt store check` tells whether the rest is whole", path, lost, aside,
        )  # fmt: skip


def _copy(source: Path, target: Path) -> int:
    try:
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        raise RequestError(f"{target}: exists already. Name a new file.") from None
    except OSError as error:
        raise RequestError(f"{target}: cannot be made: {error.strerror}.") from None
    try:
        with (
            closing(sqlite3.connect(f"{source.as_uri()}?mode=ro", uri=True)) as here,
            closing(sqlite3.connect(target)) as there,
        ):
            here.backup(there, pages=1000, sleep=0.0)
            there.execute("PRAGMA journal_mode=DELETE")  # one file, without a log beside it
    except (sqlite3.Error, OSError) as error:
        target.unlink(missing_ok=True)
        raise store_error(error, target) from None
    return target.stat().st_size
