"""Dates that leave moved by a secret number of weeks, and come back.

All full dates of a request move by the same number of whole weeks: the days between them and their weekdays stay, and
so does the form of each. In the answer a full date near them moves back, whether the model repeated or computed it.
Months, holidays and seasons do not stay: `computing` says when dates may be shifted at all.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from typing import Any, Final

from netgpt.privacy.generalize import MONTHS

LEAST_WEEKS: Final = 4
MOST_WEEKS: Final = 52
NEAR: Final = timedelta(days=400)
"""A date of the answer that is further from all dates of the request was not computed from them."""
_LONGEST: Final = 48
"""Characters of the longest form of a date."""
_SHORT: Final = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]


@lru_cache(maxsize=1)
def _forms() -> Any:
    """2024-03-15, 15.03.2024, 3/15/2024, 2024年3月15日, 15 March 2024, 15. März 2024, March 15th, 2024; the last three
    also without a year. The groups: `y`, `m` or `w` (the month's word), `d`, `a` and `b` in either order, `o`."""
    import regex

    words = "|".join(sorted({*_SHORT, *(name for names in MONTHS.values() for name in names.split())}, key=len)[::-1])
    day, year = r"(?P<d>\d\d?)", r"(?P<y>\d{4})"
    forms = (
        rf"(?<![\w.\-/]){year}(?P<s>[\-/.])(?P<m>\d\d?)(?P=s){day}(?!\d|[\-/.]\d)",
        rf"(?<![\w.\-/])(?P<a>\d\d?)(?P<s>[./\-])[ ]?(?P<b>\d\d?)(?P=s)[ ]?{year}(?!\d|[\-/.]\d)",
        rf"(?<!\d){year}[年년][ ]?(?P<m>\d\d?)[月월][ ]?{day}[日일]",
        rf"(?<![\w.\-/]){day}(?P<o>st|nd|rd|th|er|º|\.)?[ ](?:of[ ]|de[ ])?(?P<w>{words})(?!\w)\.?"
        rf"(?:,?[ ](?:de[ ]|of[ ])?{year}(?!\d))?",
        rf"(?<!\w)(?P<w>{words})\.?[ ]{day}(?P<o>st|nd|rd|th)?(?![\w:])(?:,?[ ]{year}(?!\d))?",
    )
    return regex.compile("|".join(forms), regex.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Written:
    """One date as a text writes it; `day` is None where day and month could be either."""

    match: Any
    day: date | None
    month_first: bool = False

    @property
    def span(self) -> tuple[int, int]:
        start, end = self.match.span()
        return int(start), int(end)

    def form(self, day: date) -> str:
        """Another day in the same form."""
        match, new = self.match, {}
        if match["y"]:
            new[match.span("y")] = f"{day.year:04d}"
        if match["a"]:
            pair = (day.month, day.day) if self.month_first else (day.day, day.month)
            padded = _padded(match["a"], match["b"])
            new |= {match.span(name): _number(n, padded) for name, n in zip("ab", pair, strict=True)}
        elif match["w"]:
            new |= {
                match.span("w"): _month_like(match, day.month),
                match.span("d"): _number(day.day, match["d"][0] == "0"),
            }
        else:
            padded = _padded(match["m"], match["d"])
            new |= {match.span("m"): _number(day.month, padded), match.span("d"): _number(day.day, padded)}
        if match["o"]:
            new[match.span("o")] = _ordinal(match["o"].lower(), day.day)
        pieces, done = [], match.start()
        for (start, end), words in sorted(new.items()):
            pieces += [match.string[done:start], words]
            done = end
        return "".join([*pieces, match.string[done : match.end()]])


def _padded(*numbers: str) -> bool:
    """Whether small numbers are written with a zero, as far as it shows."""
    return any(n[0] == "0" for n in numbers) or all(len(n) == 2 for n in numbers)


def _number(value: int, padded: bool) -> str:
    return f"{value:02d}" if padded else str(value)


def _month_like(match: Any, month: int) -> str:
    """The name of a month in the language, length and case of the one in the match."""
    word = match["w"]
    low = word.casefold()
    languages = [language for language, names in MONTHS.items() if low in names.split()]
    german = match["o"] == "." and "de" in languages
    name = MONTHS["de" if german else languages[0]].split()[month - 1] if languages else _SHORT[month - 1]
    return name.upper() if word.isupper() else name.capitalize() if word[0].isupper() else name


def _ordinal(sign: str, day: int) -> str:
    if sign == ".":
        return sign
    if sign in ("er", "º"):
        return sign if day == 1 else ""
    return "th" if 10 < day < 20 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")


def dates_in(text: str, month_first: bool | None = None) -> list[Written]:
    """The full dates of a text, each with a year; what is no day ("2024-13-45") is none.

    `month_first`: how to read 3/4/2024; None: it is not known.
    """
    found = (_read(match, int(match["y"]), month_first) for match in _forms().finditer(text) if match["y"])
    return [written for written in found if written is not None]


def month_first_in(texts: Iterable[str]) -> bool | None:
    """What the dates of all texts tell of the order of day and month between slashes; None: nothing, or both."""
    told = {_order(match) for text in texts for match in _forms().finditer(text) if match["a"] and match["s"] != "."}
    told.discard(None)
    return told.pop() if len(told) == 1 else None


def _order(match: Any) -> bool | None:
    """Whether the month stands first; None: it could."""
    if match["s"] == "." or int(match["a"]) > 12:
        return False
    return True if int(match["b"]) > 12 else None


def _read(match: Any, year: int, slashes: bool | None) -> Written | None:
    """The match as a date; None when it is none."""
    month_first = False
    if match["a"]:
        known = _order(match)
        known = slashes if known is None else known
        if known is None:
            return Written(match, None)
        month_first = known
        month, day = int(match["a" if month_first else "b"]), int(match["b" if month_first else "a"])
    else:
        month = int(match["m"]) if match["m"] else _month_of(match["w"].casefold())
        day = int(match["d"])
    try:
        return Written(match, date(year, month, day), month_first)
    except ValueError:
        return None


@lru_cache(maxsize=64)
def _month_of(word: str) -> int:
    if word in _SHORT:
        return _SHORT.index(word) + 1
    return next(names.split().index(word) + 1 for names in MONTHS.values() if word in names.split())


class DayShift:
    """The shift of one request: `away` on the way out, `back` for what the answer says."""

    def __init__(self, number: int) -> None:
        """`number`: secret, the same for a conversation; at most a year of whole weeks is made of it, either way."""
        step, later = divmod(number % (2 * (MOST_WEEKS - LEAST_WEEKS + 1)), 2)
        self._by = timedelta(weeks=(LEAST_WEEKS + step) * (1 if later else -1))
        self._shifted: dict[str, str] = {}
        self._originals: dict[str, str] = {}
        self._days: list[date] = []
        self._month_first: bool | None = None

    def __repr__(self) -> str:
        return f"<DayShift of {len(self._originals)} dates>"

    def take(self, found: Written) -> bool:
        """Shift one of the request's dates; False when it cannot be."""
        if found.day is None or not 1600 <= found.day.year <= 2400:
            return False
        if found.match["a"] and found.match["s"] != ".":
            self._month_first = found.month_first
        day, words = found.day + self._by, str(found.match[0])
        self._shifted[words] = shifted = found.form(day)
        self._originals[shifted] = words
        self._days.append(day)
        return True

    def away(self, words: str) -> str | None:
        """How a date that was taken leaves."""
        return self._shifted.get(words)

    def gone_in(self, text: str) -> list[tuple[tuple[int, int], str]]:
        """Where dates that left stand in a text, each with its original."""
        found = ((match.span(), self._originals.get(str(match[0]))) for match in _forms().finditer(text))
        return [(place, original) for place, original in found if original is not None]

    def back(self, match: Any) -> str:
        """What the answer's date stands for; as it is when it has nothing to do with the request's."""
        words = str(match[0])
        if words in self._originals:
            return self._originals[words]
        found = _read(match, int(match["y"]), self._month_first) if match["y"] else self._nearest(match)
        if found is None or found.day is None or min(abs(found.day - day) for day in self._days) > NEAR:
            return words
        return found.form(found.day - self._by)

    def _nearest(self, match: Any) -> Written | None:
        """A date without a year, in the year that brings it nearest to one of the request's. "may 5" is none."""
        if not match["w"][0].isupper():
            return None
        years = {day.year + more for day in self._days for more in (-1, 0, 1)}
        read = [found for year in sorted(years) if (found := _read(match, year, None)) is not None and found.day]
        return min(read, key=lambda found: min(abs((found.day or day) - day) for day in self._days), default=None)

    def text(self, text: str) -> str:
        """A whole text of the answer with its dates moved back."""
        return str(_forms().sub(self.back, text))

    def stream(self) -> DatesBack:
        """The same for a text in pieces."""
        return DatesBack(self)


class DatesBack:
    """Moves the dates of one text back piece by piece: `feed` each piece, then `flush`."""

    def __init__(self, shift: DayShift) -> None:
        self._shift = shift
        self._before = ""
        """The last character passed on: the forms look one back."""
        self._held = ""

    def feed(self, piece: str) -> str:
        return self._moved(piece, last=False)

    def flush(self) -> str:
        return self._moved("", last=True)

    def _moved(self, piece: str, *, last: bool) -> str:
        text, done = self._before + self._held + piece, len(self._before)
        until = len(text) if last else _hold_from(text, done)
        pieces = []
        for match in _forms().finditer(text, done):
            if match.start() >= until:
                break
            pieces += [text[done : match.start()], self._shift.back(match)]
            done = match.end()
        until = max(until, done)
        pieces.append(text[done:until])
        self._before, self._held = text[max(0, until - 1) : until], text[until:]
        return "".join(pieces)


def _hold_from(text: str, start: int) -> int:
    """The first place from which the text may become a date, or a longer one, with what comes next."""
    forms = _forms()
    for at in range(max(start, len(text) - _LONGEST), len(text)):
        if text[at].isalnum() and forms.fullmatch(text, at, partial=True):
            return at
    return len(text)
