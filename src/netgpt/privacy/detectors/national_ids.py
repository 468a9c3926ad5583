"""Identity numbers with a form of their own and check digit, and numbers that a word announces.

More countries than `identities` has. Check rules: national registries' own.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import date
from ipaddress import IPv6Address, ip_interface
from typing import Final

from netgpt.privacy.detectors.checksums import base58check, bech32, iso7064_mod11_10, luhn, numerals, verhoeff, weighted
from netgpt.privacy.registry import detector
from netgpt.types import Span

_FROM_DIGIT = re.compile(r"\d\S{0,200}")
_BLANK_BEFORE = re.compile(r"\S{0,64}\Z")
_NEIGHBOUR_BEFORE = re.compile(r"(?<!\S)\S{1,16}\s{1,2}\Z")
_NEIGHBOUR_AFTER = re.compile(r"\s{1,2}\S{1,16}(?!\S)")
_WIDEST_GAP = 3
_BETWEEN = "\n|\n"
"""What no form of a number reaches over."""


@dataclass(frozen=True, slots=True)
class Passages:
    """Passages of one text, joined; `back` leads from `text` to the places in the whole text."""

    text: str
    starts: tuple[tuple[int, int], ...]
    """(place in `text`, place in the whole text) of each passage, in order."""

    def back(self, start: int, end: int) -> tuple[int, int]:
        """The span of the whole text for one that lies within a passage."""
        here, there = next(pair for pair in reversed(self.starts) if pair[0] <= start)
        return start - here + there, end - here + there


def number_passages(text: str, least_digits: int = 4) -> Passages | None:
    """Runs of words that hold digits, each with one short word before and behind; None when there are none."""
    pieces: list[str] = []
    starts: list[tuple[int, int]] = []
    length = 0
    for start, end in _runs(text):
        if sum(c.isdigit() for c in text[start:end]) < least_digits:
            continue
        if before := _NEIGHBOUR_BEFORE.search(text, max(0, start - 20), start):
            start = before.start()
        if after := _NEIGHBOUR_AFTER.match(text, end):
            end = after.end()
        starts.append((length, start))
        pieces.append(text[start:end])
        length += end - start + len(_BETWEEN)
    return Passages(_BETWEEN.join(pieces), tuple(starts)) if pieces else None


def _runs(text: str) -> list[tuple[int, int]]:
    """Words with digits that stand beside each other, as one run."""
    runs: list[tuple[int, int]] = []
    for match in _FROM_DIGIT.finditer(text):
        start, end = match.span()
        if head := _BLANK_BEFORE.search(text, max(0, start - 64), start):
            start = head.start()
        if runs and start - runs[-1][1] <= _WIDEST_GAP:
            runs[-1] = (runs[-1][0], end)
        else:
            runs.append((start, end))
    return runs


def _french(raw: str) -> bool:
    """NIR: 97 minus the number modulo 97; Corsica's 2A and 2B count as 19 and 18."""
    text = numerals(raw)
    number = text[:13].replace("2A", "19").replace("2B", "18")
    return number.isdigit() and 97 - int(number) % 97 == int(text[13:15])


def _brazilian(raw: str) -> bool:
    """CPF: two digits modulo 11."""
    digits = numerals(raw)
    for length in (9, 10):
        total = weighted(digits, tuple(range(length + 1, 1, -1))[:length])
        if (total * 10 % 11) % 10 != int(digits[length]):
            return False
    return True


def _brazilian_firm(raw: str) -> bool:
    """CNPJ: two digits modulo 11."""
    digits = numerals(raw)
    weights = (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)
    checks = (weighted(digits[:length], weights[13 - length :]) % 11 for length in (12, 13))
    return all(int(digit) == (0 if check < 2 else 11 - check) for digit, check in zip(digits[12:], checks, strict=True))


def _chilean(raw: str) -> bool:
    """RUT: modulo 11, K for ten."""
    number = numerals(raw)
    total = sum(int(digit) * (2 + place % 6) for place, digit in enumerate(reversed(number[:-1])))
    return "0K987654321"[total % 11] == number[-1]


