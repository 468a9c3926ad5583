"""How hard a request is, from its text alone: the chance that a small model's answer does as well as a large one's.

Surface features (`traits`, from regular expressions) and the mean of public static word vectors go to small experts for
kinds of requests: kernel machines over landmarks, weighed by a softmax gate. Pure numpy, about a millisecond for 2,000
characters. `netgpt route train` makes the model; `NAMES` is part of its file's shape and checked when it is read.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netgpt.errors import SettingsError

LONGEST = 6_000  # characters that are read: of a longer text the first two thirds and the last third of these

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


def clipped(text: str) -> str:
    """The part of a text that is read, so that a very long one costs no more than `LONGEST` characters.

    Halves of characters (lone surrogates), which JSON lets through, become question marks.
    """
    if len(text) > LONGEST:
        tail = LONGEST // 3
        text = text[: LONGEST - tail] + text[-tail:]
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


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
EMBEDDING = 0.7  # weight of the two mean word vectors beside the traits, which together have length one on average
_EXTREME = 5.0  # standard deviations beyond which a trait counts no more


_TOO_LITTLE = 0.01  # a kind that a text resembles less is not asked: most texts need one expert


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


@dataclass(frozen=True)
class Gate:
    """Which kind of request a text looks like: a softmax over its traits."""

    mean: Array
    spread: Array
    weights: Array  # (traits, kinds)
    bias: Array

    def shares(self, outside: Array) -> Array:
        """How much of each kind: (rows, kinds), each row sums to one."""
        logits = Scale(self.mean, self.spread).of(outside) @ self.weights + self.bias
        shares = np.exp(logits - logits.max(axis=1, keepdims=True))
        shares = shares / shares.sum(axis=1, keepdims=True)
        shares = np.where(shares < _TOO_LITTLE, 0, shares)
        normal: Array = (shares / shares.sum(axis=1, keepdims=True)).astype(np.float32)
        return normal

    def arrays(self) -> dict[str, Array]:
        """As they are written to a file."""
        return {f"gate.{field.name}": getattr(self, field.name) for field in fields(self)}

    @classmethod
    def read(cls, arrays: Mapping[str, Array]) -> Gate:
        """From a file's arrays. Raises KeyError when one is missing."""
        return cls(**{field.name: arrays[f"gate.{field.name}"] for field in fields(cls)})


SHIPPED = Path(__file__).parent / "shipped" / "difficulty.safetensors"
Embedder = Callable[[Sequence[str]], "NDArray[np.float32]"]
"""Texts in, unit rows out: `netgpt.word_pieces.StaticEmbedder`."""


_REMEDY = "reinstall netgpt, or train one with `netgpt route train`"
_SHOWN = (
    "characters", "words", "numbers", "options", "word length", "latex", "code", "fence", "condition", "question word",
)  # fmt: skip
"""Traits that the learner sees."""
_BATCH = 512
_BOUND = 3.0


class Difficulty:
    """Thread-safe: nothing changes after it was made. Raises SettingsError when `arrays` lack something."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]], embed: Embedder, card: Mapping[str, Any]) -> None:
        whole = {name: array.astype("float32") for name, array in arrays.items()}
        kinds = list(card.get("kinds", ()))
        try:
            self._gate = Gate.read(whole)
            self._experts = [Expert.read(kind, whole) for kind in kinds]
            self._curves = [whole[f"{kind}.chance"] for kind in kinds]
        except KeyError as error:
            raise SettingsError(f"the model of difficulty lacks {error}: {_REMEDY}") from None
        self._embed = embed
        self._shown = [NAMES.index(name) for name in _SHOWN]
        self.card = card  # what the file was made from, and what it reached

    @classmethod
    def shipped(cls, embed: Embedder | None = None) -> Difficulty:
        """The model that comes with NetGPT. Raises SettingsError when its file is damaged."""
        return cls.load(SHIPPED, embed)

    @classmethod
    def load(cls, path: Path, embed: Embedder | None = None) -> Difficulty:
        """A model from `netgpt route train`, with its card beside it. Raises SettingsError when either is damaged."""
        from safetensors import SafetensorError
        from safetensors.numpy import load

        from netgpt.word_pieces import StaticEmbedder

        try:
            content = path.read_bytes()
            card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
            arrays = load(content)
        except (OSError, ValueError, SafetensorError) as error:
            why = getattr(error, "strerror", None) or type(error).__name__
            raise SettingsError(f"the model of difficulty cannot be read from {path} ({why}): {_REMEDY}") from None
        if not isinstance(card, dict) or sha256(content).hexdigest() != card.get("sha256"):
            raise SettingsError(f"the model of difficulty in {path} is not the one its card tells of: {_REMEDY}")
        if card.get("traits") != list(NAMES):
            raise SettingsError(f"the model of difficulty in {path} was made for another version: {_REMEDY}")
        return cls(arrays, embed or StaticEmbedder(), card)

    def p_edge_ok(self, text: str) -> float:
        """The chance, 0 to 1, that a small model's answer does as well as a large one's."""
        return float(self.p_edge_oks([text])[0])

    def p_edge_oks(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """The same for many texts: (n,)."""
        batches = [self._infer(texts[at : at + _BATCH])[0] for at in range(0, len(texts), _BATCH)]
        return np.concatenate(batches) if batches else np.zeros(0, dtype=np.float32)

    def x(self, text: str) -> tuple[float, ...]:
        """Twelve numbers for the learner, each -3 to 3: hardness and what the text looks like. No text can be read
        from them."""
        return self.assess(text)[1]

    def assess(self, text: str) -> tuple[float, tuple[float, ...]]:
        """`p_edge_ok` and `x` of a text, for little more than the price of one."""
        chances, gains, scaled = self._infer([text])
        chance = float(chances[0])
        logit = np.log(max(chance, 1e-6) / max(1 - chance, 1e-6)) / 2
        numbers = (logit, 5 * gains[0], *(scaled[0, self._shown] * np.sqrt(len(NAMES))))
        return chance, tuple(max(-_BOUND, min(_BOUND, float(number))) for number in numbers)

    def _infer(self, texts: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Chances, expected gains and scaled traits of texts."""
        outside, vectors = features_of(texts, self._embed)
        shares = self._gate.shares(outside)
        gains, chances = np.zeros(len(texts), dtype=np.float32), np.zeros(len(texts), dtype=np.float32)
        for share, expert, (level, slope) in zip(shares.T, self._experts, self._curves, strict=True):
            asked = np.flatnonzero(share)
            if len(asked):
                gain = expert.gain(outside[asked], vectors[asked])
                gains[asked] += share[asked] * gain
                chances[asked] += share[asked] / (1 + np.exp(-np.clip(level - slope * gain, -30, 30)))
        scaled = Scale(self._gate.mean, self._gate.spread).of(outside)
        return chances.clip(0, 1), gains, scaled
