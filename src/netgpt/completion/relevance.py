"""Which of the facts help with a request: a chance for each pair, by a network that has read both.

Request and fact are read apart by the sentence encoder with the delta of this task, so that a fact's vectors are made
once and kept. A head of 0.4 M numbers then lays the words of the two against one another (decomposable attention,
arXiv 1606.01933, with the means of both beside it). Among many facts a coarser score from the means alone decides which
are worth that. The weights were trained on cards of invented people, see `netgpt relevance train`.
"""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from netgpt.encoder import SentenceEncoder, gelu
from netgpt.errors import ModelUnavailable

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float32]

SHORTLIST: Final = 64
"""Facts that are looked at word by word; of more, those that the coarse score puts first."""
KEPT: Final = 4_096
"""Facts whose vectors are kept in memory, 4 KB each; the one not used for longest goes first."""
_FARTHEST: Final = -60.0
"""Of likenesses, below the greatest: no sum of a softmax is 0."""
FORM: Final = "relevance."
"""Names of the head's arrays begin so in the file of the delta."""


_ARRAYS: Final = (
    *(f"{side}.{name}" for side in ("request", "fact") for name in (
        "words.w", "words.b", "mean.w", "mean.b", "own", "other", "both", "b",
    )),
    "out.w1", "out.b1", "out.w2", "out.b2", "coarse", "calibration",
)  # fmt: skip
_UNTOLD: Final = frozenset({"", "other", "given", "fact", "note"})


def fact_text(kind: str, text: str) -> str:
    """A fact as the model reads it: behind its kind, where that tells something.

    >>> fact_text("car", "Skoda Fabia, diesel"), fact_text("other", "rows on Sundays")
    ('car: Skoda Fabia, diesel', 'rows on Sundays')
    """
    return text if kind in _UNTOLD else f"{kind}: {text}"


@dataclass(frozen=True, slots=True)
class TextVectors:
    """What the head needs of one text: its words (pieces, width of the head), their mean (384, a unit row), and the
    mean as the coarse score sees it. Of a private text they are as private as the text."""

    words: Array
    mean: Array
    coarse: Array


