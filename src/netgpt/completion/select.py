"""Mode `select`: which facts a request needs. A selection invents nothing and leaves the person's words alone.

Two judges. Embeddings score every fact by the requests that this one is like. When a fact's score is in doubt, the
edge model says what the request is about, and facts that help with that rise. When it cannot answer in time, the
embeddings alone decide.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from netgpt.completion.judge import Ask, judge
from netgpt.completion.kinds import Embed
from netgpt.completion.shortlist import Shortlist
from netgpt.errors import ContextTooLong, ModelError
from netgpt.types import Fact

__all__ = ["Ask", "Selection", "Selector"]

CUT = 0.5
"""Score from which a fact is chosen."""
RISE = 0.3
"""How much the edge model's word adds to a score; so facts from CUT - RISE up to CUT are in doubt."""
BELIEVED = 0.01
"""Least likelihood of an answer that is believed: below, the grammar forced it.

CUT, RISE and BELIEVED are tuned on the development files of CLINC150, SLURP and SNIPS. The model may only raise:
letting it veto lost more than it gained.
"""


@dataclass(frozen=True, slots=True)
class Selection:
    """`chosen`: indices into the facts, ascending. `why`: one sentence, without any content."""

    chosen: tuple[int, ...]
    why: str


class Selector:
    """Chooses at most `max_facts` facts; by embeddings alone when `ask` is None.

    `judge_s` is the patience with the edge model, in seconds.
    """

    def __init__(self, ask: Ask | None, embed: Embed, max_facts: int = 3, *, judge_s: float = 1.5) -> None:
        self._ask, self._max_facts, self._judge_s = ask, max_facts, judge_s
        self._shortlist = Shortlist(embed)

    async def select(self, request: str, facts: Sequence[Fact]) -> Selection:
        """The facts that help with `request`; none when nothing helps."""
        scores = self._shortlist.scores(request, facts)
        doubtful = [index for index, score in enumerate(scores) if CUT - RISE <= score < CUT]
        if self._ask is None or not doubtful:
            return self._chosen(scores, "by embeddings")
        try:
            async with asyncio.timeout(self._judge_s):
                opinion = await judge(self._ask, request)
        except TimeoutError:
            return self._chosen(scores, "by embeddings: the edge model took too long")
        except (ModelError, ContextTooLong) as error:
            return self._chosen(scores, f"by embeddings: the edge model failed ({error.code})")
        if opinion.confidence >= BELIEVED:
            for index in doubtful:
                scores[index] += RISE if self._shortlist.kind_of(facts[index]) in opinion.kinds else 0.0
        return self._chosen(scores, "by embeddings and the edge model")

    async def warm(self) -> None:
        """Read what is read on first use, and let the engine read the examples (seconds, once). Raises ModelError."""
        await asyncio.to_thread(self._shortlist.needs, "hello")
        if self._ask is not None:
            await judge(self._ask, "hello")

    def _chosen(self, scores: Sequence[float], how: str) -> Selection:
        best = sorted((index for index, score in enumerate(scores) if score >= CUT), key=lambda index: -scores[index])
        chosen = tuple(sorted(best[: self._max_facts]))
        told = f"{len(chosen)} of {len(scores)} facts help" if chosen else "nothing helps"
        return Selection(chosen, f"{told}, {how}")