def _argentine(raw: str) -> bool:
    """CUIL and CUIT: modulo 11."""
    digits = numerals(raw)
    return (11 - weighted(digits, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2)) % 11) % 11 == int(digits[10])


def _snils(raw: str) -> bool:
    """Russia's pension number: weighted sum modulo 101."""
    digits = numerals(raw)
    return weighted(digits, range(9, 0, -1)) % 101 % 100 == int(digits[9:])


def _french_vat(raw: str) -> bool:
    """Two digits from the SIREN modulo 97."""
    digits = numerals(raw)[2:]
    return (12 + 3 * (int(digits[2:]) % 97)) % 97 == int(digits[:2])


def _chinese(raw: str) -> bool:
    """GB 11643: ISO 7064 MOD 11-2."""
    text = numerals(raw)
    return "10X98765432"[weighted(text[:17], tuple(2 ** (17 - i) % 11 for i in range(17))) % 11] == text[17]


def _swiss(raw: str) -> bool:
    """AHV: EAN-13 under the prefix 756."""
    digits = numerals(raw)
    return weighted(digits, (1, 3) * 7) % 10 == 0


def _belgian(raw: str) -> bool:
    """Rijksregister: 97 minus the first nine modulo 97, with a 2 before them for those born since 2000."""
    digits = numerals(raw)
    return any(97 - int(before + digits[:9]) % 97 == int(digits[9:]) for before in ("", "2"))


def _irish(raw: str) -> bool:
    """PPS: a letter modulo 23; the second letter counts nine-fold."""
    text = numerals(raw)
    second = text[8:9]
    extra = 9 * (ord(second) - 64) if second and second != "W" else 0
    return "WABCDEFGHIJKLMNOPQRSTUV"[(weighted(text[:7], (8, 7, 6, 5, 4, 3, 2)) + extra) % 23] == text[7]


def _singaporean(raw: str) -> bool:
    """NRIC and FIN: a letter modulo 11."""
    text = numerals(raw)
    total = weighted(text[1:8], (2, 7, 6, 5, 4, 3, 2)) + {"T": 4, "G": 4, "M": 3}.get(text[0], 0)
    table = {"S": "JZIHGFEDCBA", "T": "JZIHGFEDCBA", "F": "XWUTRQPNMLK", "G": "XWUTRQPNMLK", "M": "XWUTRQPNJLK"}
    return table[text[0]][total % 11] == text[8]


def _spanish(raw: str) -> bool:
    """DNI and NIE: a letter modulo 23."""
    text = numerals(raw)
    number = text[:-1].replace("X", "0").replace("Y", "1").replace("Z", "2")
    return number.isdigit() and "TRWAGMYFPDXBNJZSQVHLCKE"[int(number) % 23] == text[-1]


def _form_alone(_text: str) -> bool:
    return True