class Relevance:
    """`relevance(request, facts)` -> the chance of each fact that it helps, 0 to 1. Safe in several threads.

    Raises ModelUnavailable when the weights cannot be read, at the first use.
    """

    def __init__(self, encoder: SentenceEncoder, *, kept: int = KEPT) -> None:
        """`encoder`: with the delta of this task, whose file holds the head, too."""
        self._encoder, self._most = encoder, kept
        self._kept: OrderedDict[str, TextVectors] = OrderedDict()
        self._lock = threading.Lock()
        self._arrays: Mapping[str, Any] = {}

    def load(self) -> None:
        """Read the weights; does nothing the second time."""
        import numpy as np

        beside = self._encoder.beside
        arrays = {name.removeprefix(FORM): np.asarray(each, np.float32) for name, each in beside.items()}
        if missing := [name for name in _ARRAYS if name not in arrays]:
            raise ModelUnavailable(
                f"{self._encoder.delta}: cannot be used: relevance.{missing[0]} is missing. Reinstall netgpt."
            )
        self._arrays = arrays

    def __call__(self, request: str, facts: Sequence[str]) -> Array:
        """One chance a fact. 20 new facts take about 60 ms of one core, known ones 10."""
        import numpy as np

        if not facts:
            return np.zeros(0, np.float32)
        known = self.vectors_of(facts)
        asked = self._read([request], "request")[0]
        coarse = self._coarse(asked, known)
        if len(facts) <= SHORTLIST:
            logits = self._logits(asked, known)
        else:
            first = np.argpartition(-coarse, SHORTLIST)[:SHORTLIST]
            logits = np.full(len(facts), -20.0, np.float32)
            logits[first] = self._logits(asked, [known[i] for i in first])
        slope, offset = self._head("calibration")
        chances: Array = 1 / (1 + np.exp(-(slope * logits + offset)))
        return chances

    def vectors_of(self, facts: Sequence[str]) -> list[TextVectors]:
        """The vectors of facts, from memory where they are."""
        with self._lock:
            found = {text: self._kept[text] for text in facts if text in self._kept}
        new = [text for text in dict.fromkeys(facts) if text not in found]
        if new:
            found.update(zip(new, self._read(new, "fact"), strict=True))
        with self._lock:
            for text in facts:
                self._kept[text] = found[text]
                self._kept.move_to_end(text)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return [found[text] for text in facts]

    def forget(self) -> None:
        """Drop all vectors of facts."""
        with self._lock:
            self._kept.clear()

    def _head(self, name: str) -> Any:
        if not self._arrays:
            self.load()
        return self._arrays[name]

    def _read(self, texts: Sequence[str], side: str) -> list[TextVectors]:
        import numpy as np

        weight, bias = self._head(f"{side}.words.w"), self._head(f"{side}.words.b")
        coarse, coarse_bias = self._head(f"{side}.mean.w"), self._head(f"{side}.mean.b")
        found = []
        for hidden in self._encoder.tokens(texts):
            mean = hidden.mean(axis=0)
            mean /= np.linalg.norm(mean)
            found.append(TextVectors(hidden @ weight + bias, mean, mean @ coarse + coarse_bias))
        return found

    def _coarse(self, asked: TextVectors, known: Sequence[TextVectors]) -> Array:
        import numpy as np

        scale, cosine = self._head("coarse")
        means, coarse = np.stack([each.mean for each in known]), np.stack([each.coarse for each in known])
        score: Array = coarse @ asked.coarse * scale + means @ asked.mean * cosine
        return score

    def _logits(self, asked: TextVectors, known: Sequence[TextVectors]) -> Array:
        """The head, for one request and each of some facts: (facts,)."""
        import numpy as np

        longest, width = max(len(each.words) for each in known), asked.words.shape[1]
        facts = np.zeros((len(known), longest, width), np.float32)
        there = np.zeros((len(known), longest, 1), np.float32)
        for row, each in enumerate(known):
            facts[row, : len(each.words)] = each.words
            there[row, : len(each.words)] = 1
        likeness = facts @ asked.words.T / math.sqrt(width)  # (facts, words of a fact, words of the request)
        likeness = np.exp(np.maximum(likeness - likeness.max(axis=(1, 2), keepdims=True), _FARTHEST))
        of_fact = likeness * there
        of_fact /= of_fact.sum(axis=1, keepdims=True)
        of_request = likeness / likeness.sum(axis=2, keepdims=True)
        request = np.broadcast_to(asked.words, (len(known), *asked.words.shape))
        left = self._compared("request", request, of_fact.transpose(0, 2, 1) @ facts)
        right = self._compared("fact", facts, of_request @ asked.words)
        count = there.sum(axis=1)
        mean, coarse = np.stack([each.mean for each in known]), np.stack([each.coarse for each in known])
        features = np.concatenate(
            [
                left.mean(axis=1),
                left.max(axis=1),
                (right * there).sum(axis=1) / count,
                np.where(there > 0, right, -np.inf).max(axis=1),
                asked.coarse * coarse * 8,
                np.abs(asked.coarse - coarse),
                (mean @ asked.mean)[:, None],
            ],
            axis=1,
        )
        inner = gelu(features @ self._head("out.w1") + self._head("out.b1"))
        bias, cosine = self._head("out.b2")
        logits: Array = inner @ self._head("out.w2") + bias + cosine * features[:, -1]
        return logits

    def _compared(self, side: str, own: Array, other: Array) -> Array:
        """Each word beside what of the other text is like it."""
        compared = own @ self._head(f"{side}.own") + other @ self._head(f"{side}.other")
        compared += (own * other) @ self._head(f"{side}.both")
        compared += self._head(f"{side}.b")
        return gelu(compared)
