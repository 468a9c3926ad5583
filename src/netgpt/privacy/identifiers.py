"""Names inside identifiers and keys, and what was found once and stands elsewhere, too.

A key or a tool's name is written without blanks and without a sentence around it: `dafydd_prydderch_salary` is read as
"Dafydd Prydderch Salary" by the tagger. Ordinary names of fields (`field_words.txt`) are not read at all.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import files
from typing import Final

from netgpt.privacy.kinds import ALSO_WORDS, WORDS_OF_TRADE
from netgpt.types import Span

_WORD: Final = re.compile(r"[^\W\d_]+")
_CAMEL: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|[^\W\d_]+")
_IDENTIFIER: Final = re.compile(r"[A-Za-z0-9_.\-]{1,128}")
_TOKEN: Final = re.compile(r"\w+")
_AGAIN: Final = "found before"
"""The rule of a value that was found elsewhere in the same request."""


@lru_cache(maxsize=1)
def _field_words() -> frozenset[str]:
    return frozenset(files("netgpt.privacy").joinpath("field_words.txt").read_text("utf-8").split())


def is_identifier(text: str) -> bool:
    """Whether the text may be a name in a program: a placeholder in it is written without brackets."""
    return _IDENTIFIER.fullmatch(text) is not None


@lru_cache(maxsize=4_096)
def is_ordinary(text: str) -> bool:
    """Whether a key or a tool's name has only words that fields are named with.

    >>> is_ordinary("maxTokens"), is_ordinary("Unit Price (GBP)"), is_ordinary("Dafydd Prydderch")
    (True, True, False)
    """
    return text.isascii() and all(_is_field_word(word) for word in _CAMEL.findall(text))


def _is_field_word(word: str) -> bool:
    return len(word) < 3 or (word.isupper() and len(word) < 5) or word.lower() in _field_words()


@lru_cache(maxsize=4_096)
def spoken(identifier: str) -> tuple[str, tuple[tuple[int, int], ...]]:
    """The identifier as words with capitals, and where each begins and ends in it.

    >>> spoken("email_dafyddPrydderch")
    ('Email Dafydd Prydderch', ((0, 5), (6, 12), (12, 21)))
    """
    found = [match.span() for match in _CAMEL.finditer(identifier)]
    return " ".join(identifier[start:end].capitalize() for start, end in found), tuple(found)


def names_in(identifier: str, spans: Iterable[Span]) -> list[Span]:
    """The persons of `spans` (found in what `spoken` gave) as spans of the identifier.

    A name in an identifier has two words or more that are no words of fields: nobody is hidden in `max_tokens`.
    """
    text, places = spoken(identifier)
    begins = [0]
    for word in text.split(" ")[:-1]:
        begins.append(begins[-1] + len(word) + 1)
    result = []
    for span in spans:
        inside = [i for i, at in enumerate(begins) if span.start <= at < span.end]
        while inside and _is_field_word(identifier[slice(*places[inside[0]])]):
            inside.pop(0)
        while inside and _is_field_word(identifier[slice(*places[inside[-1]])]):
            inside.pop()
        if len(inside) < 2 or all(identifier[slice(*places[i])].lower() in ALSO_WORDS for i in inside):
            continue
        result.append(Span(places[inside[0]][0], places[inside[-1]][1], "PERSON", span.rule, span.score))
    return result


class FoundBefore:
    """The values that one sealing hid in its first round, to be found again in identifiers, keys and texts."""

    def __init__(self) -> None:
        self._anywhere: dict[str, dict[tuple[int, int], dict[str, str]]] = {}
        """What is certain wherever it stands. By its first word, then by (where that begins, length): value -> kind."""
        self._names: set[str] = set()
        """Folded, without what stands between their words."""
        self._whole: dict[str, str] = {}
        self._unspaced: dict[str, str] = {}
        """Values in writings without blanks."""

    def add(self, kind: str, value: str, rule: str) -> None:
        """A value that was replaced by a placeholder."""
        value = value.strip()
        words = _WORD.findall(value)
        self._whole.setdefault(value.casefold(), kind)
        name = _folded("".join(words))
        is_word = is_ordinary(value) or (len(words) < 2 and name in ALSO_WORDS | WORDS_OF_TRADE)
        if kind == "PERSON" and len(name) >= _SURE and not is_word:
            self._names.add(name)
        if rule == "names" or not _is_telling(kind, value):
            return
        if max(value) >= _FIRST_UNSPACED and len(self._unspaced) < _MOST_UNSPACED:
            self._unspaced[value] = kind
        elif first := _TOKEN.search(value):
            of_word = self._anywhere.setdefault(first[0], {})
            of_word.setdefault((first.start(), len(value)), {})[value] = kind

    def in_text(self, text: str) -> list[Span]:
        """Telling values (numbers, keys, addresses) that stand in a text, written as they were found."""
        found = []
        for token in _TOKEN.finditer(text) if self._anywhere else ():
            for (before, length), values in self._anywhere.get(token[0], {}).items():
                start = token.start() - before
                end = start + length
                if start >= 0 and (kind := values.get(text[start:end])) and not text[end : end + 1].isalnum():
                    found.append(Span(start, end, kind, _AGAIN))
        for value, kind in self._unspaced.items():
            found += [Span(at.start(), at.end(), kind, _AGAIN) for at in re.finditer(re.escape(value), text)]
        return found

    def in_identifier(self, text: str) -> list[Span]:
        """As in a text, and: names, joined in any way; and whatever is the whole identifier or key."""
        found = self.in_text(text)
        if (kind := self._whole.get(text.strip().casefold())) is not None and not is_ordinary(text):
            found.append(Span(0, len(text), kind, _AGAIN))
        if self._names and not is_ordinary(text):
            found += self._names_inside(text)
        return found

    def _names_inside(self, text: str) -> list[Span]:
        """Names as one or more whole words of an identifier: `dafyddPrydderch`, `dafydd_prydderch_salary`."""
        places = [match.span() for match in _CAMEL.finditer(text)]
        words = [_folded(text[start:end]) for start, end in places]
        return [
            Span(places[first][0], places[last][1], "PERSON", _AGAIN)
            for first in range(len(words))
            for last in range(first, min(first + _LONGEST_NAME, len(words)))
            if "".join(words[first : last + 1]) in self._names
        ]

    def in_id(self, text: str) -> list[Span]:
        """In an id of the protocol: only what is too long to stand there by chance."""
        return [
            span
            for span in self.in_identifier(text)
            if sum(c.isalnum() for c in text[span.start : span.end]) >= LEAST_IN_ID
        ]


LEAST_IN_ID: Final = 8
"""Letters and digits of a value that is found in an id: a short one would stand in many ids by chance."""
_SURE: Final = 4
"""Letters of a name that is looked for inside identifiers."""
_LONGEST_NAME: Final = 6
"""Words of one."""
_FIRST_UNSPACED: Final = "\u0590"
"""From here on (Hebrew, Arabic, Thai, CJK) words are written together or take prefixes."""
_MOST_UNSPACED: Final = 500


def _folded(word: str) -> str:
    """Small letters without accents."""
    if word.isascii():
        return word.lower()
    return "".join(c for c in unicodedata.normalize("NFKD", word.casefold()) if c.isalnum())


def _is_telling(kind: str, value: str) -> bool:
    """Whether a value means the same wherever it stands."""
    if kind == "PERSON":
        return len(value.split()) > 1 or (len(value) > 1 and min(value) >= _FIRST_UNSPACED)
    if kind == "API_KEY":
        return len(value) >= 6 and not is_ordinary(value)
    return len(value) >= 6 and any(c.isdigit() or c == "@" for c in value)
