"""When a place is open, from the two ways in which sources say it: OpenStreetMap's `opening_hours`, and plain English.

Only what is certain is read: seasons, terms, holidays and exceptions leave it open, and then nothing is said.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Final

DAY: Final = 24 * 60
_NAMES: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_DAYS: Final = {short: index for index, name in enumerate(_NAMES) for short in (name[:2].lower(), name[:3].lower())}
_ANY_DAY = (
    r"(?:mon|tues|wednes|thurs|fri|satur|sun)days?|(?:mon|tue|wed|thu|thur|thurs|fri|sat|sun|mo|tu|we|th|fr|sa|su)\b"
)
_SOME_DAYS = rf"(?:{_ANY_DAY})(?:\s*(?:-|–|to|through|until|,|and|&|, and)\s*(?:{_ANY_DAY}))*"
_DAY_LIST = re.compile(rf"(?:(?:from|on|every) )*(?:{_SOME_DAYS})|daily|every ?day|(?:seven|7) days a week")
_SHUT = re.compile(
    rf"(?:{_DAY_LIST.pattern}) ?:? ?(?:it is )?(?:off|closed|shut)\b"
    rf"|(?:it is |and )*(?:off|closed|shut) (?:{_DAY_LIST.pattern})"
)
_CLOCK = r"(?:[01]?\d|2[0-4])(?:[:.][0-5]\d)?(?: ?[ap]m)?"
_SPAN = re.compile(rf"(?:from |between )?(?P<start>{_CLOCK}) ?(?:-|–|to|until|till|and) ?(?P<end>{_CLOCK})(?![\d:])")
_IN_DOUBT = re.compile(
    r"\b(?:jan|feb|mar|apr|may|june?|july?|aug|sept?|oct|nov|dec)[a-z]*\b|term|except|depend|holiday|event|borrow"
    r"|season|summer|winter|appointment|sunrise|sunset|week\b|\bsh\b|[\"|\[\]]|\?|sometimes|varies|usually|normally"
    r"|last |first "
)

Span = tuple[int, int]
"""Minutes since midnight; the end may be on the next day."""


@lru_cache(maxsize=8192)
def opening_hours(text: str) -> tuple[tuple[Span, ...], ...] | None:
    """For each day from Monday, when a place is open; None when that is not certain.

    >>> opening_hours("Mo-Fr 09:00-17:30; Sa 10:00-14:00")[4:]
    (((540, 1050),), ((600, 840),), ())
    >>> opening_hours("it opens from 10 a.m. to 5 p.m. from tuesday to saturday")[:2]
    ((), ((600, 1020),))
    """
    said = re.sub(r"\b([ap])\. ?m\b\.?", r"\1m", " ".join(text.lower().split()))
    said = re.sub(r"\b(?:12 )?(noon|midnight)\b", lambda match: "12 pm" if match[1] == "noon" else "12 am", said)
    if re.fullmatch(r"(?:24/7|(?:it is )?(?:always(?: open)?|open 24 hours)|00:00-24:00)\.?", said):
        return (((0, DAY),),) * 7
    said = re.sub(r";? ?\bph\b(?: off| closed)?", "", said)
    if _IN_DOUBT.search(said):
        return None
    week: list[list[Span]] = [[] for _ in range(7)]
    for part in re.split(r";|\.\s|\.\.", said):
        rules = _rules(part)
        if rules is None:
            return None
        for day in {day for days, _ in rules for day in days}:  # a later part speaks for its days alone
            week[day] = [span for days, spans in rules if day in days for span in spans]
    return tuple(tuple(sorted(spans)) for spans in week) if any(week) else None


def opening_now(text: str, local: datetime) -> str:
    """Such as "open until 17:30" or "closed now, opens Tuesday 10:00", at the place's local time. Empty: in doubt."""
    week = opening_hours(text)
    if week is None:
        return ""
    today, minute = local.weekday(), local.hour * 60 + local.minute
    if all(spans == ((0, DAY),) for spans in week):
        return "always open"
    ends = [end - back * DAY for back in (0, 1) for start, end in week[(today - back) % 7]
            if start <= minute + back * DAY < end]  # fmt: skip
    if ends:
        return f"open until {_clock(max(ends))}"
    for ahead in range(8):
        for start, _ in week[(today + ahead) % 7]:
            if ahead or start > minute:
                day = "" if not ahead else "tomorrow " if ahead == 1 else f"{_NAMES[(today + ahead) % 7]} "
                return f"closed now, opens {day}{_clock(start)}"
    return ""


