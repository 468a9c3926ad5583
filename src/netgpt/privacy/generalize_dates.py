"""A date in coarser words: its month ("March 2024") or its year ("2024").

Notations of English, German, French and Spanish, and ISO 8601. What is ambiguous is not guessed: of 04/05/2024 the
year can be told and the month cannot; a year of two digits, a weekday or "yesterday" give nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from netgpt.privacy.wordsets import words

__all__ = ["date_as"]

_MONTHS = {
    "en": "january february march april may june july august september october november december",
    "de": "januar februar märz april mai juni juli august september oktober november dezember",
    "fr": "janvier février mars avril mai juin juillet août septembre octobre novembre décembre",
    "es": "enero febrero marzo abril mayo junio julio agosto septiembre octubre noviembre diciembre",
}
_SHORT = {
    "jan": 1, "feb": 2, "mar": 3, "apr": 4, "jun": 6, "jul": 7, "aug": 8, "sep": 9, "sept": 9, "oct": 10, "okt": 10,
    "nov": 11, "dec": 12, "dez": 12, "mär": 3, "mrz": 3, "janv": 1, "févr": 2, "fév": 2, "avr": 4, "juil": 7,
    "déc": 12, "ene": 1, "abr": 4, "ago": 8, "dic": 12, "jänner": 1, "setiembre": 9, "fevrier": 2, "aout": 8,
    "decembre": 12, "maerz": 3,
}  # fmt: skip
_ISO = re.compile(r"(\d{4})[-/.](\d{1,2})(?:[-/.](\d{1,2})(?:[T ][\d:.,Z+\-]{2,24})?)?")
_DAY_FIRST = re.compile(r"(\d{1,2})([./-])\s?(\d{1,2})\2\s?(\d{4})")
_YEAR = re.compile(r"(?<!\d)(1[5-9]\d\d|20\d\d)(?!\d)")
_NUMBER = re.compile(r"\d+")
_WORD = re.compile(r"[^\W\d_]+")
_FILLER = words(
    """the of on in born dob date birth st nd rd th am den der dem vom geboren né née naissance le du de del el er ère
    nacido nacida fecha monday tuesday wednesday thursday friday saturday sunday mon tue wed thu fri sat sun montag
    dienstag mittwoch donnerstag freitag samstag sonntag lundi mardi mercredi jeudi vendredi samedi dimanche lunes
    martes miércoles jueves viernes sábado domingo"""
)


@dataclass(frozen=True, slots=True)
class _Read:
    year: int | None
    month: int | None
    day: bool
    """Whether a day is told."""
    shown: str | None = None
    """The month as the text writes it."""
    language: str = ""


def date_as(text: str, kind: str, precision: str, today: date) -> tuple[str, str] | None:
    """(the date in words of this precision, the precision that the text had), or None when it cannot be told.

    The year of birth of somebody of ninety or more is told as "before 1937" (such people are few).
    """
    read = _read(text)
    if read is None or (read.year is not None and not 1500 <= read.year <= 2099):
        return None
    was = "exact" if read.day else "month" if read.month is not None else "year"
    if kind == "BIRTHDATE" and read.year is not None and read.year <= today.year - 90:
        return (f"before {today.year - 89}", was) if precision == "year" else None
    if was == "year" or (was == "month" and precision == "month"):
        return text, was
    if precision == "year":
        return (str(read.year), was) if read.year is not None else None
    return (_month(read), was) if read.month is not None else None


def _month(read: _Read) -> str:
    if read.shown is None:
        return f"{read.year}-{read.month:02d}" if read.year is not None else f"--{read.month:02d}"
    if read.year is None:
        return read.shown
    return f"{read.shown} de {read.year}" if read.language == "es" else f"{read.shown} {read.year}"


def _read(text: str) -> _Read | None:
    text = text.strip().strip(".,;:()")
    if match := _ISO.fullmatch(text):
        month = int(match[2])
        return _Read(int(match[1]), month, match[3] is not None) if 1 <= month <= 12 else None
    if match := _DAY_FIRST.fullmatch(text):
        return _numeric(int(match[1]), match[2], int(match[3]), int(match[4]))
    if _YEAR.fullmatch(text):
        return _Read(int(text), None, False)
    return _spelled(text)


def _numeric(one: int, sign: str, two: int, year: int) -> _Read | None:
    """Day and month in an order that only the sign or a number over twelve tells: with dots the day comes first."""
    if not (1 <= one <= 31 and 1 <= two <= 31) or min(one, two) > 12:
        return None
    if one > 12 or (sign == "." and two <= 12) or one == two:
        return _Read(year, two, True)
    return _Read(year, one if two > 12 else None, True)


def _spelled(text: str) -> _Read | None:
    """ "15 March 2024", "15. März 2024", "le 1er mars", "15 de marzo de 2024": exactly one month, no strange word."""
    said = _WORD.findall(text)
    months = [(word, *found) for word in said if (found := _month_words().get(word.casefold()))]
    if len(months) != 1:
        return None
    rest = [word.casefold() for word in said if word != months[0][0]]
    if any(word not in _FILLER for word in rest):
        return None
    numbers = _NUMBER.findall(text)
    years = [n for n in numbers if _YEAR.fullmatch(n)]
    days = [n for n in numbers if len(n) <= 2]
    if len(years) > 1 or len(days) > 1 or len(years) + len(days) != len(numbers):
        return None
    shown, number, language = months[0]
    return _Read(int(years[0]) if years else None, number, bool(days), shown, language)


@lru_cache(maxsize=1)
def _month_words() -> dict[str, tuple[int, str]]:
    """Word -> (month, language)."""
    found: dict[str, tuple[int, str]] = {word: (number, "") for word, number in _SHORT.items()}
    for language, names in _MONTHS.items():
        for number, name in enumerate(names.split(), 1):
            found.setdefault(name, (number, language))
    return found
