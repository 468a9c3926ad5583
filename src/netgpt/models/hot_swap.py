"""An engine whose adapters change while it serves: start a new llama.cpp with the new list, then drain the old one.

llama.cpp loads its adapters when it starts, so another list means another child process. New answers go to the new
child from the moment it is ready; each answer keeps the child on which it began, to its end.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from netgpt.errors import AdapterRefused, ModelUnavailable
from netgpt.models.base import Endpoint, Health, Lease
from netgpt.models.engine import Engine

STEP_S = 0.05


class Adapter(NamedTuple):
    """An adapter that may be resident: its id ("complete@1") and its GGUF file."""

    id: str
    path: Path


class MakeEngine(Protocol):
    """Makes an engine that is not started: `functools.partial(Engine, weights, log_path=...)`."""

    def __call__(self, *, adapters: Sequence[tuple[Path, float]], on_event: Callable[[str], None] | None) -> Engine: ...


class _Generation:
    """One engine with one list of adapters, fixed for its life (also over its restarts)."""

    def __init__(self, make: MakeEngine, adapters: Sequence[Adapter], hear: Callable[[_Generation, str], None]) -> None:
        self.adapters = tuple(adapters)
        self.ids = tuple(adapter.id for adapter in adapters)
        # A scale of 0: whoever asks without a list gets the plain model.
        self.engine = make(adapters=[(each.path, 0.0) for each in adapters], on_event=lambda event: hear(self, event))


class SwappingEngine:
    """What `Engine` offers, and `set_adapters`. At most two children live at a time.

    `drain_s`: how long an answer that runs may keep an old child alive, in seconds. `on_event` gets an engine's
    events, and "swapped", "swap failed".
    """

    def __init__(
        self, make: MakeEngine, *, drain_s: float = 300.0, on_event: Callable[[str], None] | None = None
    ) -> None:
        self.drain_s = drain_s
        self.swaps = 0
        self.refused: dict[str, str] = {}
        """Adapters that the engine could not load when they were last wanted, and why."""
        self._make, self._on_event = make, on_event or (lambda event: None)
        self._current = _Generation(make, (), self._hear)
        self._wanted: tuple[Adapter, ...] = ()
        self._asked = self._done = self._restarts = 0
        self._fault: str | None = None
        self._turn = asyncio.Lock()
        self._running = False
        self._work: asyncio.Task[None] | None = None
        self._draining: asyncio.Task[None] | None = None
        self._healing: asyncio.Task[None] | None = None
        self._drain_until = float("inf")

    @property
    def resident(self) -> tuple[str, ...]:
        """The ids of the adapters that a new answer can have."""
        return self._current.ids

    @property
    def state(self) -> str:
        return self._current.engine.state

    @property
    def pid(self) -> int | None:
        return self._current.engine.pid

    @property
    def restarts(self) -> int:
        """Of all children so far; a swap is none."""
        return self._restarts + self._current.engine.restarts

    def endpoint(self) -> Endpoint:
        """Where to ask now, without a claim: a swap may end it in the middle of an answer. See `lease`."""
        return self._current.engine.endpoint()

    @contextlib.contextmanager
    def lease(self) -> Iterator[Lease]:
        """The right to ask the child of this moment until the block ends. Raises ModelUnavailable."""
        generation = self._current
        endpoint = generation.engine.endpoint()
        with generation.engine.track():
            yield Lease(endpoint, generation.ids)

    def health(self) -> Health:
        """Known state in one sentence."""
        health = self._current.engine.health()
        return Health(health.ok, f"{health.detail}, {len(self.resident)} adapters" if health.ok else health.detail)

    async def wait_ready(self, timeout_s: float) -> None:
        """As `Engine.wait_ready`."""
        await self._current.engine.wait_ready(timeout_s)

    async def start(self) -> None:
        """Start with the adapters set before; without those that cannot be loaded. Raises ModelUnavailable."""
        async with self._turn:
            if self._running:
                return
            self._done = self._asked
            left = list(self._wanted)
            while not self._running:
                self._current = _Generation(self._make, left, self._hear)
                try:
                    await self._current.engine.start()
                    self._running = True
                except ModelUnavailable as error:
                    left = self._without(_named_by(error, left) or left, error, left)
        self._on_event("started")

    def _without(self, bad: Sequence[Adapter], error: ModelUnavailable, adapters: Sequence[Adapter]) -> list[Adapter]:
        """The other adapters; the `bad` ones are noted as refused. Raises the error when none is to blame."""
        if not bad:
            raise error
        self.refused |= {adapter.id: error.message for adapter in bad}
        return [adapter for adapter in adapters if adapter not in bad]

    async def set_adapters(self, adapters: Sequence[Adapter]) -> tuple[str, ...]:
        """Make these adapters resident, and no others; returns the ids that are resident then.

        Calls at the same time become one swap to the list of the last call. One that cannot be loaded is left out
        (`refused` says why). Raises ModelUnavailable when the new child does not start; the old one goes on serving.
        Before `start` and after `stop` the list is only kept.
        """
        self._wanted, self._asked = tuple(adapters), self._asked + 1
        mine = self._asked
        async with self._turn:
            if self._running and self._done < mine:
                asked, self._fault = self._asked, None
                self._work = asyncio.create_task(self._swap(self._wanted))
                await self._finish(self._work)
                self._done = asked
        if self._fault is not None:
            raise ModelUnavailable(self._fault)
        return self.resident

    async def _finish(self, work: asyncio.Task[None]) -> None:
        try:
            await work
        except asyncio.CancelledError:
            if self._running:
                raise
            self._fault = "The edge model was stopped"
        except ModelUnavailable as error:
            self._fault = error.message
            self._on_event("swap failed")

    async def _swap(self, wanted: Sequence[Adapter]) -> None:
        self.refused = {}
        fresh = await self._started(wanted)
        if fresh is None:
            return
        old, self._current = self._current, fresh
        self._restarts += old.engine.restarts
        self._draining = asyncio.create_task(self._end(old))
        self.swaps += 1
        self._on_event("swapped")

    async def _started(self, wanted: Sequence[Adapter]) -> _Generation | None:
        """A new child with the wanted adapters that can be loaded; None when the old child has just these."""
        left = list(wanted)
        while tuple(left) != self._current.adapters:
            if self._draining is not None:
                await asyncio.wait([self._draining])  # never a third child
            fresh = _Generation(self._make, left, self._hear)
            try:
                await fresh.engine.start()
                return fresh
            except AdapterRefused as error:
                left = self._without(_named_by(error, left), error, left)
        return None

    async def _end(self, old: _Generation) -> None:
        """Let the answers of the old child end, for `drain_s` at most; then end the child."""
        until = time.monotonic() + self.drain_s
        while old.engine.in_flight and time.monotonic() < min(until, self._drain_until):  # noqa: ASYNC110  no event
            await asyncio.sleep(STEP_S)
        await old.engine.stop(0)

    async def stop(self, drain_s: float = 5.0) -> None:
        """Refuse new work, let what runs finish for at most `drain_s` seconds, then end every child."""
        was_running, self._running = self._running, False
        self._drain_until = time.monotonic() + drain_s
        for task in (self._healing, self._work):
            if task is not None:
                task.cancel()
        async with self._turn:
            await self._current.engine.stop(drain_s)
            if self._draining is not None:
                await asyncio.wait([self._draining])
            self._draining, self._drain_until = None, float("inf")
        if was_running:
            self._on_event("stopped")

    def _hear(self, generation: _Generation, event: str) -> None:
        """Events of the child that serves; those of its start and stop come from `start` and `stop`."""
        if generation is not self._current or event in ("started", "stopped"):
            return
        if event == "not restarted":
            self._heal(generation)
        else:
            self._on_event(event)

    def _heal(self, generation: _Generation) -> None:
        """A crashed child cannot come back with an adapter whose file is gone or damaged: go on without it."""
        fault = generation.engine.fault
        bad = _named_by(fault, generation.adapters) if fault else []
        if bad and (self._healing is None or self._healing.done()):
            self._healing = asyncio.create_task(self._go_on_without(bad, str(fault)))

    async def _go_on_without(self, bad: Sequence[Adapter], why: str) -> None:
        with contextlib.suppress(ModelUnavailable):  # the old child is tried again, and this with it
            await self.set_adapters([adapter for adapter in self._current.adapters if adapter not in bad])
            self.refused |= {adapter.id: why for adapter in bad}


def _named_by(error: ModelUnavailable, adapters: Sequence[Adapter]) -> list[Adapter]:
    """The adapters that the error blames."""
    path = error.path if isinstance(error, AdapterRefused) else None
    return [adapter for adapter in adapters if str(adapter.path) == path]
