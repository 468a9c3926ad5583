"""What PostgreSQL spells in its own way, and how its writers see what they change.

SQLite's triggers are temporary and each connection's own. PostgreSQL has none of these on a table that stays: its
triggers belong to the tables, and note rows in the temporary table of the session that writes, if that has one. Who
may change the tables could change the triggers, too, so each writer compares them first, and `settle` makes them anew.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import count
from typing import Any, Final

from sqlalchemy import BigInteger, Boolean, Column, Connection, Float, Integer, LargeBinary, Table

from netgpt.store.engine import driver_of
from netgpt.store.entries import HOLD_THEIR_MAC, OWN_MARKS, id_text, row_text, tampered
from netgpt.store.ledger import FRACTIONS, GUARDED
from netgpt.store.schema import UtcTime, exchanges, key_use, marks

log = logging.getLogger(__name__)

_TOUCHED: Final = (
    "CREATE TEMP TABLE touched (rowid BIGINT GENERATED ALWAYS AS IDENTITY, name TEXT, id TEXT, old TEXT, new TEXT, "
    "own BYTEA, at BIGINT, PRIMARY KEY (name, id)) ON COMMIT DELETE ROWS"
)
_TRIGGERS: Final = (
    "SELECT c.relname, t.tgtype, t.tgattr::text, t.tgenabled::text, t.tgqual IS NULL, p.prosrc "
    "FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_proc p ON p.oid = t.tgfoid "
    "WHERE t.tgname LIKE 'netgpt_touch_%' AND pg_table_is_visible(c.oid)"
)
_EVENTS: Final = {"INSERT": 5, "DELETE": 9, "UPDATE": 17}
"""After, for each row: `tgtype` in pg_trigger (https://www.postgresql.org/docs/current/catalog-pg-trigger.html)."""
_MOST: Final = 2**63 - 1
_names = count(1)


class PostgresWords:
    """The methods of `StoreDatabase` that are about SQL."""

    def as_bytes(self, value: str) -> str:
        return value

    def text_bytes(self, value: str) -> str:
        return f"convert_to({value}, 'UTF8')"

    def column_text(self, row: str, column: Column[Any], *, tail: bool) -> str:
        """By the type of the column: no other values get in. The same text as SQLite's for the same value."""
        name, kind = f'{row}."{column.name}"', column.type
        if tail:
            spelled = f"'b' || encode(substr({name}, greatest(octet_length({name}) - 15, 1)), 'hex')"
        elif isinstance(kind, LargeBinary):
            spelled = f"'b' || encode({name}, 'hex')"
        elif isinstance(kind, Boolean):
            spelled = f"'i' || {name}::int"
        elif isinstance(kind, Integer | BigInteger | UtcTime):
            spelled = f"'i' || {name}"
        elif isinstance(kind, Float):
            scaled = f"({name} * {FRACTIONS:.0f}::float8)"
            spelled = (
                f"'f' || CASE WHEN {name} > 1e18 THEN {_MOST} WHEN {name} < -1e18 THEN -{_MOST} - 1 "
                f"WHEN {scaled} >= {_MOST}::float8 THEN {_MOST} WHEN {scaled} <= -{_MOST}::float8 THEN -{_MOST} - 1 "
                f"ELSE trunc({scaled})::bigint END"
            )
        else:
            spelled = f"'s' || encode(convert_to({name}, 'UTF8'), 'hex')"
        return f"CASE WHEN {name} IS NULL THEN 'n' ELSE {spelled} END"

    def day_of(self, micros: str) -> str:
        return f"to_char(to_timestamp({micros} / 1000000) AT TIME ZONE 'UTC', 'YYYY-MM-DD')"

    def row_key(self, table: Table) -> tuple[str, Any]:
        for name in ("seq", "number"):
            if name in table.primary_key.columns:
                return name, -(2**63)
        return id_text(table, table.name), ""

    def pages(self, connection: Connection, sql: str, size: int) -> Iterator[list[Any]]:
        driver: Any = connection.connection.driver_connection
        with driver.cursor(name=f"netgpt_{next(_names)}") as cursor:  # the server keeps what was not fetched yet
            cursor.execute(sql)
            while page := cursor.fetchmany(size):
                yield page

    def any_text(self, connection: Connection) -> AbstractContextManager[None]:
        return nullcontext()  # the server lets no other text in than UTF-8

    def watch(self, connection: Connection) -> None:
        driver = driver_of(connection)
        if not driver.execute("SELECT to_regclass('ledger') IS NOT NULL").fetchone()[0]:
            return
        if not self.is_settled(connection):
            raise tampered("triggers", "those that see changes are not as this program made them")
        driver.execute(_TOUCHED)

    def is_settled(self, connection: Connection) -> bool:
        found = {tuple(row) for row in driver_of(connection).execute(_TRIGGERS)}
        return found == {
            (table.name, _EVENTS[event], "1" if of else "", "O", True, self._body(table))
            for table in GUARDED
            for event, of in _events(table)
        }

    def settle(self, connection: Connection) -> None:
        """Make the triggers, after whatever changed the tables."""
        driver = driver_of(connection)
        if driver.execute(_TRIGGERS).fetchone() and not self.is_settled(connection):
            log.warning("the triggers that see changes were of another version, or changed by hand: they are made anew")
        for table in GUARDED:
            function = f"netgpt_touch_{table.name}"
            driver.execute(
                f"CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql "
                f"AS $netgpt${self._body(table)}$netgpt$"
            )
            for event in _EVENTS:
                driver.execute(f"DROP TRIGGER IF EXISTS {function}_{event.lower()} ON {table.name}")
            for event, of in _events(table):
                driver.execute(
                    f"CREATE TRIGGER {function}_{event.lower()} AFTER {event} {of} ON {table.name} "
                    f"FOR EACH ROW EXECUTE FUNCTION {function}()"
                )

    def _body(self, table: Table) -> str:
        mac = "OLD.mac" if table in HOLD_THEIR_MAC else "NULL"
        own = f"{mac}, {'OLD.seq' if table is exchanges else 'NULL'}"
        skips = "to_regclass('pg_temp.touched') IS NULL"
        if table is marks:
            skips += f" OR coalesce(NEW.name, OLD.name) IN {OWN_MARKS}"
        old = f"{id_text(table, 'OLD')}, {row_text(self, table, 'OLD')}, NULL, {own}"
        new = f"{id_text(table, 'NEW')}, NULL, {row_text(self, table, 'NEW')}, NULL, NULL"
        return (
            f" BEGIN IF {skips} THEN RETURN NULL; END IF; "
            f"IF TG_OP <> 'INSERT' THEN {_note(table, old, 'NULL')} END IF; "
            f"IF TG_OP <> 'DELETE' THEN {_note(table, new, 'excluded.new')} END IF; RETURN NULL; END "
        )


def _events(table: Table) -> Iterator[tuple[str, str]]:
    if table not in HOLD_THEIR_MAC:
        yield "INSERT", ""
    yield "UPDATE", "OF key_id" if table is key_use else ""
    yield "DELETE", ""


def _note(table: Table, values: str, new: str) -> str:
    return (
        f"INSERT INTO pg_temp.touched (name, id, old, new, own, at) VALUES ('{table.name}', {values}) "  # noqa: S608 - ours
        f"ON CONFLICT (name, id) DO UPDATE SET new = {new};"
    )
