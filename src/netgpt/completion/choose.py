"""Choosing by the model of relevance: each fact whose chance to help is high enough, of any kind and in any words.

All work is done in threads. A fact is read once, a few at a time, in turn with other requests; one that is not read
within the time allowed cannot be chosen, is read on in the background, and the selection says so.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from netgpt.completion.relevance import Relevance, TextVectors, wording
from netgpt.types import Fact

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

log = logging.getLogger(__name__)

CUT: Final = 0.5
"""Chance from which a fact is chosen."""
BEHIND: Final = 20.0
"""A fact whose odds are so many times lower than the best one's is not chosen: what helps most says what is meant."""
MOST_FACTS: Final = 2_000
"""Facts that are looked at for one request: all that are not a profile's, and its newest."""
_AT_ONCE: Final = 8
"""Facts that are read between two turns: 50 ms of one core."""
_READ_ON: Final = 8
"""Requests whose facts are read on when they have gone on without."""
_NEAR_MISSES, _NEAR = 3, 0.05
"""Facts that were not chosen whose chances are recorded: so many, from this chance on."""

Embed = Callable[[Sequence[str]], "NDArray[np.float32]"]
"""Texts to unit vectors, one row each."""
Fetch = Callable[[], Awaitable[Mapping[str, TextVectors]]]
"""The vectors that are kept elsewhere, by wording. Asked when some of a profile's are not in memory."""


@dataclass(frozen=True, slots=True)
class Selection:
    """`chosen`: indices into the facts, ascending. `why`: one sentence, without any content."""

    chosen: tuple[int, ...]
    why: str
    chances: tuple[float, ...] = ()
    """That each fact helps, by the model of relevance; empty where another way chose."""

    def figures(self) -> dict[str, Any] | None:
        """The chances of the chosen facts in their order, and of the next ones: numbers alone, for records."""
        if not self.chances:
            return None
        others = sorted(set(range(len(self.chances))).difference(self.chosen), key=lambda i: -self.chances[i])
        near = [round(self.chances[i], 3) for i in others[:_NEAR_MISSES] if self.chances[i] >= _NEAR]
        return {
            "cut": round(cut_for(self.chances), 3),
            "given": [round(self.chances[i], 3) for i in self.chosen],
            "next": near,
        }


def cut_for(chances: Iterable[float]) -> float:
    """The least chance of a chosen fact, beside these.

    >>> cut_for([0.1, 0.6]), round(cut_for([0.1, 0.98]), 2)
    (0.5, 0.71)
    """
    best = min(max(chances, default=0.0), 1 - 1e-6)
    odds = best / (1 - best) / BEHIND
    return max(CUT, odds / (1 + odds))


class Chooser:
    """`select(request, facts)`. Raises what the model raises: the caller has another way."""

    def __init__(self, relevance: Relevance, embed: Embed, max_facts: int) -> None:
        """`embed`: cheap vectors, by which the likeliest of many new facts are read first."""
        self.relevance, self._embed, self._max_facts = relevance, embed, max_facts
        self._turn = asyncio.Lock()
        self._reading: set[asyncio.Task[None]] = set()

    async def select(
        self, request: str, facts: Sequence[Fact], *, within_s: float = 1.5, fetch: Fetch | None = None
    ) -> Selection:
        """The facts that help. `within_s`: seconds given to facts that were not read yet."""
        until = time.monotonic() + within_s
        work = await asyncio.to_thread(_Work, self, request, facts)
        if work.new and fetch is not None and work.of_profile:
            await self._fetch(work, fetch, until)
        if work.new:
            await self._read(work, until)
        if work.chances is None:
            await asyncio.to_thread(work.weigh)
        return work.selection(self._max_facts)

    async def _fetch(self, work: _Work, fetch: Fetch, until: float) -> None:
        try:
            async with asyncio.timeout(until - time.monotonic()):
                kept = await fetch()
        except TimeoutError:
            return
        work.found |= {text: kept[text] for text in work.new if text in kept}
        work.new = [text for text in work.new if text not in work.found]

    async def _read(self, work: _Work, until: float) -> None:
        if len(work.new) > 4 * _AT_ONCE:
            await asyncio.to_thread(work.likeliest_first, self._embed)
        task = asyncio.create_task(self._read_on(work.new))
        self._reading.add(task)
        task.add_done_callback(self._ended)
        await asyncio.wait({task}, timeout=max(0.0, until - time.monotonic()))
        if task.done():
            task.result()
        elif len(self._reading) > _READ_ON:
            task.cancel()
        work.found |= self.relevance.ready(work.new)
        work.new = [text for text in work.new if text not in work.found]

    async def _read_on(self, texts: Sequence[str]) -> None:
        for at in range(0, len(texts), _AT_ONCE):
            async with self._turn:
                await asyncio.to_thread(self.relevance.vectors_of, texts[at : at + _AT_ONCE])

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._reading.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("completion: facts could not be read: %s", type(error).__name__)

    async def close(self) -> None:
        """Read no further."""
        for task in self._reading:
            task.cancel()
        await asyncio.gather(*self._reading, return_exceptions=True)


