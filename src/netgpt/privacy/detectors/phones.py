"""Telephone numbers: international, valid in some country's numbering plan, or announced by a word such as "call".

Digits alone are no evidence: amounts, versions, series, sizes, times, and identifiers of public things (CVE, RFC, DOI)
are longer than any number plan. A line break ends a number.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any, NamedTuple

from netgpt.privacy.detectors.financial import may_spell, spelled_numbers
from netgpt.privacy.kinds import word_set
from netgpt.privacy.registry import detector
from netgpt.registry import holds_texts
from netgpt.types import Span

_GROUPS = re.compile(r"\d+")
_PHONE_RUN = re.compile(
    r"(?:(?<=[0-9])\+(?=[0-9]{2} ?[0-9 ]{9})|(?<![0-9A-Za-z_])(?:\+|00|\(\+|\()?)"
    r"[ \t]{0,2}[0-9](?:[ \t().\-/·]{0,5}[0-9]){5,120}"
    r"(?:[ \t]{0,2}(?:,? ?ext(?:ension)?\.?|x|#|;ext=)[ \t]{0,2}[0-9]{1,6})?(?![0-9A-Za-z])"
)
_PHONE_WORDS = re.compile(
    r"(?i)(?<![^\W_])(?:tele)?(?:phones?|fon|fono|fone|foon)(?![^\W_])|\b(?:tel|mobile|cell|fax"
    r"|whats ?app|sms|hotline|my number"
    r"|number is|nummer ist|numéro est|número es|tél|móvil|movil|cellulare|celular|handy|mobil|gsm"
    r"|rufnummer|ligar|cep)\b"
    r"|telef|téléph|teléf|телефон|тел\\.|моб\\.|номер|手机|手機|电话|電話|携帯|전화|휴대|هاتف|جوال|رقم|तफ़ोन|फ़ोन"
    r"|फोन|नंबर|طلفن|تلفن|موبایل|τηλ|טלפון|โทร|เบอร์"
    r"|điện thoại|telepon"
)
"""Words that announce a number of their kind anywhere before it."""
_CALLED = re.compile(
    r"(?i)\b(?:phone|tel|telephone|mobile|cell|call|fax|whats ?app|sms|text|reach|ring|contact|dial"
    r"|hotline|number|nr|nummer"
    r"|telefon|tél|teléfono|telefono|móvil|handy|numéro|appelez|llame|ruf|anrufen|bel|ring|zadzwoń|звоните)\b\.?"
    r"(?:[ :]{1,2}(?:me|us|him|her|them|back|now|on|at|under|number|numbers|is|was|are|no\.?|nr\.?"
    r"|phone|the|my|his|our|your|their|via"
    r"|today|tonight|office|home|work|direct|line|free|mobile|cell|new|old|unter|auf|an|mich|mir|au"
    r"|moi|al|me|est|ist|es|mij|op|please"
    r"|card|tel|or|and|to)){0,5}[\s:.,;\-#(\"'*=]{0,4}\Z"
)
"""Words that announce a number when little stands between."""
_CALLED_UNSPACED = re.compile(
    r"(?:手机|手機|电话|電話|携帯|号码|號碼|番号|전화|휴대폰|번호|연락처|هاتف|جوال|رقم|تلفن|موبایل|טלפון|โทร|เบอร์|फ़ोन|फोन"
    r"|नंबर)[^\s\d]{0,6}[ :]{0,2}\Z"
)
_REGIONS = word_set("US GB DE FR ES IT IN AU NL BE CH AT SE NO DK FI PL PT IE")
_MORE_REGIONS = word_set(
    "BR MX JP CN ZA NZ CZ HU GR TR RU UA IL SG HK KR EE SI TW AR CL CO ID MY PH NG KE RO IR PK BD VN TH EG SA AE"
)
_EIGHT_DIGITS, _FOUR_AND_FOUR = word_set("DK NO"), word_set("SG HK")
_ALL_REGIONS = _REGIONS | _MORE_REGIONS
_WITHOUT_ZERO = word_set("US ES IT IN NO DK PL PT")
"""Countries whose own numbers are written without a leading 0."""
_NOT_PHONE = re.compile(
    r"\d{4}[-/. ](?:0?[1-9]|1[0-2])[-/. ](?:0?[1-9]|[12]\d|3[01])(?:[ T].*)?"  # dates
    r"|\d{1,2}[-/. ]\d{1,2}[-/. ]\d{4}(?:\s.*)?"
    r"|(?:(?:19|20)\d\d[\s\-/.]*)+|(?:0|[1-9]\d*)\.\d+|[1-9]\d{0,2}(?: 000)+"  # years, decimals, round amounts
    r"|[1-9]\d?(?: \d{3}){2,4}|\d-\d{10}"  # millions in groups, ranges
)
_LARGEST = frozenset(
    ("2147483647", "2147483648", "4294967295", "4294967296", "9223372036854775807", "18446744073709551615")
)
_ASCENDING = "0123456789" * 2
_DECIMALS = re.compile(r"\d+\.\d+(?: {1,2}\d+\.\d+)+")
_PUBLIC_BEFORE = re.compile(
    r"(?i)(?:\b(?:cve|rfc|iso|iec|ieee|din|en|doi|ean|gtin|upc|issn|pmid|pmc|arxiv|isbn(?:-1[03])?"
    r"|asin|sku|oid|issue|pr|pull|bug|ticket"
    r"|commit|build|rev|revision|seed|ids?|order|pid|uid|gid|item|page|pages|rows?|lines?|port|version"
    r"|section|art|article|usc|u\.s\.c"
    r"|count|total|sum|size|length|depth|offset|limit|timestamp|ts|epoch|time|population|range|max|min"
    r"|mod|modulo|revenue|price|cost"
    r"|width|height|score|results?|elapsed|timeout|volume|value|values|year|years|step|steps|epochs"
    r"|batch|chunk|index|idx|key|hash"
    r"|capacity|memory|bytes|frequency|rate|lat|latitude|lon|lng|longitude|coordinates?|isni|orcid|imo"
    r"|mmsi|nct|eudract|patent|model)"
    r"|§|no\.|\$|€|£|¥|₹|%|\^|(?<!#)(?!(?m:^)#{1,6}[ \t])#)[\s:=#\"'.(\[]{0,3}\Z"
)
"""What stands before the number of a thing, not of a person. The sign of a heading is no such word."""
_JOINED_BEFORE = re.compile(r"[A-Za-z0-9][\-_./]\Z|(?<![\w)\]])-\Z|\d\s?[<>*^&|]\s?\Z")
_JOINED_AFTER = re.compile(r"[\-_/]\w|\.[A-Za-z]\w|[%°]|[ ]?[<>*^=][ ]?\d")
_NOUN_AFTER = re.compile(r"[ ]([^\W\d_]{1,20}(?:/[^\W\d_]{1,3})?)")
_CELL = re.compile(r"(?:^|;)\Z"), re.compile(r";[^;\n]*[^\W\d_]")
_EIGHT = re.compile(r"[5689]\d{3} \d{4}")
_EXTENSION = re.compile(r"[;,]?\s*(?:e?x|[#;])")
_WIDE_GAP = re.compile(
    r"\s*\n\s*|[ \t]/[ \t]|[ \t]{2,}|\t|(?<=\d)\s?(?=\()"
    r"|(?<=(?<![(\d])\d)[).] |(?<=(?<![(\d])\d\d)[).] "
)
"""Where one number ends and another begins, most often: "1) 030 23125", "49 (0770...", two columns, two lines."""
_GAP = re.compile(_WIDE_GAP.pattern + r"|[ \t\xa0]")
_DECIMAL = re.compile(r"(?<![\d.])\d+\.\d+(?![\d.])")
_IN_THREE = re.compile(r"\d{3}\s\d{3}\s\d{4}")
_BROKEN = re.compile(
    r"(?<![\w+\-.])(?:\+[0-9]{1,5}|\(?0[0-9]{1,5}\)?|\([0-9]{2,5}\))"
    r"(?:\r?\n\(?[0-9][0-9.\-/]{0,9}\)?){1,6}(?![\w.\-]*[\w\-])"
)
"""A number that begins as dialled, and each of whose blanks a line break replaced."""
_MOST_GROUPS = 8
_SERIES = re.compile(r"\d{1,4}(?: \d{1,4}){7,}")
_OTHER_FORM = re.compile(  # IP addresses and versions, sums, editions of standards
    r"\d{1,3}(?:\.\d{1,5}){3}|\+\s?\d+\.\d{5,}|[1-9]\d*\.\d+-[\d.]+|[1-9]\d{3,5}[ -](?:19|20)\d\d"
)
_DOTTED = re.compile(r"(?:0\d{1,2}|(?:2[6-9]|[3-9]\d)\d)(?:\.\d{2,5}){3}")
"""Neither an IP address nor a version: its first part begins with 0, or is above 255, and no part is a single digit."""
_HOLDS_DATE = re.compile(r"(?<!\d)(?:19|20)\d\d([-/.])\d\d?\1\d\d?(?!\d)")
_YEAR_BEFORE = re.compile(r"(?<!\d)(?:19|20)\d\d[-_./:\s]\Z")
_MONTH_DAY = re.compile(r"(?:0[1-9]|1[0-2])[-_./:\s](?:0[1-9]|[12]\d|3[01])(?:[-_./:\sT]?\d\d){0,3}")
"""Behind a year: the rest of a moment, such as 06_11_14_32_05, which a French telephone number looks like."""
_ZIP_BEFORE = re.compile(r"[A-Z]{2} {1,2}\Z")
_FEWEST_DIGITS = 6
_UUID = re.compile(r"(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@detector(
    kind="PHONE",
    family="contact",
    triggers=lambda seen: seen.has_number or may_spell(seen),
    examples=("call +44 20 7946 0018",),
)
def find_phones(text: str) -> Iterator[Span]:
    """Telephone numbers, with their extension."""
    ids = [match.span() for match in _UUID.finditer(text)] if "-" in text else []
    for match in _PHONE_RUN.finditer(text):
        before = bisect_right(ids, (match.start(), len(text))) - 1  # the last one that begins here or earlier
        if before < 0 or match.start() >= ids[before][1]:
            yield from _numbers_of(text, match.start(), match.end())
    for broken in _BROKEN.finditer(text) if "\n" in text else ():
        digits = re.sub(r"\D", "", broken[0])
        if 9 <= len(digits) <= 15 and (broken[0].startswith(("+", "00", "(")) or _valid_in(digits, _ALL_REGIONS)):
            yield Span(*broken.span(), "PHONE", "pattern:phone", 0.7)
    for start, end, digits in spelled_numbers(text):
        before = max(0, start - 48)
        announced = _PHONE_WORDS.search(text, before, start) or _CALLED.search(text, before, start)
        if 7 <= len(digits) <= 15 and announced:
            yield Span(start, end, "PHONE", "pattern:spelled", 0.7)


def _numbers_of(text: str, start: int, end: int) -> Iterator[Span]:
    """The number that a run is, or else every piece of it that is one: they may stand beside and below each other."""
    table = _DECIMAL.search(text, start, end) and _WIDE_GAP.search(text, start, end)
    torn = text[start + 1 : end].count("(") > text[start:end].count(")")
    if not table and not torn and (whole := _number(text, start, end)) is not None:
        yield whole
        return
    series = _SERIES.fullmatch(text, start, end) is not None
    gaps = [match.span() for match in _GAP.finditer(text, start, end)]
    if not (gaps or table or torn):
        return  # it was asked already
    starts = [start, *(after for _, after in gaps)]
    ends = [*(before for before, _ in gaps), end]
    follows = 0
    for first in range(len(starts)):
        if series and first != follows:
            continue  # small numbers in a row: only whole numbers beside each other count
        for last in range(min(first + _MOST_GROUPS, len(starts)) - 1, first - 1, -1):
            if ends[last] - starts[first] < _FEWEST_DIGITS:
                break
            piece = text[starts[first] : ends[last]]
            if _may_be_one(text, starts[first], piece, (start, end)) and (
                span := _number(text, starts[first], ends[last])
            ):
                yield span
                follows = last + 1
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
    announced = extended or _CALLED.search(text, max(0, start - 60), start) is not None
    announced = announced or _CALLED_UNSPACED.search(text, max(0, start - 16), start) is not None
    line = text.rfind("\n", max(0, start - 48), start) + 1
    near = announced or _PHONE_WORDS.search(text, max(line, start - 48), start) is not None
    if not _is_evident(text, start, start + len(raw), number, announced=announced):
        return None
    sure = _is_phone(number, digits, announced) or (near and _is_phone(number, digits, False))
    if (sure or _is_cell(text, start, raw)) and (announced or not _is_listed(text, start, number)):
        return Span(start, start + len(raw), "PHONE", "pattern:phone", 1.0 if announced else 0.8)
    return None


def may_name(text: str, span: Span) -> bool:
    """Whether a number may be what something is named by: one as it is dialled, or said to be somebody's. Digits
    alone name runs, jobs and seconds.

    >>> [may_name(text, Span(4, len(text), "PHONE", "")) for text in ("job\\n4155550123", "vm \\n4155550123")]
    [False, True]
    """
    number = text[span.start : span.end]
    if _MONTH_DAY.fullmatch(number) and _YEAR_BEFORE.search(text, max(0, span.start - 6), span.start):
        return False
    digits = sum(map(str.isdigit, number))
    said = _SOMEBODYS.search(text, max(0, span.start - 24), span.start) is not None
    own = number.startswith("0") and number[1:2] != "0" and digits in (10, 11)
    return said or own or number.startswith(("+", "(")) or (number.startswith("00") and digits >= 12)


def may_be_grouped_in_name(text: str, span: Span) -> bool:
    """Whether a number in groups, behind a word for telephones alone, is one: `phone_212_555_0123` is, and
    `client_10_20_30_40` a version.

    >>> may_be_grouped_in_name("cell 212 555 0123", Span(5, 17, "PHONE", ""))
    True
    """
    number = text[span.start : span.end]
    said = _TELEPHONES.search(text, max(0, span.start - 24), span.start) is not None
    return said and " " in number and 9 <= sum(map(str.isdigit, number)) <= 15


_TELEPHONES = re.compile(
    r"(?i)(?<![a-z])(?:phone|tel|telephone|telefon|mobile?|cell|handy|fax|whatsapp)(?: n[or]| number)? \Z"
)
_SOMEBODYS = re.compile(
    r"(?i)(?<![a-z])(?:rec(?:ording)?|call(?:er|ee)?|voicemail|vm|msisdn|cli|ani|wa|whatsapp|sms|text|tel|phone|mobile|cell"
    r"|fax|customer|client|patient|member|guest|contact|user)\W{1,3}\Z"
)
_FILE_END = re.compile(r"\.[A-Za-z]{2,4}(?![A-Za-z0-9.])")
"""Behind a number that a file is named by."""


def _is_evident(text: str, start: int, end: int, number: str, *, announced: bool) -> bool:
    """Whether nothing around the digits says that they are an amount, a size, a piece of a longer name."""
    digits = re.sub(r"\D", "", number)
    dialled = number.startswith(("+", "(")) or (number.startswith("0") and len(digits) >= 8)
    if not number.startswith("+") and (len(digits) >= 8 and digits in _ASCENDING):
        return False
    dotted = _DOTTED.fullmatch(number) and (announced or len(digits) >= 9)
    if (_OTHER_FORM.fullmatch(number) and not dotted) or (_HOLDS_DATE.search(number) and not number.startswith("+")):
        return False
    if _MONTH_DAY.fullmatch(number) and _YEAR_BEFORE.search(text, max(0, start - 6), start):
        return False
    if _ZIP_BEFORE.search(text, max(0, start - 4), start) and len(digits) == 9:
        return False
    if _LARGEST.intersection(_GROUPS.findall(number)) or (_DECIMALS.fullmatch(number) and not announced):
        return False
    joined = _JOINED_BEFORE.search(text, max(0, start - 2), start) and not number.startswith("+")
    if joined and not announced and not (text[start - 1] in "/." and dialled):
        return False
    if not announced and not number.startswith("+") and _PUBLIC_BEFORE.search(text, max(0, start - 24), start):
        return False
    if dialled and (number.startswith(("+", "(")) or len(digits) >= 9):
        return number.startswith("+") or not _JOINED_AFTER.match(text, end) or _FILE_END.match(text, end) is not None
    if _JOINED_AFTER.match(text, end) and not _FILE_END.match(text, end):
        return False
    noun = _NOUN_AFTER.match(text, end)
    single = len(_GROUPS.findall(number)) == 1 or _NOT_PHONE.fullmatch(number)
    return not (single and noun) or noun[1].lower() in _AFTER or _UNSPACED.match(noun[1]) is not None


_UNSPACED = re.compile(r"[\u0590-\U0003ffff]")
_AFTER = word_set(
    """
    a an the and or to of for in on at by with from as is was are be i you he she it we they my your his her our not no
    does do can could should will may might must has have please thanks if when after before until today tonight
        tomorrow now anytime asap any again instead directly only too also so but because ext extension x office
    home work mobile
        cell oder und bitte ab bis von am im auf wenn heute morgen et ou après avant si y o por favor desde para
    hoy e ou dopo
    oppure en of na voor i lub po dla и или до после с ve veya
    """
)
"""Words that may follow a number that is nobody's amount."""


