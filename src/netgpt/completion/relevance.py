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
from netgpt.wording.gloss import digest, in_english

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float32]

SHORTLIST: Final = 64
"""Facts that are looked at word by word; of more, those that the coarse score puts first."""
KEPT_BYTES: Final = 24_000_000
"""Vectors of facts that are kept in memory, about 6 KB a fact; those not used for longest go first."""
_OVERHEAD: Final = 700
"""Bytes of what holds the vectors of one fact."""
MOST_CHARACTERS: Final = 2_000
"""Of a fact; far more than the encoder reads."""
KINDS: Final[Mapping[str, str]] = {
    word: kind
    for kind, words in {
        "allergy": "allergy intolerance",
        "budget": "budget",
        "car": "car vehicle",
        "cuisine": "cuisine taste food",
        "diet": "diet vegan vegetarian halal kosher",
        "family": "family children kids partner",
        "hobby": "hobby hobbies",
        "music": "music",
        "pet": "pet pets dog cat",
        "place": "place location",
        "time": "time date",
        "work": "work job employer",
    }.items()
    for word in words.split()
}
"""Common kinds of facts, and other words for them: how likely a request needs one is learnt from many more requests
than there are facts, and counts beside what the fact itself says. Any other kind counts by the fact alone."""
NEEDED: Final = tuple(sorted(set(KINDS.values())))
KIND_SHARE: Final = 0.4
"""Of the logit of a fact of such a kind."""
_TELLS_NOTHING: Final = frozenset(
    ("other", "note", "notes", "fact", "facts", "misc", "general", "info", "unknown", "profile", "user", "poi")
)
_FARTHEST: Final = -60.0
"""Of likenesses, below the greatest: no sum of a softmax is 0."""
FORM: Final = "relevance."
"""Names of the head's arrays begin so in the file of the delta."""


def wording(kind: str, text: str) -> str:
    """A fact as the model reads it, in training and in use: after its kind, where that is a telling word.

    >>> wording("diet", "Eats no meat."), wording("note", "Eats no meat.")
    ('diet: Eats no meat.', 'Eats no meat.')
    """
    text, kind = " ".join(text[:MOST_CHARACTERS].split()), kind.strip().casefold()
    tells = kind.isalpha() and kind not in _TELLS_NOTHING and not text.casefold().startswith(f"{kind}:")
    return f"{kind}: {text}" if text and tells else text


@dataclass(frozen=True, slots=True)
class TextVectors:
    """What the head needs of one text: its words (pieces, width of the head), their mean (384, a unit row), and the
    mean as the coarse score sees it; float16. Of a private text they are as private as the text."""

    words: NDArray[np.float16]
    mean: NDArray[np.float16]
    coarse: NDArray[np.float16]

    @property
    def nbytes(self) -> int:
        """Bytes in memory."""
        return self.words.nbytes + self.mean.nbytes + self.coarse.nbytes + _OVERHEAD

    def packed(self) -> bytes:
        """As bytes, to be kept: see `Relevance.unpacked`."""
        return self.coarse.tobytes() + self.mean.tobytes() + self.words.tobytes()