_BEFORE, _AFTER = r"(?<![A-Za-z0-9])", r"(?![A-Za-z0-9])"
_DAY = r"(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])"
_FORMS: tuple[tuple[str, str, Callable[[str], bool]], ...] = (
    (
        "fr_nir",
        r"[12][ .]?\d\d[ .]?(?:0[1-9]|1[0-2]|[2-4]\d)[ .]?(?:\d\d|2[AB])[ .]?\d{3}[ .]?\d{3}[ .]?\d\d",
        _french,
    ),
    ("br_cpf", r"\d{3}\.\d{3}\.\d{3}-\d\d", _brazilian),
    ("cn_resident", rf"[1-8]\d{{5}}(?:19|20)\d\d{_DAY}\d{{3}}[\dXx]", _chinese),
    ("br_cnpj", r"\d\d\.\d{3}\.\d{3}/\d{4}-\d\d", _brazilian_firm),
    ("cl_rut", r"\d{1,2}\.\d{3}\.\d{3}-[\dK]", _chilean),
    ("ar_cuil", r"(?:2[0347]|3[034])-\d{8}-\d", _argentine),
    ("ru_snils", r"\d{3}-\d{3}-\d{3}[ -]\d\d", _snils),
    ("fr_vat", r"FR ?\d\d ?\d{3} ?\d{3} ?\d{3}", _french_vat),
    ("ch_ahv", r"756[. ]?\d{4}[. ]?\d{4}[. ]?\d\d", _swiss),
    ("be_rijksregister", r"\d\d\.\d\d\.\d\d-\d{3}[.-]\d\d", _belgian),
    ("ie_pps", r"\d{7}[A-W][A-IW]?", _irish),
    ("sg_nric", r"[STFGM]\d{7}[A-Z]", _singaporean),
    ("es_dni", r"(?:\d{8}|[XYZ]-?\d{7})[ -]?[A-HJ-NP-TV-Z]", _spanish),
    ("mx_curp", rf"[A-Z][AEIOUX][A-Z]{{2}}\d\d{_DAY}[HMX][A-Z]{{5}}[A-Z\d]\d", _form_alone),
    ("uk_nino", r"(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z]{2} ?\d\d ?\d\d ?\d\d ?[A-D]", _form_alone),
    ("hk_id", r"[A-Z]{1,2}\d{6}\([\dA]\)", _form_alone),
    ("in_pan", r"[A-Z]{3}[ABCFGHLJPT][A-Z]\d{4}[A-Z]", _form_alone),
)
_COMPILED = tuple(
    (name, re.compile(_BEFORE + form + (_AFTER if not form.endswith(r"\)") else "")), check)
    for name, form, check in _FORMS
)
_HINT = re.compile(
    r"\d{7}|\d{3}[. \-]\d{3,4}[. \-/]|FR ?\d\d \d{3}|\d\d\.\d\d\.\d\d-|[12] \d\d \d\d |[A-Z]\d{6}|[A-Z]{5}\d{4}"
    r"|[XYZ]-\d{7}|[A-Z]{2} ?\d\d ?\d\d"
)


@detector(
    kind="NATIONAL_ID",
    family="secret",
    secret=True,
    triggers=lambda seen: seen.has_digit,
    examples=("CPF 529.982.247-25",),
)
def find_national(text: str) -> Iterator[Span]:
    """Identity numbers by form and check digit, in capitals or all small letters."""
    if not _HINT.search(text.upper()) or (passages := number_passages(text)) is None:
        return
    read = passages.text.upper()
    if len(read) != len(passages.text):  # a letter whose capital is longer
        read = passages.text
    for name, form, check in _COMPILED:
        for match in form.finditer(read):
            if check(match[0]):
                yield Span(*passages.back(match.start(), match.end()), "NATIONAL_ID", f"pattern:{name}", 0.9)


_AROUND = 60
"""Characters before a number in which an announcing word is looked for."""
_ID_HINT = re.compile(r"\d{2}[A-Za-z]\d{2}[A-Za-z]|[0-9](?:[ \-.:/]?[0-9A-Z]){6}")
_ID_WORDS = re.compile(
    r"(?i)\b(?:ssn|social security|social insurance|sin|itin|taxpayer|tax|tfn|abn|medicare|nhs"
    r"|national insurance|nino|ni number"
    r"|passport|passeport|reisepass|pasaporte|driving licen[cs]e|driver'?s? licen[cs]e|dni|nif|nie"
    r"|codice fiscale|cf|pesel"
    r"|steuer\S*|aadhaar|aadhar|uidai|pan|personnummer|hetu|henkilö\S*|rrn|tckn|kimlik|national id"
    r"|identity|id (?:number|card|no)"
    r"|citizen|personal (?:id|number|code)|npi|mbi|bsn|cpf)\b"
)
_SPANISH_LETTERS: Final = "TRWAGMYFPDXBNJZSQVHLCKE"
_FINNISH_LETTERS: Final = "0123456789ABCDEFHJKLMNPRSTUVWXY"
_FINNISH_CENTURIES: Final = {"+": 1800} | dict.fromkeys("-YXWVU", 1900) | dict.fromkeys("ABCDEF", 2000)
_ITALIAN_MONTHS: Final = "ABCDEHLMPRST"
_ITALIAN_DIGITS: Final = str.maketrans("LMNPQRSTUV", "0123456789")
"""The letters that stand for digits where two people would share a code."""
_ITALIAN_ODD: Final = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
_SSN_SAMPLES: Final = frozenset({"123456789", "987654320", "078051120"})
"""Printed in advertisements and manuals, so nobody's."""