def _is_cell(text: str, start: int, raw: str) -> bool:
    """Whether eight digits fill a cell beside words: so numbers are written in Denmark and Norway."""
    if not (raw.isdigit() and len(raw) == 8) or not _valid_in(raw, _EIGHT_DIGITS):
        return False
    if re.fullmatch(r"(?:19|20)\d\d(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])", raw):
        return False
    return text[start - 1 : start] == ";" and _CELL[1].match(text, start + len(raw)) is not None


def _is_listed(text: str, start: int, number: str) -> bool:
    """Whether the run is a piece of a list of small numbers, or a book's number."""
    sizes = [len(group) for group in _GROUPS.findall(number)]
    if number.startswith(("+", "0", "(")):
        return False
    if len(sizes) == 1 and re.search(r"\d, \Z", text[max(0, start - 3) : start]):
        return True
    if sizes.count(1) >= 2 and sizes.count(2) >= 2:
        return True
    return max(sizes) <= 2 and re.search(r"\d,? $", text[max(0, start - 3) : start]) is not None


def _is_phone(raw: str, digits: str, announced: bool) -> bool:
    if digits.startswith("011") and len(digits) >= 11 and _valid_in(digits[3:], frozenset()):
        return True  # as dialled abroad from North America
    if raw.lstrip("(").startswith("+"):
        return len(digits) >= 7
    if raw.lstrip("(").startswith("00"):
        return len(digits) >= 9 and (_possible(digits[2:]) or (announced and digits[2] != "0"))
    if _NOT_PHONE.fullmatch(raw) and not announced:
        return False
    if announced:
        return len(digits) <= 15 and not re.fullmatch(r"(?:19|20)\d\d[-/.]\d\d[-/.]\d\d", raw)
    groups = len(_GROUPS.findall(raw))
    if len(digits) < 9 or len(digits) > 13:
        grouped = (raw.startswith("(") and ")" in raw) or (len(digits) == 8 and groups >= 3)
        if _EIGHT.fullmatch(raw) and not any(int(group) % 50 == 0 or int(group) % 64 == 0 for group in raw.split()):
            return _valid_in(digits, _FOUR_AND_FOUR)
        return len(digits) >= 7 and grouped and _valid_in(digits, _REGIONS)
    if groups > 1:
        first = _GROUPS.findall(raw)[0]
        return _valid_in(digits, _ALL_REGIONS, bare=len(first) <= 3 and len(digits) >= 11 and first in _country_codes())
    if digits.startswith("1") and len(digits) in (10, 13):
        return False  # seconds or milliseconds since 1970
    unprefixed = not digits.startswith("0") and len(digits) < 11
    return _valid_in(digits, _WITHOUT_ZERO if unprefixed else _REGIONS if len(digits) < 11 else _ALL_REGIONS)


