"""Changing the key: everything is sealed anew with the newest one, while others go on reading and writing.

A kill is safe at any moment. First the source holds both keys; then one transaction changes the database's own secrets
and all people's tokens, and from then on every process seals with the new key; then the rows, some hundred at a time.
The rows themselves show which are left, so the same command continues.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from sqlalchemy import Connection, update

from netgpt.errors import StoreError
from netgpt.store.chain import HEAD
from netgpt.store.encryption import Sealer, place_of
from netgpt.store.ledger import ledger_in_use
from netgpt.store.schema import UserId, UserTokens, marks, metadata, tokens_in_use
from netgpt.store.secrets import NAME, DatabaseSecrets
from netgpt.store.writer import mark_change

VALUE: Final = "CAST(private AS BLOB)"
"""A row changed by hand may hold a text: it is read as bytes."""
_NOT_NEWEST: Final = f"WHERE private IS NOT NULL AND substr({VALUE}, 1, ?) != ?"
_WITHOUT_PERSON: Final = frozenset({"receipts"})
"""Tables whose values are bound to their row alone."""


class SealedRow(NamedTuple):
    """One row as it is stored, nothing opened."""

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
    for name, value in connection.exec_driver_sql("SELECT name, CAST(value AS BLOB) FROM marks").all():
        if name not in ("generation", "ledger"):  # see `ReadCache` and `ledger.py`
            yield name, value


def opened_mark(sealer: Sealer, name: str, value: bytes) -> bytes:
    """What a mark holds. Raises StoreError."""
    return sealer.open(value, place_of("marks", name))


Progress = Callable[[int, int], None]
"""Called with how many values are done, and how many there were to do."""

BATCH: Final = 200
"""Rows a transaction: others wait some milliseconds for it."""


@dataclass(frozen=True, slots=True)
class ResealedBatch:
    """What one step did. `last`: the number of the last row seen, None at the end of the table."""

    last: int | None
    sealed: int = 0
    damaged: tuple[str, ...] = field(default=())
    """Ids of rows that no known key opens."""


def change_secrets(connection: Connection, sealer: Sealer, secrets: DatabaseSecrets) -> bool:
    """Seal the marks with the newest key, and give everyone new tokens, in one transaction. False: done before."""
    sealed, ledger = dict(marks_sealed(connection)), ledger_in_use()
    if sealer.is_newest(sealed.pop(NAME)):
        return False
    for name, value in sealed.items():
        try:
            anew = sealer.seal(opened_mark(sealer, name, value), place_of("marks", name))
        except StoreError:
            continue  # changed by hand: `netgpt store check` and `netgpt receipts verify` report it
        if name == HEAD and ledger is not None:
            ledger.chain_end = anew  # written with the ends
        else:
            connection.execute(update(marks).where(marks.c.name == name).values(value=anew))
    old, new = secrets.change(connection)
    for table in user_tables():
        _change_tokens(connection, table, old, new)
    mark_change(connection)
    return True


def _change_tokens(connection: Connection, table: str, old: UserTokens, new: UserTokens) -> None:
    known = connection.exec_driver_sql(f"SELECT DISTINCT user FROM {table} WHERE user IS NOT NULL")  # noqa: S608
    changed = []
    for token in known.scalars().all():
        try:
            changed.append((token, new.token(old.user(token))))
        except StoreError:
            continue  # changed by hand: `netgpt store check` names it, and nobody can say whose it was
    if not changed:
        return
    connection.exec_driver_sql("CREATE TEMP TABLE changed_users (old TEXT PRIMARY KEY, new TEXT)")
    connection.exec_driver_sql("INSERT INTO changed_users VALUES (?, ?)", changed)
    connection.exec_driver_sql(
        f"UPDATE {table} SET user = (SELECT new FROM changed_users WHERE old = user) "  # noqa: S608 - our own names
        "WHERE user IN (SELECT old FROM changed_users)"
    )
    connection.exec_driver_sql("DROP TABLE changed_users")


def reseal(connection: Connection, sealer: Sealer, table: str, after: int) -> ResealedBatch:
    """Seal the next rows of `table` anew, those past row number `after` that need it. One transaction."""
    tokens = tokens_in_use()
    rows = rows_of(connection, table, after, BATCH, sealer.newest_prefix)
    anew: list[tuple[bytes, int]] = []
    damaged: list[str] = []
    for row in rows:
        try:
            place = place_of_row(table, row, tokens)
            anew.append((sealer.seal(sealer.open(row.private or b"", place), place), row.rowid))
        except StoreError:
            damaged.append(row.id)
    if anew:
        connection.exec_driver_sql(f"UPDATE {table} SET private = ? WHERE rowid = ?", anew)  # noqa: S608 - our own names
    return ResealedBatch(rows[-1].rowid if rows else None, len(anew), tuple(damaged))


def left_to_seal(connection: Connection, sealer: Sealer) -> int:
    """How many values the newest key did not seal."""
    prefix = (len(sealer.newest_prefix), sealer.newest_prefix)
    queries = (f"SELECT count(*) FROM {table} {_NOT_NEWEST}" for table in sealed_tables())  # noqa: S608 - our own names
    return sum(connection.exec_driver_sql(query, prefix).scalar_one() for query in queries)


def drop_damaged(connection: Connection, sealer: Sealer) -> int:
    """Drop what no known key opens; figures beside it stay. Call it after everything else was sealed anew."""
    prefix, gone = sealer.newest_prefix, 0
    for table in sealed_tables():
        figures_stay = metadata.tables[table].c.private.nullable
        what = f"UPDATE {table} SET private = NULL" if figures_stay else f"DELETE FROM {table}"  # noqa: S608
        gone += connection.exec_driver_sql(f"{what} {_NOT_NEWEST}", (len(prefix), prefix)).rowcount
    return gone
