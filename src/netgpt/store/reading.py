"""Reads run on a few threads of their own: neither the event loop nor the writer waits for them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from sqlalchemy import Connection

from netgpt.errors import NetGPTError, StoreError
from netgpt.store.database import READERS, Database
from netgpt.store.faults import told

__all__ = ["Readers"]

T = TypeVar("T")


class Readers:
    """Answers queries until it is closed."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._threads = ThreadPoolExecutor(READERS, thread_name_prefix="netgpt-store-reader")
        self._closed = False

    async def read(self, query: Callable[[Connection], T]) -> T:
        """What `query` returns, run within a transaction that only reads. Raises StoreError."""
        if self._closed:
            raise StoreError(f"{self._database.path}: the store is closed.", code="store_closed")
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._query, query)

    def _query(self, query: Callable[[Connection], T]) -> T:
        try:
            with self._database.reading.begin() as connection:  # begun before any value is bound: see `users.py`
                return query(connection)
        except NetGPTError:
            raise
        except Exception as error:  # noqa: BLE001 - mapped to StoreError
            self._database.reading.dispose()
            raise told(error, self._database.path) from None

    def refuse(self) -> None:
        """Take no more queries."""
        self._closed = True

    def shutdown(self) -> None:
        """Wait for the queries under way. Blocks."""
        self._threads.shutdown()
