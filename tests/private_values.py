"""Invented private values of every kind with a form, made here from public rules and not from the detectors' own.

Each `Value` has the text as a person or program writes it, and `secrets`: pieces of it that must not be read
anywhere, compared without separators and case (see `leaked`).
"""

from __future__ import annotations

import base64
import json
import random
import string
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import phonenumbers

__all__ = ["MAKERS", "Value", "leaked", "readable"]

REGIONS = "US GB DE FR ES IT IN AU NL BE CH AT SE NO DK FI PL PT IE BR MX JP ZA NZ CZ GR TR IL SG CA".split()


@dataclass(frozen=True, slots=True)
class Value:
    """One private value."""

    kind: str
    text: str
    secrets: tuple[str, ...]
    told: bool = False
    """Whether it is private only beside a word that says what it is (a bare number, say)."""


def compact(text: str) -> str:
    return "".join(c for c in text.casefold() if c.isalnum())


def readable(content: bytes) -> str:
    """All that a body says: raw, its strings unescaped, JSON in strings opened, percent signs resolved."""
    pieces = [content.decode("utf-8", "replace")]

    def collect(value: Any) -> None:
        if isinstance(value, dict):
            for key, item in value.items():
                collect(key)
                collect(item)
        elif isinstance(value, list):
            for item in value:
                collect(item)
        elif isinstance(value, str):
            pieces.append(value)
            if "%" in value:
                pieces.append(unquote(value))
            if value.lstrip()[:1] in ("{", "["):
                try:
                    collect(json.loads(value))
                except ValueError:
                    pass
        elif value is not None:
            pieces.append(str(value))

    try:
        collect(json.loads(content))
    except ValueError:
        pass
    return compact("\x00".join(pieces))


def leaked(value: Value, seen: str) -> list[str]:
    """The secrets of `value` that stand in `seen` (which is `readable` of all that left)."""
    return [secret for secret in value.secrets if compact(secret) in seen]


def _digits(chance: random.Random, count: int) -> str:
    return "".join(chance.choice(string.digits) for _ in range(count))


def _letters(chance: random.Random, count: int, of: str = string.ascii_letters + string.digits) -> str:
    return "".join(chance.choice(of) for _ in range(count))


def email(chance: random.Random) -> Value:
    user = _letters(chance, 6, string.ascii_lowercase)
    local = chance.choice(
        ("{u}", "{u}.lovell", "{u}+news", "{u}.o'hara", "{U}_1987", "{u}-{u}", "x{u}.b.c", '"{u} lovell"', '"{u}.q"',
         "{u}=bounce", "{u}%corp", "zoë.{u}", "{u}+a/b", "o{u}&co", "{u}!x", "李{u}")
    ).format(u=user, U=user.upper())
    host = chance.choice(
        ("mill.example", "mail.eu.dept.acme-robotics.com", "inbox.photography", "firma.international", "x.io",
         "localhost.localdomain", "sub.münchen.de", "xn--mnchen-3ya.de", "例え.jp", "почта.рф", "EXAMPLE.COM",
         "a-b.co.uk", "[192.168.7.44]", "[IPv6:2001:db8::17]", "company.versicherung")
    )
    return Value("EMAIL", f"{local}@{host}", (user,))


