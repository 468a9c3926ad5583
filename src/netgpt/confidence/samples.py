"""Second opinions: how far short answers of the same model agree with the one that is judged.

A model that knows says the same each time, one that guesses does not. Costs more answers, so only where there is time;
moves the chance of an answer that no check settled.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from netgpt.confidence.features import logit
from netgpt.confidence.sums import numbers_in
from netgpt.confidence.words import without_claims, words_in
from netgpt.judgement import Confidence

_SHORT: Final = 12
"""Words up to which an answer is compared by all of them; of longer ones the numbers and the telling words count."""
_MOVES: Final = 1.5
"""By so much the logit moves from no agreement to a whole one, half of it to each side."""
_LITTLE: Final = frozenset(
    [
        "the",
        "a",
        "an",
        "is",
        "are",
        "was",
        "were",
        "be",
        "of",
        "to",
        "in",
        "on",
        "at",
        "and",
        "or",
        "that",
        "this",
        "it",
        "its",
        "for",
        "with",
        "by",
        "as",
        "from",
        "has",
        "have",
        "will",
        "can",
        "i",
        "you",
        "he",
        "she",
        "they",
        "we",
        "der",
        "die",
        "das",
        "ist",
        "ein",
        "eine",
        "und",
        "le",
        "la",
        "les",
        "est",
        "un",
        "une",
        "et",
        "el",
        "los",
        "es",
        "de",
    ]
)


def agrees(one: str, other: str) -> float:
    """How far two answers say the same, 0 to 1: by their last numbers where both have some, else by their words.

    >>> agrees("It is 42.", "The result is 42"), agrees("Paris", "The capital is Paris."), agrees("Paris", "Rome")
    (1.0, 1.0, 0.0)
    """
    first, second = numbers_in(one), numbers_in(other)
    if first and second:
        return float(first[-1] == second[-1])
    said, also = _telling(one), _telling(other)
    if not said or not also:
        return float(said == also)
    return len(said & also) / min(len(said), len(also))


def _telling(text: str) -> frozenset[str]:
    return frozenset(word for word in words_in(without_claims(text))[: 5 * _SHORT] if word not in _LITTLE)


def agreement(answer: str, samples: Sequence[str]) -> float:
    """The mean of how far the samples agree with the answer; 0 where there are none."""
    return sum(agrees(answer, one) for one in samples) / len(samples) if samples else 0.0


def with_samples(told: Confidence, answer: str, samples: Sequence[str]) -> Confidence:
    """`told`, moved by the agreement. What a check proved stays; so does everything where there are fewer than two."""
    if len(samples) < 2 or told.wrong or not 0.0 < told.chance < 1.0:
        return told
    share = agreement(answer, samples)
    chance = 1 / (1 + math.exp(-(logit(told.chance) + _MOVES * (share - 0.5))))
    reason = "asked again it says the same" if share >= 0.5 else "asked again it says something else"
    return replace(told, chance=chance, reasons=(*told.reasons, reason))
