"""Which sort of request a text is: chances of some thirty sorts, finer than the kinds of `judgement.TASK_KINDS`.

Read of a text without its wrapper (`asked`): words of a kind in several languages (`sorts.toml`), its form, the mean of
public word vectors. A softmax over them, learnt from generated requests and public sets (`netgpt kinds train` of the
benchmarks), never from a benchmark of questions. Half a millisecond for a short text; the sentence encoder would add
four points on lines that it did not learn from, for far more time. Pure after it is read; safe in several threads.
"""

from __future__ import annotations

import json
import math
import re
import tomllib
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from netgpt.errors import SettingsError
from netgpt.judgement import UNKNOWN, TaskKind
from netgpt.sorts.asked import Asked, asked

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Array = NDArray[np.float32]

SHIPPED: Final = Path(__file__).with_name("sorts.safetensors")
_REMEDY: Final = "reinstall netgpt"
_WORD = re.compile(r"[^\W\d_]+(?:'[^\W\d_]+)?")
_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
_NAME = re.compile(r"(?<=[a-z,;] )[A-Z][a-z]")
_ACCENT = re.compile("[\u0300-\u036f]")
_BLANK = re.compile(r"__+")
_SUM = re.compile(
    r"\d\s*(?:[+*/×÷^=-]|x|plus|minus|times|divided by|mal|geteilt|fois|moins|por|mas|menos|per|piu|meno|keer|vezes)"
    r"\s*\(?-?\d|\d\s*%\s*(?:of|von|de|del|di)\b|percent of|square root|to the power"
)
_LATEX = re.compile(r"\\[a-z]{2,}|\$[^$\n]{1,200}\$|\w\^[\w{]")
_CODE = re.compile(
    r"[{};]\s*$|^\s*(?:def|class|import|from|for|while|if|return|public|const|let|var|#include|SELECT)\b.*[:;({]\s*$"
    r"|```|=>|::|\w\(\w*\)|==|!=|\+=",
    re.M,
)
_CONVERT = re.compile(
    r"\b(?:in|to|into) (?:miles|km|kilo\w*|kg|pounds|cm|inches|feet|met\w+|celsius|fahrenheit|litres?|gallons?|cups|ml"
    r"|ounces|grams|minutes|hours|yen|euros?|dollars?)\b"
)
_TOKEN = re.compile(r"\[([^\]]+)\]|(\S+)")
_MOST: Final = 2  # more of the same word says no more
_FORMS: Final = (
    "words", "characters", "numbers", "share of numbers", "options", "lines", "question", "names", "signs", "foreign",
    "word length", "few words", "long", "quotes", "colon", "small letter", "blank", "sum", "latex", "code",
    "conversion",
)  # fmt: skip
_EXTREME: Final = 4.0
FORM_WEIGHT: Final = 1.5  # of all words and forms beside the vectors, which have length one


@dataclass(frozen=True)
class _Lexicon:
    """`sorts.toml`, taken apart for a quick search."""

    names: tuple[str, ...]
    words: Mapping[str, tuple[int, ...]]
    starts: Mapping[str, tuple[int, ...]]
    lengths: tuple[int, ...]
    phrases: tuple[tuple[str, int], ...]


@lru_cache(1)
def _lexicon() -> _Lexicon:
    listed = tomllib.loads(_plain(Path(__file__).with_name("sorts.toml").read_text(encoding="utf-8")))
    words: dict[str, set[int]] = {}
    starts: dict[str, set[int]] = {}
    phrases = []
    for number, text in enumerate(listed.values()):
        for phrase, word in _TOKEN.findall(text):
            if phrase or not _WORD.fullmatch(word.removesuffix("*")) or word[0] > "\u2e80":
                phrases.append((phrase or word, number))
            elif word.endswith("*"):
                starts.setdefault(word[:-1], set()).add(number)
            else:
                words.setdefault(word, set()).add(number)
    return _Lexicon(
        tuple(listed), {word: tuple(sorted(of)) for word, of in words.items()},
        {word: tuple(sorted(of)) for word, of in starts.items()}, tuple(sorted({len(word) for word in starts})),
        tuple(phrases),
    )  # fmt: skip


