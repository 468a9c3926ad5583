"""Turns at what few can use at once, shared between keys: of those who wait, who was served the least of late is next.

`ASKED_BY` names the key of the request at work. It is a context variable: whatever a request starts inherits it, and
no contract of a detector has to carry it.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter, OrderedDict
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from netgpt.errors import DetectorError

ASKED_BY: ContextVar[str] = ContextVar("asked_by", default="")
_FORGOTTEN_S: Final = 20.0
"""Seconds after which what a key was given counts for a third."""
_KEYS: Final = 4_096
"""Keys whose use is remembered."""


class Turn:
    """One that was had; `with` or `leave` ends it, once."""

    def __init__(self, leave: Callable[[float], None]) -> None:
        self._leave: Callable[[float], None] | None = leave
        self._began = time.monotonic()

    def leave(self) -> None:
        leave, self._leave = self._leave, None
        if leave is not None:
            leave(time.monotonic() - self._began)

    def __enter__(self) -> Turn:
        return self

    def __exit__(self, *_: object) -> None:
        self.leave()


@dataclass(eq=False, slots=True)
class _Waiting:
    key: str
    came: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class SharedTurns:
    """At what one uses at a time, for one event loop."""

    def __init__(self, what: str, waiting: int = 64) -> None:
        """`what`: for messages, "the detector". `waiting`: so many wait at most; when they are all there, the key with
        most of them gives one up for a key with fewer."""
        self._what, self._most = what, waiting
        self._taken = False
        self._queue: list[_Waiting] = []
        self._used: OrderedDict[str, tuple[float, float]] = OrderedDict()
        """Key -> seconds used, and when that was reckoned."""

    async def enter(self, within_s: float) -> Turn:
        """A turn for the key `ASKED_BY`. Raises DetectorError: none came in time, or too many wait."""
        key = ASKED_BY.get()
        if self._taken:
            await self._wait(key, within_s)
        self._taken = True
        return Turn(partial(self._left, key))

    async def _wait(self, key: str, within_s: float) -> None:
        self._make_room(key)
        me = _Waiting(key)
        self._queue.append(me)
        try:
            async with asyncio.timeout(within_s):
                await me.came
        except BaseException as error:
            if me in self._queue:
                self._queue.remove(me)
            elif not me.came.cancelled() and me.came.exception() is None:
                self._pass_on()  # it came at this very moment
            if isinstance(error, TimeoutError):
                raise DetectorError(
                    f"{self._what} is busy with other texts; nothing was sent", retry_after=1.0
                ) from None
            raise

    def _make_room(self, key: str) -> None:
        if len(self._queue) < self._most:
            return
        refusal = DetectorError(f"too many requests wait for {self._what}; nothing was sent", retry_after=1.0)
        waiting = Counter(each.key for each in self._queue)
        crowd, count = max(waiting.items(), key=lambda each: each[1], default=(key, 0))
        if waiting[key] + 1 >= count:
            raise refusal
        last = next(each for each in reversed(self._queue) if each.key == crowd)
        self._queue.remove(last)
        last.came.set_exception(refusal)

    def _left(self, key: str, took_s: float) -> None:
        now = time.monotonic()
        self._used[key] = (self._use(key, now) + took_s, now)
        self._used.move_to_end(key)
        if len(self._used) > _KEYS:
            self._used.popitem(last=False)
        self._pass_on()

    def _pass_on(self) -> None:
        """The first of the key that used least is next."""
        now = time.monotonic()
        self._taken = bool(self._queue)
        if self._queue:
            following = min(self._queue, key=lambda each: self._use(each.key, now))
            self._queue.remove(following)
            following.came.set_result(None)

    def _use(self, key: str, now: float) -> float:
        used, at = self._used.get(key, (0.0, now))
        return used * math.exp((at - now) / _FORGOTTEN_S)
