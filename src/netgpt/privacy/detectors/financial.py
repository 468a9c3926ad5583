"""Cards and bank accounts: runs of digits that a checksum confirms."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from netgpt.privacy.detectors.checksums import luhn
from netgpt.privacy.detectors.normalize import lower_case, places
from netgpt.privacy.kinds import word_set
from netgpt.privacy.registry import Prefilter, detector
from netgpt.types import Span

_GROUPS = re.compile(r"\d+")
_CARD_RUN = re.compile(r"(?<![0-9])[0-9]{1,19}(?:[ \t]?[-./_ \t\n\r·]{1,2}[ \t]?[0-9]{2,19}){0,9}(?![0-9])")
_CARD_ISSUERS = re.compile(  # ISO/IEC 7812 prefixes with the lengths that each network issues
    r"4(?:\d{12}|\d{15}|\d{18})|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}|3[47]\d{13}"
    r"|(?:6011|64[4-9]\d|65\d\d)\d{12,15}|35\d{14,17}|(?:2131|1800)\d{11}"
    r"|3(?:0[0-59]|6\d|[89]\d)\d{11,16}|62\d{14,17}|(?:50[0-9]{2}|5[6-9]\d\d|6[0-9]{3})\d{8,15}|220[0-4]\d{12,15}"
    r"|(?:60|81|82)\d{14}|9792\d{12}"
)
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}[ \-]?[0-9]{2}(?:[ \t.\-\n]{0,2}[A-Za-z0-9]){11,30}")
_IBAN_LENGTHS = {  # from the SWIFT registry of IBAN formats
    pair[:2]: int(pair[2:])
    for pair in word_set(
        """
    AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20
    EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30
    KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23
    PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26
    UA29 VA22 VG24 XK20 YE30
        """
    )
}


_SPELLED: Final = {
    word: str(digit)
    for words in (
        "zero one two three four five six seven eight nine", "oh",
        "null eins zwei drei vier fünf sechs sieben acht neun",
        "zéro - deux trois quatre cinq six sept huit neuf", "cero uno dos tres cuatro cinco seis siete ocho nueve",
    )
    for digit, word in enumerate(words.split())
} | {"zwo": "2"}  # fmt: skip
_NUMBER_WORD = re.compile(rf"(?i)(?P<digit>{'|'.join(_SPELLED)})(?![^\W_])")
_TIMES: Final = {"double ": 2, "triple ": 3}
_GAP = re.compile(r"[ ,.\-\n]{1,3}")


def may_spell(seen: Prefilter) -> bool:
    """Whether several number words stand in a text."""
    return sum(word in _SPELLED for word in seen.words) >= 3


def spelled_numbers(text: str) -> Iterator[tuple[int, int, str]]:
    """(start, end, digits) of seven or more number words behind each other."""
    start, end, digits = 0, -1, ""
    for at in places(lower_case(text), _SPELLED):
        if at < end or text[at - 1 : at].isalnum() or (word := _NUMBER_WORD.match(text, at)) is None:
            continue
        times = _TIMES.get(text[max(0, at - 7) : at].lower(), 1)
        at -= 7 if times > 1 else 0
        if end < 0 or not _GAP.fullmatch(text, end, at):
            if len(digits) >= 7:
                yield start, end, digits
            start, digits = at, ""
        digits += _SPELLED[word["digit"].lower()] * times
        end = word.end()
    if len(digits) >= 7:
        yield start, end, digits


@detector(
    kind="CARD",
    family="secret",
    secret=True,
    triggers=lambda seen: seen.has_number or may_spell(seen),
    examples=("card 4111 1111 1111 1111",),
)
def find_cards(text: str) -> Iterator[Span]:
    """Card numbers of the known networks, in one run, in groups, or in words."""
    for start, end, digits in spelled_numbers(text):
        if len(digits) >= 12 and _CARD_ISSUERS.fullmatch(digits) and luhn(digits):
            yield Span(start, end, "CARD", "pattern:spelled")
    for run in _CARD_RUN.finditer(text):
        if run.end() - run.start() < 12:
            continue
        groups = [match.span() for match in _GROUPS.finditer(text, run.start(), run.end())]
        for first in range(len(groups)):  # also inside a find: of two cards, the first may seem to end in the second
            last = _card_end(text, groups, first)
            if last is not None:
                yield Span(groups[first][0], groups[last][1], "CARD", "pattern:card")


def _card_end(text: str, groups: list[tuple[int, int]], first: int) -> int | None:
    """The last group of a card that begins with group `first`; the longest wins."""
    digits, found = "", None
    for last in range(first, len(groups)):
        digits += text[slice(*groups[last])]
        if len(digits) > 19:
            break
        if len(digits) >= 12 and _CARD_ISSUERS.fullmatch(digits) and luhn(digits):
            found = last
    return found


@detector(
    kind="IBAN",
    family="secret",
    secret=True,
    triggers=lambda seen: seen.has_number,
    examples=("IBAN GB82 WEST 1234 5698 7654 32",),
)
def find_ibans(text: str) -> Iterator[Span]:
    """International bank account numbers: country, length and ISO 7064 MOD 97-10 all right."""
    at = 0
    while match := _IBAN.search(text, at):
        at = match.start() + 2
        places = [i for i in range(match.start(), match.end()) if text[i].isalnum()]
        length = _IBAN_LENGTHS.get(match[0][:2].upper())
        if length is None or len(places) < length:
            continue
        end = places[length - 1] + 1
        if end < len(text) and text[end].isascii() and text[end].isalnum():
            continue
        account = "".join(text[i] for i in places[:length]).upper()
        if int("".join(str(int(c, 36)) for c in account[4:] + account[:4])) % 97 == 1:
            yield Span(match.start(), end, "IBAN", "pattern:iban")
            at = end
