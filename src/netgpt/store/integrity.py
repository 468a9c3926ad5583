"""Looking over a database: is the file sound, does every sealed value open in its place, what lies there since when.

Findings name tables and ids, never a content or a person.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from netgpt.errors import StoreError
from netgpt.store.schema import metadata
from netgpt.store.seal import PREFIX_BYTES, Sealer
from netgpt.store.sealed import VALUE, marks_sealed, opened_mark, place_of_row, rows_of, sealed_tables, user_tables
from netgpt.store.users import tokens_in_use

__all__ = [
    "StoreFault",
    "StoreInfo",
    "TableInfo",
    "check_file",
    "check_marks",
    "check_rows",
    "checked_tables",
    "info_of",
]

_PAGE: Final = 500
_BEGAN: Final = {
    "exchanges": "received", "facts": "created", "maps": "used", "examples": "kept", "receipts": "time",
    "waiting": "created", "decisions": "time",
}  # fmt: skip
"""The column that tells how old a row is, as retention reads it."""


@dataclass(frozen=True, slots=True)
class StoreFault:
    """A row (or the file itself) that is not as this box wrote it."""

    table: str
    id: str
    what: str


@dataclass(frozen=True, slots=True)
class TableInfo:
    """One table: how many rows, and the oldest one's time where rows have one."""

    name: str
    rows: int
    oldest: datetime | None
    sealed_by: dict[str, int]
    """Sealed values by the id of their key; "none": nothing that this program sealed."""


@dataclass(frozen=True, slots=True)
class StoreInfo:
    """A database in figures. Sizes in bytes."""

    path: Path
    bytes: int
    log_bytes: int
    key_source: str
    key_kind: str
    key_ids: tuple[str, ...]
    """The one that seals first."""
    tables: tuple[TableInfo, ...]


def check_file(path: Path) -> list[StoreFault]:
    """SQLite's own check of every page and index (`PRAGMA integrity_check`)."""
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        try:
            said = [row[0] for row in connection.execute("PRAGMA integrity_check(20)")]
        except sqlite3.DatabaseError as error:
            said = [getattr(error, "sqlite_errorname", type(error).__name__)]
    return [] if said == ["ok"] else [StoreFault("(file)", "", "its pages contradict each other") for _ in said[:1]]


def check_marks(connection: Connection, sealer: Sealer) -> list[StoreFault]:
    """What the database knows of itself."""
    faults = []
    for name, value in marks_sealed(connection):
        try:
            opened_mark(sealer, name, value)
        except StoreError:
            faults.append(StoreFault("marks", name, "does not open: it was changed"))
    return faults


def check_rows(
    connection: Connection, sealer: Sealer, table: str, after: int
) -> tuple[int | None, int, list[StoreFault]]:
    """The next rows past number `after`: the last one's number (None: the end), how many, and what is wrong."""
    rows, faults, tokens = rows_of(connection, table, after, _PAGE), [], tokens_in_use()
    for row in rows:
        try:
            if row.token is not None:
                tokens.user(row.token)
        except StoreError:
            faults.append(StoreFault(table, row.id, "does not tell whose it is: it was changed"))
            continue
        try:
            if row.private is not None:
                sealer.open(row.private, place_of_row(table, row, tokens))
        except StoreError:
            faults.append(
                StoreFault(table, row.id, "does not open in its place: it was changed, or moved from another row")
            )
    return (rows[-1].rowid if rows else None), len(rows), faults


def checked_tables() -> tuple[str, ...]:
    """Every table in which a change by hand can be found."""
    return tuple(sorted({*sealed_tables(), *user_tables()}))


def info_of(connection: Connection, sealer: Sealer, path: Path) -> StoreInfo:
    """Figures of all tables."""
    log = path.with_name(path.name + "-wal")
    return StoreInfo(
        path=path,
        bytes=path.stat().st_size,
        log_bytes=log.stat().st_size if log.exists() else 0,
        key_source=sealer.source,
        key_kind=sealer.keys.kind,
        key_ids=sealer.key_ids,
        tables=tuple(_tables(connection)),
    )


def _tables(connection: Connection) -> Iterator[TableInfo]:
    for name in sorted(table.name for table in metadata.sorted_tables if table.name not in ("marks", "migrations")):
        rows = connection.exec_driver_sql(f"SELECT count(*) FROM {name}").scalar_one()  # noqa: S608 - our own names
        oldest = None
        if name in _BEGAN:
            began = connection.exec_driver_sql(f"SELECT min({_BEGAN[name]}) FROM {name}").scalar_one()  # noqa: S608
            oldest = None if began is None else datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=began)
        yield TableInfo(name, rows, oldest, _sealed_by(connection, name) if name in sealed_tables() else {})


def _sealed_by(connection: Connection, table: str) -> dict[str, int]:
    counts: Counter[str] = Counter()
    found = connection.exec_driver_sql(
        f"SELECT substr({VALUE}, 1, {PREFIX_BYTES}), count(*) FROM {table} WHERE private IS NOT NULL GROUP BY 1"  # noqa: S608
    )
    for prefix, rows in found:
        counts[prefix[1:].hex() if prefix[:1] == b"\x02" else "none"] += rows
    return dict(counts)
