"""How a database grows: small named functions, applied once, in order, each recorded in the table `migrations`.

A new database gets all tables of `schema.py` at once. To change the schema: change `schema.py`, and add a function that
does the same to a database that is there already at the end of `MIGRATIONS`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from sqlalchemy import Connection, Engine, insert, inspect, select

from netgpt.errors import StoreError
from netgpt.store import schema

__all__ = ["MIGRATIONS", "Migration", "is_current", "migrate"]

Migration = Callable[[Connection], None]


def start(connection: Connection) -> None:
    """Every table of the schema."""
    schema.metadata.create_all(connection)


MIGRATIONS: tuple[Migration, ...] = (start,)


def migrate(engine: Engine, steps: Sequence[Migration] = MIGRATIONS) -> list[str]:
    """Bring the database up to `steps`; return the names recorded now.

    All missing steps run in one transaction: either all are there or none. Raises StoreError: the database was made by
    a newer version, or before the first release.
    """
    with engine.begin() as connection:
        missing = _missing(connection, steps)  # again: another process may have been faster
        is_new = missing[:1] == list(steps[:1])
        for step in missing[:1] if is_new else missing:  # the schema has what later steps add
            step(connection)
        names = [step.__name__ for step in missing]
        for name in names:
            connection.execute(insert(schema.migrations).values(name=name, applied=datetime.now(UTC)))
    return names


def is_current(engine: Engine, steps: Sequence[Migration] = MIGRATIONS) -> bool:
    """Whether there is nothing to migrate. Only reads, so that opening need not wait for another's write."""
    with engine.connect() as connection:
        return not _missing(connection, steps)


def _missing(connection: Connection, steps: Sequence[Migration]) -> list[Migration]:
    if not inspect(connection).has_table(schema.migrations.name):
        return list(steps)
    applied, path = set(connection.scalars(select(schema.migrations.c.name))), connection.engine.url.database
    if steps[0].__name__ not in applied:
        raise StoreError(
            f"{path}: the database was made before the first release, and this version does not read it. Move it away, "
            "or set NETGPT_HOME to another folder, and a new one is made; the version that made it still reads it.",
            code="store_too_old",
        )
    if newer := applied - {step.__name__ for step in steps}:
        raise StoreError(
            f"{path}: the database was made by a newer NetGPT (it has {', '.join(sorted(newer))}). Install that "
            "version, or set NETGPT_HOME to another folder.",
            code="store_too_new",
        )
    return [step for step in steps if step.__name__ not in applied]
