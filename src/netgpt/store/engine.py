"""What the store needs of a database, whichever engine keeps it: SQLite (`database.py`) or PostgreSQL (`postgres.py`).

All other modules speak SQLAlchemy Core, or the few statements that every write waits for: plain SQL that both engines
read alike, with `?` for values and `"user"` in quotes (without them PostgreSQL reads the name of its own user). What
they spell differently is a method here, and no other module asks which engine there is.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy import Column, Connection, Dialect, Engine, Table, insert, text
from sqlalchemy.exc import DBAPIError, StatementError

from netgpt.errors import NetGPTError, StoreError


class Driver(Protocol):
    """The driver's connection, for small statements. Cursors are those of the DB-API."""

    def execute(self, sql: str, values: Any = ..., /) -> Any: ...

    def executemany(self, sql: str, rows: Any, /) -> Any: ...


class FirstRead(Protocol):
    """What every transaction reads first, and who gets it."""

    def sql(self, as_bytes: Callable[[str], str]) -> str:
        """The query, of one row; `as_bytes` spells a value that a hand may have written as a text."""
        ...

    def take(self, row: Sequence[Any] | None) -> None:
        """Its row, in the transaction's thread; None: a new database has no tables. Raises StoreError."""
        ...


class MarkConnection(Protocol):
    """Answers one query, for the change mark, within microseconds: it runs on the event loop."""

    def execute(self, sql: str, /) -> Any:
        """A cursor for its row. Raises an error of the driver: it cannot be told just now."""
        ...

    def close(self) -> None: ...


class StoreDatabase(Protocol):
    """One database: its connections, faults, care, and its own SQL."""

    name: str
    """For messages: a file, or a server and database; never a password."""
    writing: Engine
    """Transactions that write are in turn with those of every other process."""
    reading: Engine
    """`READERS` connections; a transaction sees one moment."""
    faults: tuple[type[Exception], ...]
    """What the driver raises."""

    def error(self, error: BaseException) -> NetGPTError:
        """The error to raise for `error`: ours as it is, any other with the fault and the cure."""
        ...

    def prepare(self) -> None:
        """Make it ready to be opened: files, access, soundness. Raises StoreError."""
        ...

    def opened(self) -> None:
        """It is migrated and its key is proven: others may open it too."""
        ...

    def settle(self, connection: Connection) -> None:
        """After a migration, in its transaction: what belongs to the tables and is none."""
        ...

    def is_settled(self, connection: Connection) -> bool: ...

    def release(self) -> None:
        """Drop all connections and what says that it is open. May be called again."""
        ...

    def forget_connections(self) -> None:
        """Drop idle connections: after a fault, what comes next begins with fresh ones."""
        ...

    def is_lost(self, error: BaseException) -> bool:
        """Whether the connection broke, so that the same on a fresh one may go well."""
        ...

    def wrote(self, writes: int) -> None:
        """So many writes were committed: care that is due."""
        ...

    def open_mark(self) -> MarkConnection: ...

    def announce(self, connection: Connection) -> None:
        """Within a write that changed the mark: wake those who wait for it."""
        ...

    def watch(self, connection: Connection) -> None:
        """Let this connection note what it changes in guarded tables: once, before its first write."""
        ...

    def in_transaction(self, connection: Connection) -> bool:
        """Whether the transaction is still there: a fault may have ended it."""
        ...

    def make_durable(self, connection: Connection) -> None:
        """What this connection commits survives a power cut, whatever the settings say."""
        ...

    def scrub(self, connection: Connection) -> None:
        """After a deletion, outside of any transaction: leave as few traces as the engine can. Raises StoreError."""
        ...

    def pages(self, connection: Connection, sql: str, size: int) -> Iterator[list[Any]]:
        """The rows of a query, in lists of `size`."""
        ...

    def any_text(self, connection: Connection) -> AbstractContextManager[None]:
        """Within it, texts that a hand wrote are read, whatever bytes they hold."""
        ...

    # Its own SQL

    def as_bytes(self, value: str) -> str:
        """A sealed value, which a hand may have written as a text, as bytes."""
        ...

    def text_bytes(self, value: str) -> str:
        """The bytes of a text."""
        ...

    def column_text(self, row: str, column: Column[Any], *, tail: bool) -> str:
        """A value as text: its kind (n, s, i, f, b) and itself, in hexadecimal where it is no number.

        `tail`: of the value's last 16 bytes alone.
        """
        ...

    def day_of(self, micros: str) -> str:
        """The day (ISO, UTC) of microseconds since 1970."""
        ...

    def row_key(self, table: Table) -> tuple[str, Any]:
        """What a table is read by, in pages: SQL that is unique and ordered, and a value before the first."""
        ...

    # Care of the whole

    def check(self) -> list[str]:
        """What is wrong with the files, as the engine itself finds. Blocks."""
        ...

    def sizes(self, connection: Connection) -> tuple[int, int]:
        """Bytes of the database and of its log (0: the engine does not say)."""
        ...

    def backup(self, target: Path) -> int:
        """Copy it as it is at one moment; return bytes. Raises RequestError. Blocks."""
        ...

    def alone(self, what: str) -> AbstractContextManager[None]:
        """One change of keys (`what`) at a time, of all processes. Raises StoreError (`store_busy`)."""
        ...


