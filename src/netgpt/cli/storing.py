"""The store for one command: opened, used, closed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from netgpt.cli.common import read_settings, run

if TYPE_CHECKING:
    from netgpt.store.store import Store

__all__ = ["with_store"]

T = TypeVar("T")


def with_store(work: Callable[[Store], Awaitable[T]]) -> T:
    """Run `work` on the store of the settings and return its result. Raises StoreError, SettingsError."""

    async def opened() -> T:
        from netgpt.build import open_store  # imports every part of the box: only when a command runs

        store = open_store(read_settings())
        try:
            return await work(store)
        finally:
            await store.close()

    return run(opened())