def _clock(minutes: int) -> str:
    return f"{minutes // 60 % 24:02}:{minutes % 60:02}"


def _rules(part: str) -> list[tuple[Sequence[int], list[Span]]] | None:
    """Days and their spans, of one clause; None when they cannot be paired for certain."""
    closed: set[int] = set()
    while shut := _SHUT.search(part):
        days = _DAY_LIST.search(shut[0])
        assert days is not None  # `_SHUT` has them
        closed |= set(_days(days))
        part = f"{part[: shut.start()]} {part[shut.end() :]}"
    if re.search(r"\b(?:off|closed|shut)\b", part):
        return None
    rules = _open_rules(part)
    if rules is None:
        return None
    opened: list[tuple[Sequence[int], list[Span]]] = [([d for d in days if d not in closed], s) for days, s in rules]
    opened.append((sorted(closed), []))
    return opened


def _open_rules(part: str) -> list[tuple[Sequence[int], list[Span]]] | None:
    """One clause: the days stand before all of their times, or after all of them."""
    items = sorted([*_DAY_LIST.finditer(part), *_SPAN.finditer(part)], key=lambda match: match.start())
    if not items:
        return [] if not re.search(r"\d", part) else None
    groups: list[tuple[bool, list[re.Match[str]]]] = []
    for match in items:
        is_days = match.re is _DAY_LIST
        if groups and groups[-1][0] == is_days:
            groups[-1][1].append(match)
        else:
            groups.append((is_days, [match]))
    if len(groups) == 1:
        spans = list(_spans(groups[0][1])) if not groups[0][0] else []
        return [(range(7), spans)] if spans else None
    if len(groups) % 2:
        return None
    rules: list[tuple[Sequence[int], list[Span]]] = []
    for first, second in zip(groups[::2], groups[1::2], strict=True):
        days, times = (first, second) if first[0] else (second, first)
        spans = list(_spans(times[1]))
        if len(spans) != len(times[1]):
            return None
        rules.append(([day for match in days[1] for day in _days(match)], spans))
    return rules


def _days(match: re.Match[str]) -> Sequence[int]:
    words = re.findall(rf"{_ANY_DAY}|-|–|\bto\b|through|until", match[0])
    if not words:
        return range(7)
    days: list[int] = []
    ranged = False
    for word in words:
        if word in ("-", "–", "to", "through", "until"):
            ranged = True
            continue
        day = _DAYS[word[:2]]
        days += [(days[-1] + step) % 7 for step in range(1, (day - days[-1]) % 7 + 1)] if ranged and days else [day]
        ranged = False
    return days


def _spans(matches: Sequence[re.Match[str]]) -> Iterator[Span]:
    """Those whose hours are certain: "9 to 5" is not."""
    for match in matches:
        end = _minutes(match["end"], "")
        half = match["end"][-2:] if match["end"].endswith("m") else ""
        start = _minutes(match["start"], half)
        if start is None or end is None:
            continue
        if half == "pm" and not match["start"].endswith("m") and start >= end:
            start -= DAY // 2  # "10 to 5 pm"
        yield start, end + DAY if end <= start else end


def _minutes(clock: str, half: str) -> int | None:
    """ "5:30 pm" -> 1050; `half`: the am or pm of the other end. None: "5" alone says no half of the day."""
    own = clock[-2:] if clock.endswith("m") else half
    hour, _, minute = re.sub(r" ?[ap]m$", "", clock).replace(".", ":").partition(":")
    if not own and not minute and len(hour) < 2:
        return None
    hours = int(hour) % 12 + (12 if own == "pm" else 0) if own else int(hour)
    return hours * 60 + int(minute or 0)
