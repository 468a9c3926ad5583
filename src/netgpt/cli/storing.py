"""The store for one command: opened, used, closed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from netgpt.cli.common import read_settings, run
from netgpt.errors import NotFound

if TYPE_CHECKING:
    from netgpt.store.rows import ExchangeRow
    from netgpt.store.store import Store

__all__ = ["find_exchange", "with_store"]

T = TypeVar("T")


def with_store(work: Callable[[Store], Awaitable[T]]) -> T:
    """Run `work` on the store of the settings and return its result. Raises StoreError, SettingsError."""

    async def opened() -> T:
        from netgpt.store.from_settings import open_store

        store = open_store(read_settings())
        try:
            return await work(store)
        finally:
            await store.close()

    return run(opened())


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
