"""Invented e-mail addresses, keys, URLs with secrets and postal addresses."""

from __future__ import annotations

import base64
import json
import random
import string
from collections.abc import Mapping
from typing import Any

from private_value import Value, digits, letters

__all__ = ["address", "email", "key", "secret_url"]


def email(chance: random.Random) -> Value:
    user = letters(chance, 6, string.ascii_lowercase)
    local = chance.choice(
        (
            "{u}",
            "{u}.lovell",
            "{u}+news",
            "{u}.o'hara",
            "{U}_1987",
            "{u}-{u}",
            "x{u}.b.c",
            '"{u} lovell"',
            '"{u}.q"',
            "{u}=bounce",
            "{u}%corp",
            "zoë.{u}",
            "{u}+a/b",
            "o{u}&co",
            "{u}!x",
            "李{u}",
        )
    ).format(u=user, U=user.upper())
    host = chance.choice(
        (
            "mill.example",
            "mail.eu.dept.acme-robotics.com",
            "inbox.photography",
            "firma.international",
            "x.io",
            "localhost.localdomain",
            "sub.münchen.de",
            "xn--mnchen-3ya.de",
            "例え.jp",
            "почта.рф",
            "EXAMPLE.COM",
            "a-b.co.uk",
            "[192.168.7.44]",
            "[IPv6:2001:db8::17]",
            "company.versicherung",
        )
    )
    return Value("EMAIL", f"{local}@{host}", (user,))


def key(chance: random.Random) -> Value:
    base62 = string.ascii_letters + string.digits
    hexa = "0123456789abcdef"

    def r(count: int, of: str = base62) -> str:
        return letters(chance, count, of)

    def b64(data: Mapping[str, Any]) -> str:
        return base64.urlsafe_b64encode(json.dumps(data).encode()).decode().rstrip("=")

    body = r(24)
    text = chance.choice(
        (
            f"sk-proj-{body}{r(20)}",
            f"sk-ant-api03-{body}-{r(10)}AA",
            f"sk_live_{body}",
            f"rk_test_{body}",
            f"whsec_{body}{r(8)}",
            f"ghp_{body}{r(12)}",
            f"github_pat_{body}_{r(30)}",
            f"AKIA{r(16, string.ascii_uppercase + '234567')}",
            f"xoxb-{digits(chance, 12)}-{body}",
            f"xoxp-{digits(chance, 11)}-{body}",
            f"AIza{body}{r(11)}",
            f"ya29.{body}{r(30)}",
            f"glpat-{r(20)}",
            f"hf_{body}{r(10)}",
            f"npm_{body}{r(12)}",
            f"pypi-AgEIcHlwaS5vcmc{body}{r(30)}",
            f"SG.{r(22)}.{r(43)}",
            f"gsk_{body}{r(28)}",
            f"r8_{body}{r(13)}",
            f"dop_v1_{r(64, hexa)}",
            f"shpat_{r(32, hexa)}",
            f"key-{r(32, hexa)}",
            f"AC{r(32, hexa)}",
            f"SK{r(32, hexa)}",
            f"EAACEdEose0cBA{body}{r(60)}",
            f"{r(32, hexa)}-us21",
            f"lin_api_{r(40)}",
            f"secret_{r(43)}",
            f"ntn_{r(46)}",
            f"figd_{r(40)}",
            f"dckr_pat_{r(27)}",
            f"tfp_{r(44)}",
            f"pat-na1-{r(8, hexa)}-{r(4, hexa)}-{r(4, hexa)}-{r(12, hexa)}",
            f"sq0csp-{r(43)}",
            f"EAAA{r(60)}",
            f"rnd_{r(28)}",
            f"vercel_{r(24)}",
            f"hvs.{r(90)}",
            f"glsa_{r(32)}_{r(8, hexa)}",
            f"xai-{r(80)}",
            f"pplx-{r(48)}",
            f"AGE-SECRET-KEY-1{r(58, string.ascii_uppercase + string.digits)}",
            f"{digits(chance, 10)}:AA{r(33)}",
            f"nvapi-{r(64)}",
            f"tvly-{r(32)}",
            f"dapi{r(32, hexa)}",
            f"PMAK-{r(24, hexa)}-{r(34, hexa)}",
            f"{b64({'alg': 'HS256', 'typ': 'JWT'})}.{b64({'sub': body, 'iat': 1516239022})}.{r(43)}",
            f"AccountKey={r(86)}==",
            f"SAS sig={r(40)}",
            f"https://hooks.slack.com/services/T{r(8, string.ascii_uppercase)}/B{r(8, string.ascii_uppercase)}/{r(24)}",
            f"https://discord.com/api/webhooks/{digits(chance, 18)}/{r(68)}",
        )
    )
    return Value("API_KEY", text, (text[-12:].rstrip("=") if not text.endswith("=") else text[-16:-4], text[8:20]))


