"""Telephone numbers: international, valid in some country's numbering plan, or announced by a word such as "call"."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from netgpt.privacy.kinds import word_set
from netgpt.privacy.registry import detector
from netgpt.types import Span

_GROUPS = re.compile(r"\d+")
_PHONE_RUN = re.compile(
    r"(?:(?<=[0-9])\+(?=[0-9]{2} ?[0-9 ]{9})|(?<![0-9A-Za-z_])(?:\+|00|\(\+|\()?)"
    r"[ \t]{0,2}[0-9](?:[\s().\-/·]{0,5}[0-9]){5,120}"
    r"(?:[ \t]{0,2}(?:,? ?ext(?:ension)?\.?|x|#|;ext=)[ \t]{0,2}[0-9]{1,6})?(?![0-9A-Za-z])"
)
_PHONE_WORDS = re.compile(
    r"(?i)\b(?:phone|tel|telephone|mobile|cell|call|fax|whats ?app|sms|text me|reach|ring|contact|dial"
    r"|hotline|number is"
    r"|telefon|tél|teléfono|telefono|móvil|handy|numéro)\b"
)
_REGIONS = word_set("US GB DE FR ES IT IN AU NL BE CH AT SE NO DK FI PL PT IE")
_MORE_REGIONS = word_set("BR MX JP CN ZA NZ CZ HU GR TR RU UA IL SG HK KR EE SI")
_ALL_REGIONS = _REGIONS | _MORE_REGIONS
_WITHOUT_ZERO = word_set("US ES IT IN NO DK PL PT")
"""Countries whose own numbers are written without a leading 0."""
_NOT_PHONE = re.compile(
    r"\d{4}[-/. ](?:0?[1-9]|1[0-2])[-/. ](?:0?[1-9]|[12]\d|3[01])(?:[ T].*)?"  # dates
    r"|\d{1,2}[-/. ]\d{1,2}[-/. ]\d{4}(?:\s.*)?"
    r"|(?:(?:19|20)\d\d[\s\-/.]*)+|(?:0|[1-9]\d*)\.\d+|[1-9]\d{0,2}(?: 000)+"  # years, decimals, round amounts
    r"|[1-9]\d?(?: \d{3}){2}|2147483647|429496729[56]"  # millions in groups, the largest integers
)
_EXTENSION = re.compile(r"[;,]?\s*(?:e?x|[#;])")
_WIDE_GAP = re.compile(
    r"\s*\n\s*|[ \t]/[ \t]|[ \t]{2,}|\t|(?<=\d)\s?(?=\()"
    r"|(?<=(?<![(\d])\d)[).] |(?<=(?<![(\d])\d\d)[).] "
)
"""Where one number ends and another begins, most often: "1) 030 23125", "49 (0770...", two columns, two lines."""
_GAP = re.compile(_WIDE_GAP.pattern + r"|[ \t\xa0]")
_DECIMAL = re.compile(r"(?<![\d.])\d+\.\d+(?![\d.])")
_IN_THREE = re.compile(r"\d{3}\s\d{3}\s\d{4}")
_MOST_GROUPS = 8
_FEWEST_DIGITS = 6
_UUID = re.compile(r"(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_ISBN_BEFORE = re.compile(r"(?i)\bisbn(?:-1[03])?\s?:?\s?$")


@detector(kind="PHONE", family="contact", triggers=lambda seen: seen.has_number, examples=("call +44 20 7946 0018",))
def find_phones(text: str) -> Iterator[Span]:
    """Telephone numbers, with their extension."""
    ids = [match.span() for match in _UUID.finditer(text)]
    for match in _PHONE_RUN.finditer(text):
        before = bisect_right(ids, (match.start(), len(text))) - 1  # the last one that begins here or earlier
        if before < 0 or match.start() >= ids[before][1]:
            yield from _numbers_of(text, match.start(), match.end())


def _numbers_of(text: str, start: int, end: int) -> Iterator[Span]:
    """The number that a run is, or else every piece of it that is one: they may stand beside and below each other."""
    table = _DECIMAL.search(text, start, end) and _WIDE_GAP.search(text, start, end)
    torn = text[start + 1 : end].count("(") > text[start:end].count(")")
    if not table and not torn and (whole := _number(text, start, end)) is not None:
        yield whole
        return
    gaps = [match.span() for match in _GAP.finditer(text, start, end)]
    starts = [start, *(after for _, after in gaps)]
    ends = [*(before for before, _ in gaps), end]
    for first in range(len(starts)):
        for last in range(min(first + _MOST_GROUPS, len(starts)) - 1, first - 1, -1):
            if ends[last] - starts[first] < _FEWEST_DIGITS:
                break
            piece = text[starts[first] : ends[last]]
            if _may_be_one(text, starts[first], piece, (start, end)) and (
                span := _number(text, starts[first], ends[last])
            ):
                yield span
                break


def _may_be_one(text: str, start: int, piece: str, run: tuple[int, int]) -> bool:
    """Whether a piece of a run is worth asking: it stands alone between gaps, or begins as numbers are dialled."""
    if _WIDE_GAP.search(piece):
        return False
    if not any(c.isspace() for c in piece) or _IN_THREE.fullmatch(piece):
        return not _DECIMAL.fullmatch(piece)
    if piece.startswith(("+", "(")) or (piece.startswith("0") and piece[1:2].isdigit()):
        return True
    end = start + len(piece)
    begins = start == run[0] or _WIDE_GAP.search(text, max(run[0], start - 4), start) is not None
    return begins and (end == run[1] or _WIDE_GAP.match(text, end) is not None)


def _number(text: str, start: int, end: int) -> Span | None:
    raw = text[start:end].strip()
    start += text[start:end].find(raw)
    number = _EXTENSION.split(raw.lower(), maxsplit=1)[0].strip()
    digits = re.sub(r"\D", "", number)
    if not _FEWEST_DIGITS <= len(digits) <= 17:
        return None
    extended = len(raw) > len(number) + 1  # "... ext. 12": only telephone numbers have one
    if raw.startswith("+") and text[start - 1 : start].isdigit() and not _valid_in(digits, frozenset()):
        return None  # a sum
    announced = extended or bool(_PHONE_WORDS.search(text, max(0, start - 48), start))
    if _is_phone(number, digits, announced) and (announced or not _is_listed(text, start, number)):
        return Span(start, start + len(raw), "PHONE", "pattern:phone", 1.0 if announced else 0.8)
    return None


def _is_listed(text: str, start: int, number: str) -> bool:
    """Whether the run is a piece of a list of small numbers, or a book's number."""
    sizes = [len(group) for group in _GROUPS.findall(number)]
    if number.startswith(("+", "0", "(")):
        return number.startswith("0-") and bool(_ISBN_BEFORE.search(text, max(0, start - 10), start))
    if _ISBN_BEFORE.search(text, max(0, start - 10), start):
        return True
    if sizes.count(1) >= 2 and sizes.count(2) >= 2:
        return True
    return max(sizes) <= 2 and re.search(r"\d,? $", text[max(0, start - 3) : start]) is not None