def _is_date(year: int, month: int, day: int) -> bool:
    try:
        date(year, month, day)
    except ValueError:
        return False
    return True


def _nif(text: str) -> bool:
    """DNI, NIF and NIE: a letter modulo 23; X, Y and Z stand for 0, 1 and 2."""
    number = text[:-1].translate(str.maketrans("XYZ", "012"))
    return number.isdigit() and _SPANISH_LETTERS[int(number) % 23] == text[-1]


def _codice_fiscale(text: str) -> bool:
    """Decree of 23 December 1976: a day that exists (women: plus 40), a commune's number, a letter modulo 26."""
    year, day, place = (text[part].translate(_ITALIAN_DIGITS) for part in (slice(6, 8), slice(9, 11), slice(12, 15)))
    if not _is_date(2000 + int(year), _ITALIAN_MONTHS.index(text[8]) + 1, int(day) % 40):
        return False
    values = [int(c) if c.isdigit() else ord(c) - ord("A") for c in text[:15]]
    total = sum(value if at % 2 else _ITALIAN_ODD[value] for at, value in enumerate(values))
    return int(place) >= (100 if text[11] == "Z" else 1) and chr(ord("A") + total % 26) == text[15]


def _pesel(text: str) -> bool:
    return weighted(text, (1, 3, 7, 9) * 2 + (1, 3, 1)) % 10 == 0


def _hetu(raw: str) -> bool:
    """Population Information System: a day of the century that the sign says, a character modulo 31."""
    day, month, year = (int(raw[at : at + 2]) for at in (0, 2, 4))
    if not _is_date(_FINNISH_CENTURIES[raw[6]] + year, month, day):
        return False
    return _FINNISH_LETTERS[int(raw[:6] + raw[7:10]) % 31] == raw[10]


def _aadhaar(text: str) -> bool:
    """UIDAI: Verhoeff's digit; begins with 2 or more, and is no palindrome."""
    return text[0] >= "2" and text != text[::-1] and verhoeff(text)


def _nhs(text: str) -> bool:
    return weighted(text, range(10, 0, -1)) % 11 == 0


def _steuer_id(text: str) -> bool:
    """Federal Central Tax Office: no digit more than three times in the first ten; ISO 7064 MOD 11,10."""
    return max(Counter(text[:10]).values()) <= 3 and iso7064_mod11_10(text)


