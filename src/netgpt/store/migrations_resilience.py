"""Migrations for requests that wait and answers of last resort. The order stands in `migrations.py`."""

from __future__ import annotations

from sqlalchemy import Column, Connection, Index, Integer, LargeBinary, MetaData, Table, Text

from netgpt.store.schema import UtcTime

__all__ = ["add_questions", "add_waiting"]


def add_questions(connection: Connection) -> None:
    """Exchanges from before have no digest of their question: their answers are not given again."""
    connection.exec_driver_sql("ALTER TABLE exchanges ADD COLUMN question TEXT")
    connection.exec_driver_sql("CREATE INDEX exchanges_by_question ON exchanges (question, received)")


def add_waiting(connection: Connection) -> None:
    Table(
        "waiting",
        MetaData(),
        Column("id", Text, primary_key=True),
        Column("tenant", Text, nullable=False),
        Column("user", Text, nullable=False),
        Column("key_id", Text),
        *(Column(name, UtcTime, nullable=False) for name in ("created", "expires", "due")),
        Column("state", Text, nullable=False),
        *(Column(name, Integer, nullable=False) for name in ("size", "tries")),
        *(Column(name, Text) for name in ("exchange", "claim")),
        Column("seen", UtcTime),
        Column("private", LargeBinary, nullable=False),
        Index("waiting_by_person", "tenant", "user", "created"),
        Index("waiting_by_state", "state", "created"),
        Index("waiting_by_claim", "claim"),
    ).create(connection)
