"""How a database grows: small named functions, applied once, in order, each recorded in the table `migrations`.

A migration never changes after its release, so it spells its tables out instead of using `schema.py`; a test
compares what all of them make with the schema. To change the schema: change `schema.py`, add a function at the
end of `MIGRATIONS`, never in between.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Engine,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    insert,
    inspect,
    select,
)
from sqlalchemy.schema import SchemaItem

from netgpt.errors import StoreError
from netgpt.store import schema
from netgpt.store.migrations_arms import add_arms
from netgpt.store.migrations_decisions import add_decisions
from netgpt.store.migrations_resilience import add_questions, add_waiting
from netgpt.store.migrations_rights import add_consent_ledger, add_receipts
from netgpt.store.migrations_routing import add_preferences
from netgpt.store.schema import UtcTime
from netgpt.store.users import tokens_in_use

__all__ = ["CLEAR_NAMES", "MIGRATIONS", "Migration", "is_current", "migrate"]

CLEAR_NAMES = "seal_user_ids"
"""Before this migration people's names stood in clear."""

Migration = Callable[[Connection], None]


def _create(connection: Connection, name: str, *items: SchemaItem) -> None:
    Table(name, MetaData(), *items).create(connection)


def add_marks(connection: Connection) -> None:
    _create(
        connection,
        "marks",
        Column("name", Text, primary_key=True),
        Column("value", LargeBinary, nullable=False),
    )


def add_exchanges(connection: Connection) -> None:
    _create(
        connection,
        "exchanges",
        Column("id", Text, primary_key=True),
        Column("tenant", Text, nullable=False),
        Column("user", Text, nullable=False),
        Column("key_id", Text),
        Column("received", UtcTime, nullable=False),
        *(Column(name, Text, nullable=False) for name in ("status", "model", "route", "reason")),
        Column("prompt_tokens", Integer, nullable=False),
        Column("completion_tokens", Integer, nullable=False),
        Column("estimated", Boolean, nullable=False),
        Column("cost", Float(53), nullable=False),
        Column("timings", JSON, nullable=False),
        Column("rating", Integer),
        Column("private", LargeBinary),
        Index("exchanges_by_person", "tenant", "user", "received", "id"),
        Index("exchanges_by_time", "received", "id"),
    )


def add_keys(connection: Connection) -> None:
    _create(
        connection,
        "keys",
        Column("id", Text, primary_key=True),
        Column("hash", Text, nullable=False, unique=True),
        Column("tenant", Text, nullable=False),
        Column("role", Text, nullable=False),
        Column("user", Text),
        Column("name", Text, nullable=False),
        Column("created", UtcTime, nullable=False),
        Column("expires", UtcTime),
        Column("revoked", UtcTime),
    )


def add_profiles(connection: Connection) -> None:
    _create(
        connection,
        "profiles",
        Column("tenant", Text, primary_key=True),
        Column("user", Text, primary_key=True),
        Column("complete", Text, nullable=False),
    )
    _create(
        connection,
        "facts",
        Column("id", Text, primary_key=True),
        Column("tenant", Text, nullable=False),
        Column("user", Text, nullable=False),
        Column("created", UtcTime, nullable=False),
        Column("expires", UtcTime),
        Column("private", LargeBinary, nullable=False),
        Index("facts_by_person", "tenant", "user", "created", "id"),
    )


def add_places(connection: Connection) -> None:
    _create(
        connection,
        "places",
        Column("source", Text, primary_key=True),
        Column("id", Text, primary_key=True),
        Column("name", Text, nullable=False),
        Column("kind", Text, nullable=False),
        Column("latitude", Float(53), nullable=False),
        Column("longitude", Float(53), nullable=False),
        Column("text", Text, nullable=False),
        Column("tags", JSON, nullable=False),
    )


def add_maps(connection: Connection) -> None:
    _create(
        connection,
        "maps",
        Column("id", Text, primary_key=True),
        Column("tenant", Text, nullable=False),
        Column("user", Text, nullable=False),
        Column("used", UtcTime, nullable=False),
        Column("private", LargeBinary, nullable=False),
        Index("maps_by_person", "tenant", "user"),
        Index("maps_by_use", "used"),
    )


