"""The store on PostgreSQL: connections, faults, and how processes learn of one another's changes.

One advisory lock orders all writes to a database, as the one writer of a SQLite file is alone: the chain of receipts
and the ends of the ledger need it, and a group of writes takes it once. It goes with its transaction, and a session
that stops in one is ended by the server. BEGIN, lock and first read are one message each way.

Needs the extra `postgres` (psycopg 3).
"""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import URL, Connection, Engine, NullPool, QueuePool, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError

from netgpt.errors import NetGPTError, RequestError, SettingsError, StoreError
from netgpt.store.engine import READERS, FirstRead, driver_of, foreign_error, options_for, wrong_shape
from netgpt.store.postgres_words import PostgresWords
from netgpt.store.schema import metadata

_WRITERS: Final = 0x6E65746770740001
_ROTATION: Final = 0x6E65746770740002
"""Keys of advisory locks: "netgpt" and a number. They hold within one database of a server."""
_CHANNEL: Final = "netgpt_changes"
MOVE: Final = "netgpt_move"
"""A table that is there while a store is moved into the database: how far it went (`moving.py`)."""
_LOOK_EVERY_S: Final = 0.4
MARK_AGE_S: Final = 1.0
"""What another process changed counts after so long at most, also when its message was lost."""
_OLDEST: Final = 140_000
"""Of the server, as it numbers itself."""
_GONE_S: Final = 10
"""A peer that answers nothing for so long is gone, for either side."""


def _settings(busy_timeout_s: float, idle_s: int) -> str:
    kept = {
        "lock_timeout": int(busy_timeout_s * 1000), "idle_in_transaction_session_timeout": idle_s * 1000,
        "tcp_keepalives_idle": 4, "tcp_keepalives_interval": 2, "tcp_keepalives_count": 3,
        "tcp_user_timeout": _GONE_S * 1000,
    }  # fmt: skip
    return " ".join(f"-c {name}={value}" for name, value in kept.items())


