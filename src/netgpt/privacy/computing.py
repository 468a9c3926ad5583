"""What a request computes with, so that it leaves in a form in which that can be done, where the policy allows it.

Three forms stand between the value and its placeholder. `shifted`: dates that are counted or ordered leave moved by
secret weeks. `years`: ages that are compared leave as they are, up to 89. `order`: names that are sorted leave as
placeholders whose numbers follow the alphabet. Each only when the request says by its words that it needs it
(`tasks.toml`); otherwise, and where any doubt is, values leave as if these forms did not exist.

All full dates of a request move by the same number of whole weeks: the days between them and their weekdays stay, and
so does the form of each. In the answer a full date near them moves back, whether the model repeated or computed it.
Months, holidays and seasons do not stay, so where those matter nothing is shifted.
"""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from importlib import resources
from typing import Any, Final, Protocol

from netgpt.privacy.addresses import After, OwnAddresses
from netgpt.privacy.body import Seen, TextPosition
from netgpt.privacy.detectors import find_patterns
from netgpt.privacy.generalize import FILLER, MONTHS, number_as_range
from netgpt.privacy.guard import Guard
from netgpt.privacy.kinds import EXACT, ORDER, SHIFTED, YEARS, TermsOf
from netgpt.registry import holds_texts
from netgpt.types import Span

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
    orders = {_order(match) for text in texts for match in _forms().finditer(text) if match["a"] and match["s"] != "."}
    orders.discard(None)
    return orders.pop() if len(orders) == 1 else None


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


@holds_texts
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

    def stream(self, guard: Guard | None = None) -> DatesBack:
        """The same for a text in pieces, except where `guard` says that the date would leave."""
        return DatesBack(self, guard or Guard("", OwnAddresses))


class DatesBack:
    """Moves the dates of one text back piece by piece: `feed` each piece, then `flush`."""

    def __init__(self, shift: DayShift, guard: Guard) -> None:
        self._shift, self._guard = shift, guard
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
            self._guard.read(text[done : match.start()], settle=True)
            pieces.append(text[done : match.start()])
            done, back = match.start(), self._shift.back(match)
            may = back == match[0] or self._guard.may_put("date", back, After(text, match.end(), last=last))
            if may is None:
                until = done
                break
            pieces.append(back if may else str(match[0]))
            self._guard.put("date", back)
            done = match.end()
        until = max(until, done)
        self._guard.read(text[done:until])
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


RULE: Final = "dates"
"""The detector of a date that is found because others of the request are shifted."""
_CALENDAR = re.compile(r"(?<!\d)(?:1[5-9]|20)\d\d(?!\d)|\b(?:May|March)\b")
"""A year, and the months that are common words in small letters."""
_DIGITS = re.compile(r"\d+")
_TOKEN = re.compile(r"[^\W_]+|#")
_TIME = re.compile(r"\d{1,2}:\d\d(?::\d\d)?|[+-]\d\d:?\d\d")
_WORD = re.compile(r"[^\W_]+")
_INSTRUCTION: Final = 1_500
"""Characters at each end of a text that are read for what the request wants."""
_HARMLESS: Final = FILLER | {"t", "z", "utc", "at", "um", "uhr", "à", "a", "las", "from", "to", "until", "till", "bis"}


class Numbered(Protocol):
    """What is needed of the vault."""

    def name_for(self, kind: str, original: str) -> str: ...
    def originals(self) -> Mapping[str, str]: ...
    def pseudonym(self, user: str) -> str: ...


@lru_cache(maxsize=1)
def _phrases() -> tuple[Mapping[str, list[tuple[str, str]]], list[tuple[str, str]]]:
    """(task, phrase) by the first word of the phrase; and those of scripts that put no blanks between words."""
    file = resources.files("netgpt.privacy") / "tasks.toml"
    lists = tomllib.loads(file.read_text(encoding="utf-8"))
    lists["calendar"] += [name for names in MONTHS.values() for name in names.split() if name not in ("may", "march")]
    by_word, glued = defaultdict(list), []
    for task, phrases in lists.items():
        for phrase in phrases:
            if any(letter >= "\u0e00" for letter in phrase):  # Thai, Chinese, Japanese, Korean
                glued.append((task, phrase))
            else:
                by_word[_TOKEN.findall(phrase)[0]].append((task, phrase))
    return by_word, glued


def tasks_in(text: str) -> set[str]:
    """The tasks that a text asks for by its words: "between", "after", "calendar", "ages", "names"."""
    text = " ".join(_DIGITS.sub("#", text.lower()).split())
    by_word, glued = _phrases()
    found = {task for task, phrase in glued if phrase in text} if not text.isascii() else set()
    for word in by_word.keys() & set(_TOKEN.findall(text)):
        for task, phrase in by_word[word]:
            whole = rf"(?<!\w){re.escape(phrase)}(?!\w)"
            if task not in found and phrase in text and re.search(whole, text):
                found.add(task)
    return found


@dataclass(frozen=True, slots=True)
class _Placed:
    """A full date of the request, and the number of the text in which it stands."""

    text: int
    date: Written


