"""What hardly ever changes and is asked at every request (keys, profiles), remembered until somebody changes it.

Every write that changes such rows also changes one mark in the database, in the same transaction. Before a remembered
value is used, the mark is read again: some microseconds on a connection of its own, where a full read costs a change of
threads. So a change by another process (`netgpt keys revoke` beside `netgpt serve`) counts at the very next request.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Hashable
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, text

__all__ = ["MISSING", "ReadCache", "mark_change"]

MISSING: Final = object()
"""What `get` returns for what is not remembered (None is a value)."""

_ENTRIES: Final = 10_000
_AGE_S: Final = 600.0
"""Even what nobody changed is read again after this, in seconds."""

_MARK = text(
    "INSERT INTO marks (name, value) VALUES ('generation', :value) "
    "ON CONFLICT (name) DO UPDATE SET value = excluded.value"
)
_READ = "SELECT value FROM marks WHERE name = 'generation'"


def mark_change(connection: Connection) -> None:
    """Say, within a write's transaction, that what others remember is out of date."""
    connection.execute(_MARK, {"value": os.urandom(8)})


class ReadCache:
    """Values by key, dropped all together when the mark changed. Used on one event loop at a time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self._seen: bytes | None = None
        self._fresh_in: asyncio.AbstractEventLoop | None = None
        """The loop in whose present turn the mark was read."""
        self._values: OrderedDict[Hashable, tuple[float, Any]] = OrderedDict()

    def get(self, key: Hashable) -> Any:
        """The value, or MISSING. What cannot be checked is not used."""
        loop = asyncio.get_running_loop()
        if self._fresh_in is not loop:
            try:
                mark = self._mark()
            except sqlite3.Error:
                self.close()
                return MISSING
            if mark != self._seen:
                self._values.clear()
                self._seen = mark
            # Good for this turn of the loop: a request that comes in after this is answered in a later one.
            self._fresh_in = loop
            loop.call_soon(self._grow_old)
        since, value = self._values.get(key, (0.0, MISSING))
        return MISSING if value is MISSING or time.monotonic() - since > _AGE_S else value

    def put(self, key: Hashable, value: Any, seen: bytes | None) -> None:
        """Remember what was read while the mark was `seen` (see `seen`); forgotten when it changed meanwhile."""
        if seen == self._seen:
            self._values[key] = (time.monotonic(), value)
            while len(self._values) > _ENTRIES:
                self._values.popitem(last=False)

    @property
    def seen(self) -> bytes | None:
        """The mark at the last `get`: take it before reading, give it to `put`."""
        return self._seen

    def _grow_old(self) -> None:
        self._fresh_in = None

    def close(self) -> None:
        """Forget everything and close the connection; the next `get` opens it again."""
        self._values.clear()
        self._seen, self._fresh_in = None, None
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _mark(self) -> bytes:
        if self._connection is None:
            # No waiting: this runs on the event loop.
            self._connection = sqlite3.connect(self._path, timeout=0, check_same_thread=False, isolation_level=None)
            self._connection.execute("PRAGMA query_only=ON")
        row = self._connection.execute(_READ).fetchone()
        return row[0] if row else b""
