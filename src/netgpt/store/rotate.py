"""Changing the key: everything is sealed anew with the newest one, while others go on reading and writing.

The order makes every moment a safe one to be killed in. First the source holds both keys, then one transaction changes
the database's own secrets and all people's tokens; from its end on every process seals with the new key. Then the rows,
some hundred at a time. Which rows are left is told by the rows themselves, so the same command goes on where it was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Connection, update

from netgpt.errors import StoreError
from netgpt.store.memory import mark_change
from netgpt.store.own_secrets import NAME, OwnSecrets
from netgpt.store.schema import marks, metadata
from netgpt.store.seal import Sealer, place_of
from netgpt.store.sealed import VALUE, marks_sealed, opened_mark, place_of_row, rows_of, sealed_tables, user_tables
from netgpt.store.users import UserTokens, tokens_in_use

__all__ = ["BATCH", "Progress", "ResealedBatch", "change_secrets", "drop_damaged", "left_to_seal", "reseal"]

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


def change_secrets(connection: Connection, sealer: Sealer, own: OwnSecrets) -> bool:
    """Seal what the database knows of itself with the newest key, and give everyone new tokens. One transaction.

    False: done before.
    """
    sealed = dict(marks_sealed(connection))
    if sealer.is_newest(sealed.pop(NAME)):
        return False
    for name, value in sealed.items():
        try:
            anew = sealer.seal(opened_mark(sealer, name, value), place_of("marks", name))
        except StoreError:
            continue  # changed by hand: its owner tells (`netgpt store check`, `netgpt receipts verify`)
        connection.execute(update(marks).where(marks.c.name == name).values(value=anew))
    old, new = own.change(connection)
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
    prefix = sealer.newest_prefix
    return sum(
        connection.exec_driver_sql(
            f"SELECT count(*) FROM {table} WHERE private IS NOT NULL AND substr({VALUE}, 1, ?) != ?",  # noqa: S608
            (len(prefix), prefix),
        ).scalar_one()
        for table in sealed_tables()
    )


def drop_damaged(connection: Connection, sealer: Sealer) -> int:
    """Drop what no known key opens; figures beside it stay. Call it after everything else was sealed anew."""
    prefix = sealer.newest_prefix
    gone = 0
    for table in sealed_tables():
        figures_stay = metadata.tables[table].c.private.nullable
        what = f"UPDATE {table} SET private = NULL" if figures_stay else f"DELETE FROM {table}"  # noqa: S608
        which = f"WHERE private IS NOT NULL AND substr({VALUE}, 1, ?) != ?"
        gone += connection.exec_driver_sql(f"{what} {which}", (len(prefix), prefix)).rowcount
    return gone
