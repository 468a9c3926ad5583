"""Sealing beside the event loop: what takes longer than a moment is done in a thread, one at a time, keys in turn.

A vault's work is written as a coroutine that waits for nothing but the detector. Driven in a thread, it asks the
detector through the event loop and gives its turn to others meanwhile.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from functools import partial
from typing import Any, Final, TypeVar

from netgpt.errors import DetectorError
from netgpt.privacy.detector import Detector
from netgpt.privacy.turns import SharedTurns, Turn
from netgpt.types import Span

T = TypeVar("T")

LIGHT: Final = 80
"""Weight of a body that is sealed where it is, within some milliseconds."""
_CHARACTERS: Final = 150
"""Of a text, that weigh as much as one more string."""
_THREADS: Final = 16
"""Of which one works and the others wait for the detector."""


def is_light(body: Any, most: int = LIGHT) -> bool:
    """Whether a body has few values and short texts; looks at no more of it than that.

    >>> is_light({"messages": [{"role": "user", "content": "hello"}]}), is_light(["x"] * 1_000)
    (True, False)
    """
    weight, rest = 0, [body]
    while rest:
        value = rest.pop()
        if isinstance(value, str):
            weight += len(value) // _CHARACTERS
        elif isinstance(value, dict | list | tuple):
            weight += len(value)
            if weight <= most:
                rest.extend(value.values() if isinstance(value, dict) else value)
        if weight > most:
            return False
    return True


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that waits for nothing, also where an event loop runs."""
    try:
        work.send(None)
    except StopIteration as stop:
        result: T = stop.value
        return result
    raise AssertionError("it was to wait for nothing")


class Aside:
    """A few threads, of which one works at a time. For one event loop."""

    def __init__(self) -> None:
        self._turns = SharedTurns("the sealing of long requests")
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="netgpt-sealing")

    async def run(self, work: Callable[[Detector], Coroutine[Any, Any, T]], detector: Detector, within_s: float) -> T:
        """What `work` returns with a detector that may be asked in the thread. Raises what it raises, and
        DetectorError: its turn did not come within so many seconds.

        Cancelled, it ends where it next asks the detector; until then nobody else's work begins.
        """
        inside = _FromThread(detector, asyncio.get_running_loop(), self._turns, within_s)
        inside.turn = await self._turns.enter(within_s)
        run = partial(contextvars.copy_context().run, lambda: at_once(work(inside)))
        done = asyncio.get_running_loop().run_in_executor(self._threads, run)
        done.add_done_callback(inside.end)
        try:
            return await asyncio.shield(done)
        except asyncio.CancelledError:
            inside.give_up()
            raise


class _FromThread:
    """A `Detector` for a thread: it works on the event loop, and meanwhile another thread may have the turn."""

    def __init__(
        self, detector: Detector, loop: asyncio.AbstractEventLoop, turns: SharedTurns, within_s: float
    ) -> None:
        self._detector, self._loop, self._turns, self._within_s = detector, loop, turns, within_s
        self._asked: Future[list[list[Span]]] | None = None
        self._given_up = False
        self.turn: Turn | None = None

    def give_up(self) -> None:
        """Nobody waits for the result any more."""
        self._given_up = True
        if self._asked is not None:
            self._asked.cancel()

    def end(self, done: asyncio.Future[Any]) -> None:
        if self.turn is not None:
            self.turn.leave()
        if not done.cancelled():
            done.exception()  # where it was given up, nobody else looks at it

    async def start(self) -> None: ...

    async def detect(
        self, texts: Sequence[str], *, values: Sequence[tuple[str, str]] = (), names: Sequence[int] | None = None
    ) -> list[list[Span]]:
        self._asked = asyncio.run_coroutine_threadsafe(self._detected(texts, values, names), self._loop)
        if self._given_up:
            self._asked.cancel()
        try:
            return self._asked.result()
        except CancelledError:
            raise DetectorError("the request was given up; nothing was sent") from None

    async def _detected(
        self, texts: Sequence[str], values: Sequence[tuple[str, str]], names: Sequence[int] | None
    ) -> list[list[Span]]:
        if self.turn is not None:
            self.turn.leave()
        found = await self._detector.detect(texts, values=values, names=names)
        self.turn = await self._turns.enter(self._within_s)
        return found

    def health(self) -> tuple[bool, str]:
        return self._detector.health()

    async def close(self) -> None: ...
