"""Which scripts are searched for names, and what is said of the others.

The detector of names has learnt the languages below. In any other script it would guess, and hide everything or
nothing: there only patterns, announced values and the person's own values are looked for, and the record of the
request says so. `privacy.languages` narrows the list where an owner wants that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from types import MappingProxyType
from typing import Final

from netgpt.errors import SettingsError

ALL: Final = "all"
_RANGES: Final = {
    "Latin": "A-Za-z\u00aa-\u024f\u1e00-\u1eff", "Greek": "\u0370-\u03ff\u1f00-\u1fff", "Cyrillic": "\u0400-\u052f",
    "Armenian": "\u0531-\u0588", "Hebrew": "\u05d0-\u05f2", "Arabic": "\u0620-\u06ff\u0750-\u077f",
    "Devanagari": "\u0900-\u097f", "Bengali": "\u0980-\u09ff", "Tamil": "\u0b80-\u0bff", "Telugu": "\u0c00-\u0c7f",
    "Thai": "\u0e00-\u0e7f", "Georgian": "\u10a0-\u10ff\u2d00-\u2d2f", "Ethiopic": "\u1200-\u139f",
    "Han": "\u3400-\u9fff\uf900-\ufaff", "kana": "\u3040-\u30ff", "Hangul": "\uac00-\ud7af\u1100-\u11ff",
    "Gurmukhi": "\u0a00-\u0a7f", "Gujarati": "\u0a80-\u0aff", "Odia": "\u0b00-\u0b7f", "Kannada": "\u0c80-\u0cff",
    "Malayalam": "\u0d00-\u0d7f", "Sinhala": "\u0d80-\u0dff", "Lao": "\u0e80-\u0eff", "Tibetan": "\u0f00-\u0fff",
    "Myanmar": "\u1000-\u109f", "Khmer": "\u1780-\u17ff", "Mongolian": "\u1800-\u18af", "Syriac": "\u0700-\u074f",
    "Thaana": "\u0780-\u07bf", "Cherokee": "\u13a0-\u13ff",
}  # fmt: skip
"""Script -> its letters, as in a character class (Unicode blocks)."""
_BY_SCRIPT: Final = {
    "Latin": "en de fr es it pt nl sv da no fi is ga cy pl cs sk sl hr hu ro sq et lv lt tr az vi id ms tl sw",
    "Greek": "el", "Cyrillic": "ru uk bg sr kk", "Armenian": "hy", "Hebrew": "he", "Arabic": "ar fa ur",
    "Devanagari": "hi mr", "Bengali": "bn", "Tamil": "ta", "Telugu": "te", "Thai": "th", "Georgian": "ka",
    "Ethiopic": "am", "Han": "zh ja", "kana": "ja", "Hangul": "ko",
}  # fmt: skip
LANGUAGES: Final = MappingProxyType(
    {
        code: tuple(script for script, codes in _BY_SCRIPT.items() if code in codes.split())
        for code in sorted({code for codes in _BY_SCRIPT.values() for code in codes.split()})
    }
)
"""Language that the detector of names has learnt -> its scripts."""
_NOT_LATIN = re.compile(r"[\u0370-\uffff]")


def checked(languages: Iterable[str]) -> tuple[str, ...]:
    """The languages, of which all are known. Raises SettingsError."""
    languages = tuple(languages)
    if unknown := [code for code in languages if code != ALL and code not in LANGUAGES]:
        raise SettingsError(
            f'privacy.languages: "{unknown[0]}" is not one that the detector has learnt; "{ALL}", or of '
            + ", ".join(LANGUAGES)
        )
    return languages


@cache
def read_scripts(languages: tuple[str, ...]) -> frozenset[str]:
    """The scripts in which names are looked for; Latin always, as names of all peoples are written in it.

    >>> sorted(read_scripts(("ru", "ja")))
    ['Cyrillic', 'Han', 'Latin', 'kana']
    """
    codes = LANGUAGES if ALL in languages else languages
    return frozenset({"Latin"}.union(*(LANGUAGES[code] for code in codes)))


def unread_scripts(text: str, languages: tuple[str, ...]) -> tuple[str, ...]:
    """The scripts of the text in which names are not looked for.

    >>> unread_scripts("Привет and សួស្តី", ("all",))
    ('Khmer',)
    """
    if text.isascii() or _NOT_LATIN.search(text) is None:
        return ()
    return tuple(script for script, letters in _unread(languages) if letters.search(text))


@cache
def _unread(languages: tuple[str, ...]) -> tuple[tuple[str, re.Pattern[str]], ...]:
    read = read_scripts(languages)
    return tuple((name, re.compile(f"[{letters}]")) for name, letters in _RANGES.items() if name not in read)


@cache
def readable(languages: tuple[str, ...]) -> re.Pattern[str]:
    """Matches a first letter, digit or sign of a word that may be a name; not those of unread scripts."""
    unread = "".join(letters for name, letters in _RANGES.items() if name not in read_scripts(languages))
    return re.compile(f"[^{unread}]")