READERS = 4
"""Connections (and threads) that read at once."""
_OPTION = "netgpt_store"


def options_for(database: StoreDatabase) -> dict[str, Any]:
    """For its engines, so that `database_of` finds it."""
    return {_OPTION: database}


def database_of(connection: Connection) -> StoreDatabase:
    """The database behind a connection."""
    database: StoreDatabase = connection.engine.get_execution_options()[_OPTION]
    return database


def driver_of(connection: Connection) -> Driver:
    """The driver's connection, for statements that every write waits for."""
    driver = connection.connection.driver_connection
    return driver if isinstance(driver, sqlite3.Connection) else connection.info["driver"]


def scrub(connection: Connection) -> None:
    """See `StoreDatabase.scrub`."""
    database_of(connection).scrub(connection)


def foreign_error(error: BaseException, name: str) -> tuple[NetGPTError | None, BaseException]:
    """The error to raise for what no engine is to blame for, None where one is; and the driver's own error.

    Messages never hold statement parameters.
    """
    if isinstance(error, StatementError) and isinstance(error.orig, NetGPTError):
        return error.orig, error  # a column's type refused a value before any statement ran
    if isinstance(error, NetGPTError):
        return error, error
    original = error.orig if isinstance(error, DBAPIError) and error.orig is not None else error
    if isinstance(error, OSError):
        message = f"{name}: {error.strerror or type(error).__name__}. Check the disk and who owns the folder."
        return StoreError(message), error
    return None, original


def wrong_shape(error: BaseException, name: str) -> StoreError:
    """The error for what is left: a fault of the program or of a value."""
    wrong = StoreError(f"{name}: nothing was written or read: {type(error).__name__}. A value has the wrong shape.")
    wrong.__cause__ = error
    return wrong


class FastInsert:
    """`connection.execute(insert(table), values)` with the SQL compiled once: every answer waits for these writes."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._ways: dict[str, tuple[str, list[tuple[str, Callable[[Any], Any] | None]]]] = {}
        """By dialect: the statement, and its columns in order."""

    def bound(self, connection: Connection, values: Mapping[str, Any]) -> tuple[Any, ...]:
        """The values as the database gets them, in the order of the table's columns. `values` has every one."""
        columns = self._way(connection.dialect)[1]
        return tuple([values[name] if convert is None else convert(values[name]) for name, convert in columns])

    def run(self, connection: Connection, values: Mapping[str, Any]) -> None:
        """Insert one row. `values` has every column of the table."""
        self.run_bound(connection, self.bound(connection, values))

    def run_bound(self, connection: Connection, row: tuple[Any, ...]) -> None:
        """Insert a row that `bound` gave."""
        cursor = connection.connection.cursor()
        try:
            cursor.execute(self._way(connection.dialect)[0], row)
        finally:
            cursor.close()

    def _way(self, dialect: Dialect) -> tuple[str, list[tuple[str, Callable[[Any], Any] | None]]]:
        way = self._ways.get(dialect.name)
        if way is None:
            compiled = insert(self._table).compile(dialect=dialect)
            names = [str(name) for name in getattr(compiled, "positiontup", None) or ()]
            types = {column.name: column.type.dialect_impl(dialect) for column in self._table.columns}
            way = str(compiled), [(name, types[name].bind_processor(dialect)) for name in names]
            self._ways[dialect.name] = way
        return way


class FastStatement:
    """Any other small statement, compiled once. `run` gives its rows; values are bytes, numbers or texts."""

    def __init__(self, sql: str) -> None:
        """`sql` names its values as `:name`."""
        self._text = text(sql)
        self._ways: dict[str, tuple[str, list[str]]] = {}

    def run(self, connection: Connection, **values: Any) -> list[Any]:
        dialect = connection.dialect
        way = self._ways.get(dialect.name)
        if way is None:
            compiled = self._text.compile(dialect=dialect)
            names = [str(name) for name in getattr(compiled, "positiontup", None) or ()]
            way = self._ways[dialect.name] = str(compiled), names
        cursor = connection.connection.cursor()
        try:
            cursor.execute(way[0], tuple(values[name] for name in way[1]))
            return list(cursor.fetchall()) if cursor.description else []
        finally:
            cursor.close()
