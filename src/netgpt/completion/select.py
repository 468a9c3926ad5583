"""Mode `select`: which facts a request needs. A selection invents nothing and leaves the person's words alone.

With the adapter `complete` the edge model names the request's class, and the kinds of facts that help with the likely
classes decide. Without it there are two judges: embeddings score every fact by the requests that this one is like;
when a fact's score is in doubt, the untrained model says what the request is about, and facts that help with that
rise. When the model cannot answer in time, the embeddings alone decide.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from netgpt.completion.judge import Ask, judge
from netgpt.completion.kinds import Embed
from netgpt.completion.naming import helpful_kinds, name_class
from netgpt.completion.shortlist import Shortlist
from netgpt.errors import ContextTooLong, ModelError
from netgpt.types import Fact

__all__ = ["Ask", "Selection", "Selector"]

CUT = 0.5
"""Score from which a fact is chosen by embeddings."""
TRAINED_CUT = 0.5
"""The same by the trained edge model, whose scores are probabilities: what more likely helps than not is given."""
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

    def __init__(self, ask: Ask | None, embed: Embed, max_facts: int = 6, *, judge_s: float = 1.5) -> None:
        self._ask, self._max_facts, self._judge_s = ask, max_facts, judge_s
        self._shortlist = Shortlist(embed)

    async def select(self, request: str, facts: Sequence[Fact], trained: Ask | None = None) -> Selection:
        """The facts that help with `request`; none when nothing helps.

        `trained`: the edge model with the adapter `complete` on, where there is one.
        """
        if not facts:
            return self._chosen([], "nothing is known")
        if trained is None:
            return await self._untrained(request, facts)
        try:
            async with asyncio.timeout(self._judge_s):
                needs = helpful_kinds(await name_class(trained, request))
        except TimeoutError:
            return self._by_embeddings(request, facts, ": the edge model took too long")
        except (ModelError, ContextTooLong) as error:
            return self._by_embeddings(request, facts, f": the edge model failed ({error.code})")
        scores = self._shortlist.scores(request, facts, needs)
        return self._chosen(scores, "by the trained edge model", TRAINED_CUT)

    async def _untrained(self, request: str, facts: Sequence[Fact]) -> Selection:
        scores = self._shortlist.scores(request, facts)
        doubtful = [index for index, score in enumerate(scores) if CUT - RISE <= score < CUT]
        if self._ask is None or not doubtful:
            return self._chosen(scores, "by embeddings")
        try:
            async with asyncio.timeout(self._judge_s):
                opinion = await judge(self._ask, request)
        except TimeoutError:
            return self._by_embeddings(request, facts, ": the edge model took too long")
        except (ModelError, ContextTooLong) as error:
            return self._by_embeddings(request, facts, f": the edge model failed ({error.code})")
        if opinion.confidence >= BELIEVED:
            for index in doubtful:
                scores[index] += RISE if self._shortlist.kind_of(facts[index]) in opinion.kinds else 0.0
        return self._chosen(scores, "by embeddings and the edge model")

    def _by_embeddings(self, request: str, facts: Sequence[Fact], why: str) -> Selection:
        return self._chosen(self._shortlist.scores(request, facts), f"by embeddings{why}")

    async def warm(self, trained: Ask | None = None) -> None:
        """Read what is read on first use, and let the engine read its instruction (once). Raises ModelError."""
        await asyncio.to_thread(self._shortlist.needs, "hello")
        if trained is not None:
            await name_class(trained, "hello")
        elif self._ask is not None:
            await judge(self._ask, "hello")

    def _chosen(self, scores: Sequence[float], how: str, cut: float = CUT) -> Selection:
        best = sorted((index for index, score in enumerate(scores) if score >= cut), key=lambda index: -scores[index])
        chosen = tuple(sorted(best[: self._max_facts]))
        told = f"{len(chosen)} of {len(scores)} facts help" if chosen else "nothing helps"
        return Selection(chosen, f"{told}, {how}")
