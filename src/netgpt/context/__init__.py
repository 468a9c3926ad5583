"""Facts of a request: the current ones, the local time, and what a person has stated about themselves."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from netgpt.context.places import word_set
from netgpt.context.values import values_of
from netgpt.errors import RequestError, SettingsError
from netgpt.types import Fact, Label
from netgpt.wording import sentence


def current(facts: Iterable[Fact], now: datetime) -> tuple[Fact, ...]:
    """The facts that are not out of date at `now` (timezone-aware), in the order given, each text once.

    Of two labels for the same text the stricter one counts.
    """
    kept: dict[str, Fact] = {}
    for fact in facts:
        if fact.expired(now):
            continue
        key = " ".join(fact.text.casefold().split())
        known = kept.get(key)
        if known is None:
            kept[key] = fact
        elif fact.label.rank > known.label.rank:
            kept[key] = replace(known, label=fact.label)
    return tuple(kept.values())


# Spelled out: `strftime` and `calendar` follow the process's locale, and prompts must not.
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
_PARTS = ((5, "night"), (12, "morning"), (17, "afternoon"), (22, "evening"), (24, "night"))


def part_of_day(hour: int) -> str:
    """The everyday name of an hour (0-23): night, morning, afternoon or evening."""
    return next(name for end, name in _PARTS if hour < end)


def time_facts(now: datetime, time_zone: str) -> tuple[Fact, ...]:
    """The local time at the site as one public fact, which expires with the minute.

    `now` is timezone-aware (ValueError otherwise), `time_zone` an IANA name (SettingsError when unknown).
    """
    if now.tzinfo is None:
        raise ValueError("time_facts needs a timezone-aware time")
    try:
        local = now.astimezone(ZoneInfo(time_zone))
    except (KeyError, ValueError, OSError):
        raise SettingsError(f'unknown time zone "{time_zone}"; use an IANA name such as "Europe/London"') from None
    text = (
        f"It is {_WEEKDAYS[local.weekday()]} {part_of_day(local.hour)}, "
        f"{local.day} {MONTHS[local.month - 1]} {local.year}, {local.hour:02}:{local.minute:02} local time"
    )
    expires = local.replace(second=0, microsecond=0) + timedelta(minutes=1)
    return (Fact(text, "time", Label.PUBLIC, source="clock", precision="minute", expires=expires),)


SENSITIVE_KIND = "OWN"
"""Kind of every value of a sensitive fact: the fact's own kind would give away what it is about."""
LONGEST = 500
"""Characters of one profile fact."""
MOST = 2_000
"""Facts of one person."""
_WRITTEN_WITH = dict.fromkeys(map(ord, "\u200c\u200d"))
"""Invisible, but part of how Persian, Hindi and emoji are written."""
_INTIMATE = word_set(
    """health medical medication medicine illness disease condition disability allergy religion faith politics
    sexuality orientation pregnancy addiction crime"""
)
"""Kinds of which single words give too much away."""
_PREFIX = re.compile(r"(?:About the user: |The user['’]s |The user |Near here: |On the way home: )")


def profile_fact(text: str, kind: str, label: Label = Label.PERSONAL) -> Fact:
    """A stated fact, as a sentence about the user where that is certain: ("is vegetarian", "diet") -> "The user is
    vegetarian". In other words, and in other languages, it is kept as it was stated.

    Raises RequestError: empty, longer than 500 characters, control characters, kind not one lower-case word.
    """
    if not isinstance(text, str) or not text.strip():
        raise RequestError('a profile fact needs a text such as "is vegetarian"', param="text")
    if len(text) > LONGEST:
        raise RequestError(
            f"this fact has {len(text):,} characters, a profile fact has at most {LONGEST}: state it shorter, or as "
            "several facts",
            param="text",
        )
    if not text.translate(_WRITTEN_WITH).isprintable():
        raise RequestError("a profile fact is one line of printable text", param="text")
    if not isinstance(kind, str) or not re.fullmatch(r"[a-z]{1,30}", kind):
        raise RequestError('the kind of a fact is one lower-case word such as "diet"', param="kind")
    line = " ".join(text.split())
    return Fact(sentence(line, english_only=True) or line, kind, Label(label), source="profile")


def check_room(known: int) -> None:
    """Raises RequestError when a profile of `known` facts is full."""
    if known >= MOST:
        raise RequestError(
            f"this profile is full: it has {known:,} facts, at most {MOST:,}; remove one first", param="text"
        )


def private_values(facts: Iterable[Fact]) -> tuple[tuple[str, str], ...]:
    """(KIND, value) of everything in the non-public facts that must not leave, longest first, each value once.

    Of "lives at 12 Mill Road, Cambridge": the whole text, "12 Mill Road, Cambridge", "12 Mill Road", "Mill Road",
    "Cambridge". Of "is vegetarian" the word "vegetarian" is a value, too: hiding too much is the safe side. Values of
    sensitive facts have SENSITIVE_KIND.
    """
    found: dict[str, tuple[str, str]] = {}
    for fact in sorted(facts, key=lambda fact: -fact.label.rank):  # a value of two facts counts as the stricter one
        if fact.label is Label.PUBLIC:
            continue
        kind = SENSITIVE_KIND if fact.label is Label.SENSITIVE else re.sub(r"[^A-Z]", "", fact.kind.upper()) or "FACT"
        stated = _PREFIX.sub("", fact.text, count=1).strip()
        intimate = fact.kind in _INTIMATE or fact.label is Label.SENSITIVE
        for value in values_of(stated, fact.source == "places", intimate and fact.source == "profile"):
            found.setdefault(value.casefold(), (kind, value))
    return tuple(sorted(found.values(), key=lambda pair: -len(pair[1])))
