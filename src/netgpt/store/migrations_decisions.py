"""The migration for recorded decisions. Its place in the order stands in `migrations.py`."""

from __future__ import annotations

from sqlalchemy import Column, Connection, Float, Index, LargeBinary, MetaData, Table, Text

from netgpt.store.schema import UtcTime

__all__ = ["add_decisions"]


def add_decisions(connection: Connection) -> None:
    Table(
        "decisions",
        MetaData(),
        Column("id", Text, primary_key=True),
        *(Column(name, Text, nullable=False) for name in ("tenant", "user")),
        Column("key_id", Text),
        Column("time", UtcTime, nullable=False),
        Column("arm", Text, nullable=False),
        Column("propensity", Float(53), nullable=False),
        Column("private", LargeBinary, nullable=False),
        Index("decisions_by_person", "tenant", "user", "time"),
        Index("decisions_by_time", "time", "id"),
    ).create(connection)
