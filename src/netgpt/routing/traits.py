"""What of a text's outside tells how hard it is: a fixed list of numbers, from regular expressions alone.

Counts are logarithms, so that a long text does not drown the rest; shares say how dense a thing is. The list is part of
the trained file's shape: `NAMES` is written into its card and checked when it is read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

__all__ = ["LONGEST", "NAMES", "clipped", "stem_of", "traits"]

LONGEST = 6_000
"""Characters that are looked at: of a longer text the first two thirds and the last third of these."""

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
NAMES = (*_SHAPE, *_COUNTED, *(f"density of {name}" for name in _COUNTED))
"""What each number is, in order."""


def clipped(text: str) -> str:
    """The part of a text that is looked at, so that a very long one costs no more than `LONGEST` characters.

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
