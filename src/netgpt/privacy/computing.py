"""What a request computes with, so that it leaves in a form in which that can be done, where the policy allows it.

Three forms stand between the value and its placeholder. `shifted`: dates that are counted or ordered leave moved by
secret weeks. `years`: ages that are compared leave as they are, up to 89. `order`: names that are sorted leave as
placeholders whose numbers follow the alphabet. Each only when the request says by its words that it needs it
(`tasks.toml`); otherwise, and where any doubt is, values leave as if these forms did not exist.
"""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from importlib import resources
from typing import Final, Protocol

from netgpt.privacy.body import Seen
from netgpt.privacy.detectors import find_patterns
from netgpt.privacy.generalize import FILLER, MONTHS, number_as_range
from netgpt.privacy.kinds import EXACT, ORDER, SHIFTED, YEARS, TermsOf
from netgpt.privacy.shifting import DayShift, Written, dates_in, month_first_in
from netgpt.privacy.wire import TextPosition
from netgpt.types import Span

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
        tasks = {task for item in seen if item.place is TextPosition.PROSE for task in tasks_in(_ends(item.text))}
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