def _plain(text: str) -> str:
    """Small letters without accents: many leave them out."""
    low = text.lower()
    return low if low.isascii() else _ACCENT.sub("", unicodedata.normalize("NFKD", low))


def names() -> tuple[str, ...]:
    """What each number of `form` is, in order."""
    return (*_lexicon().names, *_FORMS)


def form(one: Asked) -> list[float]:
    """One number for each of `names`, about 0 to 1."""
    text, lexicon = one.ends, _lexicon()
    low = _plain(text)
    words = _WORD.findall(low)
    counts = [0] * len(lexicon.names)
    for word in words:
        found = lexicon.words.get(word, ())
        for number in found or _started(word, lexicon):
            counts[number] += 1
    for phrase, number in lexicon.phrases:
        counts[number] += phrase in low
    return [*(min(_MOST, count) / _MOST for count in counts), *_shape(one, text, low, words)]


def _started(word: str, lexicon: _Lexicon) -> tuple[int, ...]:
    for length in lexicon.lengths:
        if length > len(word):
            break
        if (found := lexicon.starts.get(word[:length])) is not None:
            return found
    return ()


def _shape(one: Asked, text: str, low: str, words: Sequence[str]) -> list[float]:
    numbers, size, count = _NUMBER.findall(text), max(1, len(text)), max(1, len(words))
    return [
        math.log1p(len(words)) / 5,
        math.log1p(len(one.task)) / 8,
        math.log1p(len(numbers)) / 3,
        2 * min(1.0, len(numbers) / count),
        float(bool(one.options)),
        math.log1p(text.count("\n")) / 3,
        float(text.rstrip().endswith(("?", "？"))),
        4 * len(_NAME.findall(text)) / max(4, len(words)),
        8 * sum(map(text.count, "{}();=<>[]")) / size,
        0.0 if text.isascii() else 2 * sum(letter > "\x7f" for letter in text) / size,
        sum(map(len, words)) / count / 6,
        float(len(words) < 4),
        float(len(one.task) > 400),
        float('"' in text or "“" in text),
        float(":" in text or "：" in text),
        float(text[:1].islower()),
        float(_BLANK.search(text) is not None),
        float(_SUM.search(low) is not None),
        min(4, len(_LATEX.findall(text))) / 4,
        min(4, len(_CODE.findall(text))) / 4,
        float(_CONVERT.search(low) is not None),
    ]


Embedder = Callable[[Sequence[str]], "Array"]
"""Texts in, unit rows out: `word_pieces.StaticEmbedder`."""


@dataclass(frozen=True)
class Read:
    """What was read of texts: each without its wrapper, and the chances of the sorts, (texts, sorts)."""

    asked: tuple[Asked, ...]
    chances: Array