@lru_cache(maxsize=1)
def _country_codes() -> frozenset[str]:
    import phonenumbers

    return frozenset(map(str, phonenumbers.COUNTRY_CODE_TO_REGION_CODE))


@holds_texts
@lru_cache(maxsize=1024)
def _possible(digits: str) -> bool:
    """Whether a number with its country code is as long as numbers of that country are."""
    import phonenumbers

    try:
        return phonenumbers.is_possible_number(phonenumbers.parse("+" + digits, "ZZ"))
    except phonenumbers.NumberParseException:
        return False


@holds_texts
@lru_cache(maxsize=8192)
def _valid_in(digits: str, regions: frozenset[str], bare: bool = True) -> bool:
    """`bare`: whether the country code may stand without its plus."""
    plans = _plans(regions, len(digits))
    possible = (plan for plan, prefix, fits in plans if digits.startswith(prefix) and fits(digits, len(prefix)))
    if any(_is_valid(digits, plan) for plan in dict.fromkeys(possible)):
        return True
    return bare and (len(digits) >= 11 or not regions) and _is_valid("+" + digits, _NO_PLAN)


class _Plan(NamedTuple):
    """What is needed of a region's numbering plan before the whole check, which costs many times as much."""

    region: str
    code: int = 0
    """The country code."""
    begins: re.Pattern[str] | None = None
    """A country code, trunk prefix or prefix for calls abroad: a number that begins so is taken apart by the library.
    None: all are."""


