"""How likely each fact helps with a request, from embeddings alone (under 1 ms)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from netgpt.completion.cues import cued_kinds
from netgpt.completion.kinds import Embed, KindGuesser, known_kind
from netgpt.completion.topics import known_kinds, topics
from netgpt.types import Fact

__all__ = ["Shortlist"]

SHARPNESS = 15.0
"""How much nearer examples count more: the weight of an example is exp(SHARPNESS * cosine).

Tuned together with the cut in `select.py` on the development files of CLINC150, SLURP and SNIPS (see docs/log.md).
"""
UNKNOWN = "other"
"""The kind of a fact when nobody said."""
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

    def scores(self, request: str, facts: Sequence[Fact], needs: Mapping[str, float] | None = None) -> list[float]:
        """One score a fact, 0 to 1. A fact of a kind that no topic knows counts by its own text's nearness.

        `needs`: how likely each kind helps, when the edge model has said so; else the topics vote.
        """
        if not facts:
            return []
        vectors = self._embed([request, *(fact.text for fact in facts)])
        if needs is None:
            if not vectors[0].any():
                return [0.0] * len(facts)
            needs = self._needs(vectors[0])
        needs = {kind: 1.0 if kind in cued_kinds(request) else share for kind, share in needs.items()}
        return [self._score(fact, needs, float(vectors[0] @ row)) for fact, row in zip(facts, vectors[1:], strict=True)]

    def _score(self, fact: Fact, needs: Mapping[str, float], nearness: float) -> float:
        kind = self.kind_of(fact)
        near = min(1.0, max(0.0, (nearness - _TEXT_FLOOR) / (_TEXT_FULL - _TEXT_FLOOR)))
        if kind not in needs:
            return near
        # A kind of somebody else's making ("furniture") says more than what its text was taken for.
        foreign = known_kind(fact.kind) is None and fact.kind != UNKNOWN
        need = min(1.0, needs[kind] + (_NEARBY_BONUS if kind == "poi" else 0.0))
        return max(need, near) if foreign else need

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
