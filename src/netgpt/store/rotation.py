"""Changing the key: everything is sealed anew with the newest one, while others go on reading and writing.

A kill is safe at any moment. First the source holds both keys; then one transaction changes the database's own secrets
and all people's tokens, and from then on every process seals with the new key; then the rows, some hundred at a time.
The rows themselves show which are left, so the same command continues.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, update

from netgpt.errors import StoreError
from netgpt.store.chain import HEAD
from netgpt.store.encryption import Sealer, place_of
from netgpt.store.engine import database_of, driver_of
from netgpt.store.ledger import ledger_in_use
from netgpt.store.schema import UserId, UserTokens, marks, metadata, tokens_in_use
from netgpt.store.secrets import NAME, DatabaseSecrets
from netgpt.store.writer import mark_change

FIRST: Final = object()
"""Before the first row of a table."""
_WITHOUT_PERSON: Final = frozenset({"receipts"})
"""Tables whose values are bound to their row alone."""


class SealedRow(NamedTuple):
    """One row as it is stored, nothing opened."""

    key: Any
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


def rows_of(connection: Connection, table: str, after: Any, limit: int, not_prefix: bytes = b"") -> list[SealedRow]:
    """Rows in the order of their keys, past the key `after`, whose value does not begin with `not_prefix`."""
    database, columns = database_of(connection), metadata.tables[table].c
    key, first = database.row_key(metadata.tables[table])
    id = "id" if "id" in columns else key
    private = database.as_bytes("private") if "private" in columns else "NULL"
    where, values = "TRUE", [first if after is FIRST else after]
    if not_prefix:
        where = _not_newest(connection)
        values += [len(not_prefix), not_prefix]
    found = driver_of(connection).execute(
        f"""SELECT {key}, {id}, tenant, {database.text_bytes('"user"')}, {private} FROM {table} """  # noqa: S608 - ours
        f"WHERE {key} > ? AND {where} ORDER BY 1 LIMIT ?",
        (*values, limit),
    )
    return [
        SealedRow(row[0], str(row[1]), row[2], None if row[3] is None else row[3].decode("ascii", "replace"), row[4])
        for row in found
    ]


def _not_newest(connection: Connection) -> str:
    """SQL for values that the newest key did not seal; it takes the length of its prefix, and the prefix."""
    return f"private IS NOT NULL AND substr({database_of(connection).as_bytes('private')}, 1, ?) != ?"


def marks_sealed(connection: Connection) -> Iterator[tuple[str, bytes]]:
    """The marks that hold something sealed, by name."""
    value = database_of(connection).as_bytes("value")
    for name, sealed in driver_of(connection).execute(f"SELECT name, {value} FROM marks").fetchall():  # noqa: S608
        if name not in ("generation", "ledger"):  # see `ReadCache` and `ledger.py`
            yield name, sealed


def opened_mark(sealer: Sealer, name: str, value: bytes) -> bytes:
    """What a mark holds. Raises StoreError."""
    return sealer.open(value, place_of("marks", name))


Progress = Callable[[int, int], None]
"""Called with how many values are done, and how many there were to do."""

BATCH: Final = 200
"""Rows a transaction: others wait some milliseconds for it."""


@dataclass(frozen=True, slots=True)
class ResealedBatch:
    """What one step did. `last`: the key of the last row seen, None at the end of the table."""

    last: Any
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
    driver = driver_of(connection)
    known = driver.execute(f"""SELECT DISTINCT "user" FROM {table} WHERE "user" IS NOT NULL""")  # noqa: S608 - our names
    changed = []
    for (token,) in known.fetchall():
        try:
            changed.append((token, new.token(old.user(token))))
        except StoreError:
            continue  # changed by hand: `netgpt store check` names it, and nobody can say whose it was
    if not changed:
        return
    driver.execute("CREATE TEMP TABLE changed_users (old TEXT PRIMARY KEY, new TEXT)")
    driver.executemany("INSERT INTO changed_users VALUES (?, ?)", changed)
    driver.execute(
        f"""UPDATE {table} SET "user" = (SELECT c.new FROM changed_users c WHERE c.old = "user") """  # noqa: S608 - our own names
        """WHERE "user" IN (SELECT c.old FROM changed_users c)"""
    )
    driver.execute("DROP TABLE changed_users")


def reseal(connection: Connection, sealer: Sealer, table: str, after: Any) -> ResealedBatch:
    """Seal the next rows of `table` anew, those past the key `after` that need it. One transaction."""
    tokens = tokens_in_use()
    rows = rows_of(connection, table, after, BATCH, sealer.newest_prefix)
    anew: list[tuple[bytes, Any]] = []
    damaged: list[str] = []
    for row in rows:
        try:
            place = place_of_row(table, row, tokens)
            anew.append((sealer.seal(sealer.open(row.private or b"", place), place), row.key))
        except StoreError:
            damaged.append(row.id)
    if anew:
        key, _ = database_of(connection).row_key(metadata.tables[table])
        driver_of(connection).executemany(f"UPDATE {table} SET private = ? WHERE {key} = ?", anew)  # noqa: S608 - ours
    return ResealedBatch(rows[-1].key if rows else None, len(anew), tuple(damaged))


def left_to_seal(connection: Connection, sealer: Sealer) -> int:
    """How many values the newest key did not seal."""
    prefix, driver, where = sealer.newest_prefix, driver_of(connection), _not_newest(connection)
    queries = (f"SELECT count(*) FROM {table} WHERE {where}" for table in sealed_tables())  # noqa: S608 - our own names
    return sum(driver.execute(query, (len(prefix), prefix)).fetchone()[0] for query in queries)


def drop_damaged(connection: Connection, sealer: Sealer) -> int:
    """Drop what no known key opens; figures beside it stay. Call it after everything else was sealed anew."""
    prefix, gone, where = sealer.newest_prefix, 0, _not_newest(connection)
    for table in sealed_tables():
        figures_stay = metadata.tables[table].c.private.nullable
        what = f"UPDATE {table} SET private = NULL" if figures_stay else f"DELETE FROM {table}"  # noqa: S608
        gone += driver_of(connection).execute(f"{what} WHERE {where}", (len(prefix), prefix)).rowcount
    return gone