def _rentenversicherung(text: str) -> bool:
    """VKVV section 4: day (or plus 50) and month of birth, the letter as two digits, cross sums of products."""
    day, month = int(text[2:4]), int(text[4:6])
    if not (1 <= day <= 31 or 51 <= day <= 81) or not 1 <= month <= 12:
        return False
    digits = f"{text[:8]}{ord(text[8]) - ord('A') + 1:02d}{text[9:11]}"
    products = (int(c) * w for c, w in zip(digits, (2, 1, 2, 5, 7, 1, 2, 1, 2, 1, 2, 1), strict=True))
    return sum(product // 10 + product % 10 for product in products) % 10 == int(text[11])


def _ssn(text: str) -> bool:
    """Social Security Administration: areas 000 and 666, group 00 and serial 0000 are never given out."""
    never = text[:3] in ("000", "666") or text[3:5] == "00" or text[5:] == "0000"
    return not never and len(set(text)) > 1 and text not in _SSN_SAMPLES


def _tfn(text: str) -> bool:
    return weighted(text, (1, 4, 3, 7, 5, 8, 6, 9, 10)) % 11 == 0


def _abn(text: str) -> bool:
    """Australian Business Register: one less at the first digit, modulo 89."""
    return (weighted(text, (10, *range(1, 20, 2))) - 10) % 89 == 0


def _australian_medicare(text: str) -> bool:
    return weighted(text, (1, 3, 7, 9) * 2) % 10 == int(text[8])


def _personnummer(text: str) -> bool:
    """Swedish Tax Agency: month, day (or plus 60), Luhn over the last ten digits."""
    digits = text[-10:]
    month, day = int(digits[2:4]), int(digits[4:6])
    return 1 <= month <= 12 and 1 <= (day - 60 if day > 60 else day) <= 31 and luhn(digits)


def _tckn(text: str) -> bool:
    """Turkey: the tenth digit from odd and even places, the eleventh from all ten."""
    odd, even = (sum(int(c) for c in text[first:9:2]) for first in (0, 1))
    return (odd * 7 - even) % 10 == int(text[9]) and sum(int(c) for c in text[:10]) % 10 == int(text[10])


def _thai(text: str) -> bool:
    return (11 - weighted(text[:12], range(13, 1, -1)) % 11) % 10 == int(text[12])


def _british_driver(text: str) -> bool:
    """DVLA: the surname's first five letters, filled up with nines."""
    return text[:5].rstrip("9").isalpha()


def _south_african(text: str) -> bool:
    """Home Affairs: a day of birth that is past, and Luhn."""
    year, today = int(text[:2]), date.today()
    year += 1900 if year > today.year % 100 else 2000
    month, day = int(text[2:4]), int(text[4:6])
    return _is_date(year, month, day) and date(year, month, day) <= today and luhn(text)


_MONTH, _MONTH_DAY = "(?:0[1-9]|1[0-2])", r"(?:0[1-9]|[12]\d|3[01])"
_CONSONANT, _OMOCODE = "[B-DF-HJ-NP-TV-Z]", "[0-9LMNP-V]"
_NAME_CODE = f"(?:{_CONSONANT}{{2}}[A-Z]|[A-Z][AEIOU][AEIOUX]|[AEIOU]XX)"
_MBI_LETTER, _MBI_EITHER = "[AC-HJKMNP-RT-Y]", "[0-9AC-HJKMNP-RT-Y]"  # S, L, O, I, B and Z read like digits
_HETU = r"\d{6}[-+A-FU-Y]\d{3}[0-9A-FHJ-NPR-Y]"
_ID_FORMS: tuple[tuple[str, str, Callable[[str], bool]], ...] = (
    ("es_nif", r"\b[0-9]{7,8}-?[A-Z]\b", _nif),
    ("es_nie", r"\b[XYZ][0-9]{7}-?[A-Z]\b", _nif),
    (
        "it_fiscal_code",
        f"{_NAME_CODE}{{2}}{_OMOCODE}{{2}}[A-EHLMPR-T][04LQ1M5R2N6S37PT]{_OMOCODE}[A-MZ]{_OMOCODE}{{3}}[A-Z]",
        _codice_fiscale,
    ),
    ("pl_pesel", rf"[0-9]{{2}}(?:[02468][1-9]|[13579][0-2]){_MONTH_DAY}[0-9]{{5}}", _pesel),
    ("fi_personal_identity_code", rf"\b{_HETU}\b", _hetu),
    ("fi_personal_identity_code", _HETU, _hetu),
    ("in_aadhaar", r"\b[0-9]{4}(?:[0-9]{4}|[- :][0-9]{4}[- :])[0-9]{4}\b", _aadhaar),
    ("in_pan", r"\b[A-Z]{3}[ABCFGHJLPT][A-Z][0-9]{4}[A-Z]\b", _form_alone),
    (
        "uk_nino",
        r"\b(?!BG|GB|KN|NK|NT|TN|ZZ)[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z](?: ?[0-9]{2}){3} ?[A-D]\b",
        _form_alone,
    ),
    ("uk_nhs", r"\b[0-9]{3}[- ]?[0-9]{3}[- ]?[0-9]{4}\b", _nhs),
    ("de_tax_id", r"\b[1-9]\d{10}\b", _steuer_id),
    ("de_social_security", r"\b\d{8}[A-Z]\d{3}\b", _rentenversicherung),
    ("us_ssn", r"\b[0-9]{3}([- .])[0-9]{2}\1[0-9]{4}\b", _ssn),
    ("us_itin", r"\b9\d\d[- ](?:5\d|6[0-5]|7\d|8[0-8]|9[0-24-9])[- ]\d{4}\b", _form_alone),
    (
        "us_mbi",
        rf"\b[0-9]{_MBI_LETTER}{_MBI_EITHER}[0-9]-{_MBI_LETTER}{_MBI_EITHER}[0-9]-{_MBI_LETTER}{{2}}[0-9]{{2}}\b",
        _form_alone,
    ),
    ("au_tfn", r"\b\d{3}(?:\d{3}|\s\d{3}\s)\d{3}\b", _tfn),
    ("au_abn", r"\b\d\d(?:\d{9}|(?:\s\d{3}){3})\b", _abn),
    ("au_medicare", r"\b[2-6]\d{3}(?:\d{6}|\s\d{5}\s\d)\b", _australian_medicare),
    ("ca_sin", r"\b\d{3}([- ]?)\d{3}\1\d{3}\b", luhn),
    ("se_personnummer", r"\b\d{6,8}[-+]?\d{4}\b", _personnummer),
    ("se_personnummer", r"\d{6,8}[-+]?\d{4}", _personnummer),
    ("kr_rrn", rf"(?<!\d)\d\d{_MONTH}{_MONTH_DAY}-?[1-4]\d{{6}}(?!\d)", _form_alone),
    ("tr_national_id", r"\b[1-9][0-9]{10}\b", _tckn),
    ("th_tnin", r"\b[1-9](?:[134]\d|2[0-7]|5[0-8]|[67][0-7]|[89][0-6])\d{10}\b", _thai),
    (
        "uk_driving_licence",
        rf"\b[A-Z9]{{5}}[0-9](?:0[1-9]|1[0-2]|5[1-9]|6[0-2]){_MONTH_DAY}[0-9][A-Z9]{{2}}[A-Z0-9][A-Z]{{2}}\b",
        _british_driver,
    ),
    ("za_id_number", r"\b\d{10}[0-2][89]\d\b", _south_african),
)
_ID_RULES = tuple((f"pattern:{name}", re.compile(form, re.IGNORECASE), check) for name, form, check in _ID_FORMS)
_SIGNED = frozenset({"pattern:fi_personal_identity_code"})
"""Where a sign between the digits means something, the check gets the number as written."""


@detector(
    kind="NATIONAL_ID",
    family="secret",
    secret=True,
    triggers=lambda seen: seen.has_digit,
    examples=("my NHS number is 943 476 5919",),
)
def find_ids(text: str) -> Iterator[Span]:
    """Identity, tax and health numbers.

    Digits alone pass many national checksums by chance, so they count only behind an announcing word.
    """
    if not _ID_HINT.search(text) or (passages := number_passages(text)) is None:
        return
    for rule, form, check in _ID_RULES if _MAY_COUNT.search(text) else ():
        for match in form.finditer(passages.text):
            if not check(match[0].casefold().upper() if rule in _SIGNED else numerals(match[0])):
                continue
            start, end = passages.back(match.start(), match.end())
            if any(c.isalpha() for c in match[0]) or _is_announced(text, start, match[0]):
                yield Span(start, end, "NATIONAL_ID", rule, 0.95)


_MAY_COUNT: Final = re.compile(r"[^\W\d_]|\d-\d\d-\d")
"""A letter, in the number or in a word that announces it; or the shape of a US social security number."""


def _is_announced(text: str, start: int, piece: str) -> bool:
    if re.fullmatch(r"\d{3}-\d{2}-\d{4}", piece):
        return True  # the shape of a US social security number is used by nothing else
    return bool(_ID_WORDS.search(text, max(0, start - _AROUND), start))


_MACHINE_HINT = re.compile(
    r"\d\.\d{1,3}\.\d|[0-9A-Fa-f]{0,4}:[0-9A-Fa-f]{0,4}:|[0-9A-Fa-f]{2}-[0-9A-Fa-f]{2}-"
    r"|[0-9A-Fa-f]{4}\.[0-9A-Fa-f]{4}\."
)
_OCTET = "(?:25[0-5]|2[0-4][0-9]|[01]?[0-9]{1,2})"
_IPV4 = rf"(?:{_OCTET}\.){{3}}{_OCTET}"
_PREFIX_LENGTH = r"(?:/(?:12[0-8]|1[01]\d|[1-9]?\d))?"
_IPS = (
    re.compile(rf"(?<![A-Za-z0-9_])(?<![A-Za-z0-9_]\.){_IPV4}(?:/(?:3[0-2]|[0-2]?\d))?(?![A-Za-z0-9_]|\.\d)"),
    re.compile(rf"(?<![\w:])(?=[0-9A-Fa-f]{{0,4}}:)[0-9A-Fa-f:]{{1,38}}:{_IPV4}{_PREFIX_LENGTH}\b"),
    re.compile(
        rf"(?<![\w:])(?=[0-9A-Fa-f]{{0,4}}:)[0-9A-Fa-f:]{{3,39}}(?:%[0-9a-zA-Z]+)?{_PREFIX_LENGTH}(?![\w:]|\.\d)"
    ),
)
"""IPv4; IPv6 that ends in an IPv4 address; IPv6. `ipaddress` has the last word."""
_MAC = re.compile(
    r"(?i)(?<![A-Za-z0-9_])(?:[0-9A-F]{2}([:-])(?:[0-9A-F]{2}\1){4}[0-9A-F]{2}|"
    r"(?:[0-9A-F]{4}\.){2}[0-9A-F]{4})(?![A-Za-z0-9_])"
)
_VERSION_BEFORE = re.compile(r"(?i)(?:(?<![a-z])v|version[ :=]{0,2}|ver\.? ?|release |firmware |build |==|[a-z]/)\Z")
_HARMLESS_IP = re.compile(r"127\.\d+\.\d+\.\d+|0\.0\.0\.0|255\.255\.\d+\.\d+|::1?")
_IPV6_BEHIND_LABEL = re.compile(  # "SRC=2001:db8::1", "ip:2001:db8::1": the label's colon looks like a part of it
    r"(?<=[A-Za-z]:)(?=[0-9A-Fa-f:]{0,30}\d)[0-9A-Fa-f]{1,4}(?::{1,2}[0-9A-Fa-f]{1,4}){2,7}"
)


@detector(
    kind="IP",
    family="number",
    triggers=lambda seen: seen.has_digit or ":" in seen.text,
    examples=("the server is 10.1.2.3", "ping 2001:db8::1"),
)
def find_ips(text: str) -> Iterator[Span]:
    """IP addresses; loopback and netmasks are nobody's and stay."""
    if not _MACHINE_HINT.search(text):
        return
    for form in _IPS:
        for match in form.finditer(text):
            if not _HARMLESS_IP.fullmatch(match[0]) and not _VERSION_BEFORE.search(
                text, max(0, match.start() - 12), match.start()
            ):
                with suppress(ValueError):
                    ip_interface(match[0])
                    yield Span(match.start(), match.end(), "IP", "pattern:ip", 0.9)
    for match in _IPV6_BEHIND_LABEL.finditer(text):
        with suppress(ValueError):
            IPv6Address(match[0])
            yield Span(match.start(), match.end(), "IP", "pattern:ip", 0.9)


def may_name(text: str, span: Span) -> bool:
    """Whether an address may be what something is named by: a private one, or one that is said to be a machine's. Four
    numbers alone are a version."""
    said = _MACHINES.search(text, max(0, span.start - 16), span.start) is not None
    with suppress(ValueError):
        return said or ":" in text[span.start : span.end] or ip_interface(text[span.start : span.end]).is_private
    return said


_MACHINES = re.compile(
    r"(?i)(?<![a-z])(?:ip(?:v[46])?|addr(?:ess)?|host|server|node|src|dst|from|to|peer|client)\W{1,2}\Z"
)


@detector(
    kind="MAC",
    family="number",
    triggers=lambda seen: seen.has_digit or ":" in seen.text,
    examples=("its MAC is 00:1b:44:11:3a:b7",),
)
def find_macs(text: str) -> Iterator[Span]:
    """MAC addresses, but neither nobody's nor everybody's."""
    if _MACHINE_HINT.search(text):
        for match in _MAC.finditer(text):
            if numerals(match[0]) not in ("0" * 12, "F" * 12):
                yield Span(match.start(), match.end(), "MAC", "pattern:mac", 0.9)


_LABEL = r"[a-z0-9](?:[a-z0-9\-]{0,61}[a-z0-9])?"
_HOST = re.compile(
    rf"(?i)(?<![\w.\\$\-])(?<![^/]/)(?:{_LABEL}\.){{1,6}}"
    r"(?:internal|intern|intranet|intra|corp|lan|local|localdomain|private|home\.arpa)(?![\w\-(]|\.\w)"
)
"""A name under one of the ends that no public name has."""
_HOST_BEFORE = re.compile(
    r"(?i)(?:(?<![a-z])(?:host(?:name)?|server|node|address|endpoint|ssh|ping|fqdn)[\"'\s:=]{1,4}|://|\w@)\Z"
)
_EVERYBODYS_HOST = re.compile(
    r"(?i)(?:host|gateway|kubernetes)\.docker\.internal|metadata\.google\.internal|localhost\.\w+"
    r"|kubernetes\.default\.svc\.cluster\.local|.*\.(?:env|conf|config|settings|self|this)\.\w+"
)


@detector(
    kind="HOST",
    family="number",
    triggers=("internal", "intern", "intra", "intranet", "corp", "lan", "local", "localdomain", "private", "arpa"),
    examples=("ssh to db-03.birch.internal", "host: vault.lan"),
)
def find_hosts(text: str) -> Iterator[Span]:
    """Names of machines in a network of one's own. Without a digit or hyphen, only where a host is announced: much code
    looks alike (`threading.local`)."""
    for match in _HOST.finditer(text):
        start, end = match.span()
        told = any(c in "0123456789-" for c in match[0]) or _HOST_BEFORE.search(text, max(0, start - 14), start)
        if told and not _EVERYBODYS_HOST.fullmatch(match[0]):
            yield Span(start, end, "HOST", "pattern:host", 0.9)


_WALLET = re.compile(r"(?i)(?:bc1|[13])[a-z0-9]{25,59}")
_ETHEREUM = re.compile(r"(?<![0-9A-Za-z])0x[0-9a-fA-F]{40}(?![0-9A-Za-z])")


@detector(
    kind="CRYPTO",
    family="secret",
    secret=True,
    triggers=lambda seen: seen.has_long,
    examples=("send it to 1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",),
)
def find_crypto(text: str) -> Iterator[Span]:
    """Wallet addresses: Bitcoin with its checksum, Ethereum by its shape."""
    for match in _ETHEREUM.finditer(text):
        yield Span(match.start(), match.end(), "CRYPTO", "pattern:crypto")
    for match in _WALLET.finditer(text):
        if base58check(match[0]) if match[0][0] in "13" else bech32(match[0]):
            yield Span(match.start(), match.end(), "CRYPTO", "pattern:crypto")