class PostgresDriver:
    """A connection of psycopg, for statements with `?`."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def execute(self, sql: str, values: Any = (), /) -> Any:
        return self._connection.execute(_spelled(sql), values) if values else self._connection.execute(sql)

    def executemany(self, sql: str, rows: Any, /) -> Any:
        cursor = self._connection.cursor()
        if rows:
            cursor.executemany(_spelled(sql), rows)
        return cursor

    def script(self, sql: str) -> Any:
        """The one row of the last of several statements, sent as one message."""
        with self._connection.cursor() as cursor:
            cursor.execute(sql, prepare=False)
            while cursor.nextset():
                pass
            return cursor.fetchone() if cursor.description else None


@lru_cache(maxsize=512)
def _spelled(sql: str) -> str:
    return sql.replace("%", "%%").replace("?", "%s")


class PostgresDatabase(PostgresWords):
    """One connection that writes, one that listens, and up to `READERS` that read; a few more for moments."""

    faults: tuple[type[Exception], ...] = (psycopg.Error,)

    def __init__(
        self, url: str, busy_timeout_s: float = 5.0, *, power_safe: bool = False, first: FirstRead | None = None
    ) -> None:
        """Raises SettingsError: not an address of a PostgreSQL database. It is never shown: it has a password."""
        self._url = _parsed(url)
        self.name = name_of(url)
        self._busy_timeout_s, self._first, self._power_safe = busy_timeout_s, first, power_safe
        self._has_tables = False
        turn = f"BEGIN; SELECT pg_advisory_xact_lock({_WRITERS})"
        self.writing = self._engine(_GONE_S, turn, poolclass=NullPool)
        self.reading = self._engine(
            60, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", poolclass=QueuePool, pool_size=READERS,
            max_overflow=0,
        )  # fmt: skip

    def _engine(self, idle_s: int, begin: str, **pool: Any) -> Engine:
        engine = create_engine(
            self._url, connect_args=self._arguments(idle_s), hide_parameters=True, paramstyle="format",
            use_native_hstore=False, execution_options=options_for(self), **pool,
        )  # fmt: skip
        first, reads = self._first, "" if self._first is None else self._first.sql(self.as_bytes)

        @event.listens_for(engine, "connect")
        def set_up(connection: psycopg.Connection[Any], record: Any) -> None:
            record.info["driver"] = PostgresDriver(connection)
            if self._power_safe:
                connection.execute("SET synchronous_commit TO on")

        @event.listens_for(engine, "begin")
        def start(connection: Connection) -> None:
            driver: PostgresDriver = connection.info["driver"]
            if first is None:
                driver.script(begin)
            elif self._has_tables:
                first.take(driver.script(f"{begin}; {reads}"))
            else:
                self._has_tables = driver.script(f"{begin}; SELECT to_regclass('marks') IS NOT NULL")[0]
                first.take(driver.execute(reads).fetchone() if self._has_tables else None)

        return engine

    def _arguments(self, idle_s: int) -> dict[str, Any]:
        own: dict[str, Any] = {
            "autocommit": True, "connect_timeout": 5, "application_name": "netgpt", "keepalives_idle": 4,
            "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": _GONE_S * 1000,
        }  # fmt: skip
        given = {name: value for name, value in own.items() if name not in self._url.query}
        asked = self._url.query.get("options", "")
        options = f"{_settings(self._busy_timeout_s, idle_s)} {asked if isinstance(asked, str) else ''}"
        return given | {"options": options}

    def connect(self) -> psycopg.Connection[Any]:
        """A connection of its own. Raises psycopg.Error."""
        _, arguments = self.writing.dialect.create_connect_args(self._url)
        connection: psycopg.Connection[Any] = psycopg.connect(**{**arguments, **self._arguments(60)})
        return connection

    def error(self, error: BaseException) -> NetGPTError:
        ours, original = foreign_error(error, self.name)
        if ours is not None:
            return ours
        if isinstance(original, psycopg.Error):
            return _of_postgres(original, self.name)
        return wrong_shape(error, self.name)

    def is_lost(self, error: BaseException) -> bool:
        ours, original = foreign_error(error, self.name)
        return ours is None and isinstance(original, psycopg.Error) and _word_of(original) == "unreachable"

    def prepare(self, *, moving: bool = False) -> None:
        with self.connect() as connection:
            begun = connection.execute("SELECT to_regclass(%s) IS NOT NULL", (MOVE,)).fetchone()
            if begun and begun[0] and not moving:
                raise StoreError(
                    f"{self.name}: a store is being moved here, or the move was cut: `netgpt store move` goes on.",
                    code="store_busy",
                )
            if connection.info.server_version < _OLDEST:
                raise StoreError(f"{self.name}: the server is older than PostgreSQL 14. Upgrade it.")
            encoding = connection.execute("SHOW server_encoding").fetchone()
            if encoding is None or encoding[0] != "UTF8":
                raise StoreError(
                    f"{self.name}: the database keeps texts as {encoding and encoding[0]}. Make one with UTF-8: "
                    "CREATE DATABASE netgpt ENCODING 'UTF8' TEMPLATE template0."
                )

    def opened(self) -> None:
        """Anybody may open it at any time: a migration is in turn with the writes."""

    def release(self) -> None:
        self.forget_connections()

    def forget_connections(self) -> None:
        self.reading.dispose()
        self.writing.dispose()

    def wrote(self, writes: int) -> None:
        """The server cares for its log."""

    def open_mark(self) -> MarkListener:
        return MarkListener(self)

    def announce(self, connection: Connection) -> None:
        driver_of(connection).execute(f"NOTIFY {_CHANNEL}")

    def in_transaction(self, connection: Connection) -> bool:
        driver: Any = connection.connection.driver_connection
        return driver.info.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR)

    def make_durable(self, connection: Connection) -> None:
        driver_of(connection).execute("SET synchronous_commit TO on")

    def scrub(self, connection: Connection) -> None:
        """Free what was deleted. Its sealed bytes stay in the log, in free space and in copies: see docs/design/store.

        Only a change of the key (`netgpt store rotate`) makes those unreadable.
        """
        tables = ", ".join(table.name for table in metadata.sorted_tables if "private" in table.c or "user" in table.c)
        try:
            driver_of(connection).execute(f"VACUUM (SKIP_LOCKED) {tables}")
        except psycopg.Error as error:
            raise StoreError(
                f"{self.name}: the rows are deleted, but their space was not freed ({type(error).__name__}). Forget "
                "once more when the server is well.",
                code="store_not_scrubbed",
            ) from None

    def check(self) -> list[str]:
        return []  # pages are the server's: `pg_amcheck`, and data checksums

    def sizes(self, connection: Connection) -> tuple[int, int]:
        return driver_of(connection).execute("SELECT pg_database_size(current_database())").fetchone()[0], 0

    def backup(self, target: Path) -> int:
        raise RequestError(
            f"{self.name}: a server's database is copied with the server's own tools: pg_dump, or pg_basebackup and "
            "the log for any point in time. What they copy is sealed as it is: keep the key elsewhere."
        )

    @contextmanager
    def alone(self, what: str) -> Iterator[None]:
        try:
            connection = self.connect()
        except psycopg.Error as error:
            raise self.error(error) from None
        with connection:  # the lock ends with it
            taken = connection.execute("SELECT pg_try_advisory_lock(%s)", (_ROTATION,)).fetchone()
            if taken is None or not taken[0]:
                message = f"{self.name}: the key is being changed already; wait for it."
                raise StoreError(message, code="store_busy")
            yield


class MarkListener:
    """The change mark as a thread of its own knows it: told by the server, and read anew every 0.4 s.

    A mark that was not read for a second is not told: then nothing cached is used.
    """

    def __init__(self, database: PostgresDatabase) -> None:
        self._database, self._ended = database, False
        self._known: tuple[float, Any] = (float("-inf"), None)
        self._wake, self._woken = socket.socketpair()
        self._thread = threading.Thread(target=self._run, name="netgpt-store-listener", daemon=True)
        self._thread.start()

    def execute(self, sql: str, /) -> MarkListener:
        return self

    def fetchone(self) -> Any:
        at, row = self._known
        if time.monotonic() - at > MARK_AGE_S and not self._ended:
            return (b"?" + str(time.monotonic_ns()).encode(),)  # another one each time: nothing cached counts
        return row

    def close(self) -> None:
        self._ended = True
        with suppress(OSError):
            self._wake.send(b"x")

    def _run(self) -> None:
        while not self._ended:
            with suppress(psycopg.Error, OSError):
                self._listen()
            self._wait([], _LOOK_EVERY_S)
        self._wake.close()
        self._woken.close()

    def _listen(self) -> None:
        with self._database.connect() as connection:
            connection.execute(f"LISTEN {_CHANNEL}")
            while not self._ended:
                at = time.monotonic()
                row = connection.execute("SELECT value FROM marks WHERE name = 'generation'").fetchone()
                self._known = at, row
                self._wait([connection], _LOOK_EVERY_S)
                for _ in connection.notifies(timeout=0):
                    pass

    def _wait(self, others: list[Any], seconds: float) -> None:
        if not self._ended:
            select.select([self._woken, *others], [], [], seconds)


def is_used(url: str) -> bool:
    """Whether a store was made there, whose key exists somewhere. Raises StoreError: it cannot be told."""
    database = PostgresDatabase(url)
    try:
        with database.connect() as connection:
            there = connection.execute("SELECT to_regclass('marks') IS NOT NULL").fetchone()
            if there is None or not there[0]:
                return False
            return connection.execute("SELECT 1 FROM marks LIMIT 1").fetchone() is not None
    except psycopg.Error as error:
        raise database.error(error) from None
    finally:
        database.release()


def _parsed(url: str) -> URL:
    try:
        found = make_url(url)
    except ArgumentError:
        found = None
    if found is None or found.drivername not in ("postgresql", "postgres") or not found.database:
        raise SettingsError("store.url is not postgresql://USER:PASSWORD@HOST:PORT/DATABASE")
    return found.set(drivername="postgresql+psycopg")


def name_of(url: str) -> str:
    """A server and database for messages: neither password nor user, nor any parameter."""
    found = _parsed(url)
    host = found.host or found.query.get("host") or "localhost"
    return f"postgresql://{host}{f':{found.port}' if found.port else ''}/{found.database}"


def _word_of(error: psycopg.Error) -> str:
    """What went wrong: the end of the error's code."""
    state, text = error.sqlstate, str(error)
    if state is None and isinstance(error, psycopg.OperationalError):  # not connected, or no more
        for part, word in _SAID.items():
            if part in text:
                return word
        return "unreachable"
    return next((word for known, word in _STATES.items() if (state or "").startswith(known)), "unavailable")


