"""The connections to one SQLite file: how they are set up, and what is checked before the first use.

WAL mode: readers and the writer do not wait for each other, and what was committed survives `kill -9`.
A power cut may cost the last seconds (the file stays sound), unless `power_safe` pays one fsync per group of writes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import orjson
from sqlalchemy import URL, Connection, Engine, NullPool, QueuePool, create_engine, event

from netgpt.errors import StoreError
from netgpt.store.faults import damaged

__all__ = ["READERS", "Attend", "Database", "raw", "scrub"]

Attend = Callable[[sqlite3.Connection], None]
"""Called within each transaction as soon as it has begun, in its thread."""

READERS: Final = 4
"""Connections (and threads) that read at once."""


class Database:
    """The engine that writes (one connection, one thread) and the engine that reads (`READERS` connections)."""

    def __init__(
        self, path: Path, busy_timeout_s: float = 5.0, *, power_safe: bool = False, attend: Attend | None = None
    ) -> None:
        self.path = path.absolute()
        safe = (
            f"PRAGMA synchronous={'FULL' if power_safe else 'NORMAL'}",
            "PRAGMA foreign_keys=ON",
            "PRAGMA secure_delete=ON",
            "PRAGMA journal_size_limit=16777216",  # a big deletion does not leave a big log behind
        )
        self.writing = _engine(path, busy_timeout_s, safe, attend, begin="BEGIN IMMEDIATE", poolclass=NullPool)
        self.reading = _engine(
            path, busy_timeout_s, ("PRAGMA query_only=ON",), attend, begin="BEGIN", poolclass=QueuePool,
            pool_size=READERS, max_overflow=0,
        )  # fmt: skip

    def check(self) -> None:
        """Read the whole file for damage (`PRAGMA quick_check`), and change nothing. Raises StoreError.

        A connection that may write would, when it closes, copy the log over the damaged file and delete it.
        """
        with closing(sqlite3.connect(f"{self.path.as_uri()}?mode=ro", uri=True)) as connection:
            answer = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
        if answer != "ok":
            raise damaged(self.path, "its pages contradict each other")

    def use_wal(self) -> None:
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

    def forget_connections(self) -> None:
        """Drop idle connections: after a fault, what comes next begins with fresh ones."""
        self.reading.dispose()
        self.writing.dispose()


def raw(connection: Connection) -> sqlite3.Connection:
    """The driver's own connection, for what stands outside transactions: VACUUM, checkpoints, `in_transaction`."""
    driver = connection.connection.driver_connection
    if not isinstance(driver, sqlite3.Connection):
        raise TypeError("not a SQLite connection")
    return driver


def scrub(connection: Connection) -> None:
    """Rewrite the file without its free pages and empty the log. Outside of any transaction.

    Deleting zeroes the content (`secure_delete`), but copies stay in pages that were split or moved, and in the log.
    """
    database, path = raw(connection), connection.engine.url.database
    try:
        database.execute("VACUUM")
        busy = database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
        reason = "another program reads the file" if busy else None
    except sqlite3.Error as error:
        reason = getattr(error, "sqlite_errorname", type(error).__name__)
    if reason:
        raise StoreError(
            f"{path}: the rows are deleted, but traces may be left in the file ({reason}). Forget once more when the "
            "disk has room and nothing else uses the file.",
            code="store_not_scrubbed",
        )


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _engine(
    path: Path, busy_timeout_s: float, pragmas: tuple[str, ...], attend: Attend | None, *, begin: str, **pool: Any
) -> Engine:
    url = URL.create("sqlite+pysqlite", database=str(path))
    connect = {"timeout": busy_timeout_s, "check_same_thread": False}
    engine = create_engine(url, connect_args=connect, hide_parameters=True, json_serializer=_json, **pool)

    @event.listens_for(engine, "connect")
    def set_up(connection: sqlite3.Connection, record: object) -> None:
        connection.isolation_level = None  # the driver's own BEGIN comes too late for BEGIN IMMEDIATE and savepoints
        for pragma in pragmas:
            connection.execute(pragma)

    @event.listens_for(engine, "begin")
    def start(connection: Connection) -> None:
        driver = raw(connection)
        driver.execute(begin)  # SQLAlchemy's own way costs more than SQLite's BEGIN itself
        if attend is not None:
            attend(driver)

    return engine
