"""An INSERT whose SQL and value converters are worked out once, for the one write that every answer waits for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Connection, Dialect, Table, insert

__all__ = ["QuickInsert"]


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