_SAID: Final = {
    "too many clients": "connections", "remaining connection slots": "connections",
    "too many connections": "connections",
    "authentication failed": "denied", "no pg_hba.conf entry": "denied", "does not exist": "unopened",
}  # fmt: skip
"""Words of the server (in English) before there is a session to name a state."""
_STATES: Final = {
    "08": "unreachable", "57P": "unreachable", "53300": "connections", "53100": "full", "58030": "disk",
    "55P03": "locked", "57014": "locked", "40": "locked", "25006": "readonly", "25P03": "locked", "23": "conflict",
    "42501": "denied", "28": "denied", "3D000": "unopened", "XX": "damaged",
}  # fmt: skip
"""SQLSTATEs or their beginnings (https://www.postgresql.org/docs/current/errcodes-appendix.html)."""
_FAULTS: Final = {
    "unreachable": ("the server cannot be reached", "Start it, or mend the way to it; all goes on by itself", 5.0),
    "connections": ("the server has no connection left", "Raise max_connections, or run less beside it", 5.0),
    "full": ("the server's disk is full", "Free some space there; writing goes on by itself", 60.0),
    "disk": ("the server's disk gave an error", "Look at its log", None),
    "locked": ("another program holds what is needed", "Look for its transaction in pg_stat_activity", 5.0),
    "readonly": ("the server may only be read: a standby", "Name the primary in store.url", 5.0),
    "denied": ("access is denied", "Check user, password, pg_hba.conf, and who owns the tables", None),
    "unopened": ("there is no such database or user", "Make it (createdb, createuser), or mend store.url", None),
    "damaged": ("the server says that its files are damaged", "Look at its log, and put a backup in its place", None),
    "unavailable": ("the database failed", "Look at the server's log", None),
}


def _of_postgres(error: psycopg.Error, name: str) -> NetGPTError:
    word, state = _word_of(error), error.sqlstate or type(error).__name__
    if word == "conflict":
        return StoreError(f"{name}: the row was refused ({state}): one with this id is there already.", code=word)
    if isinstance(error, psycopg.DataError):
        return wrong_shape(error, name)
    fault, cure, retry_after = _FAULTS[word]
    status = 503 if word in ("unreachable", "connections") else 507
    return StoreError(
        f"{name}: {fault} ({state}). {cure}.", code=f"store_{word}", status=status, retry_after=retry_after
    )
