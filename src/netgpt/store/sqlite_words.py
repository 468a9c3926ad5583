"""What SQLite spells in its own way, and how a connection of it sees what it changes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from sqlalchemy import Column, Connection, Table

from netgpt.store.engine import Driver, driver_of
from netgpt.store.entries import HOLD_THEIR_MAC, OWN_MARKS, id_text, row_text
from netgpt.store.ledger import FRACTIONS, GUARDED
from netgpt.store.schema import exchanges, key_use, marks

_TOUCHED: Final = (
    "CREATE TEMP TABLE touched (name TEXT, id TEXT, old TEXT, new TEXT, own BLOB, at INTEGER, PRIMARY KEY (name, id))"
)
"""`own`: the MAC that the old row held itself; `at`: the number of an exchange."""


class SqliteWords:
    """The methods of `StoreDatabase` that are about SQL."""

    def as_bytes(self, value: str) -> str:
        return f"CAST({value} AS BLOB)"

    def text_bytes(self, value: str) -> str:
        return f"CAST({value} AS BLOB)"

    def column_text(self, row: str, column: Column[Any], *, tail: bool) -> str:
        """By the kind of the value, whatever that of the column: a hand may have written any."""
        name = f'{row}."{column.name}"'
        if tail:
            return f"CASE WHEN {name} IS NULL THEN 'n' ELSE 'b' || hex(substr(CAST({name} AS BLOB), -16)) END"
        return (
            f"CASE typeof({name}) WHEN 'null' THEN 'n' WHEN 'text' THEN 's' || hex({name}) "
            f"WHEN 'integer' THEN 'i' || {name} WHEN 'real' THEN 'f' || CAST({name} * {FRACTIONS:.0f}.0 AS INTEGER) "
            f"ELSE 'b' || hex({name}) END"
        )

    def day_of(self, micros: str) -> str:
        return f"date({micros} / 1000000, 'unixepoch')"

    def row_key(self, table: Table) -> tuple[str, Any]:
        return "rowid", 0

    def pages(self, connection: Connection, sql: str, size: int) -> Iterator[list[Any]]:
        cursor = driver_of(connection).execute(sql)
        while page := cursor.fetchmany(size):
            yield page

    @contextmanager
    def any_text(self, connection: Connection) -> Iterator[None]:
        driver: Any = driver_of(connection)
        before, driver.text_factory = driver.text_factory, _text
        try:
            yield
        finally:
            driver.text_factory = before

    def watch(self, connection: Connection) -> None:
        """Temporary triggers note the touched rows in a temporary table; Python looks at them once a write."""
        driver = driver_of(connection)
        if not driver.execute("SELECT 1 FROM sqlite_master WHERE name = 'ledger'").fetchone():
            return
        driver.execute("PRAGMA temp_store = MEMORY")  # rows are noted there: never in a file
        driver.execute(_TOUCHED)
        for table in GUARDED:
            if table not in HOLD_THEIR_MAC:
                self._trigger(driver, table, "INSERT")
            self._trigger(driver, table, "UPDATE", "OF key_id" if table is key_use else "")
            self._trigger(driver, table, "DELETE")

    def _trigger(self, driver: Driver, table: Table, event: str, of: str = "") -> None:
        mac = "CAST(OLD.mac AS BLOB)" if table in HOLD_THEIR_MAC else "NULL"
        own = f"{mac}, {'OLD.seq' if table is exchanges else 'NULL'}"
        steps = []
        if event != "INSERT":
            old = f"{id_text(table, 'OLD')}, {row_text(self, table, 'OLD')}, NULL, {own}"
            steps.append(_note(table, old, "NULL"))
        if event != "DELETE":
            new = f"{id_text(table, 'NEW')}, NULL, {row_text(self, table, 'NEW')}, NULL, NULL"
            steps.append(_note(table, new, "excluded.new"))
        when = f"WHEN {'OLD' if event == 'DELETE' else 'NEW'}.name NOT IN {OWN_MARKS} " if table is marks else ""
        driver.execute(
            f"CREATE TEMP TRIGGER {table.name}_{event} AFTER {event} {of} ON {table.name} {when}"
            f"BEGIN {' '.join(steps)} END"
        )


def _note(table: Table, values: str, new: str) -> str:
    row = f"('{table.name}', {values})"
    return f"INSERT INTO touched VALUES {row} ON CONFLICT (name, id) DO UPDATE SET new = {new};"  # noqa: S608 - our names


def _text(data: bytes) -> str:
    """What a hand wrote may be no UTF-8."""
    return data.decode("utf-8", "replace")
