"""Migrations for who answered. Their place in the order stands in `migrations.py`; the same rules hold."""

from __future__ import annotations

from sqlalchemy import Connection

__all__ = ["add_arms"]


def add_arms(connection: Connection) -> None:
    """Which of several models answered an exchange, who finished what it broke off, and whether nobody did."""
    connection.exec_driver_sql("ALTER TABLE exchanges ADD COLUMN arm TEXT DEFAULT '' NOT NULL")
    connection.exec_driver_sql("ALTER TABLE exchanges ADD COLUMN finished_by TEXT")
    connection.exec_driver_sql("ALTER TABLE exchanges ADD COLUMN partial BOOLEAN DEFAULT 0 NOT NULL")