class _Work:
    """One choice on its way. What costs time is done where it is made (a thread), and by `weigh`."""

    def __init__(self, chooser: Chooser, request: str, facts: Sequence[Fact]) -> None:
        self.request, self._facts, self._relevance = request, len(facts), chooser.relevance
        looked_at = _looked_at(facts)
        worded = {i: wording(facts[i].kind, facts[i].text) for i in looked_at}
        self.texts = {i: text for i, text in worded.items() if text}
        self.kinds = {i: facts[i].kind.strip().casefold() for i in looked_at}
        self.unseen = len(facts) - len(looked_at)
        self.found = self._relevance.ready(list(self.texts.values()))
        new = {text: i for i, text in self.texts.items() if text not in self.found}
        self.new = list(new)
        self.of_profile = any(facts[i].source == "profile" for i in new.values())
        self.chances: dict[int, float] | None = None
        if not new:
            self.weigh()

    def likeliest_first(self, embed: Embed) -> None:
        """Sort what is to be read: the nearest to the request by words first."""
        vectors = embed([self.request, *self.new])
        self.new = [self.new[i] for i in (vectors[1:] @ vectors[0]).argsort()[::-1]]

    def weigh(self) -> None:
        """The chance of each fact that is read."""
        known = [i for i, text in self.texts.items() if text in self.found]
        vectors = [self.found[self.texts[i]] for i in known]
        chances = self._relevance.chances(self.request, vectors, [self.kinds[i] for i in known])
        self.chances = dict(zip(known, map(float, chances), strict=True))

    def selection(self, max_facts: int) -> Selection:
        chances = self.chances or {}
        cut = cut_for(chances.values())
        best = sorted((i for i, chance in chances.items() if chance >= cut), key=lambda i: -chances[i])
        chosen = tuple(sorted(best[:max_facts]))
        why = f"{len(chosen)} of {self._facts} facts help" if chosen else "nothing helps"
        why += ", by the model of relevance"
        if self.new:
            why += f"; {len(self.new)} facts could not be read in time and are read for the next request"
        if self.unseen:
            why += f"; only {MOST_FACTS} facts were looked at, the newest of the profile"
        return Selection(chosen, why, tuple(chances.get(i, 0.0) for i in range(self._facts)))


def _looked_at(facts: Sequence[Fact]) -> list[int]:
    """Which facts: all, or MOST_FACTS of them."""
    if len(facts) <= MOST_FACTS:
        return list(range(len(facts)))
    others = [i for i, fact in enumerate(facts) if fact.source != "profile"][-MOST_FACTS:]
    profile = [i for i, fact in enumerate(facts) if fact.source == "profile"]
    return sorted(others + profile[len(profile) - (MOST_FACTS - len(others)) :]) if profile else others
