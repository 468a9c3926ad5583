"""The forms in which a person may write a value of the own profile again: another number, date or street word."""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["forms_of"]

_MONTHS = "january february march april may june july august september october november december".split()  # noqa: SIM905
_MONTH = "|".join(f"{name}|{name[:3]}" + ("|sept" if name[:3] == "sep" else "") for name in _MONTHS)
_DAY = r"(?P<d>\d{1,2})(?:st|nd|rd|th)?"
_DATES = (
    re.compile(rf"{_DAY}\s(?:of\s)?(?P<m>{_MONTH})\.?(?:,?\s(?P<y>\d{{4}}))?"),
    re.compile(rf"(?P<m>{_MONTH})\.?\s{_DAY}(?:,?\s(?P<y>\d{{4}}))?"),
    re.compile(r"(?P<y>\d{4})[-/.](?P<m>\d{1,2})[-/.](?P<d>\d{1,2})"),
    re.compile(r"(?P<d>\d{1,2})[-/.](?P<m>\d{1,2})[-/.](?P<y>\d{4})"),
)
_STREETS = (
    ("road", "rd"), ("street", "st"), ("avenue", "ave"), ("lane", "ln"), ("drive", "dr"), ("close", "cl"),
    ("court", "ct"), ("place", "pl"), ("square", "sq"), ("boulevard", "blvd"), ("gardens", "gdns"),
    ("crescent", "cres"), ("terrace", "terr"), ("straße", "str"), ("strasse", "str"),
)  # fmt: skip
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe"})


def forms_of(value: str) -> Iterator[str]:
    """Other spellings of `value` (normalised text); the value itself is not among them."""
    lowered = value.casefold()
    if lowered.translate(_UMLAUTS) != lowered:
        yield lowered.translate(_UMLAUTS)
    yield from _singular(lowered)
    for long, short in _STREETS:
        for one, other in ((long, short), (short, long)):
            changed = re.sub(rf"(?<=\w )\b{one}\b\.?|(?<=\w{{3}}){one}\b\.?(?=$|\s\d)", other, lowered)
            if changed != lowered:
                yield changed
    for pattern in _DATES:
        for match in pattern.finditer(lowered):
            yield from _dates(match)


def _singular(value: str) -> Iterator[str]:
    """ "peanuts" -> "peanut", "allergies" -> "allergy"; the plural is found by the search itself."""
    if len(value) < 5 or not value.endswith("s") or value.endswith(("ss", "us", "is")):
        return
    if value.endswith("ies"):
        yield value[:-3] + "y"
    elif value.endswith(("ches", "shes", "xes", "sses")):
        yield value[:-2]
    else:
        yield value[:-1]


def _dates(match: re.Match[str]) -> Iterator[str]:
    """The day in the usual notations, with and without the year."""
    told = match["m"]
    month = int(told) if told.isdigit() else next(i for i, name in enumerate(_MONTHS, 1) if name[:3] == told[:3])
    day, year = int(match["d"]), match["y"]
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return
    name = _MONTHS[month - 1]
    for word in (name, name[:3]):
        for number in (f"{day}", f"{day:02d}", f"{day}{_ordinal(day)}"):
            yield from (f"{number} {word}", f"{number} of {word}", f"{word} {number}")
    if year:
        for d, m, y in ((f"{day:02d}", f"{month:02d}", year), (f"{day}", f"{month}", year)):
            yield from (f"{y}-{m}-{d}", f"{d}/{m}/{y}", f"{m}/{d}/{y}")
        yield from (f"{day:02d}/{month:02d}/{year[2:]}", f"{month:02d}/{day:02d}/{year[2:]}")


def _ordinal(day: int) -> str:
    return "th" if 10 < day < 14 else {1: "st", 2: "nd", 3: "rd"}.get(day % 10, "th")