def phone(chance: random.Random) -> Value:
    region = chance.choice(REGIONS)
    kind = chance.choice((phonenumbers.PhoneNumberType.MOBILE, phonenumbers.PhoneNumberType.FIXED_LINE))
    number = phonenumbers.example_number_for_type(region, kind) or phonenumbers.example_number(region)
    for _ in range(50):
        tried = phonenumbers.PhoneNumber(
            country_code=number.country_code,
            national_number=int(str(number.national_number)[:-4] + _digits(chance, 4)),
            italian_leading_zero=number.italian_leading_zero,
        )
        if phonenumbers.is_valid_number(tried):
            number = tried
            break
    style = chance.choice(
        (phonenumbers.PhoneNumberFormat.NATIONAL, phonenumbers.PhoneNumberFormat.INTERNATIONAL,
         phonenumbers.PhoneNumberFormat.E164)
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
    return Value("PHONE", text, (str(number.national_number)[-7:],), told=bare)


def _luhn(body: str) -> str:
    total = 0
    for place, digit in enumerate(reversed(body)):
        doubled = int(digit) * (2 if place % 2 == 0 else 1)
        total += doubled // 10 + doubled % 10
    return body + str(-total % 10)


def card(chance: random.Random) -> Value:
    prefix, length, groups = chance.choice(
        (("4", 16, (4, 4, 4, 4)), ("4", 13, (4, 3, 3, 3)), ("4", 19, (4, 4, 4, 4, 3)), ("53", 16, (4, 4, 4, 4)),
         ("2345", 16, (4, 4, 4, 4)), ("34", 15, (4, 6, 5)), ("37", 15, (4, 6, 5)), ("36", 14, (4, 6, 4)),
         ("305", 14, (4, 6, 4)), ("6011", 16, (4, 4, 4, 4)), ("3530", 16, (4, 4, 4, 4)), ("62", 16, (4, 4, 4, 4)),
         ("62", 19, (6, 13)), ("5018", 16, (4, 4, 4, 4)), ("6759", 12, (4, 4, 4)), ("2200", 16, (4, 4, 4, 4)))
    )
    number = _luhn(prefix + _digits(chance, length - len(prefix) - 1))
    mark = chance.choice(("", " ", "-", ".", "  ", "\u00a0", "–", " - ", "\n", "/", "_", "\t", ",", ", ", "\u200b"))
    pieces, at = [], 0
    for size in groups:
        pieces.append(number[at : at + size])
        at += size
    return Value("CARD", mark.join(pieces), (number, number[4:]))


def iban(chance: random.Random) -> Value:
    country, length, letters = chance.choice(
        (("GB", 22, 4), ("DE", 22, 0), ("FR", 27, 0), ("NL", 18, 4), ("ES", 24, 0), ("IT", 27, 1), ("CH", 21, 0),
         ("AT", 20, 0), ("BE", 16, 0), ("PL", 28, 0), ("NO", 15, 0), ("SE", 24, 0), ("IE", 22, 4), ("MT", 31, 4),
         ("SA", 24, 0), ("TR", 26, 0), ("BR", 29, 0))
    )
    account = _letters(chance, letters, string.ascii_uppercase) + _digits(chance, length - 4 - letters)
    check = 98 - int("".join(str(int(c, 36)) for c in account + country + "00")) % 97
    text = f"{country}{check:02d}{account}"
    mark = chance.choice(("", " ", "-", "\u00a0", ".", "  "))
    shown = mark.join(text[i : i + 4] for i in range(0, len(text), 4))
    return Value("IBAN", shown.lower() if chance.random() < 0.25 else shown, (text, account))


def machine(chance: random.Random) -> Value:
    b = [chance.randint(11, 250) for _ in range(4)]
    h = [f"{chance.randint(0x1000, 0xFFFF):x}" for _ in range(6)]
    text, secret = chance.choice(
        ((f"{b[0]}.{b[1]}.{b[2]}.{b[3]}", f"{b[1]}.{b[2]}.{b[3]}"), (f"10.{b[0]}.{b[1]}.{b[2]}", f"{b[0]}.{b[1]}.{b[2]}"),
         (f"{b[0]}.{b[1]}.{b[2]}.{b[3]}:8443", f"{b[1]}.{b[2]}.{b[3]}"),
         (f"{b[0]}.{b[1]}.{b[2]}.{b[3]}/24", f"{b[1]}.{b[2]}.{b[3]}"),
         (f"2001:db8:{h[0]}:{h[1]}:{h[2]}:{h[3]}:{h[4]}:{h[5]}", h[2] + h[3]),
         (f"2001:db8::{h[0]}:{h[1]}", h[0] + h[1]), (f"fe80::{h[0]}:{h[1]}:{h[2]}:{h[3]}%eth0", h[1] + h[2]),
         (f"[2001:db8:{h[0]}::{h[1]}]:443", h[0] + h[1]), (f"::ffff:{b[0]}.{b[1]}.{b[2]}.{b[3]}", f"{b[1]}.{b[2]}.{b[3]}"),
         (f"2001:DB8:{h[0].upper()}::{h[1].upper()}/64", h[0] + h[1]),
         (":".join(f"{x:02x}" for x in (0x3C, 0x22, *b)), "".join(f"{x:02x}" for x in b)),
         ("-".join(f"{x:02X}" for x in (0x3C, 0x22, *b)), "".join(f"{x:02x}" for x in b)))
    )
    return Value("IP", text, (secret,))


def key(chance: random.Random) -> Value:
    base62 = string.ascii_letters + string.digits
    hexa = "0123456789abcdef"

    def r(count: int, of: str = base62) -> str:
        return _letters(chance, count, of)

    def b64(data: Mapping[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(data).encode()).decode().rstrip("=")

    body = r(24)
    text = chance.choice(
        (f"sk-proj-{body}{r(20)}", f"sk-ant-api03-{body}-{r(10)}AA", f"sk_live_{body}", f"rk_test_{body}",
         f"whsec_{body}{r(8)}", f"ghp_{body}{r(12)}", f"github_pat_{body}_{r(30)}", f"AKIA{r(16, string.ascii_uppercase + '234567')}",
         f"xoxb-{_digits(chance, 12)}-{body}", f"xoxp-{_digits(chance, 11)}-{body}", f"AIza{body}{r(11)}", f"ya29.{body}{r(30)}",
         f"glpat-{r(20)}", f"hf_{body}{r(10)}", f"npm_{body}{r(12)}", f"pypi-AgEIcHlwaS5vcmc{body}{r(30)}", f"SG.{r(22)}.{r(43)}",
         f"gsk_{body}{r(28)}", f"r8_{body}{r(13)}", f"dop_v1_{r(64, hexa)}", f"shpat_{r(32, hexa)}", f"key-{r(32, hexa)}",
         f"AC{r(32, hexa)}", f"SK{r(32, hexa)}", f"EAACEdEose0cBA{body}{r(60)}", f"{r(32, hexa)}-us21", f"lin_api_{r(40)}",
         f"secret_{r(43)}", f"ntn_{r(46)}", f"figd_{r(40)}", f"dckr_pat_{r(27)}", f"tfp_{r(44)}", f"pat-na1-{r(8, hexa)}-{r(4, hexa)}-{r(4, hexa)}-{r(12, hexa)}",
         f"sq0csp-{r(43)}", f"EAAA{r(60)}", f"rnd_{r(28)}", f"vercel_{r(24)}", f"hvs.{r(90)}", f"glsa_{r(32)}_{r(8, hexa)}",
         f"xai-{r(80)}", f"pplx-{r(48)}", f"AGE-SECRET-KEY-1{r(58, string.ascii_uppercase + string.digits)}",
         f"{_digits(chance, 10)}:AA{r(33)}", f"nvapi-{r(64)}", f"tvly-{r(32)}", f"dapi{r(32, hexa)}", f"PMAK-{r(24, hexa)}-{r(34, hexa)}",
         f"{b64({'alg': 'HS256', 'typ': 'JWT'})}.{b64({'sub': body, 'iat': 1516239022})}.{r(43)}",
         f"AccountKey={r(86)}==", f"SharedAccessSignature sig={r(40)}", f"https://hooks.slack.com/services/T{r(8, string.ascii_uppercase)}/B{r(8, string.ascii_uppercase)}/{r(24)}",
         f"https://discord.com/api/webhooks/{_digits(chance, 18)}/{r(68)}")
    )
    return Value("API_KEY", text, (text[-12:].rstrip("=") if not text.endswith("=") else text[-16:-4], text[8:20]))


def secret_url(chance: random.Random) -> Value:
    word = _letters(chance, 12)
    text = chance.choice(
        (f"https://ada:{word}@git.example.org/repo.git", f"postgres://app:{word}@db.internal:5432/main",
         f"https://files.example.org/a?X-Amz-Signature={word}{word}&X-Amz-Date=1", f"https://x.example/cb?code={word}&state=1",
         f"https://x.example/#access_token={word}&token_type=bearer", f"mongodb+srv://u:{word}@c0.mongodb.net/test",
         f"https://blob.core.example/c/f.pdf?sv=2022&sig={word}%3D", f"https://x.example/reset?token={word}",
         f"https://api.example/v1?apikey={word}", f"redis://:{word}@cache:6379/0", f"https://x.example/v1/items?api_key={word}",
         f"ftp://joe:{word}@ftp.example.net/", f"https://x.example/login?user=ada&password={word}", f"amqp://g:{word}@mq/%2f",
         f"https://x.example/unsubscribe?u=5&hash={word}{word}", f"https://x.example/magic-link/{word}{word}{word}",
         f"https://x.example/?q=1&amp;session_id={word}", f"https://x.example/share?access_key={word}",
         f"jdbc:postgresql://db:5432/x?user=a&password={word}", f"//ada:{word}@git.example.org/repo")
    )
    return Value("URL", text, (word,))


def _told_id(label: str, text: str) -> tuple[str, str]:
    return f"{label} {text}", text


def national_id(chance: random.Random) -> Value:
    d = lambda n: _digits(chance, n)  # noqa: E731 - shorter than the call, thirty times
    dni = chance.randint(10_000_000, 99_999_999)
    nir = f"{chance.choice('12')}{chance.randint(40, 99)}{chance.randint(1, 12):02d}{chance.randint(1, 95):02d}{d(6)}"
    cpf = d(9)
    for _ in range(2):
        total = sum(int(c) * w for c, w in zip(cpf, range(len(cpf) + 1, 1, -1), strict=True))
        cpf += str((total * 10 % 11) % 10)
    pesel = f"{chance.randint(50, 99)}{chance.randint(1, 12):02d}{chance.randint(1, 28):02d}{d(4)}"
    pesel += str(-sum(int(c) * w for c, w in zip(pesel, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3), strict=True)) % 10)
    hetu = f"{chance.randint(1, 28):02d}{chance.randint(1, 12):02d}{chance.randint(50, 99)}"
    hetu_end = chance.randint(100, 899)
    hetu_mark = "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(f"{hetu}{hetu_end}") % 31]
    cn = f"11010519{chance.randint(49, 99)}{chance.randint(1, 12):02d}{chance.randint(1, 28):02d}{d(3)}"
    cn += "10X98765432"[sum(int(c) * (2 ** (17 - i) % 11) for i, c in enumerate(cn)) % 11]
    ahv = "756" + d(9)
    ahv += str(-sum(int(c) * (1 + 2 * (i % 2)) for i, c in enumerate(ahv)) % 10)
    ssn = f"{chance.choice((212, 345, 478, 561))}-{chance.randint(10, 99)}-{chance.randint(1000, 9999)}"
    nino = f"AB {d(2)} {d(2)} {d(2)} C"
    pps = d(7)
    pps += "WABCDEFGHIJKLMNOPQRSTUV"[sum(int(c) * w for c, w in zip(pps, range(8, 1, -1), strict=True)) % 23]
    text, secret = chance.choice(
        ((ssn, ssn), _told_id("SSN", ssn.replace("-", " ")), _told_id("my social security number is", ssn.replace("-", "")),
         (nino, nino), (nino.replace(" ", ""), nino), (nino.replace(" ", "").lower(), nino),
         (f"{dni}{'TRWAGMYFPDXBNJZSQVHLCKE'[dni % 23]}", str(dni)), (f"{dni}-{'TRWAGMYFPDXBNJZSQVHLCKE'[dni % 23]}", str(dni)),
         (f"{nir} {97 - int(nir) % 97:02d}", nir),
         (" ".join((nir[0], nir[1:3], nir[3:5], nir[5:7], nir[7:10], nir[10:], f"{97 - int(nir) % 97:02d}")), nir),
         (f"{cpf[:3]}.{cpf[3:6]}.{cpf[6:9]}-{cpf[9:]}", cpf), _told_id("CPF", cpf), _told_id("PESEL:", pesel),
         (f"{hetu}-{hetu_end}{hetu_mark}", f"{hetu}{hetu_end}"), (cn, cn), (f"{ahv[:3]}.{ahv[3:7]}.{ahv[7:11]}.{ahv[11:]}", ahv),
         _told_id("passport no.", f"C01X{d(5)}"), _told_id("passport number:", d(9)), _told_id("Passport No", "PA" + d(7)),
         _told_id("driver's license", "D" + d(7)), _told_id("driving licence", f"MORGA{d(6)}SM9IJ"),
         (pps, pps), (pps + "A", pps), _told_id("PPS number", pps), _told_id("BSN", d(9)), _told_id("personnummer", "811218-9876"),
         _told_id("CPR-nr.", f"0101{chance.randint(50, 99)}-{d(4)}"), _told_id("Steuer-ID", "86095742719"),
         _told_id("NHS number", "943 476 5919"), _told_id("my aadhaar is", "2345 6789 0124"), ("ABCPE1234F", "ABCPE1234F"),
         ("RSSMRA85T10A562S", "RSSMRA85T10A562S"), _told_id("NRIC", "S1234567D"), ("S1234567D", "S1234567D"),
         _told_id("HKID", "A123456(3)"), ("BADD110313HCMLNS09", "BADD110313HCMLNS09"), _told_id("TFN", "123 456 782"),
         _told_id("SIN", "046 454 286"), _told_id("Rijksregisternummer", "85.07.30-033.28"), ("85.07.30-033.28", "85073003328"),
         _told_id("national insurance number", nino.replace(" ", "")), _told_id("date of birth and id number", d(8)),
         _told_id("numéro de sécurité sociale", nir), _told_id("tax id", f"{d(2)}-{d(7)}"), _told_id("medical record number", "MRN" + d(7)))
    )
    return Value("NATIONAL_ID", text, (secret,))


def address(chance: random.Random) -> Value:
    n = chance.randint(11, 289)
    w = "Zorn" + _letters(chance, 4, string.ascii_lowercase)
    text, secrets = chance.choice(
        ((f"{n} {w} Road, Cambridge CB1 {n % 9}AB", (f"{n} {w} road", f"CB1 {n % 9}AB")), (f"{n} {w} Rd", (f"{n} {w}",)),
         (f"{n} {w.lower()} street", (f"{n} {w}",)), (f"{n} {w.upper()} STREET, LONDON SW1A {n % 9}AA", (f"{n} {w}", f"SW1A {n % 9}AA")),
         (f"Flat 3, {n} {w} Mansions, {w} Avenue", (f"{n} {w}",)), (f"{n}/{n + 2} {w} Close", (f"{n + 2} {w}",)),
         (f"{n} {w} Ave NW, Apt 4C, Seattle, WA 98{n:03d}", (f"{n} {w}", f"WA 98{n:03d}")),
         (f"{n} West {n - 7}th Street", (f"{n} west {n - 7}",)), (f"{n} N. {w} Blvd., Los Angeles, CA 90{n:03d}-1234", (f"{n} N {w}", f"90{n:03d}")),
         (f"{n}, rue {w}, 75011 Paris", (f"{n} rue {w}",)), (f"{n} bis rue de {w}", (f"{n} bis rue",)), (f"{w}straße {n}, 10{n:03d} Berlin", (f"{w}straße {n}", f"10{n:03d}")),
         (f"{w}str. {n}", (f"{w}str {n}",)), (f"{w}weg {n}a", (f"{w}weg {n}",)), (f"Via {w} {n}, 20{n:03d} Milano", (f"via {w} {n}", f"20{n:03d}")),
         (f"C/ {w} {n}, 3º B, 28{n:03d} Madrid", (f"{w} {n}",)), (f"Calle de {w}, {n}", (f"{w} {n}",)), (f"{w}gatan {n}, 114 {n % 90 + 10} Stockholm", (f"{w}gatan {n}",)),
         (f"{w}straat {n}-II, 1012 AB Amsterdam", (f"{w}straat {n}", "1012AB")), (f"ul. {w} {n}/4, 00-{n:03d} Warszawa", (f"{w} {n}", f"00{n:03d}")),
         (f"Rua {w}, {n}", (f"{w} {n}",)), (f"P.O. Box {n}{n}", (f"box {n}{n}",)), (f"{n} {w} Road\nCambridge\nCB2 {n % 9}XY", (f"{n} {w} road", f"CB2 {n % 9}XY")),
         (f"{n}\n{w} Lane", (f"{n} {w}",)), (f"No. {n}, {w} Road", (f"{n} {w}",)), (f"{n}b {w} road", (f"{n}b {w}",)),
         (f"{w} House, {n} High Street", (f"{n} high",)), (f"Unit {n}, {w} Business Park", (f"unit {n}",)), (f"The Old Rectory, {w} Lane, EX{n % 9 + 1} {n % 9}QT", (f"EX{n % 9 + 1} {n % 9}QT",)),
         (f"{n} {w} Crescent, Toronto ON M5V {n % 9}T6", (f"{n} {w}", f"M5V{n % 9}T6")), (f"{n}-{n + 4} {w} St, Sydney NSW 2{n:03d}", (f"{n + 4} {w}", f"NSW2{n:03d}")),
         (f"{n} {w} Marg, New Delhi 110{n:03d}", (f"110{n:03d}",)), (f"1-{n % 20}-3 {w}, Chiyoda-ku, Tokyo 100-{n + 1000}", (f"100{n + 1000}",)),
         (f"{n} Avenue {w}, 1050 Bruxelles", (f"{n} avenue {w}",)), (f"{w} Straße {n}, 80331 München", (f"{w} straße {n}",)))
    )
    return Value("ADDRESS", text, secrets)


MAKERS: Mapping[str, Callable[[random.Random], Value]] = {
    "EMAIL": email, "PHONE": phone, "CARD": card, "IBAN": iban, "IP": machine, "API_KEY": key, "URL": secret_url,
    "NATIONAL_ID": national_id, "ADDRESS": address,
}  # fmt: skip


def values(chance: random.Random, count: int) -> Iterator[Value]:
    """`count` values, the kinds in turn."""
    kinds = list(MAKERS)
    for number in range(count):
        yield MAKERS[kinds[number % len(kinds)]](chance)
