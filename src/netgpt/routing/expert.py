"""An expert of one's own: what a large model's answer is worth more than a small one's, learnt from labelled requests.

Surface features (`traits`, from regular expressions) and the mean of public static word vectors go to a kernel machine
over landmarks. It is right about requests like those that it learnt from, and about no others: what ships is the table
of `netgpt.routing.difficulty`. `netgpt route train` makes one; `NAMES` is part of its file's shape and checked when it
is read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netgpt.asked import clipped

_WORD = re.compile(r"[A-Za-z']+")
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
_OPTION = re.compile(r"\n\(?[A-J][.):] ?([^\n]*)")
_FIRST_OPTION = re.compile(r"\n\(?A[.):]")
_DIGITS, _SIGN, _CAPITAL = re.compile(r"[0-9]"), re.compile(r"[^\w\s]"), re.compile(r"[A-Z]")
_LONGEST_NUMBER = 12
_PLAIN_NUMBER = re.compile(r"[-\d.,$%/ ]+")
_WORDS = {
    "negation": "not except never no none neither nor least cannot false incorrect",
    "question word": "which what who when where why how",
    "code": "def function python list string array return",
    "fraction": "half third thirds quarter twice double triple times",
    "rate": "ratio average mean median probability rate per each every percent",
    "comparison": "more less fewer than older younger longer shorter most least greater",
    "time": "hour hours minute minutes day days week weeks month months year years morning afternoon evening today "
    "yesterday",
    "money": "dollar dollars cent cents cost costs price pay paid profit sell sold buy bought",
    "condition": "if unless suppose assume then after before while until instead remaining left rest",
    "statement": "statement statements only both",
    "roman": "ii iii iv",
}
"""Words of a kind, counted together."""
_SIGNS = {
    "operator": "=+*/^<>\\",
    "dollar": "$",
    "percent": "%",
    "quote": '"“”',
    "bracket": "()[]",
    "comma": ",",
    "colon": ":;",
    "line": "\n",
    "full stop": ".!",
    "question mark": "?",
}
_FORMS = {
    "latex": re.compile(r"\\[a-z]+"),
    "fraction of digits": re.compile(r"\d/\d"),
    "blank": re.compile(r"__+"),
    "name": re.compile(r"[a-z,] [A-Z][a-z]"),
    "year": re.compile(r"\b(?:1[5-9]|20)\d\d\b"),
    "fence": re.compile(r"```|\n    "),
    "of the above": re.compile(r"of the above"),
}
_KIND_OF: dict[str, list[int]] = {}
for _kind, _listed in enumerate(_WORDS.values()):
    for _word in _listed.split():
        _KIND_OF.setdefault(_word, []).append(_kind)
_COUNTED = [*_WORDS, *_SIGNS, *_FORMS]
_SHAPE = [
    "characters", "words", "numbers", "options", "option length", "option spread", "option range", "stem characters",
    "stem words", "word length", "share of long words", "share of digits", "share of signs", "share of capitals",
    "share of different words", "longest number", "share of different numbers", "decimals", "share beyond ascii",
    "options are numbers", "ends with a question", "asks for the answer",
]  # fmt: skip
NAMES = (*_SHAPE, *_COUNTED, *(f"density of {name}" for name in _COUNTED))  # what each number is, in order


def stem_of(text: str) -> str:
    """The question without its lettered options; all of a text that has none."""
    first = _FIRST_OPTION.search(text)
    return text[: first.start()] if first else text


def traits(text: str) -> list[float]:
    """One number for each of `NAMES`. Any text will do; the caller clips it."""
    words = _WORD.findall(text)
    log_words = max(1.0, math.log1p(len(words)))
    counts = [math.log1p(count) for count in _counts(text, words)]
    return [*_shape(text, words), *counts, *(count / log_words for count in counts)]


def _counts(text: str, words: Sequence[str]) -> list[int]:
    """How often each of the counted things occurs: words, signs, forms."""
    kinds = [0] * len(_WORDS)
    for word in words:
        for kind in _KIND_OF.get(word.lower(), ()):
            kinds[kind] += 1
    signs = [sum(map(text.count, listed)) for listed in _SIGNS.values()]
    return [*kinds, *signs, *(len(form.findall(text)) for form in _FORMS.values())]


def _shape(text: str, words: Sequence[str]) -> list[float]:
    numbers = _NUMBER.findall(text)
    options = _OPTION.findall(text)
    stem = stem_of(text)
    size, count = max(1, len(text)), max(1, len(words))
    lengths = [len(option) for option in options] or [0]
    mean = sum(lengths) / len(lengths)
    spread = math.sqrt(sum((length - mean) ** 2 for length in lengths) / len(lengths))
    stem_words = stem.count(" ") + 1
    return [
        *map(math.log1p, (len(text), len(words), len(numbers))),
        float(len(options)),
        *map(math.log1p, (mean, spread, max(lengths) - min(lengths), len(stem), stem_words)),
        sum(map(len, words)) / count,
        sum(len(word) > 8 for word in words) / count,
        len(_DIGITS.findall(text)) / size,
        len(_SIGN.findall(text)) / size,
        len(_CAPITAL.findall(text)) / size,
        len({word.lower() for word in words}) / count,
        float(min(_LONGEST_NUMBER, max(map(len, numbers), default=0))),
        len(set(numbers)) / max(1, len(numbers)),
        math.log1p(sum("." in number for number in numbers)),
        0.0 if text.isascii() else sum(letter > "\x7f" for letter in text) / size,
        float(bool(options) and all(_PLAIN_NUMBER.fullmatch(option or " ") for option in options)),
        float(text.rstrip().endswith("?")),
        float("Answer:" in text[-10:]),
    ]


Array = NDArray[np.float32]
Embedder = Callable[[Sequence[str]], "NDArray[np.float32]"]
"""Texts in, unit rows out: `netgpt.word_pieces.StaticEmbedder`."""
EMBEDDING = 0.7  # weight of the two mean word vectors beside the traits, which together have length one on average
_EXTREME = 5.0  # standard deviations beyond which a trait counts no more


def features_of(texts: Sequence[str], embed: Any) -> tuple[Array, Array]:
    """Traits (n, len(NAMES)), not scaled, and the word vectors of each text and of its stem (n, 2 x 256)."""
    texts = [clipped(text) for text in texts]
    stems = [stem_of(text) for text in texts]
    outside = np.array([traits(text) for text in texts], dtype=np.float32).reshape(len(texts), len(NAMES))
    whole = embed(texts)
    parts = whole if stems == texts else embed(stems)
    return outside, np.hstack([whole, parts]).astype(np.float32)


def nearness(rows: Array, landmarks: Array, gamma: float) -> Array:
    """The Gaussian kernel exp(-gamma |a - b|^2): (rows, landmarks)."""
    apart = (rows**2).sum(axis=1)[:, None] + (landmarks**2).sum(axis=1) - 2 * rows @ landmarks.T
    near: Array = np.exp(-gamma * np.maximum(apart, 0), dtype=np.float32)
    return near


@dataclass(frozen=True)
class Scale:
    """Mean and spread of the traits of one kind of request."""

    mean: Array
    spread: Array

    def of(self, outside: Array) -> Array:
        """Standard deviations from the mean, extremes cut, as long as one in all."""
        scaled: Array = np.clip((outside - self.mean) / self.spread, -_EXTREME, _EXTREME) / np.sqrt(len(NAMES))
        return scaled

    @classmethod
    def learnt(cls, outside: Array) -> Scale:
        """The scale of these rows."""
        return cls(outside.mean(axis=0), outside.std(axis=0) + np.float32(1e-3))


@dataclass(frozen=True)
class Expert:
    """What a large model's answer is worth more than a small one's, for one kind of request."""

    mean: Array
    spread: Array
    axes: Array  # (features, axes)
    centre: Array
    landmarks: Array  # (landmarks, axes)
    weights: Array  # one a landmark
    curve: Array  # (gamma, bias)

    def gain(self, outside: Array, vectors: Array) -> Array:
        """Expected score of the large model less that of the small one, a row each."""
        near = nearness(self.placed(outside, vectors), self.landmarks, float(self.curve[0]))
        gain: Array = near @ self.weights + self.curve[1]
        return gain

    def placed(self, outside: Array, vectors: Array) -> Array:
        """The rows on the expert's axes."""
        features = np.hstack([Scale(self.mean, self.spread).of(outside), EMBEDDING * vectors])
        placed: Array = features @ self.axes - self.centre
        return placed

    def arrays(self, name: str) -> dict[str, Array]:
        """As they are written to a file."""
        return {f"{name}.{field.name}": getattr(self, field.name) for field in fields(self)}

    @classmethod
    def read(cls, name: str, arrays: Mapping[str, Array]) -> Expert:
        """From a file's arrays. Raises KeyError when one is missing."""
        return cls(**{field.name: arrays[f"{name}.{field.name}"] for field in fields(cls)})
