"""Invented telephone, card, account and machine numbers, made from public rules and not from the detectors' own."""

from __future__ import annotations

import random
import string

import phonenumbers
from private_value import Value, digits, letters

__all__ = ["card", "iban", "machine", "phone"]

REGIONS = [
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
    "BR",
    "MX",
    "JP",
    "ZA",
    "NZ",
    "CZ",
    "GR",
    "TR",
    "IL",
    "SG",
    "CA",
]


def phone(chance: random.Random) -> Value:
    region = chance.choice(REGIONS)
    kind = chance.choice((phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE))
    number = phonenumbers.example_number_for_type(region, kind) or phonenumbers.example_number(region)
    assert number is not None
    for _ in range(50):
        tried = phonenumbers.PhoneNumber(
            country_code=number.country_code,
            national_number=int(str(number.national_number)[:-4] + digits(chance, 4)),
            italian_leading_zero=number.italian_leading_zero,
        )
        if phonenumbers.is_valid_number(tried):
            number = tried
            break
    style = chance.choice(
        (
            phonenumbers.PhoneNumberFormat.NATIONAL,
            phonenumbers.PhoneNumberFormat.INTERNATIONAL,
            phonenumbers.PhoneNumberFormat.E164,
        )
    )
    text = phonenumbers.format_number(number, style)
    national = style == phonenumbers.PhoneNumberFormat.NATIONAL
    if chance.random() < 0.5:
        mark = chance.choice((".", "-", "/", "", " ", "  ", "\u00a0", "–", " - ", "\u2011", "\u202f"))
        text = mark.join(text.replace("(", "").replace(")", "").replace("-", " ").replace("/", " ").split())
    if style == phonenumbers.PhoneNumberFormat.INTERNATIONAL and chance.random() < 0.3:
        text = text.replace("+", chance.choice(("00", "00 ", "(+", "011 ", "+ ")), 1)
        text = text.replace("(+" + str(number.country_code), f"(+{number.country_code})")
    if chance.random() < 0.2:
        text += chance.choice((" ext. 417", " x417", " ext 417", ", ext. 417", " extension 417", "#417", ";ext=417"))
    bare = national and len(str(number.national_number)) < 9
    return Value("PHONE", text, (str(number.national_number)[-7:],), announced=bare)


def _luhn(body: str) -> str:
    total = 0
    for place, digit in enumerate(reversed(body)):
        doubled = int(digit) * (2 if place % 2 == 0 else 1)
        total += doubled // 10 + doubled % 10
    return body + str(-total % 10)


def card(chance: random.Random) -> Value:
    prefix, length, groups = chance.choice(
        (
            ("4", 16, (4, 4, 4, 4)),
            ("4", 13, (4, 3, 3, 3)),
            ("4", 19, (4, 4, 4, 4, 3)),
            ("53", 16, (4, 4, 4, 4)),
            ("2345", 16, (4, 4, 4, 4)),
            ("34", 15, (4, 6, 5)),
            ("37", 15, (4, 6, 5)),
            ("36", 14, (4, 6, 4)),
            ("305", 14, (4, 6, 4)),
            ("6011", 16, (4, 4, 4, 4)),
            ("3530", 16, (4, 4, 4, 4)),
            ("62", 16, (4, 4, 4, 4)),
            ("62", 19, (6, 13)),
            ("5018", 16, (4, 4, 4, 4)),
            ("6759", 12, (4, 4, 4)),
            ("2200", 16, (4, 4, 4, 4)),
        )
    )
    number = _luhn(prefix + digits(chance, length - len(prefix) - 1))
    mark = chance.choice(("", " ", "-", ".", "  ", "\u00a0", "–", " - ", "\n", "/", "_", "\t", "\u200b"))
    pieces, at = [], 0
    for size in groups:
        pieces.append(number[at : at + size])
        at += size
    return Value("CARD", mark.join(pieces), (number, number[4:]))


def iban(chance: random.Random) -> Value:
    country, length, lettered = chance.choice(
        (
            ("GB", 22, 4),
            ("DE", 22, 0),
            ("FR", 27, 0),
            ("NL", 18, 4),
            ("ES", 24, 0),
            ("IT", 27, 1),
            ("CH", 21, 0),
            ("AT", 20, 0),
            ("BE", 16, 0),
            ("PL", 28, 0),
            ("NO", 15, 0),
            ("SE", 24, 0),
            ("IE", 22, 4),
            ("MT", 31, 4),
            ("SA", 24, 0),
            ("TR", 26, 0),
            ("BR", 29, 0),
        )
    )
    account = letters(chance, lettered, string.ascii_uppercase) + digits(chance, length - 4 - lettered)
    check = 98 - int("".join(str(int(c, 36)) for c in account + country + "00")) % 97
    text = f"{country}{check:02d}{account}"
    mark = chance.choice(("", " ", "-", "\u00a0", ".", "  "))
    shown = mark.join(text[i : i + 4] for i in range(0, len(text), 4))
    return Value("IBAN", shown.lower() if chance.random() < 0.25 else shown, (text, account))


def machine(chance: random.Random) -> Value:
    b = [chance.randint(11, 250) for _ in range(4)]
    h = [f"{chance.randint(0x1000, 0xFFFF):x}" for _ in range(6)]
    text, secret = chance.choice(
        (
            (f"{b[0]}.{b[1]}.{b[2]}.{b[3]}", f"{b[1]}.{b[2]}.{b[3]}"),
            (f"10.{b[0]}.{b[1]}.{b[2]}", f"{b[0]}.{b[1]}.{b[2]}"),
            (f"{b[0]}.{b[1]}.{b[2]}.{b[3]}:8443", f"{b[1]}.{b[2]}.{b[3]}"),
            (f"{b[0]}.{b[1]}.{b[2]}.{b[3]}/24", f"{b[1]}.{b[2]}.{b[3]}"),
            (f"2001:db8:{h[0]}:{h[1]}:{h[2]}:{h[3]}:{h[4]}:{h[5]}", h[2] + h[3]),
            (f"2001:db8::{h[0]}:{h[1]}", h[0] + h[1]),
            (f"fe80::{h[0]}:{h[1]}:{h[2]}:{h[3]}%eth0", h[1] + h[2]),
            (f"[2001:db8:{h[0]}::{h[1]}]:443", h[0] + h[1]),
            (f"::ffff:{b[0]}.{b[1]}.{b[2]}.{b[3]}", f"{b[1]}.{b[2]}.{b[3]}"),
            (f"2001:DB8:{h[0].upper()}::{h[1].upper()}/64", h[0] + h[1]),
            (":".join(f"{x:02x}" for x in (0x3C, 0x22, *b)), "".join(f"{x:02x}" for x in b)),
            ("-".join(f"{x:02X}" for x in (0x3C, 0x22, *b)), "".join(f"{x:02x}" for x in b)),
        )
    )
    return Value("IP", text, (secret,))
