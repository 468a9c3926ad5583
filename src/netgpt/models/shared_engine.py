"""The engine of another process: one llama.cpp for all workers, started and watched by their supervisor.

The supervisor tells where it is, which adapters it has, and how it is; what a worker asks it goes there directly.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from netgpt.errors import ModelUnavailable
from netgpt.models.base import Endpoint, Health, Lease
from netgpt.models.hot_swap import Adapter, SwappingEngine


def told_of(engine: SwappingEngine, *, settled: bool, busy: int) -> dict[str, Any]:
    """What workers need to know of the engine now. It holds the engine's key, and goes to them alone. `settled`: its
    start is over, however it ended; `busy`: answers that it writes for all of them."""
    endpoint: Endpoint | None = None
    with contextlib.suppress(ModelUnavailable):
        endpoint = engine.endpoint()
    health = engine.health()
    return {
        "generation": engine.swaps,
        "url": endpoint.base_url if endpoint is not None else None,
        "key": endpoint.api_key if endpoint is not None else None,
        "resident": list(engine.resident),
        "refused": dict(engine.refused),
        "health": [health.ok, health.detail],
        "settled": settled,
        "busy": busy,
    }


class SharedEngine:
    """For a worker what `SwappingEngine` is for a gateway that is alone. It starts nothing and stops nothing."""

    def __init__(self, claim: Callable[[int, int], None]) -> None:
        """`claim`: tell the owner that answers of a generation began (1) or ended (-1), so that it lives on."""
        self._claim = claim
        self._told: Mapping[str, Any] = {}
        self._news = asyncio.Event()
        self._own = 0
        self.refused: dict[str, str] = {}

    def told(self, state: Mapping[str, Any]) -> None:
        """The owner said how it is now: see `told_of`."""
        self._told, self.refused = state, dict(state["refused"])
        if state["settled"]:
            self._news.set()

    @property
    def resident(self) -> tuple[str, ...]:
        return tuple(self._told.get("resident", ()))

    def endpoint(self) -> Endpoint:
        """Where to ask now. Raises ModelUnavailable."""
        url = self._told.get("url")
        if url is None:
            raise ModelUnavailable(f"The edge model is not ready ({self.health().detail})", retry_after=1.0)
        return Endpoint(url, self._told["key"])

    @contextlib.contextmanager
    def lease(self) -> Iterator[Lease]:
        """The right to ask the child of this moment until the block ends. Raises ModelUnavailable."""
        endpoint, generation = self.endpoint(), self._told["generation"]
        self._own += 1
        self._claim(generation, 1)
        try:
            yield Lease(endpoint, self.resident)
        finally:
            self._own -= 1
            self._claim(generation, -1)

    def busy_elsewhere(self) -> int:
        """Answers that it writes for other workers, as of a tenth of a second ago."""
        return max(0, int(self._told.get("busy", 0)) - self._own)

    def health(self) -> Health:
        """As the owner said last."""
        ok, detail = self._told.get("health", (False, "its owner has not told yet"))
        return Health(ok, detail)

    async def set_adapters(self, adapters: Sequence[Adapter]) -> tuple[str, ...]:
        """The owner alone loads adapters; this says what is there."""
        return self.resident

    async def start(self, limit_s: float = 30.0) -> None:
        """Wait until the owner has started it, or could not. Raises ModelUnavailable."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s):
                await self._news.wait()
        self.endpoint()

    async def stop(self, drain_s: float = 5.0) -> None:
        """The owner stops it."""
