"""Mode `select`: which facts a request needs. A selection invents nothing and leaves the person's words alone.

Two judges. Embeddings score every fact by the requests that this one is like; the edge model is asked about those in
doubt, one yes-or-no question a fact under a grammar. When it cannot answer in time, the embeddings alone decide.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from netgpt.completion.judge import judge
from netgpt.completion.kinds import Embed
from netgpt.completion.shortlist import Shortlist
from netgpt.errors import ModelError
from netgpt.types import Fact

__all__ = ["Ask", "Selection", "Selector"]

Ask = Callable[[Mapping[str, Any]], Awaitable[dict[str, Any]]]
"""Posts one chat body to the edge model and returns the whole `chat.completion`. Raises ModelError."""

CUT = 0.5
"""Score from which a fact is chosen when no model is asked."""
DOUBT = (0.4, 0.6)
"""Between these scores the model is asked; above, the fact is in, below, it is out."""
WEIGHT = 0.1
"""How far the model's yes or no moves a score."""


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
        doubtful = [index for index, score in enumerate(scores) if DOUBT[0] <= score < DOUBT[1]]
        if self._ask is None or not doubtful:
            return self._chosen(scores, CUT, "by embeddings")
        try:
            async with asyncio.timeout(self._judge_s):
                verdicts = await judge(self._ask, request, [facts[index].text for index in doubtful])
        except TimeoutError:
            return self._chosen(scores, CUT, "by embeddings: the edge model took too long")
        except ModelError as error:
            return self._chosen(scores, CUT, f"by embeddings: the edge model failed ({error.code})")
        for index, verdict in zip(doubtful, verdicts, strict=True):
            scores[index] += WEIGHT if verdict else -WEIGHT
        return self._chosen(scores, CUT, "by embeddings and the edge model")

    def _chosen(self, scores: Sequence[float], cut: float, how: str) -> Selection:
        best = sorted((index for index, score in enumerate(scores) if score >= cut), key=lambda index: -scores[index])
        chosen = tuple(sorted(best[: self._max_facts]))
        return Selection(
            chosen, f"{len(chosen)} of {len(scores)} facts help, {how}" if chosen else f"nothing helps, {how}"
        )
