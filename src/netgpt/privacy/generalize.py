"""Generalization of private values: places, dates, ages and amounts at coarser levels.

The result depends on the value alone, so it is the same everywhere in a conversation.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache

from netgpt.privacy.gazetteer import Gazetteer, place_as
from netgpt.privacy.kinds import family, word_set

MONTHS = {
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
FILLER = word_set("""
    the of on in born dob date birth st nd rd th am den der dem vom geboren né née naissance le du de del el er ère
    nacido nacida fecha monday tuesday wednesday thursday friday saturday sunday mon tue wed thu fri sat sun montag
    dienstag mittwoch donnerstag freitag samstag sonntag lundi mardi mercredi jeudi vendredi samedi dimanche lunes
    martes miércoles jueves viernes sábado domingo""")


@dataclass(frozen=True, slots=True)
class _Date:
    year: int | None
    month: int | None
    has_day: bool
    month_word: str | None = None
    """As the text writes it."""
    language: str = ""


def date_as(text: str, kind: str, precision: str, today: date) -> tuple[str, str] | None:
    """(the date at this precision, the precision of the text), or None.

    Reads English, German, French and Spanish, and ISO 8601. Nothing is guessed: of 04/05/2024 the year is known and the
    month is not; a year of two digits, a weekday or "yesterday" give None. The year of birth of a person of ninety or
    more becomes "before 1937" (such people are few).
    """
    found = _parse_date(text)
    if found is None or (found.year is not None and not 1500 <= found.year <= 2099):
        return None
    was = "exact" if found.has_day else "month" if found.month is not None else "year"
    if kind == "BIRTHDATE" and found.year is not None and found.year <= today.year - 90:
        return (f"before {today.year - 89}", was) if precision == "year" else None
    if was == "year" or (was == "month" and precision == "month"):
        return text, was
    if precision == "year":
        return (str(found.year), was) if found.year is not None else None
    return (_month(found), was) if found.month is not None else None


def _month(found: _Date) -> str:
    if found.month_word is None:
        return f"{found.year}-{found.month:02d}" if found.year is not None else f"--{found.month:02d}"
    if found.year is None:
        return found.month_word
    return f"{found.month_word} de {found.year}" if found.language == "es" else f"{found.month_word} {found.year}"


def _parse_date(text: str) -> _Date | None:
    text = text.strip().strip(".,;:()")
    if match := _ISO.fullmatch(text):
        month = int(match[2])
        return _Date(int(match[1]), month, match[3] is not None) if 1 <= month <= 12 else None
    if match := _DAY_FIRST.fullmatch(text):
        return _parse_numeric(int(match[1]), match[2], int(match[3]), int(match[4]))
    return _Date(int(text), None, False) if _YEAR.fullmatch(text) else _parse_spelled(text)


def _parse_numeric(one: int, sign: str, two: int, year: int) -> _Date | None:
    """Day and month in either order, known by a number over twelve, or by dots: then the day comes first."""
    if not (1 <= one <= 31 and 1 <= two <= 31) or min(one, two) > 12:
        return None
    if one > 12 or (sign == "." and two <= 12) or one == two:
        return _Date(year, two, True)
    return _Date(year, one if two > 12 else None, True)


def _parse_spelled(text: str) -> _Date | None:
    """ "15 March 2024", "15. März 2024", "le 1er mars", "15 de marzo de 2024": exactly one month, no unknown word."""
    words = _WORD.findall(text)
    months = [(word, *found) for word in words if (found := _month_words().get(word.casefold()))]
    if len(months) != 1 or any(word.casefold() not in FILLER for word in words if word != months[0][0]):
        return None
    numbers = _NUMBER.findall(text)
    years = [n for n in numbers if _YEAR.fullmatch(n)]
    days = [n for n in numbers if len(n) <= 2]
    if len(years) > 1 or len(days) > 1 or len(years) + len(days) != len(numbers):
        return None
    word, number, language = months[0]
    return _Date(int(years[0]) if years else None, number, bool(days), word, language)


@lru_cache(maxsize=1)
def _month_words() -> dict[str, tuple[int, str]]:
    """Word -> (month, language)."""
    found: dict[str, tuple[int, str]] = {word: (number, "") for word, number in _SHORT.items()}
    for language, names in MONTHS.items():
        for number, name in enumerate(names.split(), 1):
            found.setdefault(name, (number, language))
    return found


_QUANTITY = re.compile(r"\d{1,3}(?:[.,' \u00a0\u202f]\d{3})+(?:[.,]\d{1,2})?(?!\d)|\d+(?:[.,]\d{1,2})?(?!\d)")
_OLDEST = 130
_BESIDE = word_set("""
    year years old yo y o age aged of jahr jahre jährig jährige jähriger alt an ans âgé âgée de año años edad eur
    euro euros usd gbp chf dollar dollars pound pounds k per month a monat mois mes""")
"""The only words that may stand beside the number."""


def number_as_range(text: str, kind: str) -> tuple[str, str] | None:
    """(the text with its only number as a range, "exact"); None when it has no number or more than one.

    Ages: ten years, 90 and over in one. Amounts: 1-2-5 steps. The bounds lie just outside, so that no number of the
    range stands in its name: everybody from 40 to 49 is "39-50".

    >>> number_as_range("42 years", "AGE"), number_as_range("EUR 2,500", "AMOUNT")
    (('39-50 years', 'exact'), ('EUR 1999-5000', 'exact'))
    """
    found = list(_QUANTITY.finditer(text))
    if len(found) != 1 or sum(c.isdigit() for c in text) != sum(c.isdigit() for c in found[0][0]):
        return None
    if any(word.casefold() not in _BESIDE for word in re.findall(r"[^\W\d_]+", text)):
        return None
    span = _age(found[0][0]) if kind == "AGE" else _amount(found[0][0])
    return (text[: found[0].start()] + span + text[found[0].end() :], "exact") if span is not None else None


def _age(number: str) -> str | None:
    if not number.isdigit() or int(number) > _OLDEST:
        return None
    decade = int(number) // 10 * 10
    if decade >= 90:
        return "over 89"
    return f"{decade - 1}-{decade + 10}" if decade else "under 10"


def _amount(number: str) -> str | None:
    value = int(re.sub(r"[.,]\d{1,2}$|\D", "", number))
    if value >= 10**12:
        return None
    step = 1
    while value >= 10 * step:
        step *= 10
    low, high = next((a, b) for a, b in ((0, 1), (1, 2), (2, 5), (5, 10)) if a * step <= value < b * step or b == 10)
    return f"{low * step - 1}-{high * step}" if low else f"under {high}"


_LONGEST = 300
"""Characters. A longer "place" or "date" is none."""
PLACE_LEVELS = frozenset(("street", "district", "city", "region", "country"))
"""Precisions that need the gazetteer."""


@dataclass(frozen=True, slots=True)
class Coarser:
    """A value at a coarser level. `was`: the precision of the original."""

    words: str
    was: str
    now: str


class Generaliser:
    """Makes values coarser. Its gazetteer is read on first use, or by `get_ready`."""

    def __init__(self, today: Callable[[], date] = lambda: datetime.now(UTC).date()) -> None:
        self._today = today
        self._gazetteer = Gazetteer()

    @property
    def is_ready(self) -> bool:
        return self._gazetteer.loaded

    def get_ready(self) -> None:
        """Read the gazetteer (half a second): call it in a thread. Raises PrivacyError: the data is missing."""
        self._gazetteer.load()

    def coarser(self, text: str, kind: str, precision: str) -> Coarser | None:
        """The text at this precision; None when that is not possible."""
        if len(text) > _LONGEST:
            return None
        if precision in PLACE_LEVELS and family(kind) == "place":
            place = place_as(text, kind, precision, self._gazetteer)
            return Coarser(*place) if place else None
        found: tuple[str, str] | None = None
        if precision in ("month", "year") and family(kind) == "time":
            found = date_as(text, kind, precision, self._today())
        elif precision == "range":
            found = number_as_range(text, kind)
        if found is None:
            return None
        words, was = found
        return Coarser(words, was, "year" if "year" in (was, precision) else precision)
