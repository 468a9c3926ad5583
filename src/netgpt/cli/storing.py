"""The store for one command: opened, used, closed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from netgpt.cli.common import read_settings, run
from netgpt.errors import NotFound

if TYPE_CHECKING:
    from netgpt.settings import Settings
    from netgpt.store.rows import ExchangeRow
    from netgpt.store.store import Store

__all__ = ["find_exchange", "opened", "with_store"]

T = TypeVar("T")


@asynccontextmanager
async def opened(settings: Settings) -> AsyncIterator[Store]:
    """The store of these settings for a block. Raises StoreError."""
    from netgpt.store.from_settings import open_store

    store = open_store(settings)
    try:
        yield store
    finally:
        await store.close()


def with_store(work: Callable[[Store], Awaitable[T]], settings: Settings | None = None) -> T:
    """Run `work` on the store of the settings and return its result. Raises StoreError, SettingsError."""

    async def worked() -> T:
        async with opened(settings or read_settings()) as store:
            return await work(store)

    return run(worked())


def find_exchange(id: str | None) -> ExchangeRow:
    """One recorded exchange; the newest where `id` is None. Raises NotFound, StoreError, SettingsError."""

    async def find(store: Store) -> ExchangeRow | None:
        if id is not None:
            return await store.exchange(id)
        return next(iter(await store.exchanges(None, 1, None)), None)

    row = with_store(find)
    if row is None:
        raise NotFound(f"no exchange {id or 'yet'} in {read_settings().database}")
    return row
