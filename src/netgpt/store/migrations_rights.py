"""Migrations for receipts and consents. Their place in the order stands in `migrations.py`; the same rules hold."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Connection, Index, Integer, LargeBinary, MetaData, Table, Text
from sqlalchemy.schema import SchemaItem

from netgpt.store.schema import UtcTime

__all__ = ["add_consent_ledger", "add_receipts"]


def _create(connection: Connection, name: str, *items: SchemaItem) -> None:
    Table(name, MetaData(), *items).create(connection)


def add_receipts(connection: Connection) -> None:
    _create(
        connection,
        "receipts",
        Column("seq", Integer, primary_key=True),
        Column("id", Text, nullable=False, unique=True),
        Column("kind", Text, nullable=False),
        Column("time", UtcTime, nullable=False),
        Column("destination", Text, nullable=False),
        Column("model", Text, nullable=False),
        Column("size", Integer, nullable=False),
        *(Column(name, Text) for name in ("tenant", "user", "exchange")),
        *(Column(name, LargeBinary, nullable=False) for name in ("commitment", "previous", "hash", "tag")),
        Column("private", LargeBinary),
        Column("notice", JSON),
        Column("erased_by", Integer),
        Index("receipts_by_person", "tenant", "user", "seq"),
        Index("receipts_by_exchange", "exchange"),
        Index("receipts_by_time", "time"),
    )


def add_consent_ledger(connection: Connection) -> None:
    """The state of consents becomes a history of them. What was said before keeps its time."""
    connection.exec_driver_sql("ALTER TABLE consents RENAME TO consents_before")
    _create(
        connection,
        "consents",
        Column("number", Integer, primary_key=True),
        *(Column(name, Text, nullable=False) for name in ("tenant", "user", "purpose")),
        Column("third_party", Text),
        Column("given", Boolean, nullable=False),
        Column("said", UtcTime, nullable=False),
        Column("begins", UtcTime, nullable=False),
        Column("ends", UtcTime),
        Index("consents_by_person", "tenant", "user", "number"),
        Index("consents_by_purpose", "purpose"),
    )
    for given, said in ((1, "given"), (0, "withdrawn")):
        connection.exec_driver_sql(
            "INSERT INTO consents (tenant, user, purpose, given, said, begins) "  # noqa: S608 - fixed words
            f"SELECT tenant, user, purpose, {given}, {said}, {said} FROM consents_before WHERE {said} IS NOT NULL"
        )
    connection.exec_driver_sql("DROP TABLE consents_before")
