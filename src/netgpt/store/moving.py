"""Moving a store from the file of a box into PostgreSQL: row by row as they are stored, sealed columns closed.

Each batch and how far it went are one transaction, so a move that was cut goes on where it stopped. At the end every
row of both sides is compared. While a move is not finished, the target cannot be opened for anything else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Boolean, Connection, LargeBinary, Table

from netgpt.errors import RequestError, StoreError
from netgpt.store.database import Database, OpenMark
from netgpt.store.engine import driver_of
from netgpt.store.migrations import is_current, migrate
from netgpt.store.postgres import MOVE, PostgresDatabase
from netgpt.store.schema import metadata, migrations

Report = Callable[[int, int], None]
"""Called with how many rows are done, and how many there are."""


_STATE: Final = f"SELECT state FROM {MOVE} WHERE name = ?"  # noqa: S608 - our own names, here and below
_NOTE: Final = f"INSERT INTO {MOVE} VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET state = excluded.state"  # noqa: S608


@dataclass(frozen=True, slots=True)
class Moved:
    """What a move did."""

    name: str
    """Where the store is now."""
    rows: dict[str, int]
    """By table; each was compared."""
    resumed: bool


def move(source: Path, target: str, report: Report = lambda done, of: None, *, batch: int = 1000) -> Moved:
    """Copy the store in the file `source` to `postgresql://...`, and compare. Blocks. The file stays as it is.

    `batch`: rows a transaction. Raises RequestError: the target holds another store. StoreError: the file is in use,
    missing or damaged, a row cannot be kept there, or the two differ.
    """
    if not source.exists():
        raise StoreError(f"{source}: there is no database, so there is nothing to move.")
    here, there = Database(source), PostgresDatabase(target)
    mark = OpenMark(source)
    try:
        if not mark.alone():
            raise StoreError(f"{source}: a NetGPT has it open. Stop it first (`netgpt serve`).", code="store_busy")
        if not is_current(here.reading):
            migrate(here.writing)
        return _Move(here, there, report, batch).run()
    except Exception as error:  # noqa: BLE001 - mapped to StoreError
        raise (there if isinstance(getattr(error, "orig", error), there.faults) else here).error(error) from None
    finally:
        mark.release()
        here.forget_connections()
        there.release()


class _Move:
    def __init__(self, here: Database, there: PostgresDatabase, report: Report, batch: int) -> None:
        self._here, self._there, self._report, self._batch = here, there, report, batch
        self._tables = [table for table in metadata.sorted_tables if table is not migrations]
        self._done = 0

    def run(self) -> Moved:
        self._there.prepare(moving=True)
        if not is_current(self._there.reading):
            migrate(self._there.writing)
        with self._here.reading.begin() as source:
            counts = {table.name: _count(source, table) for table in self._tables}
            total, resumed = sum(counts.values()), self._begin(_state(source))
            for table in self._tables:
                self._copy(source, table, total)
            for table in self._tables:
                self._compare(source, table)
        with self._there.writing.begin() as connection:
            self._number_on(connection)
            driver_of(connection).execute(f"DROP TABLE {MOVE}")
        return Moved(self._there.name, counts, resumed)

    def _begin(self, state: str) -> bool:
        """Note what is moved. Returns whether a move of just this was begun; one of an older state begins anew."""
        with self._there.writing.begin() as connection:
            driver = driver_of(connection)
            begun = driver.execute("SELECT to_regclass(?) IS NOT NULL", (MOVE,)).fetchone()[0]
            if not begun and any(_count(connection, table) for table in self._tables):
                raise RequestError(f"{self._there.name}: it holds a store already. Name an empty database.")
            if begun and driver.execute(_STATE, ("",)).fetchone() == (state,):
                return True
            driver.execute(f"DROP TABLE IF EXISTS {MOVE}")
            driver.execute(f"CREATE TABLE {MOVE} (name TEXT PRIMARY KEY, state TEXT NOT NULL)")
            driver.execute(_NOTE, ("", state))
            for table in self._tables:
                driver.execute(f"TRUNCATE {table.name}")
            return False

    def _copy(self, source: Connection, table: Table, total: int) -> None:
        columns = ", ".join(f'"{column.name}"' for column in table.columns)
        add = f"INSERT INTO {table.name} ({columns}) VALUES ({', '.join('?' * len(table.columns))})"  # noqa: S608
        with self._there.reading.begin() as connection:
            found = driver_of(connection).execute(_STATE, (table.name,)).fetchone()
        after = None if found is None else tuple(json.loads(found[0]))
        for rows in _batches(source, table, self._batch, after):
            with self._there.writing.begin() as connection:
                driver = driver_of(connection)
                try:
                    driver.executemany(add, rows)
                except self._there.faults as error:
                    raise self._refused(table, rows, error) from None
                driver.execute(_NOTE, (table.name, json.dumps(_key(table, rows[-1]))))
            self._done += len(rows)
            self._report(self._done, total)

    def _refused(self, table: Table, rows: list[tuple[Any, ...]], error: Exception) -> BaseException:
        for row in rows:
            if any(isinstance(value, str) and "\0" in value for value in row):
                return StoreError(
                    f"{self._here.name}: {table.name} {'/'.join(map(str, _key(table, row)))} holds the character NUL, "
                    "which PostgreSQL keeps in no text. Delete that row, then move again."
                )
        return error

    def _compare(self, source: Connection, table: Table) -> None:
        with self._there.reading.begin() as target:
            ours, theirs = (_batches(side, table, self._batch) for side in (source, target))
            while True:
                one, other = next(ours, []), next(theirs, [])
                if _digest(one) != _digest(other):
                    differ = next((row for row, copy in zip(one, other, strict=False) if row != copy), None)
                    which = f"{len(one)} rows here, {len(other)} there" if differ is None else _key(table, differ)
                    raise StoreError(
                        f"{self._there.name}: {table.name}: {which}: not as in {self._here.name}. Move again.",
                        code="store_not_moved",
                    )
                if not one:
                    return

    def _number_on(self, connection: Connection) -> None:
        """New rows are numbered after those that were moved."""
        driver = driver_of(connection)
        for table in self._tables:
            for column in table.primary_key.columns:
                name = driver.execute("SELECT pg_get_serial_sequence(?, ?)", (table.name, column.name)).fetchone()[0]
                if name is not None:
                    query = f'SELECT setval(?, coalesce(max("{column.name}"), 0) + 1, false) FROM {table.name}'  # noqa: S608
                    driver.execute(query, (name,))


def _batches(
    connection: Connection, table: Table, size: int, after: tuple[Any, ...] | None = None
) -> Iterator[list[tuple[Any, ...]]]:
    """The rows in the order of their key, past `after`, as PostgreSQL's driver takes and gives them."""
    names = [f'"{column.name}"' for column in table.primary_key.columns]
    keys, columns = ", ".join(names), ", ".join(f'"{column.name}"' for column in table.columns)
    while True:
        where = "" if after is None else f"WHERE ({keys}) > ({', '.join('?' * len(names))})"
        query = f"SELECT {columns} FROM {table.name} {where} ORDER BY {keys} LIMIT {size}"  # noqa: S608 - our own names
        found = driver_of(connection).execute(query, after or ()).fetchall()
        if not found:
            return
        rows = [tuple(_plain(column, value) for column, value in zip(table.columns, row, strict=True)) for row in found]
        yield rows
        after = _key(table, rows[-1])


