"""Dates of birth that are announced, in nine languages and the usual notations.

Birth dates before 1900 belong to history and stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from netgpt.privacy.wordsets import words
from netgpt.types import Span

__all__ = ["BIRTH_WORDS", "find_births"]

BIRTH_WORDS: Final = words(
    """
    born birth birthday birthdate dob geboren geburtsdatum geburtstag geb né née naissance nacido nacida nací
    nacimiento nato nata nascita nascido nascida nasci nascimento geboortedatum urodzony urodzona urodzenia født född
    fødselsdato födelsedatum
    """
)
"""Words that stand before a date of birth."""

_WORD = re.compile(r"[^\W\d_]{2,20}")
_BETWEEN: Final = (
    r"\.?['\"*)]{0,3}(?:[ \t]{1,2}(?:is|was|on|the|am|le|el|il|em|op|den|dnia|a|er|ist|est|es|date)(?![^\W_])){0,3}"
    r"[ \t]{0,2}[:=,(\-]?[ \t]{0,2}['\"*(]{0,3}"
)
_MONTH: Final = r"[^\W\d_]{3,12}\.?"
_DATE = re.compile(
    rf"(?i){_BETWEEN}(?P<date>"
    r"\d{4}[\-/.]\d{1,2}[\-/.]\d{1,2}"
    r"|\d{1,2}[./\-] ?\d{1,2}[./\-] ?(?:\d{4}|\d\d)"
    rf"|\d{{1,2}}(?:st|nd|rd|th|er|[.ºª])? (?:of |de )?{_MONTH}(?:,? (?:de |del )?\d{{4}})"
    rf"|{_MONTH} \d{{1,2}}(?:st|nd|rd|th)?,? \d{{4}}"
    r")(?!\d)"
)
_OWN_YEAR = re.compile(  # the year alone, of the writer or in a form
    r"(?i)(?:\bi was born in|\byear of birth:?|\bje suis née? en|\bgeburtsjahr:?|\bnací en|\bsono nat[oa] nel"
    r"|\bnasci em) (?P<date>(?:19|20)\d\d)(?!\d)"
)
_YEAR = re.compile(r"\d{4}")
_OLD: Final = 1900


def find_births(text: str) -> Iterator[Span]:
    """Dates behind the words that say that they are somebody's birth."""
    for word in _WORD.finditer(text):
        if word[0].lower() in BIRTH_WORDS and (match := _DATE.match(text, word.end())):
            year = _YEAR.search(match["date"])
            if year is None or int(year[0]) >= _OLD:
                yield Span(*match.span("date"), "BIRTHDATE", "pattern:birth")
    for match in _OWN_YEAR.finditer(text):
        yield Span(*match.span("date"), "BIRTHDATE", "pattern:birth", 0.8)