class Sorts:
    """`read(texts)` -> their sorts."""

    def __init__(self, arrays: Mapping[str, Array], card: Mapping[str, Any], embed: Embedder) -> None:
        """Raises SettingsError when `arrays` or `card` lack something."""
        try:
            self.names: tuple[str, ...] = tuple(card["sorts"])
            self.kinds: tuple[str, ...] = tuple(card["kinds"])  # of each sort
            self._mean, self._spread = arrays["mean"], arrays["spread"]
            self._weights = arrays["weights"] / float(card["temperature"])  # the last row is added to each
        except (KeyError, TypeError, ValueError) as error:
            raise SettingsError(f"the model of sorts lacks {error}: {_REMEDY}") from None
        self.card, self._embed = card, embed

    @classmethod
    def shipped(cls, embed: Embedder | None = None) -> Sorts:
        """The model that comes with NetGPT. Raises SettingsError when its file is damaged."""
        return cls.load(SHIPPED, embed)

    @classmethod
    def load(cls, path: Path, embed: Embedder | None = None) -> Sorts:
        """A model with its card beside it. Raises SettingsError when either is damaged or of another version."""
        from safetensors import SafetensorError
        from safetensors.numpy import load

        from netgpt.word_pieces import StaticEmbedder

        try:
            content = path.read_bytes()
            card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
            arrays = {name: array.astype("float32") for name, array in load(content).items()}
        except (OSError, ValueError, SafetensorError) as error:
            why = getattr(error, "strerror", None) or type(error).__name__
            raise SettingsError(f"the model of sorts cannot be read from {path} ({why}): {_REMEDY}") from None
        if not isinstance(card, dict) or sha256(content).hexdigest() != card.get("sha256"):
            raise SettingsError(f"the model of sorts in {path} is not the one its card tells of: {_REMEDY}")
        if card.get("forms") != list(names()):
            raise SettingsError(f"the model of sorts in {path} was made for another version: {_REMEDY}")
        return cls(arrays, card, embed or StaticEmbedder())

    def read(self, texts: Sequence[str]) -> Read:
        """The sorts of texts. Any text will do."""
        import numpy as np

        tasks = tuple(map(asked, texts))
        features = scaled(forms_of(tasks), self._mean, self._spread, self._embed([one.ends for one in tasks]))
        logits = features @ self._weights[:-1] + self._weights[-1]
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        return Read(tasks, odds / odds.sum(axis=1, keepdims=True))


def forms_of(tasks: Sequence[Asked]) -> Array:
    """`form` of each, (tasks, forms)."""
    import numpy as np

    forms: Array = np.array([form(one) for one in tasks], dtype=np.float32).reshape(len(tasks), len(names()))
    return forms


def scaled(forms: Array, mean: Array, spread: Array, vectors: Array) -> Array:
    """(tasks, features): vectors of length one, and words and forms as deviations from what is usual."""
    import numpy as np

    weight = np.float32(FORM_WEIGHT / math.sqrt(len(mean)))
    near = np.clip((forms - mean) / spread, -_EXTREME, _EXTREME) * weight
    features: Array = np.hstack([vectors, near]).astype(np.float32)
    return features


LEAST: Final = 0.35
"""A kind less likely than this is not named: a guess that is wrong more often than right."""
_SHOWN: Final = 0.02
"""A kind less likely than this is not listed."""


class TaskKinds:
    """`of(texts)` -> a `TaskKind` each. Thread-safe: nothing changes after it was made."""

    def __init__(self, sorts: Sorts) -> None:
        self.sorts = sorts
        self._kinds = tuple(dict.fromkeys(sorts.kinds))
        self._places = tuple(self._kinds.index(kind) for kind in sorts.kinds)

    def of(self, texts: Sequence[str]) -> list[TaskKind]:
        """What kind of task each text is."""
        return self.named(self.sorts.read(texts))

    def named(self, read: Read) -> list[TaskKind]:
        """The kinds of texts that were read already."""
        return [self._named(row.tolist()) for row in read.chances]

    def _named(self, row: Sequence[float]) -> TaskKind:
        chances = [0.0] * len(self._kinds)
        for place, chance in zip(self._places, row, strict=True):
            chances[place] += chance
        ordered = sorted(zip(self._kinds, chances, strict=True), key=lambda one: -one[1])
        shown = tuple((kind, round(chance, 4)) for kind, chance in ordered if chance >= _SHOWN and kind != UNKNOWN)
        kind, chance = ordered[0]
        if kind == UNKNOWN or chance < LEAST:
            rest = 1 - sum(each for _, each in shown)
            return TaskKind(UNKNOWN, round(max(0.0, rest), 4), shown)
        return TaskKind(kind, round(chance, 4), shown)