def _plain(column: Any, value: Any) -> Any:
    if value is None:
        return None
    if isinstance(column.type, Boolean):
        return bool(value)
    if isinstance(column.type, LargeBinary):
        return value.encode("utf-8", "replace") if isinstance(value, str) else bytes(value)
    return value


def _key(table: Table, row: tuple[Any, ...]) -> tuple[Any, ...]:
    at = [list(table.columns).index(column) for column in table.primary_key.columns]
    return tuple(row[each] for each in at)


def _digest(rows: list[tuple[Any, ...]]) -> bytes:
    return hashlib.sha256(repr(rows).encode("utf-8", "surrogatepass")).digest()


def _count(connection: Connection, table: Table) -> int:
    return int(driver_of(connection).execute(f"SELECT count(*) FROM {table.name}").fetchone()[0])  # noqa: S608


def _state(connection: Connection) -> str:
    """Changes with every write."""
    driver = driver_of(connection)
    seen = [driver.execute("SELECT name, value FROM marks ORDER BY name").fetchall()]
    seen += [
        driver.execute(f"SELECT count(*), max({newest}) FROM {table}").fetchall()  # noqa: S608 - our own names
        for table, newest in _NEWEST.items()
    ]
    return hashlib.sha256(repr(seen).encode()).hexdigest()


_NEWEST: Final = {"exchanges": "seq", "receipts": "seq", "maps": "used", "fact_vectors": "id"}