_NO_PLAN = _Plan("ZZ")


@lru_cache(maxsize=256)
def _plans(regions: frozenset[str], length: int) -> tuple[tuple[_Plan, str, Callable[..., object]], ...]:
    """(plan, prefix, pattern of what follows it) for numbers of so many digits: others cannot be as long."""
    from phonenumbers import PhoneMetadata

    found: list[tuple[_Plan, str, Callable[..., object]]] = []
    for region in regions:
        known: Any = PhoneMetadata.metadata_for_region(region)
        pattern = re.compile(known.general_desc.national_number_pattern)
        lengths = known.general_desc.possible_length
        marks = (known.country_code, known.national_prefix_for_parsing, known.international_prefix)
        begins = re.compile("|".join(f"(?:{mark})" for mark in marks if mark))
        plan = _Plan(region, known.country_code, begins)
        prefixes = dict.fromkeys(("", known.national_prefix or "", str(known.country_code)))
        fits = [prefix for prefix in prefixes if min(lengths) <= length - len(prefix) <= max(lengths)]
        found += [(plan, prefix, pattern.fullmatch) for prefix in fits]
    return tuple(found)


def _is_valid(number: str, plan: _Plan) -> bool:
    """Whether it is a number of that plan, in force. What is nothing but a national number need not be parsed."""
    import phonenumbers

    if plan.begins is not None and number[0] != "0" and not plan.begins.match(number):
        parsed = phonenumbers.PhoneNumber(country_code=plan.code, national_number=int(number))
        return bool(phonenumbers.is_valid_number(parsed))
    try:
        return bool(phonenumbers.is_valid_number(phonenumbers.parse(number, plan.region)))
    except phonenumbers.NumberParseException:
        return False
