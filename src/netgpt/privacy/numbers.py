"""Cards, bank accounts and telephone numbers: runs of digits that a checksum or a numbering plan confirms."""

from __future__ import annotations

import re
from collections.abc import Iterator

from netgpt.privacy.wordsets import words
from netgpt.types import Span

__all__ = ["find_cards", "find_ibans", "find_phones", "luhn"]

_GROUPS = re.compile(r"\d+")
_CARD_RUN = re.compile(r"(?<![0-9])[0-9]{1,19}(?:[ \t]?[-./_ \n\r·]{1,2}[ \t]?[0-9]{2,19}){0,9}(?![0-9])")
_CARD_ISSUERS = re.compile(  # ISO/IEC 7812 prefixes with the lengths that each network issues
    r"4(?:\d{12}|\d{15}|\d{18})|(?:5[1-5]\d\d|222[1-9]|22[3-9]\d|2[3-6]\d\d|27[01]\d|2720)\d{12}|3[47]\d{13}"
    r"|(?:6011|64[4-9]\d|65\d\d)\d{12,15}|35\d{14,17}|(?:2131|1800)\d{11}"
    r"|3(?:0[0-59]|6\d|[89]\d)\d{11,16}|62\d{14,17}|(?:50[0-9]{2}|5[6-9]\d\d|6[0-9]{3})\d{8,15}|220[0-4]\d{12,15}"
    r"|(?:60|81|82)\d{14}|9792\d{12}"
)
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}[ \-]?[0-9]{2}(?:[ \t.\-\n]?[A-Za-z0-9]){11,30}")
_IBAN_LENGTHS = {  # from the SWIFT registry of IBAN formats
    pair[:2]: int(pair[2:])
    for pair in words(
        """
    AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 EE20
    EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 JO30
    KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23
    PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26
    UA29 VA22 VG24 XK20 YE30
        """
    )
}
_PHONE_RUN = re.compile(
    r"(?<![0-9A-Za-z_])(?:\+|00|\(\+|\()?[ \t]{0,2}[0-9](?:[ \t]{0,2}[\s().\-/·]{0,3}[0-9]){5,16}"
    r"(?:[ \t]{0,2}(?:x|ext\.?|#)[ \t]{0,2}[0-9]{1,6})?(?![0-9A-Za-z])"
)
_PHONE_WORDS = re.compile(
    r"(?i)\b(?:phone|tel|telephone|mobile|cell|call|fax|whats ?app|sms|text me|reach|ring|contact|dial"
    r"|hotline|number is"
    r"|telefon|tél|teléfono|telefono|móvil|handy|numéro)\b"
)
_REGIONS = (
    "US",
    "GB",
    "DE",
    "FR",
    "ES",
    "IT",
    "IN",
    "AU",
    "NL",
    "BE",
    "CH",
    "AT",
    "SE",
    "NO",
    "DK",
    "FI",
    "PL",
    "PT",
    "IE",
)
_MORE_REGIONS = (
    "BR",
    "MX",
    "JP",
    "CN",
    "ZA",
    "NZ",
    "CZ",
    "HU",
    "GR",
    "TR",
    "RU",
    "UA",
    "IL",
    "SG",
    "HK",
    "KR",
    "EE",
    "SI",
)
_NOT_PHONE = re.compile(
    r"\d{4}[-/. ]\d{1,2}[-/. ]\d{1,2}(?:[ T].*)?|\d{1,2}[-/. ]\d{1,2}[-/. ]\d{4}(?:\s.*)?"  # dates
    r"|(?:(?:19|20)\d\d[\s\-/.]*)+|(?:0|[1-9]\d*)\.\d+|[1-9]\d{0,2}(?: 000)+"  # years, decimals, round amounts
)


def luhn(digits: str) -> bool:
    """The check digit of ISO/IEC 7812-1, Annex B."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def find_cards(text: str) -> Iterator[Span]:
    """Card numbers of the known networks, in one run or in groups."""
    for run in _CARD_RUN.finditer(text):
        if run.end() - run.start() < 12:
            continue
        groups = [match.span() for match in _GROUPS.finditer(text, run.start(), run.end())]
        first = 0
        while first < len(groups):
            last = _card_end(text, groups, first)
            if last is not None:
                yield Span(groups[first][0], groups[last][1], "CARD", "pattern:card")
            first = first + 1 if last is None else last + 1


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
        if end < len(text) and text[end].isalnum():
            continue
        account = "".join(text[i] for i in places[:length]).upper()
        if int("".join(str(int(c, 36)) for c in account[4:] + account[:4])) % 97 == 1:
            yield Span(match.start(), end, "IBAN", "pattern:iban")
            at = end


def find_phones(text: str) -> Iterator[Span]:
    """Telephone numbers: international, or valid somewhere, or announced by a word such as "call"."""
    for match in _PHONE_RUN.finditer(text):
        raw = match[0].strip()
        number = re.split(r"[xe#]", raw)[0].strip()
        digits = re.sub(r"\D", "", number)
        if not 6 <= len(digits) <= 17:
            continue
        told = bool(_PHONE_WORDS.search(text, max(0, match.start() - 48), match.start()))
        if _is_phone(number, digits, told):
            start = match.start() + (len(match[0]) - len(match[0].lstrip()))
            yield Span(start, match.end(), "PHONE", "pattern:phone", 1.0 if told else 0.8)


def _is_phone(raw: str, digits: str, told: bool) -> bool:
    if raw.lstrip("(").startswith(("+", "00")):
        return len(digits) >= 7 and not (raw.startswith("00") and set(digits) <= {"0"})
    if _NOT_PHONE.fullmatch(raw) and not told:
        return False
    if told:
        return len(digits) <= 15 and not re.fullmatch(r"(?:19|20)\d\d[-/.]\d\d[-/.]\d\d", raw)
    groups = len(_GROUPS.findall(raw))
    if len(digits) < 9 or len(digits) > 13:
        spoken = raw.startswith("(") or (len(digits) == 8 and groups >= 3)
        return len(digits) >= 7 and spoken and _valid_in(digits, _REGIONS)
    grouped = groups > 1
    return _valid_in(digits, _REGIONS + _MORE_REGIONS if grouped else _REGIONS)


def _valid_in(digits: str, regions: tuple[str, ...]) -> bool:
    import phonenumbers

    candidates = [(digits, region) for region in regions]
    if len(digits) >= 11:
        candidates.append(("+" + digits, "ZZ"))  # the country code without its plus
    for number, region in candidates:
        try:
            parsed = phonenumbers.parse(number, region)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_valid_number(parsed):
            return True
    return False