def _is_phone(raw: str, digits: str, announced: bool) -> bool:
    if digits.startswith("011") and len(digits) >= 11 and _valid_in(digits[3:], frozenset()):
        return True  # as dialled abroad from North America
    if raw.lstrip("(").startswith(("+", "00")):
        return len(digits) >= 7 and not (raw.startswith("00") and set(digits) <= {"0"})
    if _NOT_PHONE.fullmatch(raw) and not announced:
        return False
    if announced:
        return len(digits) <= 15 and not re.fullmatch(r"(?:19|20)\d\d[-/.]\d\d[-/.]\d\d", raw)
    groups = len(_GROUPS.findall(raw))
    if len(digits) < 9 or len(digits) > 13:
        grouped = (raw.startswith("(") and ")" in raw) or (len(digits) == 8 and groups >= 3)
        return len(digits) >= 7 and grouped and _valid_in(digits, _REGIONS)
    if groups > 1:
        return _valid_in(digits, _ALL_REGIONS)
    if digits.startswith("1") and len(digits) in (10, 13):
        return False  # seconds or milliseconds since 1970
    unprefixed = not digits.startswith("0") and len(digits) < 11
    return _valid_in(digits, _WITHOUT_ZERO if unprefixed else _REGIONS if len(digits) < 11 else _ALL_REGIONS)


@lru_cache(maxsize=8192)
def _valid_in(digits: str, regions: frozenset[str]) -> bool:
    import phonenumbers

    candidates = [(digits, region) for region in regions if _is_possible(digits, region)]
    if len(digits) >= 11 or not regions:
        candidates.append(("+" + digits, "ZZ"))  # the country code without its plus
    for number, region in candidates:
        try:
            parsed = phonenumbers.parse(number, region)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(parsed):
            return True
    return False


def _is_possible(digits: str, region: str) -> bool:
    """A quick look at the region's general pattern, before the full check that costs twenty times as much."""
    pattern, *prefixes = _plan(region)
    return any(
        pattern.fullmatch(digits.removeprefix(prefix)) for prefix in ("", *prefixes) if digits.startswith(prefix)
    )


@lru_cache(maxsize=64)
def _plan(region: str) -> tuple[Any, ...]:
    """The pattern of national numbers, the trunk prefix and the country code of a region."""
    from phonenumbers import PhoneMetadata

    known: Any = PhoneMetadata.metadata_for_region(region)
    pattern = re.compile(known.general_desc.national_number_pattern)
    return pattern, *(prefix for prefix in (known.national_prefix, str(known.country_code)) if prefix)
