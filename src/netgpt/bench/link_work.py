"""What the link lab asks: three kinds of requests in a steady stream, each with its deadline and its known quality.

Quality is a table, not a judgement: how often an answer of this side would do, as if it had been measured. The routing
benchmark is about how well a box knows such chances; here they are the same for all ways.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

__all__ = ["ALL_KINDS", "KINDS", "Kind", "TimedRequest", "arrivals"]


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of request."""

    share: float
    """Of all requests."""
    deadline_s: float
    answer_tokens: int
    quality: Mapping[str, float]
    """The chance that an answer of "edge" or "cloud" does."""
    opening: str
    """The words that say what is wanted."""
    extra_words: int = 0
    """Length of the text that is sent along."""


KINDS: Mapping[str, Kind] = {
    "chat": Kind(0.5, 2.5, 24, {"edge": 0.9, "cloud": 0.95}, "What is a good name for a kitten?"),
    "code": Kind(
        0.3, 4.5, 48, {"edge": 0.35, "cloud": 0.93}, "Write a Python function that checks this table:\n", 1500
    ),
    "document": Kind(
        0.2, 7.0, 48, {"edge": 0.55, "cloud": 0.93}, "Summarize this report about the harbour in five lines:\n", 4000
    ),
}
"""Some 10 KB of text go with code, 28 KB with a document."""
NOTE = Kind(1.0, 2.0, 8, {"edge": 0.55, "cloud": 0.93}, "Summarize this note about the harbour in one line:\n", 850)
"""What is asked while the link changes in steps: light enough for the edge to take every one, 6 KB each."""
ALL_KINDS: Mapping[str, Kind] = {**KINDS, "note": NOTE}
_WORDS = (  # noqa: SIM905
    "harbour bread lamp garden ticket window river candle kettle market bridge winter paper engine orchard signal "
    "carpet island needle pocket saddle tunnel violin wagon"
).split()


@dataclass(frozen=True, slots=True)
class TimedRequest:
    """One request, to be sent `at_s` seconds after the start."""

    at_s: float
    kind: str
    text: str
    max_tokens: int
    deadline_s: float

    @property
    def body(self) -> dict[str, Any]:
        return {
            "messages": [{"role": "user", "content": self.text}], "stream": True, "max_tokens": self.max_tokens
        }  # fmt: skip


def arrivals(seconds: float, rate: float, seed: int, kinds: Sequence[str] = tuple(KINDS)) -> list[TimedRequest]:
    """`rate` requests a second, evenly spaced but for a third of a gap either way; the same for the same seed."""
    rng = random.Random(seed)
    gap = 1 / rate
    shares = [ALL_KINDS[name].share for name in kinds]
    asked = []
    for number in range(int(seconds * rate)):
        at = (number + 0.5 + rng.uniform(-1 / 3, 1 / 3)) * gap
        asked.append(_request(at, rng.choices(kinds, shares)[0]))
    return asked


def _request(at_s: float, name: str) -> TimedRequest:
    """The same words for every request of a kind: when the arm changes, it was not for the text."""
    kind = ALL_KINDS[name]
    words = islice(cycle(_WORDS), kind.extra_words)
    return TimedRequest(at_s, name, kind.opening + " ".join(words), kind.answer_tokens, kind.deadline_s)
