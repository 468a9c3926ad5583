"""Cards and bank accounts: runs of digits that a checksum confirms."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from netgpt.privacy.detectors.checksums import luhn
from netgpt.privacy.detectors.normalize import lower_case
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
_DECIMAL = re.compile(r"\d{1,3}\.\d{5,19}")
"""What a program writes of a fraction: no card is divided so."""
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


_UNITS: Final = (
    "zero one two three four five six seven eight nine", "oh", "- - double triple",
    "null eins zwei drei vier fünf sechs sieben acht neun", "- ein zwo - - fuenf",
    "zéro un deux trois quatre cinq six sept huit neuf", "zero une",
    "cero uno dos tres cuatro cinco seis siete ocho nueve", "zero uno due tre quattro cinque sei sette otto nove",
    "zero um dois três quatro cinco seis sete oito nove", "- uma duas - - - meia",
    "nul een twee drie vier vijf zes zeven acht negen", "- één", "noll ett två tre fyra fem sex sju åtta nio",
    "zero jeden dwa trzy cztery pięć sześć siedem osiem dziewięć",
    "ноль один два три четыре пять шесть семь восемь девять",
)  # fmt: skip
_TEENS: Final = (
    "ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen",
    "zehn elf zwölf dreizehn vierzehn fünfzehn sechzehn siebzehn achtzehn neunzehn",
    "dix onze douze treize quatorze quinze seize", "diez once doce trece catorce quince dieciséis diecisiete "
    "dieciocho diecinueve veinte veintiuno veintidós veintitrés veinticuatro veinticinco veintiséis veintisiete",
)  # fmt: skip
_TENS: Final = (
    "twenty thirty forty fifty sixty seventy eighty ninety", "vingt trente quarante cinquante soixante - vingts",
    "zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig", "- treinta cuarenta cincuenta sesenta setenta "
    "ochenta noventa",
)  # fmt: skip


def _numerals() -> Iterator[tuple[str, int]]:
    """Number words, up to 99 in the languages in which numbers are told in pairs."""
    for begin, step, lists in ((0, 1, _UNITS), (10, 1, _TEENS), (20, 10, _TENS)):
        for words in lists:
            yield from ((word, begin + step * place) for place, word in enumerate(words.split()) if word != "-")
    for ten, word in enumerate(_TENS[2].split(), 2):
        yield from (
            (f"{unit}und{word}", 10 * ten + n)
            for n, unit in enumerate(["ein", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun"], 1)
        )


_SPELLED: Final = dict(_numerals())
_TIMES: Final = {"double": 2, "triple": 3}
_BETWEEN: Final = frozenset(("et", "y"))
_COUNTED: Final = frozenset(_SPELLED) - word_set("un une um uma een en ein meia sex tre")
"""The words that are seldom anything but a number."""
_WORD = re.compile(r"[^\W\d_]+")
_GAP = re.compile(r"[ ,.\-\n]{1,3}")


def may_spell(seen: Prefilter) -> bool:
    """Whether several number words may stand in a text."""
    return not seen.words.isdisjoint(_COUNTED) and len(seen.words & _SPELLED.keys()) >= 2


def spelled_numbers(text: str) -> Iterator[tuple[int, int, str]]:
    """(start, end, digits) of five or more number words behind each other that are seven digits or more."""
    lowered = lower_case(text)
    run: list[re.Match[str]] = []
    for word in _WORD.finditer(lowered):
        is_one = word[0] in _SPELLED or word[0] in _BETWEEN
        if run and not (is_one and _GAP.fullmatch(lowered, run[-1].end(), word.start())):
            yield from _number_of(lowered, run)
            run = []
        if is_one:
            run.append(word)
    yield from _number_of(lowered, run)


def _number_of(text: str, run: list[re.Match[str]]) -> Iterator[tuple[int, int, str]]:
    while run and run[-1][0] in _BETWEEN:
        run.pop()
    if len(run) < 5:
        return
    digits, times, last = "", 1, -1
    for word in run:
        joined = word.start() > 0 and text[word.start() - 1] == "-"
        if word[0] in _TIMES:
            times = _TIMES[word[0]]
        elif word[0] not in _BETWEEN:
            value = _SPELLED[word[0]]
            if last == 4 and joined and value in (20, 80):  # quatre-vingt
                digits, value = digits[:-1], 80
            elif 0 < value < 20 and (
                (last >= 20 and value < 10) or last in (60, 80) or (last == 10 and joined and value > 6)
            ):
                digits, value = digits[: -len(str(last))], last + value
            digits += str(value) * times
            times, last = 1, value if value % 10 == 0 or value < 10 else -1
    if len(digits) >= 7:
        yield run[0].start(), run[-1].end(), digits


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
            if last is not None and not _DECIMAL.fullmatch(text, run.start(), run.end()):
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
