"""The tables as they are now. How a database gets here from an older version stands in `migrations.py`.

Types are those that SQLite and PostgreSQL both have. Every table of private rows carries `tenant` and `user`,
and the content itself is one sealed column, so a stolen file tells who asked and when, but not what.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Dialect,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
)

__all__ = [
    "UtcTime",
    "consents",
    "examples",
    "exchanges",
    "facts",
    "keys",
    "lessons",
    "maps",
    "marks",
    "metadata",
    "migrations",
    "places",
    "profiles",
]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class UtcTime(TypeDecorator[datetime]):
    """A moment, kept as whole microseconds since 1970 UTC: exact, ordered, and the same in every database.

    Naive datetimes are refused with ValueError: nobody can say which moment they mean.
    """

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a stored time needs a time zone")
        return (value - _EPOCH) // timedelta(microseconds=1)

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        return None if value is None else _EPOCH + timedelta(microseconds=value)


metadata = MetaData()

migrations = Table(
    "migrations",
    metadata,
    Column("name", Text, primary_key=True),
    Column("applied", UtcTime, nullable=False),
)

marks = Table(  # what the database knows of itself; so far: proof of the key that seals it
    "marks",
    metadata,
    Column("name", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),
)

exchanges = Table(
    "exchanges",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("user", Text, nullable=False),
    Column("key_id", Text),
    Column("received", UtcTime, nullable=False),
    Column("status", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("route", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("prompt_tokens", Integer, nullable=False),
    Column("completion_tokens", Integer, nullable=False),
    Column("estimated", Boolean, nullable=False),
    Column("cost", Float(53), nullable=False),
    Column("timings", JSON, nullable=False),
    Column("rating", Integer),
    Column("private", LargeBinary),
    Column("adapters", JSON),
    Index("exchanges_by_person", "tenant", "user", "received", "id"),
    Index("exchanges_by_time", "received", "id"),
)

keys = Table(
    "keys",
    metadata,
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

profiles = Table(
    "profiles",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("user", Text, primary_key=True),
    Column("complete", Text, nullable=False),
)

facts = Table(
    "facts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("user", Text, nullable=False),
    Column("created", UtcTime, nullable=False),
    Column("expires", UtcTime),
    Column("private", LargeBinary, nullable=False),
    Index("facts_by_person", "tenant", "user", "created", "id"),
)

places = Table(
    "places",
    metadata,
    Column("source", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("latitude", Float(53), nullable=False),
    Column("longitude", Float(53), nullable=False),
    Column("text", Text, nullable=False),
    Column("tags", JSON, nullable=False),
)

maps = Table(
    "maps",
    metadata,
    Column("id", Text, primary_key=True),  # a keyed digest of person and conversation: the name itself is not kept
    Column("tenant", Text, nullable=False),
    Column("user", Text, nullable=False),
    Column("used", UtcTime, nullable=False),
    Column("private", LargeBinary, nullable=False),
    Index("maps_by_person", "tenant", "user"),
    Index("maps_by_use", "used"),
)

consents = Table(
    "consents",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("user", Text, primary_key=True),
    Column("purpose", Text, primary_key=True),
    Column("given", UtcTime),
    Column("withdrawn", UtcTime),
)

examples = Table(
    "examples",
    metadata,
    Column("id", Text, primary_key=True),  # a keyed digest of person and content
    Column("tenant", Text),  # nobody's examples have neither tenant nor user
    Column("user", Text),
    Column("kept", UtcTime, nullable=False),
    Column("chosen", Boolean, nullable=False),
    Column("private", LargeBinary, nullable=False),
    Index("examples_by_person", "tenant", "user"),
    Index("examples_by_time", "kept"),
)

lessons = Table(  # which adapter learnt from which example
    "lessons",
    metadata,
    Column("adapter", Text, primary_key=True),
    Column("example", Text, primary_key=True),
    Index("lessons_by_example", "example"),
)
