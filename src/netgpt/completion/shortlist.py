"""How likely each fact helps with a request, from embeddings alone (under 1 ms)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from netgpt.completion.kinds import Embed, KindGuesser, known_kind
from netgpt.completion.topics import known_kinds, topics
from netgpt.types import Fact

__all__ = ["Shortlist"]

SHARPNESS = 15.0
"""How much nearer examples count more: the weight of an example is exp(SHARPNESS * cosine).

Tuned together with the cut in `select.py` on the development files of CLINC150, SLURP and SNIPS (see docs/log.md).
"""
_NEARBY_BONUS = 0.2
"""A place nearby was already looked up by the request's own words."""
_TEXT_FLOOR, _TEXT_FULL = 0.25, 0.65
"""Cosine of request and fact at which a fact of unknown kind starts to count, and counts fully."""


class Shortlist:
    """Scores facts by the requests that are like this one: a kernel vote over the hand-written topics."""

    def __init__(self, embed: Embed) -> None:
        self._embed = embed
        self._guesser = KindGuesser(embed)
        self._examples: Any = None
        self._votes: Any = None
        self._column = {kind: index for index, kind in enumerate(sorted(known_kinds()))}

    def needs(self, request: str) -> dict[str, float]:
        """How likely each known kind of fact helps with this request, 0 to 1."""
        vector = self._embed([request])[0]
        return self._needs(vector)

    def kind_of(self, fact: Fact) -> str:
        """The fact's kind as the topics call it; guessed from its text when its own kind is not known."""
        return known_kind(fact.kind) or self._guesser.guess(fact.text)

    def scores(self, request: str, facts: Sequence[Fact]) -> list[float]:
        """One score a fact, 0 to 1. A fact of a kind that no topic knows counts by its own text's nearness."""
        if not facts:
            return []
        vectors = self._embed([request, *(fact.text for fact in facts)])
        if not vectors[0].any():
            return [0.0] * len(facts)
        needs = self._needs(vectors[0])
        return [self._score(fact, needs, float(vectors[0] @ row)) for fact, row in zip(facts, vectors[1:], strict=True)]

    def _score(self, fact: Fact, needs: dict[str, float], nearness: float) -> float:
        kind = self.kind_of(fact)
        if kind in needs:
            return min(1.0, needs[kind] + (_NEARBY_BONUS if kind == "poi" else 0.0))
        return min(1.0, max(0.0, (nearness - _TEXT_FLOOR) / (_TEXT_FULL - _TEXT_FLOOR)))

    def _needs(self, vector: Any) -> dict[str, float]:
        import numpy as np

        self._prepare()
        weights = np.exp(SHARPNESS * (self._examples @ vector))
        shares = (weights @ self._votes) / weights.sum()
        return {kind: float(shares[index]) for kind, index in self._column.items()}

    def _prepare(self) -> None:
        """Embed the topics once, on first use (10 ms)."""
        if self._examples is not None:
            return
        import numpy as np

        pairs = [(example, topic.kinds) for topic in topics() for example in topic.requests]
        self._votes = np.array([[kind in kinds for kind in self._column] for _, kinds in pairs], dtype=np.float32)
        self._examples = self._embed([example for example, _ in pairs])
