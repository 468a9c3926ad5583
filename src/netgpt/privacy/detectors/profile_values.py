"""Search for the values that a person's profile forbids to leave.

A value is found whatever its case, accents, spacing or punctuation ("gluten-free", "Gluten Free", "glutenfree"), in
the plural, as a date or a street in another notation (`forms`), with zero-width characters inside, and escaped. Where
it begins or ends with a letter or digit, it must stand apart: beside another letter only in camel case, in a writing
without spaces, or beside a digit.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Final

from netgpt.privacy.detectors.disguises import views
from netgpt.privacy.detectors.normalize import View, plain
from netgpt.privacy.kinds import FIXED_KINDS
from netgpt.registry import holds_texts
from netgpt.types import Span

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
    written = match["m"]
    month = int(written) if written.isdigit() else next(i for i, m in enumerate(_MONTHS, 1) if m[:3] == written[:3])
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


_ASCII_GAP = re.compile(r"[^a-z0-9]+")
_EDGES = " \t\r\n.,;:!?\"'`"
_FOLDED = {"ø": "o", "ł": "l", "đ": "d", "æ": "ae", "œ": "oe", "ı": "i", "þ": "th", "ð": "d"}
_PLURAL = re.compile(r"(?:'s|es|s)(?![^\W_])", re.IGNORECASE)
_PLAIN_KINDS = {
    "BIRTHDAY": "DATE", "CAR": "CAR", "CITY": "PLACE", "DATE": "DATE", "DIET": "DIET", "EMPLOYER": "WORK",
    "FAMILY": "FAMILY", "HOBBY": "HOBBY", "HOME": "HOME", "JOB": "WORK", "LANGUAGE": "LANGUAGE", "LOCATION": "PLACE",
    "MUSIC": "MUSIC", "NAME": "PERSON", "NICKNAME": "PERSON", "PET": "PET", "SCHOOL": "SCHOOL", "TIME": "DATE",
    "TOWN": "PLACE", "VEHICLE": "CAR", "WORK": "WORK",
}  # fmt: skip
"""First words of kinds that are not private themselves, and the placeholders they give."""
PROFILE_KINDS = FIXED_KINDS | frozenset(_PLAIN_KINDS.values())
"""What `clean_kind` may give."""
_FIRST_UNSPACED = "\u0590"
"""From here on (Hebrew, Arabic, Thai, CJK) words are written together or take prefixes."""


def find_values(text: str, values: Sequence[tuple[str, str]], *, whole_words: bool = True) -> list[Span]:
    """Spans of every (KIND, value) pair in `text`, in original offsets; they may overlap."""
    return needles_of(values).find(text, whole_words=whole_words) if values else []


class Needles:
    """Values as they are looked for, in all their spellings. Many are found in one reading of a text."""

    def __init__(self, needles: Sequence[tuple[str, str, bool]]) -> None:
        """`needles`: (kind, how it is written, whether its signs count)."""
        self._plain, self._signed = (
            _Searched({needle: kind for kind, needle, has_signs in needles if has_signs == signs})
            for signs in (False, True)
        )

    def find(self, text: str, *, whole_words: bool = True) -> list[Span]:
        """As `find_values`."""
        if not text or not (self._plain.kinds or self._signed.kinds):
            return []
        spans: set[Span] = set()
        for view in views(text):
            if self._plain.kinds:
                compact, where = _compact(view.text)
                for at, needle in self._plain.places(compact):
                    spans.update(_occurrence(view, at, where, self._plain.kinds[needle], needle, whole_words))
            if self._signed.kinds:
                for at, needle in self._signed.places(_lower(view.text)):
                    spans.update(_occurrence(view, at, None, self._signed.kinds[needle], needle, whole_words))
        return sorted(spans, key=lambda span: (span.start, -span.end))


class _Searched:
    """Strings that are looked for together."""

    def __init__(self, kinds: dict[str, str]) -> None:
        self.kinds = kinds
        self._lengths: dict[str, list[int]] = {}
        """By their beginning, the lengths of those that are long enough to have one."""
        many = len(kinds) > _FEW
        self._singly = [needle for needle in kinds if not many or len(needle) < _BEGINNING]
        for needle in kinds if many else ():
            if len(needle) >= _BEGINNING:
                lengths = self._lengths.setdefault(needle[:_BEGINNING], [])
                if len(needle) not in lengths:
                    lengths.append(len(needle))

    def places(self, text: str) -> Iterator[tuple[int, str]]:
        """Where each begins, overlapping ones too."""
        for needle in self._singly:
            at = text.find(needle)
            while at >= 0:
                yield at, needle
                at = text.find(needle, at + 1)
        for at in range(len(text) - _BEGINNING + 1) if self._lengths else ():
            for length in self._lengths.get(text[at : at + _BEGINNING], ()):
                if (needle := text[at : at + length]) in self.kinds:
                    yield at, needle


_FEW: Final = 24
"""Values that are looked for one after the other: quicker than to look at each letter."""
_BEGINNING: Final = 3
"""Letters by which many are told apart."""


def clean_kind(kind: str) -> str:
    """The name that a fact's kind gives to its placeholder, from a short fixed list; PRIVATE for anything else.

    A kind is the person's own word ("addiction", "ada@mill.org") and may say as much as the value.
    """
    kept = re.sub(r"[^A-Z]+", "_", kind.upper()).strip("_")
    return kept if kept in FIXED_KINDS else _PLAIN_KINDS.get(kept.partition("_")[0], "PRIVATE")


def needles_of(values: Sequence[tuple[str, str]]) -> Needles:
    """The (KIND, value) pairs, made ready once for many texts."""
    return _needles(tuple(values))


@holds_texts
@lru_cache(maxsize=256)
def _needles(values: tuple[tuple[str, str], ...]) -> Needles:
    """In "C++" the signs count."""
    found: dict[tuple[str, bool], str] = {}
    for kind, value in values:
        shown = plain(value).strip(_EDGES) or plain(value)
        for form in (shown, *forms_of(shown)):
            needle = _compact(form)[0]
            if len(needle) >= 3 or needle == form.casefold() or _is_plain(form):
                found.setdefault((needle, False), clean_kind(kind))
            elif form.strip():
                found.setdefault((_lower(form), True), clean_kind(kind))
    return Needles([(kind, needle, has_signs) for (needle, has_signs), kind in found.items() if needle])


def _is_plain(form: str) -> bool:
    """Whether the form has no signs but those between words."""
    return bool(form.strip()) and not any(not c.isalnum() and c not in " -_'" and not _is_mark(c) for c in form)


def _is_mark(character: str) -> bool:
    return unicodedata.combining(character) > 0


def _lower(text: str) -> str:
    """Small letters without moving any character."""
    lowered = text.lower()
    return lowered if len(lowered) == len(text) else "".join(c.lower() if len(c.lower()) == 1 else c for c in text)


def _compact(text: str) -> tuple[str, list[int] | None]:
    """The letters and digits of the text without case and accents, and for each its place in `text`.

    None for the places means that nothing moved.
    """
    if text.isascii():
        lowered = text.lower()
        if not _ASCII_GAP.search(lowered):
            return lowered, None
        return _ASCII_GAP.sub("", lowered), [i for i, c in enumerate(lowered) if c.isalnum()]
    characters: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        for folded in unicodedata.normalize("NFKD", character.casefold()):
            for letter in _FOLDED.get(folded, folded):
                if letter.isalnum():
                    characters.append(letter)
                    places.append(place)
    return "".join(characters), places


def _occurrence(
    view: View, at: int, where: list[int] | None, kind: str, needle: str, whole_words: bool
) -> Iterator[Span]:
    """The needle that begins at `at` of the compact text, where it counts."""
    last = at + len(needle) - 1
    start, end = (where[at], where[last] + 1) if where is not None else (at, last + 1)
    if len(needle) > 3 and needle[-1].isalpha() and (plural := _PLURAL.match(view.text, end)):
        end = plural.end()
    if not whole_words or _stands_apart(view.text, start, end):
        first, after = view.back(start, end)
        if first < after:
            yield Span(first, after, kind, "profile")


def _stands_apart(text: str, start: int, end: int) -> bool:
    glued_before = start > 0 and _glued(text[start - 1], text[start])
    return not (glued_before or (end < len(text) and _glued(text[end - 1], text[end])))


def _glued(one: str, next_: str) -> bool:
    """Whether no word can begin between the two characters."""
    if not (one.isalnum() and next_.isalnum()) or max(one, next_) >= _FIRST_UNSPACED:
        return False
    return one.isdigit() == next_.isdigit() and not (one.islower() and next_.isupper())
