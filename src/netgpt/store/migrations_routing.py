"""Migrations for what decisions weigh. Their place in the order stands in `migrations.py`; the same rules hold."""

from __future__ import annotations

from sqlalchemy import Connection

__all__ = ["add_preferences"]


def add_preferences(connection: Connection) -> None:
    """Keys from before prefer nothing: the settings decide for them."""
    connection.exec_driver_sql("ALTER TABLE keys ADD COLUMN prefer TEXT")