def add_learning(connection: Connection) -> None:
    _create(
        connection,
        "consents",
        *(Column(name, Text, primary_key=True) for name in ("tenant", "user", "purpose")),
        Column("given", UtcTime),
        Column("withdrawn", UtcTime),
    )
    _create(
        connection,
        "examples",
        Column("id", Text, primary_key=True),
        Column("tenant", Text),
        Column("user", Text),
        Column("kept", UtcTime, nullable=False),
        Column("chosen", Boolean, nullable=False),
        Column("private", LargeBinary, nullable=False),
        Index("examples_by_person", "tenant", "user"),
        Index("examples_by_time", "kept"),
    )
    _create(
        connection,
        "lessons",
        Column("adapter", Text, primary_key=True),
        Column("example", Text, primary_key=True),
        Index("lessons_by_example", "example"),
    )


def add_adapters(connection: Connection) -> None:
    connection.exec_driver_sql("ALTER TABLE exchanges ADD COLUMN adapters JSON")


def add_key_limits(connection: Connection) -> None:
    connection.exec_driver_sql("ALTER TABLE keys ADD COLUMN scopes JSON")
    connection.exec_driver_sql("ALTER TABLE keys ADD COLUMN limits JSON")
    _create(
        connection,
        "key_use",
        Column("key_id", Text, primary_key=True),
        Column("day", Text, primary_key=True),
        Column("requests", Integer, nullable=False),
        Column("tokens", BigInteger, nullable=False),
        Column("cost", Float(53), nullable=False),
    )


def seal_user_ids(connection: Connection) -> None:
    """Whose a row is stood in clear; from now on it is a token. The store proved its key before."""
    for table in ("exchanges", "keys", "profiles", "facts", "maps", "consents", "examples", "receipts"):
        known = connection.exec_driver_sql(f"SELECT DISTINCT user FROM {table} WHERE user IS NOT NULL")  # noqa: S608
        users = known.scalars().all()
        if not users:
            continue
        tokens = tokens_in_use()
        connection.exec_driver_sql("CREATE TEMP TABLE sealed_users (clear TEXT PRIMARY KEY, token TEXT)")
        connection.exec_driver_sql(
            "INSERT INTO sealed_users VALUES (?, ?)", [(user, tokens.token(user)) for user in users]
        )
        connection.exec_driver_sql(
            f"UPDATE {table} SET user = (SELECT token FROM sealed_users WHERE clear = user) WHERE user IS NOT NULL"  # noqa: S608
        )
        connection.exec_driver_sql("DROP TABLE sealed_users")


MIGRATIONS: tuple[Migration, ...] = (
    add_marks,
    add_exchanges,
    add_keys,
    add_profiles,
    add_places,
    add_maps,
    add_learning,
    add_adapters,
    add_key_limits,
    add_receipts,
    add_consent_ledger,
    seal_user_ids,
    add_arms,
    add_questions,
    add_waiting,
    add_preferences,
    add_decisions,
)


def migrate(engine: Engine, steps: Sequence[Migration] = MIGRATIONS) -> list[str]:
    """Bring the database up to `steps`; return the names applied now.

    All missing steps run in one transaction: either all are there or none. Raises StoreError when the database was
    made by a newer version.
    """
    with engine.begin() as connection:
        schema.migrations.create(connection, checkfirst=True)
        missing = _missing(connection, steps)  # again: another process may have been faster
        for step in missing:
            step(connection)
            connection.execute(insert(schema.migrations).values(name=step.__name__, applied=datetime.now(UTC)))
    return [step.__name__ for step in missing]


def is_current(engine: Engine, steps: Sequence[Migration] = MIGRATIONS) -> bool:
    """Whether there is nothing to migrate. Only reads, so that opening need not wait for another's write."""
    with engine.connect() as connection:
        return not _missing(connection, steps)


def _missing(connection: Connection, steps: Sequence[Migration]) -> list[Migration]:
    if not inspect(connection).has_table(schema.migrations.name):
        return list(steps)
    applied = set(connection.scalars(select(schema.migrations.c.name)))
    if newer := applied - {step.__name__ for step in steps}:
        raise StoreError(
            f"{connection.engine.url.database}: the database was made by a newer NetGPT (it has "
            f"{', '.join(sorted(newer))}). Install that version, or set NETGPT_HOME to another folder.",
            code="store_too_new",
        )
    return [step for step in steps if step.__name__ not in applied]
