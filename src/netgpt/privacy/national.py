"""Identity numbers that are told by their own form and check digit, and numbers that a word announces.

More countries than `identities` has. Check rules: national registries' own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from netgpt.privacy.checksums import numerals, weighted
from netgpt.privacy.passages import number_passages
from netgpt.types import Span

__all__ = ["find_announced", "find_national"]


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


def _shape_alone(_raw: str) -> bool:
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
    ("ch_ahv", r"756[. ]?\d{4}[. ]?\d{4}[. ]?\d\d", _swiss),
    ("be_rijksregister", r"\d\d\.\d\d\.\d\d-\d{3}[.-]\d\d", _belgian),
    ("ie_pps", r"\d{7}[A-W][A-IW]?", _irish),
    ("sg_nric", r"[STFGM]\d{7}[A-Z]", _singaporean),
    ("es_dni", r"(?:\d{8}|[XYZ]-?\d{7})[ -]?[A-HJ-NP-TV-Z]", _spanish),
    ("mx_curp", rf"[A-Z][AEIOUX][A-Z]{{2}}\d\d{_DAY}[HMX][A-Z]{{5}}[A-Z\d]\d", _shape_alone),
    ("uk_nino", r"(?!BG|GB|NK|KN|TN|NT|ZZ)[A-CEGHJ-PR-TW-Z]{2} ?\d\d ?\d\d ?\d\d ?[A-D]", _shape_alone),
    ("hk_id", r"[A-Z]{1,2}\d{6}\([\dA]\)", _shape_alone),
    ("in_pan", r"[A-Z]{3}[ABCFGHLJPT][A-Z]\d{4}[A-Z]", _shape_alone),
)
_COMPILED = tuple(
    (name, re.compile(_BEFORE + form + (_AFTER if not form.endswith(r"\)") else "")), check)
    for name, form, check in _FORMS
)
_HINT = re.compile(
    r"\d{7}|\d{3}[. ]\d{3,4}[. ]|\d\d\.\d\d\.\d\d-|[12] \d\d \d\d |[A-Z]\d{6}|[A-Z]{5}\d{4}"
    r"|[XYZ]-\d{7}|[A-Z]{2} ?\d\d ?\d\d"
)

_ANNOUNCED = re.compile(
    r"(?i)(?<![A-Za-z])(?:ssn|social (?:security|insurance)|s[ée]curit[ée] sociale|itin|passport|passeport|reisepass"
    r"|pasaporte|driver'?s?['’]?s? licen[cs]e|driving licen[cs]e|dni|nie|nif|national (?:id|insurance)|ni number|nino"
    r"|id (?:card|number|no)|identity (?:card|number)|identification number|tax ?(?:id|payer|file)?(?: number)?|tfn|utr"
    r"|steuer(?:-?id|nummer|-?identifikationsnummer)|cpr(?:-?nr)?|bsn|pps[n]?|nric|hkid|curp|cpf|rg|pesel|personnummer"
    r"|fødselsnummer|henkilötunnus|hetu|rijksregister(?:nummer)?|aadhaa?r|pan card|nhs(?: number)?|medicare|mrn"
    r"|medical record|patient (?:id|number)|health card|sozialversicherungsnummer|ahv|codice fiscale|visa number"
    r"|green card|alien (?:registration )?number|membership (?:id|number|no)|employee (?:id|number|no)|staff (?:id|no)"
    r"|student (?:id|number|no)|account (?:number|no)|acct|a/c|sort ?code|routing(?: number)?|policy (?:number|no)"
    r"|insurance (?:number|no)|licen[cs]e plate|number plate|numberplate|registration(?: number| plate)?|vin)"
    r"(?:[\s_-](?:number|num|no\.?|nr\.?|id|\#))?['\"*)]{0,3}\s{0,2}(?:is|:|=|\#|-|\s|\(|was)\s{0,2}['\"*(]{0,3}"
    r"(?P<id>(?-i:[A-Z0-9](?:[ .\-/]?[A-Z0-9]){3,22}(?:\([\dA]\))?|[A-Za-z0-9\-]{5,20}))(?![A-Za-z0-9])"
)
_DIGIT_RUN = re.compile(r"\d")
_FAR_BEFORE, _FAR_BEHIND = 100, 160
"""Characters around a digit in which an announced number is searched: the longest announcement, the longest number."""


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


def find_announced(text: str) -> Iterator[Span]:
    """A number with at least four digits behind a word that says what it is."""
    done = 0
    for number in _DIGIT_RUN.finditer(text):
        if number.start() < done:
            continue
        done = min(len(text), number.start() + _FAR_BEHIND)
        for match in _ANNOUNCED.finditer(text, max(0, number.start() - _FAR_BEFORE), done):
            if sum(c.isdigit() for c in match["id"]) >= 4:
                yield Span(match.start("id"), match.end("id"), "NATIONAL_ID", "pattern:announced", 0.6)
