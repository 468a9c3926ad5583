"""Which columns are sealed, and to which place each value is bound: what changing keys and checking go by."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from sqlalchemy import Connection

from netgpt.store.schema import marks, metadata
from netgpt.store.seal import Sealer, place_of
from netgpt.store.users import UserId, UserTokens

__all__ = [
    "MARKS_NOT_SEALED",
    "VALUE",
    "SealedRow",
    "marks_sealed",
    "opened_mark",
    "place_of_row",
    "rows_of",
    "sealed_tables",
    "user_tables",
]

MARKS_NOT_SEALED: Final = frozenset({"generation"})
VALUE: Final = "CAST(private AS BLOB)"
"""Who changed a row by hand may have left a text there: it is looked at as the bytes that it is."""
_WITHOUT_PERSON: Final = frozenset({"receipts"})
"""Tables whose values are bound to their row alone."""


class SealedRow(NamedTuple):
    """One row as it lies there, nothing opened."""

    rowid: int
    id: str
    tenant: str | None
    token: str | None
    private: bytes | None


def sealed_tables() -> tuple[str, ...]:
    """The tables with a sealed column `private`."""
    return tuple(sorted(table.name for table in metadata.sorted_tables if "private" in table.c))


def user_tables() -> tuple[str, ...]:
    """The tables with a column `user` that holds tokens."""
    named = (table for table in metadata.sorted_tables if "user" in table.c)
    return tuple(sorted(table.name for table in named if isinstance(table.c.user.type, UserId)))


def place_of_row(table: str, row: SealedRow, tokens: UserTokens) -> bytes:
    """The associated data of a row's value. Raises StoreError: its person does not open."""
    if table in _WITHOUT_PERSON:
        return place_of(table, row.id)
    return place_of(table, row.id, row.tenant or "", tokens.user(row.token) if row.token is not None else "")


def rows_of(connection: Connection, table: str, after: int, limit: int, not_prefix: bytes = b"") -> list[SealedRow]:
    """Rows in the order of the file, past the row number `after`, whose value does not begin with `not_prefix`."""
    sealed = "private IS NOT NULL" if not_prefix else "TRUE"
    id = "id" if "id" in metadata.tables[table].c else "rowid"
    private = VALUE if "private" in metadata.tables[table].c else "NULL"
    found = connection.exec_driver_sql(
        f"SELECT rowid, {id}, tenant, CAST(user AS BLOB), {private} FROM {table} WHERE rowid > ? AND {sealed} "  # noqa: S608 - our own names
        + (f"AND substr({VALUE}, 1, ?) != ? " if not_prefix else "")
        + "ORDER BY rowid LIMIT ?",
        (after, len(not_prefix), not_prefix, limit) if not_prefix else (after, limit),
    )
    return [
        SealedRow(row[0], str(row[1]), row[2], None if row[3] is None else row[3].decode("ascii", "replace"), row[4])
        for row in found
    ]


def marks_sealed(connection: Connection) -> Iterator[tuple[str, bytes]]:
    """The marks that hold something sealed, by name."""
    for name, value in connection.execute(marks.select()).all():
        if name not in MARKS_NOT_SEALED:
            yield name, value


def opened_mark(sealer: Sealer, name: str, value: bytes) -> bytes:
    """What a mark holds. Raises StoreError."""
    return sealer.open(value, place_of("marks", name))