def secret_url(chance: random.Random) -> Value:
    word = letters(chance, 12)
    text = chance.choice(
        (
            f"https://ada:{word}@git.example.org/repo.git",
            f"postgres://app:{word}@db.internal:5432/main",
            f"https://files.example.org/a?X-Amz-Signature={word}{word}&X-Amz-Date=1",
            f"https://x.example/cb?code={word}&state=1",
            f"https://x.example/#access_token={word}&token_type=bearer",
            f"mongodb+srv://u:{word}@c0.mongodb.net/test",
            f"https://blob.core.example/c/f.pdf?sv=2022&sig={word}%3D",
            f"https://x.example/reset?token={word}",
            f"https://api.example/v1?apikey={word}",
            f"redis://:{word}@cache:6379/0",
            f"https://x.example/v1/items?api_key={word}",
            f"ftp://joe:{word}@ftp.example.net/",
            f"https://x.example/login?user=ada&password={word}",
            f"amqp://g:{word}@mq/%2f",
            f"https://x.example/unsubscribe?u=5&hash={word}{letters(chance, 12)}",
            f"https://x.example/magic-link/{word}{letters(chance, 20)}",
            f"https://x.example/?q=1&amp;session_id={word}",
            f"https://x.example/share?access_key={word}",
            f"jdbc:postgresql://db:5432/x?user=a&password={word}",
            f"//ada:{word}@git.example.org/repo",
        )
    )
    return Value("URL", text, (word,))


def address(chance: random.Random) -> Value:
    n = chance.randint(11, 289)
    w = "Zorn" + letters(chance, 4, string.ascii_lowercase)
    text, secrets = chance.choice(
        (
            (f"{n} {w} Road, Cambridge CB1 {n % 9}AB", (f"{n} {w} road", f"CB1 {n % 9}AB")),
            (f"{n} {w} Rd", (f"{n} {w}",)),
            (f"{n} {w.lower()} street", (f"{n} {w}",)),
            (f"{n} {w.upper()} STREET, LONDON SW1A {n % 9}AA", (f"{n} {w}", f"SW1A {n % 9}AA")),
            (f"Flat 3, {n} {w} Mansions, {w} Avenue", (f"{n} {w}",)),
            (f"{n}/{n + 2} {w} Close", (f"{n + 2} {w}",)),
            (f"{n} {w} Ave NW, Apt 4C, Seattle, WA 98{n:03d}", (f"{n} {w}", f"WA 98{n:03d}")),
            (f"{n} West {n - 7}th Street", (f"{n} west {n - 7}",)),
            (f"{n} N. {w} Blvd., Los Angeles, CA 90{n:03d}-1234", (f"{n} N {w}", f"90{n:03d}")),
            (f"{n}, rue {w}, 75011 Paris", (f"{n} rue {w}",)),
            (f"{n} bis rue de {w}", (f"{n} bis rue",)),
            (f"{w}straße {n}, 10{n:03d} Berlin", (f"{w}straße {n}", f"10{n:03d}")),
            (f"{w}str. {n}", (f"{w}str {n}",)),
            (f"{w}weg {n}a", (f"{w}weg {n}",)),
            (f"Via {w} {n}, 20{n:03d} Milano", (f"via {w} {n}", f"20{n:03d}")),
            (f"C/ {w} {n}, 3º B, 28{n:03d} Madrid", (f"{w} {n}",)),
            (f"Calle de {w}, {n}", (f"{w} {n}",)),
            (f"{w}gatan {n}, 114 {n % 90 + 10} Stockholm", (f"{w}gatan {n}",)),
            (f"{w}straat {n}-II, 1012 AB Amsterdam", (f"{w}straat {n}", "1012AB")),
            (f"ul. {w} {n}/4, 00-{n:03d} Warszawa", (f"{w} {n}", f"00{n:03d}")),
            (f"Rua {w}, {n}", (f"{w} {n}",)),
            (f"P.O. Box {n}{n}", (f"box {n}{n}",)),
            (f"{n} {w} Road\nCambridge\nCB2 {n % 9}XY", (f"{n} {w} road", f"CB2 {n % 9}XY")),
            (f"{n}\n{w} Lane", (f"{n} {w}",)),
            (f"No. {n}, {w} Road", (f"{n} {w}",)),
            (f"{n}b {w} road", (f"{n}b {w}",)),
            (f"{w} House, {n} High Street", (f"{n} high",)),
            (f"Unit {n}, {w} Business Park", (f"unit {n}",)),
            (f"The Old Rectory, {w} Lane, EX{n % 9 + 1} {n % 9}QT", (f"EX{n % 9 + 1} {n % 9}QT",)),
            (f"{n} {w} Crescent, Toronto ON M5V {n % 9}T6", (f"{n} {w}", f"M5V{n % 9}T6")),
            (f"{n}-{n + 4} {w} St, Sydney NSW 2{n:03d}", (f"{n + 4} {w}", f"NSW2{n:03d}")),
            (f"{n} {w} Marg, New Delhi 110{n:03d}", (f"110{n:03d}",)),
            (f"1-{n % 20}-3 {w}, Chiyoda-ku, Tokyo 100-{n + 1000}", (f"100{n + 1000}",)),
            (f"{n} Avenue {w}, 1050 Bruxelles", (f"{n} avenue {w}",)),
            (f"{w} Straße {n}, 80331 München", (f"{w} straße {n}",)),
        )
    )
    return Value("ADDRESS", text, secrets)