class Computing:
    """The forms that one sealing may use beside placeholders; decided once, before anything is written."""

    def __init__(self, names: Numbered, terms: TermsOf) -> None:
        self._names, self._terms = names, terms
        self._ages = False
        self.orders_names = False
        self.shift: DayShift | None = None

    def look(self, seen: Sequence[Seen], found: list[list[Span]]) -> list[list[Span]]:
        """Decide by the whole request. The finds are given back, each shifted date as one find of its own."""
        kinds = {span.kind for spans in found for span in spans}
        if kinds.isdisjoint(("AGE", "PERSON", "DATE")):
            return found
        asking = (item.text for item in seen if item.place is TextPosition.PROSE and not item.voice)
        tasks = {task for text in asking for task in tasks_in(_ends(text))}
        self._ages = "ages" in tasks and self._may("AGE", YEARS)
        if "names" in tasks and self._may("PERSON", ORDER):
            self._order_names(seen, found)
        if not tasks.isdisjoint(("between", "after")) and "DATE" in kinds and self._may("DATE", SHIFTED):
            return self._shift_dates(seen, found, 2 if "between" in tasks else 1)
        return found

    def _may(self, kind: str, level: str) -> bool:
        """Whether the policy allows the level, and does not let the value leave as it is anyway."""
        levels = [precision for precision, _ in self._terms(kind, False).allowed]
        return level in levels and EXACT not in levels

    def written(self, span: Span, text: str, precision: str) -> str | None:
        """The value in one of these forms; None when it has none."""
        if precision == YEARS and self._ages and span.rule != "profile":
            years = number_as_range(text, span.kind)
            return text if years is not None and not years[0].startswith("over") else None
        if precision == SHIFTED and self.shift is not None and span.rule == RULE:
            return self.shift.away(text)
        return None

    def places(self, text: str) -> list[tuple[int, int]]:
        """Where shifted dates stand in a text of a later round."""
        return [place for place, _ in self.shift.gone_in(text)] if self.shift else []

    def original(self, text: str) -> str:
        """The text with its shifted dates as they were."""
        for (start, end), words in reversed(self.shift.gone_in(text) if self.shift else []):
            text = text[:start] + words + text[end:]
        return text

    def _order_names(self, seen: Sequence[Seen], found: list[list[Span]]) -> None:
        """Number the people by the alphabet, unless some of the conversation have their numbers already."""
        if any(name.startswith("PERSON_") for name in self._names.originals()):
            return
        pairs = zip(seen, found, strict=True)
        people = {item.text[s.start : s.end] for item, spans in pairs for s in spans if s.kind == "PERSON"}
        for name in sorted(people, key=str.casefold):
            self._names.name_for("PERSON", name)
        self.orders_names = True

    def _shift_dates(self, seen: Sequence[Seen], found: list[list[Span]], least: int) -> list[list[Span]]:
        placed = _placed(seen, found)
        if placed is None or len(placed) < least or _calendar_beside(seen, found, placed):
            return found
        shift = DayShift(int.from_bytes(self._names.pseudonym("\0weeks of the dates").encode()))
        if not all(shift.take(each.date) for each in placed):
            return found
        self.shift = shift
        return [_with_dates(spans, [p.date for p in placed if p.text == n]) for n, spans in enumerate(found)]


def _ends(text: str) -> str:
    """Where a request says what it wants: the beginning and the end of a text."""
    return text if len(text) <= 2 * _INSTRUCTION else text[:_INSTRUCTION] + "\n" + text[-_INSTRUCTION:]


def _placed(seen: Sequence[Seen], found: list[list[Span]]) -> list[_Placed] | None:
    """The full dates that would be shifted; None when one of the request's could not be."""
    placed = []
    slashes = month_first_in(item.text for item in seen)
    for number, (item, spans) in enumerate(zip(seen, found, strict=True)):
        dates = dates_in(item.text, slashes)
        births = [span for span in find_patterns(item.text) if span.kind == "BIRTHDATE"] if dates else []
        hidden = [*births, *(span for span in spans if span.kind != "DATE" or span.rule == "profile")]
        # a date of birth, a part of an address: hidden for another reason
        dates = [written for written in dates if not any(_meet(span, written) for span in hidden)]
        if not dates:
            continue
        if item.place is not TextPosition.PROSE or any(_tells_the_shift(written) for written in dates):
            return None
        if not all(_only_dates(item.text, span, dates) for span in spans if any(_meet(span, day) for day in dates)):
            return None
        placed += [_Placed(number, written) for written in dates]
    return placed


def _tells_the_shift(written: Written) -> bool:
    """Whether it is today: who gets it knows the day, and so by how much all moved. Or it cannot be read."""
    return written.day is None or abs((written.day - datetime.now(UTC).date()).days) <= 1


def _meet(span: Span, written: Written) -> bool:
    start, end = written.span
    return span.start < end and start < span.end


def _without(text: str, places: Iterable[tuple[int, int]]) -> str:
    """The text with blanks in these places."""
    for start, end in places:
        text = text[:start] + " " * (end - start) + text[end:]
    return text


def _only_dates(text: str, span: Span, dates: list[Written]) -> bool:
    """Whether the find holds nothing beside these dates but weekdays, times of day and small words."""
    rest = _TIME.sub(" ", _without(text, (written.span for written in dates))[span.start : span.end])
    return all(word.casefold() in _HARMLESS for word in _WORD.findall(rest))


def _calendar_beside(seen: Sequence[Seen], found: list[list[Span]], placed: list[_Placed]) -> bool:
    """Whether the texts, without these dates and without what is hidden, name years, months or days of today."""
    for number, (item, spans) in enumerate(zip(seen, found, strict=True)):
        gone = [each.date.span for each in placed if each.text == number]
        text = _without(item.text, [*gone, *((span.start, span.end) for span in spans)])
        if _CALENDAR.search(text) or "calendar" in tasks_in(text):
            return True
    return False


def _with_dates(spans: list[Span], dates: list[Written]) -> list[Span]:
    if not dates:
        return spans
    kept = [span for span in spans if not any(_meet(span, written) for written in dates)]
    return [*kept, *(Span(*written.span, "DATE", RULE) for written in dates)]
