"""Two detectors, so that nobody's short text waits behind another's long one.

What is short has a process of its own. A second one is started when the first long request comes, and ended when none
came for a while: both read the same, and each remembers what it has read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from netgpt.errors import DetectorError
from netgpt.privacy.process import DetectorProcess
from netgpt.types import Span

LONG: Final = 20_000
"""Cost of a request that goes to the second process: about a fifth of a second."""
_OF_A_PIECE: Final = 30
"""Characters that take as long to read as one more text or paragraph."""
IDLE_S: Final = 300.0
"""Seconds without a long request after which the second process ends."""


def cost(texts: Sequence[str]) -> int:
    """What a search takes, in characters: many short texts take longer than one long one.

    >>> cost(["abc"] * 10), cost(["abc " * 10])
    (330, 70)
    """
    pieces = len(texts) + sum(text.count("\n\n") for text in texts)
    return sum(map(len, texts)) + _OF_A_PIECE * pieces


_NICENESS: Final = 5
"""Of the second process: where cores are few it gets a third of what the first and the gateway get."""


class DetectorPools:
    """A `Detector` that judges a request by its size before anybody reads it."""

    def __init__(self, make: Callable[[], DetectorProcess], *, idle_s: float = IDLE_S) -> None:
        self.quick, self.long = make(), make()
        self.long.niceness = _NICENESS
        self._idle_s = idle_s
        self._starting = asyncio.Lock()
        self._at_work = 0
        self._end: asyncio.TimerHandle | None = None
        self._ending: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """As `Detector.start`; the second process waits until it is needed."""
        await self.quick.start()

    async def detect(
        self, texts: Sequence[str], *, values: Sequence[tuple[str, str]] = (), names: Sequence[int] | None = None
    ) -> list[list[Span]]:
        """As `Detector.detect`."""
        if cost(texts) < LONG:
            return await self.quick.detect(texts, values=values, names=names)
        self._at_work += 1
        try:
            await self._start_long()
            return await self.long.detect(texts, values=values, names=names)
        finally:
            self._at_work -= 1
            self._end_later()

    async def _start_long(self) -> None:
        if not self.quick.is_started:
            raise DetectorError("the detector is not running (not started); nothing was sent", retry_after=1.0)
        async with self._starting:
            if not self.long.is_started:
                await self.long.start()

    def _end_later(self) -> None:
        if self._end is not None:
            self._end.cancel()
        self._end = asyncio.get_running_loop().call_later(self._idle_s, self._end_if_idle)

    def _end_if_idle(self) -> None:
        if not self._at_work:
            self._ending = asyncio.create_task(self._end_long())

    async def _end_long(self) -> None:
        async with self._starting:
            if not self._at_work:
                await self.long.close()

    def health(self) -> tuple[bool, str]:
        return self.quick.health()

    async def close(self) -> None:
        if self._end is not None:
            self._end.cancel()
        await self.quick.close()
        await self.long.close()
