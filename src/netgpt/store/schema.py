"""The tables as they are now. How an older database gets here stands in `migrations.py`.

Types are those that SQLite and PostgreSQL both have. Every table of private rows carries `tenant` and `user`, and the
content itself is one sealed column. Users are kept as tokens (`users.py`), so a stolen file tells which tenant asked
and when, but neither who nor what.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Dialect,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    and_,
)

from netgpt.store.users import UserId
from netgpt.types import Person

__all__ = [
    "UtcTime",
    "consents",
    "decisions",
    "examples",
    "exchanges",
    "facts",
    "key_use",
    "keys",
    "lessons",
    "maps",
    "marks",
    "metadata",
    "migrations",
    "of_person",
    "places",
    "profiles",
    "receipts",
    "waiting",
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
    Column("user", UserId, nullable=False),
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
    Column("arm", Text, nullable=False, server_default=""),
    Column("finished_by", Text),
    Column("partial", Boolean, nullable=False, server_default="0"),
    Column("question", Text),  # a keyed digest of what was asked, where the answer may be given again
    Index("exchanges_by_person", "tenant", "user", "received", "id"),
    Index("exchanges_by_time", "received", "id"),
    Index("exchanges_by_question", "question", "received"),
)

keys = Table(
    "keys",
    metadata,
    Column("id", Text, primary_key=True),
    Column("hash", Text, nullable=False, unique=True),
    Column("tenant", Text, nullable=False),
    Column("role", Text, nullable=False),
    Column("user", UserId),
    Column("name", Text, nullable=False),
    Column("created", UtcTime, nullable=False),
    Column("expires", UtcTime),
    Column("revoked", UtcTime),
    Column("scopes", JSON),
    Column("limits", JSON),
    Column("prefer", Text),
)

key_use = Table(  # what each key has used, day by day (UTC)
    "key_use",
    metadata,
    Column("key_id", Text, primary_key=True),
    Column("day", Text, primary_key=True),
    Column("requests", Integer, nullable=False),
    Column("tokens", BigInteger, nullable=False),
    Column("cost", Float(53), nullable=False),
)

profiles = Table(
    "profiles",
    metadata,
    Column("tenant", Text, primary_key=True),
    Column("user", UserId, primary_key=True),
    Column("complete", Text, nullable=False),
)

facts = Table(
    "facts",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("user", UserId, nullable=False),
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
    Column("user", UserId, nullable=False),
    Column("used", UtcTime, nullable=False),
    Column("private", LargeBinary, nullable=False),
    Index("maps_by_person", "tenant", "user"),
    Index("maps_by_use", "used"),
)

consents = Table(  # what people said, word for word in time: rows are added, never changed
    "consents",
    metadata,
    Column("number", Integer, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("user", UserId, nullable=False),
    Column("purpose", Text, nullable=False),
    Column("third_party", Text),  # only for this receiver; none: for everybody
    Column("given", Boolean, nullable=False),
    Column("said", UtcTime, nullable=False),
    Column("begins", UtcTime, nullable=False),
    Column("ends", UtcTime),
    Index("consents_by_person", "tenant", "user", "number"),
    Index("consents_by_purpose", "purpose"),
)

receipts = Table(
    "receipts",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("id", Text, nullable=False, unique=True),
    Column("kind", Text, nullable=False),
    Column("time", UtcTime, nullable=False),
    Column("destination", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("size", Integer, nullable=False),
    Column("tenant", Text),
    Column("user", UserId),
    Column("exchange", Text),
    Column("commitment", LargeBinary, nullable=False),
    Column("previous", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("tag", LargeBinary, nullable=False),
    Column("private", LargeBinary),
    Column("notice", JSON),
    Column("erased_by", Integer),
    Index("receipts_by_person", "tenant", "user", "seq"),
    Index("receipts_by_exchange", "exchange"),
    Index("receipts_by_time", "time"),
)

examples = Table(
    "examples",
    metadata,
    Column("id", Text, primary_key=True),  # a keyed digest of person and content
    Column("tenant", Text),  # nobody's examples have neither tenant nor user
    Column("user", UserId),
    Column("kept", UtcTime, nullable=False),
    Column("chosen", Boolean, nullable=False),
    Column("private", LargeBinary, nullable=False),
    Index("examples_by_person", "tenant", "user"),
    Index("examples_by_time", "kept"),
)

waiting = Table(  # requests that nobody could answer, kept to be sent once; and what became of them
    "waiting",
    metadata,
    Column("id", Text, primary_key=True),
    Column("tenant", Text, nullable=False),
    Column("user", UserId, nullable=False),
    Column("key_id", Text),
    Column("created", UtcTime, nullable=False),
    Column("expires", UtcTime, nullable=False),
    Column("due", UtcTime, nullable=False),  # not to be tried before
    Column("state", Text, nullable=False),
    Column("size", Integer, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("exchange", Text),  # the exchange in which it was sent
    Column("claim", Text),  # who is sending it: a word that only that sender knows
    Column("seen", UtcTime),  # when the sender was last seen alive
    Column("private", LargeBinary, nullable=False),
    Index("waiting_by_person", "tenant", "user", "created"),
    Index("waiting_by_state", "state", "created"),
    Index("waiting_by_claim", "claim"),
)

decisions = Table(  # which arm, with which chance, and what came of it
    "decisions",
    metadata,
    Column("id", Text, primary_key=True),  # the exchange's
    Column("tenant", Text, nullable=False),
    Column("user", UserId, nullable=False),
    Column("key_id", Text),
    Column("time", UtcTime, nullable=False),
    Column("arm", Text, nullable=False),
    Column("propensity", Float(53), nullable=False),
    Column("private", LargeBinary, nullable=False),
    Index("decisions_by_person", "tenant", "user", "time"),
    Index("decisions_by_time", "time", "id"),
)

lessons = Table(  # which adapter learnt from which example
    "lessons",
    metadata,
    Column("adapter", Text, primary_key=True),
    Column("example", Text, primary_key=True),
    Index("lessons_by_example", "example"),
)


def of_person(table: Table, person: Person) -> ColumnElement[bool]:
    """The rows of a person."""
    return and_(table.c.tenant == person.tenant, table.c.user == person.user)
