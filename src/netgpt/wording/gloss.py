"""Requests and facts in other languages, word by word in English, for an encoder that reads English alone.

Not a translation: each known word is replaced by an English one, and what is not known (names, brands) stays. That is
enough to see that "brauch ich nen schirm" asks for the weather. The table `glossary.txt` was written for it.

A line of it: English | German | French | Spanish | Italian, forms with commas between them; a column may be empty, none
may be missing, and there are no comments. A word more is a form in its column. A language more is a code in
`LANGUAGES`, its `_ENDINGS`, and one column more in every line; little words, in `words.toml`, help to know it. With
the table changes `digest`, so all facts are read anew. `tests/wording/test_gloss.py` has the cases.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Final

from netgpt.wording.languages import ENGLISH, spoken

LANGUAGES: Final = ("de", "fr", "es", "it")
"""Of the columns of the table in their order, after the English one."""
_WORD: Final = re.compile(r"[^\W\d_]+|\d+(?:[.,:]\d+)*")
_LONGEST: Final = 5  # words of a phrase
_LEAST_SHARE: Final = 0.5  # of a text's words that a language must know to be taken for it
_STEM: Final = 4  # letters that are left at least when an ending is cut
_ENDINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "de": ("ungen", "chen", "ern", "est", "en", "er", "es", "em", "st", "te", "e", "n", "s", "t"),
    "fr": ("ements", "ement", "aient", "ions", "ent", "ait", "ees", "ee", "es", "er", "ez", "e", "s", "x"),
    "es": ("amos", "emos", "imos", "ando", "iendo", "ados", "adas", "ado", "ada", "itos", "itas", "ito", "ita", "es",
           "os", "as", "an", "en", "ar", "er", "ir", "o", "a", "e", "s"),
    "it": ("iamo", "ando", "endo", "ati", "ate", "ato", "ata", "ini", "ine", "ino", "ina", "are", "ere", "ire", "ano",
           "ono", "i", "e", "o", "a"),
}  # fmt: skip
_LINKS: Final = ("", "s", "n", "en", "es", "e", "er")
"""Letters between the two parts of a German compound."""
_PART: Final = 3  # letters of a part at least
MOST_CHARACTERS: Final = 4_000
"""Of a text; the encoder reads far less."""


@dataclass(frozen=True, slots=True)
class _Glossary:
    """One language's words."""

    words: dict[str, str] = field(default_factory=dict)  # folded form or phrase -> English
    stems: dict[str, str] = field(default_factory=dict)


@cache
def _table() -> tuple[dict[str, _Glossary], frozenset[str], str]:
    """The languages' words, the English words of the table, and a digest of it."""
    text = resources.files("netgpt.wording").joinpath("glossary.txt").read_text(encoding="utf-8")
    found = {language: _Glossary() for language in LANGUAGES}
    english: set[str] = set()
    for line in filter(None, text.splitlines()):
        gloss, *columns = (part.strip() for part in line.split("|"))
        english.update(_words(gloss))
        for language, column in zip(LANGUAGES, columns, strict=True):
            for form in filter(None, (" ".join(_words(each)) for each in column.split(","))):
                found[language].words.setdefault(form, gloss)
    for language, glossary in found.items():
        for form, gloss in glossary.words.items():
            for stem in () if " " in form else _stems(form, language):
                glossary.stems.setdefault(stem, gloss)
    return found, frozenset(english), hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


def digest() -> str:
    """Of the table: what was read through another one means nothing here."""
    return _table()[2]


def in_english(text: str) -> str:
    """The text word by word in English, where it is in one of LANGUAGES; else the text as it is.

    >>> in_english("Brauch ich heute einen Regenschirm?")
    'do I need today a umbrella'
    >>> in_english("Do I need an umbrella today?")
    'Do I need an umbrella today?'
    """
    short = text[:MOST_CHARACTERS]
    words = _words(short)
    tables, english, _ = _table()
    native = sum(word in english or word in _LITTLE for word in words)
    told = spoken(short)
    if not words or native == len(words) or told == ENGLISH:
        return text
    known = {name: sum(word in glossary.words for word in words) for name, glossary in tables.items()}
    best = told if told in known else max(known, key=lambda name: known[name])
    if best != told and (known[best] <= native or known[best] < _LEAST_SHARE * len(words)):
        return text
    return " ".join(_glossed(words, best, tables[best]))


_LITTLE: Final = frozenset(
    re.findall(
        r"\S+",
        "a an the i you he she it we they me my your his her its our is are was do does did can could will "
        "would should have has not no to of in on at for with from by and or but what when where who how why "
        "which this that there s t m re ll ve d",
    )
)
"""English words that the table has no need of."""


def _words(text: str) -> list[str]:
    """In small letters without accents."""
    plain = unicodedata.normalize("NFKD", text.casefold().replace("œ", "oe").replace("æ", "ae"))
    return _WORD.findall("".join(sign for sign in plain if not unicodedata.combining(sign)))


def _glossed(words: list[str], language: str, glossary: _Glossary) -> Iterator[str]:
    at = 0
    while at < len(words):
        for length in range(min(_LONGEST, len(words) - at), 0, -1):
            gloss = glossary.words.get(" ".join(words[at : at + length]))
            if gloss is not None:
                yield gloss
                at += length
                break
        else:
            yield _guessed(words[at], language, glossary)
            at += 1


def _guessed(word: str, language: str, glossary: _Glossary) -> str:
    """By another ending, or as a compound; else the word itself."""
    for stem in _stems(word, language):
        if (gloss := glossary.stems.get(stem)) is not None:
            return gloss
    if language == "de":
        for cut in range(len(word) - _PART, _PART - 1, -1):
            last = _known(word[cut:], language, glossary)
            first = last and _first_part(word[:cut], glossary)
            if last and first:
                return f"{first} {last}"
    return word


def _first_part(part: str, glossary: _Glossary) -> str | None:
    for link in _LINKS:
        stem = part.removesuffix(link) if link else part
        if len(stem) >= _PART and (gloss := glossary.words.get(stem)) is not None:
            return gloss
    return None


def _known(word: str, language: str, glossary: _Glossary) -> str | None:
    if (gloss := glossary.words.get(word)) is not None:
        return gloss
    return next((glossary.stems[stem] for stem in _stems(word, language) if stem in glossary.stems), None)


def _stems(word: str, language: str) -> Iterator[str]:
    """The word, and without each ending that it may have, the longest rest first."""
    yield word
    for ending in sorted(_ENDINGS[language], key=len):
        if word.endswith(ending) and len(word) - len(ending) >= _STEM:
            yield word[: -len(ending)]
