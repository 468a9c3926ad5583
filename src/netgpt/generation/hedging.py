"""Hedged requests: when the first word is late, a second model is asked too, and the first to begin answers.

After Dean and Barroso, "The Tail at Scale" (CACM 56(2), 2013): the second request goes out after the 95th percentile
of the usual wait, so that few are sent twice; and a budget bounds them where all are late.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from netgpt.errors import ContextTooLong, ModelError, ModelTimeout, ModelUnavailable
from netgpt.settings.routing import Routing
from netgpt.settings.sections import Cloud
from netgpt.types import EDGE, Chunk

_REMEMBERED = 128
_ENOUGH = 20
"""With fewer first words nobody knows what is late."""
_BURST = 5.0
"""So many hedges may be saved up while nothing was late."""


class Hedging:
    """When, whom, and how often. One event loop only: there is no lock."""

    def __init__(self, rules: Routing, remotes: Mapping[str, Cloud]) -> None:
        """`remotes`: the settings of every model elsewhere, by its arm's name: what they cost."""
        self._rules, self._remotes = rules, remotes
        self._waits: dict[tuple[str, bool], deque[float]] = {}
        self._may = 1.0
        self.hedged = 0
        """How many requests were sent twice."""

    @property
    def on(self) -> bool:
        return self._rules.hedge != "off"

    def began(self, arm: str, stream: bool, wait_s: float) -> None:
        """`arm` gave its first word after `wait_s` seconds. A whole answer's first word comes with its last."""
        waits = self._waits.get((arm, stream))
        if waits is None:
            waits = self._waits[arm, stream] = deque(maxlen=_REMEMBERED)
        waits.append(wait_s)

    def late_s(self, arm: str, stream: bool) -> float | None:
        """Seconds after which the first word of `arm` is late; None: not known yet."""
        if self._rules.hedge_after_s:
            return self._rules.hedge_after_s
        waits = self._waits.get((arm, stream), ())
        if len(waits) < _ENOUGH:
            return None
        return sorted(waits)[int(0.95 * (len(waits) - 1))]

    def rival(self, arm: str, others: Sequence[str]) -> str | None:
        """Who of `others` (who may have the request) is asked too: the edge, where nothing leaves and nothing is
        paid; else, where the settings let it, the cheapest. None: nobody."""
        if EDGE in others:
            return EDGE
        if self._rules.hedge != "any" or not others:
            return None
        return min(others, key=self._price)

    def seen(self) -> None:
        """A request that might be hedged: each adds its share of a hedge."""
        self._may = min(_BURST, self._may + self._rules.hedge_share)

    def take(self) -> bool:
        """Whether one more may be sent twice; then it counts."""
        if self._may < 1.0:
            return False
        self._may -= 1.0
        self.hedged += 1
        return True

    def _price(self, arm: str) -> float:
        remote = self._remotes.get(arm)
        return remote.price_prompt + remote.price_completion if remote is not None else 0.0


# --- The beginning of an answer: what comes before the first word is held back, so that another model may still answer.

TOO_LATE = "deadline_exceeded"
"""Code of the error of an answer that took longer than its caller or the settings allow."""
_MOST_HELD = 8
"""Chunks without a word that are waited through: a server may send its role, then signs of life."""


@dataclass(frozen=True, slots=True)
class Opened:
    """An answer that has begun."""

    held: list[Chunk]
    """Its chunks up to the first that says something."""
    rest: AsyncIterator[Chunk]


async def opened(chunks: AsyncIterator[Chunk], until: float) -> Opened:
    """Wait for the first word, until `until` (`time.monotonic()`). A call that gives none is closed.

    Raises ModelError and its children: then nothing of the answer was handed on.
    """
    held: list[Chunk] = []
    try:
        while len(held) < _MOST_HELD:
            chunk = await next_or_none(chunks, until)
            if chunk is None:
                break
            held.append(chunk)
            if _says_something(chunk):
                break
        if not held:
            raise ModelUnavailable("the model closed its answer before the first word")
        return Opened(held, chunks)
    except BaseException:
        await close(chunks)
        raise


async def close(chunks: AsyncIterator[Chunk]) -> None:
    """End a call at once, wherever it is."""
    await cast(Any, chunks).aclose()


async def next_or_none(chunks: AsyncIterator[Chunk], until: float) -> Chunk | None:
    """The next chunk, None at the end. Raises ModelTimeout past `until`, also where the caller took the time."""
    left = until - time.monotonic()
    try:
        if left <= 0:
            raise TimeoutError
        async with asyncio.timeout(left):
            return await anext(chunks, None)
    except TimeoutError:
        text = "the answer took longer than the request's deadline_s or server.deadline_s allows"
        raise ModelTimeout(text, code=TOO_LATE) from None


def characters_of(chunk: Chunk) -> int:
    """How much a chunk says, in characters of texts and of arguments."""
    count = 0
    for choice in chunk.get("choices") or ():
        delta = choice.get("delta") or {}
        count += len(delta.get("content") or "")
        count += sum(len((call.get("function") or {}).get("arguments") or "") for call in delta.get("tool_calls") or ())
    return count


def _says_something(chunk: Chunk) -> bool:
    return any(choice.get("finish_reason") or _has_words(choice.get("delta") or {}) for choice in chunk["choices"])


def _has_words(delta: Mapping[str, Any]) -> bool:
    return any(value for name, value in delta.items() if name != "role")


# --- Two answers side by side: the first to begin wins, the other is cancelled at once.

Ask = Callable[[], Awaitable[Opened]]
FAILS = (ModelError, ContextTooLong)
"""What lets another model answer."""


@dataclass(frozen=True, slots=True)
class Race:
    """How a race ended."""

    winner: int | None
    """0: the first asked; 1: the second; None: both failed."""
    opened: Opened | None
    errors: dict[int, ModelError | ContextTooLong]
    started: bool
    """Whether the second was asked at all."""


async def race(first: Ask, second: Ask, late_s: float, may_start: Callable[[], bool]) -> Race:
    """Ask `first`; where it gave no word within `late_s` seconds and `may_start` says so, ask `second` too.

    A first that fails before that is not raced: the caller decides who is next. Raises what neither expects (a
    receipt that cannot be written), after both were ended.
    """
    tasks = [asyncio.ensure_future(_begun(first))]
    errors: dict[int, ModelError | ContextTooLong] = {}
    won: asyncio.Task[Opened] | None = None
    try:
        done, _ = await asyncio.wait(tasks, timeout=late_s)
        if not done and may_start():
            tasks.append(asyncio.ensure_future(_begun(second)))
        waiting = set(tasks)
        while waiting and won is None:
            done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in sorted(done, key=tasks.index):
                error = task.exception()
                if error is None:
                    won = won or task
                elif isinstance(error, FAILS):
                    errors[tasks.index(task)] = error
                else:
                    won = None  # it is closed with the others
                    raise error
        winner = tasks.index(won) if won is not None else None
        return Race(winner, won.result() if won is not None else None, errors, len(tasks) > 1)
    finally:
        await _end(tasks, won)


async def _begun(ask: Ask) -> Opened:
    return await ask()


async def _end(tasks: list[asyncio.Task[Opened]], won: asyncio.Task[Opened] | None) -> None:
    """Cancel what is under way, and close what had begun; all of it where the caller leaves in this very moment."""
    others = [task for task in tasks if task is not won]
    for task in others:
        task.cancel()
    try:
        for outcome in await asyncio.gather(*others, return_exceptions=True):
            if isinstance(outcome, Opened):
                await close(outcome.rest)
    except asyncio.CancelledError:
        if won is not None:
            await close(won.result().rest)
        raise
