"""Statements whose SQL and value converters are worked out once, for the writes that every answer waits for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection, Dialect, Table, insert, text

__all__ = ["QuickInsert", "QuickStatement"]


class QuickInsert:
    """`run` is `connection.execute(insert(table), values)` without building, looking up and compiling a statement."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._dialect: Dialect | None = None
        self._sql = ""
        self._columns: list[tuple[str, Callable[[Any], Any] | None]] = []

    def run(self, connection: Connection, values: Mapping[str, Any]) -> None:
        """Insert one row. `values` has every column of the table."""
        if connection.dialect is not self._dialect:
            self._prepare(connection.dialect)
        row = tuple(values[name] if convert is None else convert(values[name]) for name, convert in self._columns)
        cursor = connection.connection.cursor()
        try:
            cursor.execute(self._sql, row)
        finally:
            cursor.close()

    def _prepare(self, dialect: Dialect) -> None:
        compiled = insert(self._table).compile(dialect=dialect)
        names = [str(name) for name in getattr(compiled, "positiontup", None) or ()]
        types = {column.name: column.type.dialect_impl(dialect) for column in self._table.columns}
        self._sql = str(compiled)
        self._columns = [(name, types[name].bind_processor(dialect)) for name in names]
        self._dialect = dialect


class QuickStatement:
    """Any other small statement, compiled once. `run` gives its rows; values are bytes, numbers or texts."""

    def __init__(self, sql: str) -> None:
        """`sql` names its values as `:name`."""
        self._text = text(sql)
        self._dialect: Dialect | None = None
        self._sql = ""
        self._names: list[str] = []

    def run(self, connection: Connection, **values: Any) -> list[Any]:
        if connection.dialect is not self._dialect:
            compiled = self._text.compile(dialect=connection.dialect)
            self._names = [str(name) for name in getattr(compiled, "positiontup", None) or ()]
            self._sql, self._dialect = str(compiled), connection.dialect
        cursor = connection.connection.cursor()
        try:
            cursor.execute(self._sql, tuple(values[name] for name in self._names))
            return list(cursor.fetchall()) if cursor.description else []
        finally:
            cursor.close()