class Relevance:
    """`relevance(request, facts)` -> the chance of each fact that it helps, 0 to 1. Safe in several threads.

    Raises ModelUnavailable when the weights cannot be read, at the first use.
    """

    def __init__(self, encoder: SentenceEncoder, *, kept_bytes: int = KEPT_BYTES) -> None:
        """`encoder`: with the delta of this task, whose file holds the head, too."""
        self._encoder, self._most = encoder, kept_bytes
        self._kept: OrderedDict[str, TextVectors] = OrderedDict()
        self._bytes = self.forgotten = 0
        self._lock = threading.Lock()

    def load(self) -> None:
        """Read the weights, and see that they work; does nothing the second time that is felt."""
        import numpy as np

        self._encoder.load()
        try:
            with np.errstate(all="ignore"):
                facts = self.read(["a b"]) * len(NEEDED)
                fine = bool(np.isfinite(self.chances("a", facts, NEEDED)).all())
        except (KeyError, ValueError, IndexError, TypeError):
            fine = False
        if not fine:
            raise ModelUnavailable(f"{self._encoder.delta}: holds no head that chooses facts. Reinstall netgpt.")

    @property
    def identity(self) -> str:
        """A digest of all that the vectors of a text depend on: those of another one mean nothing here."""
        return f"{self._encoder.identity}-{digest()}"

    def __call__(self, request: str, facts: Sequence[str], kinds: Sequence[str] = ()) -> Array:
        """One chance a fact. 20 new facts take about 100 ms of one core, known ones 15. `kinds`: of the facts."""
        return self.chances(request, self.vectors_of(facts), kinds)

    def chances(self, request: str, facts: Sequence[TextVectors], kinds: Sequence[str] = ()) -> Array:
        """The same of facts that were read before."""
        import numpy as np

        return self.chances_of(self._read([request], "request")[0], facts, kinds) if facts else np.zeros(0, np.float32)

    def chances_of(self, asked: TextVectors, known: Sequence[TextVectors], kinds: Sequence[str] = ()) -> Array:
        """The same of a request that was read, too."""
        import numpy as np

        coarse = self._coarse(asked, known)
        if len(known) <= SHORTLIST:
            logits = self._logits(asked, known)
        else:
            first = np.argpartition(-coarse, SHORTLIST)[:SHORTLIST]
            logits = np.full(len(known), -20.0, np.float32)
            logits[first] = self._logits(asked, [known[i] for i in first])
        slope, offset = self._head("calibration")
        logits = slope * logits + offset
        common = [(at, KINDS[kind]) for at, kind in enumerate(kinds) if kind in KINDS]
        if common:
            needs = self._needs(asked)
            at, need = [at for at, _ in common], [needs[NEEDED.index(kind)] for _, kind in common]
            logits[at] = (1 - KIND_SHARE) * logits[at] + KIND_SHARE * np.array(need, np.float32)
        chances: Array = 1 / (1 + np.exp(-logits))
        return chances

    def vectors_of(self, facts: Sequence[str]) -> list[TextVectors]:
        """The vectors of facts, from memory where they are."""
        found, since = self.ready(facts), self.forgotten
        new = [text for text in dict.fromkeys(facts) if text not in found]
        if new:
            read = dict(zip(new, self.read(new), strict=True))
            found |= read
            self.keep(read, since)
        return [found[text] for text in facts]

    def read(self, facts: Sequence[str]) -> list[TextVectors]:
        """The vectors of facts, made anew and not kept."""
        return self._read(facts, "fact")

    def ready(self, facts: Sequence[str]) -> dict[str, TextVectors]:
        """The vectors that are in memory, by text."""
        found = {}
        with self._lock:
            for text in facts:
                vectors = self._kept.get(text)
                if vectors is not None:
                    found[text] = vectors
                    self._kept.move_to_end(text)
        return found

    def keep(self, vectors: Mapping[str, TextVectors], since: int) -> None:
        """Keep them in memory, by text. `since`: `forgotten` before they were made; not kept when it has changed."""
        with self._lock:
            for text, each in vectors.items() if since == self.forgotten else ():
                known = self._kept.pop(text, None)
                self._bytes += each.nbytes - (known.nbytes if known is not None else 0)
                self._kept[text] = each
            while self._bytes > self._most:
                self._bytes -= self._kept.popitem(last=False)[1].nbytes

    def forget(self) -> None:
        """Drop all vectors of facts."""
        with self._lock:
            self._kept.clear()
            self._bytes = 0
            self.forgotten += 1

    def unpacked(self, data: bytes) -> TextVectors:
        """What `TextVectors.packed` made with the same weights. Raises ValueError: of another size."""
        import numpy as np

        numbers = np.frombuffer(data, np.float16)
        coarse, mean = self._head("fact.mean.w").shape[1], self._encoder.width
        width = self._head("fact.words.w").shape[1]
        words = numbers[coarse + mean :].reshape(-1, width)
        if not len(words):
            raise ValueError("too short for the vectors of a text")
        return TextVectors(words, numbers[coarse : coarse + mean], numbers[:coarse])

    def _head(self, name: str) -> Any:
        head: Mapping[str, Any] = self._encoder.beside
        return head[FORM + name]

    def _read(self, texts: Sequence[str], side: str) -> list[TextVectors]:
        import numpy as np

        weight, bias = self._head(f"{side}.words.w"), self._head(f"{side}.words.b")
        coarse, coarse_bias = self._head(f"{side}.mean.w"), self._head(f"{side}.mean.b")
        found = []
        for hidden in self._encoder.tokens([in_english(text) for text in texts]):
            mean = hidden.mean(axis=0)
            mean /= np.linalg.norm(mean)
            parts = (hidden @ weight + bias, mean, mean @ coarse + coarse_bias)
            found.append(TextVectors(*(part.astype(np.float16) for part in parts)))
        return found

    def _needs(self, asked: TextVectors) -> Array:
        """Logits that the request needs a fact of each of the kinds NEEDED."""
        mean = _single(asked.mean) * math.sqrt(asked.mean.size)
        inner = gelu((mean @ self._head("need.w1") + self._head("need.b1"))[None])[0]
        found: Array = inner @ self._head("need.w2") + self._head("need.b2")
        return found

    def _coarse(self, asked: TextVectors, known: Sequence[TextVectors]) -> Array:
        scale, cosine = self._head("coarse")
        means, coarse = _stacked([each.mean for each in known]), _stacked([each.coarse for each in known])
        score: Array = coarse @ _single(asked.coarse) * scale + means @ _single(asked.mean) * cosine
        return score

    def _logits(self, asked: TextVectors, known: Sequence[TextVectors]) -> Array:
        """The head, for one request and each of some facts: (facts,)."""
        import numpy as np

        words, asked_mean, asked_coarse = _single(asked.words), _single(asked.mean), _single(asked.coarse)
        longest, width = max(len(each.words) for each in known), words.shape[1]
        facts = np.zeros((len(known), longest, width), np.float32)
        there = np.zeros((len(known), longest, 1), np.float32)
        for row, each in enumerate(known):
            facts[row, : len(each.words)] = each.words
            there[row, : len(each.words)] = 1
        likeness = facts @ words.T / math.sqrt(width)  # (facts, words of a fact, words of the request)
        likeness = np.exp(np.maximum(likeness - likeness.max(axis=(1, 2), keepdims=True), _FARTHEST))
        of_fact = likeness * there
        of_fact /= of_fact.sum(axis=1, keepdims=True)
        of_request = likeness / likeness.sum(axis=2, keepdims=True)
        request = np.broadcast_to(words, (len(known), *words.shape))
        left = self._compared("request", request, of_fact.transpose(0, 2, 1) @ facts)
        right = self._compared("fact", facts, of_request @ words)
        count = there.sum(axis=1)
        mean, coarse = _stacked([each.mean for each in known]), _stacked([each.coarse for each in known])
        features = np.concatenate(
            [
                left.mean(axis=1),
                left.max(axis=1),
                (right * there).sum(axis=1) / count,
                np.where(there > 0, right, -np.inf).max(axis=1),
                asked_coarse * coarse * 8,
                np.abs(asked_coarse - coarse),
                (mean @ asked_mean)[:, None],
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


def _single(x: NDArray[np.float16]) -> Array:
    import numpy as np

    return x.astype(np.float32)


def _stacked(rows: Sequence[NDArray[np.float16]]) -> Array:
    import numpy as np

    return np.stack(rows).astype(np.float32)
