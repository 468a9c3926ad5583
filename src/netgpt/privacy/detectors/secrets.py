"""What opens doors: API keys, tokens, passwords, private keys, and URLs that carry them."""

from __future__ import annotations

import math
import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from typing import Final

from netgpt.privacy.registry import detector
from netgpt.types import Span

_KNOWN_KEYS = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"sk-[A-Za-z0-9_-]{16,}|(?:sk|pk|rk)_(?:live|test)_[A-Za-z0-9]{10,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}"
    r"|(?:AKIA|ASIA|AGPA|AIDA|AROA)[A-Z0-9]{12,20}|xox[abeprs]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{10,}|AIza[\w-]{30,}"
    r"|ya29\.[\w-]{20,}|glpat-[\w-]{16,}|hf_[A-Za-z0-9]{20,}|npm_[A-Za-z0-9]{20,}|pypi-[\w-]{20,}|ngpt_[\w-]{16,}"
    r"|SG\.[\w-]{16,}\.[\w-]{16,}|gsk_[A-Za-z0-9]{20,}|r8_[A-Za-z0-9]{20,}|dop_v1_[a-f0-9]{40,}|shp(?:at"
    r"|ss|ca|pa)_[a-f0-9]{20,}|whsec_[A-Za-z0-9+/=]{20,}|key-[a-f0-9]{32}|[a-f0-9]{32}-us\d{1,2}|(?:AC|SK)[a-f0-9]{32}"
    r"|dapi[a-f0-9]{32}|PMAK-[a-f0-9]{20,}-[a-f0-9]{20,}|pat-[a-z]{2}\d-[a-f0-9-]{20,}|AGE-SECRET-KEY-1[A-Z0-9]{40,}"
    r"|\d{8,10}:AA[\w-]{30,}|(?:hv[sbr]|s|b)\.[\w-]{24,}|v1\.0-[a-f0-9]{20,}|sq0(?:csp|atp)-[\w-]{20,}"
    r"|(?:lin_api|secret|ntn|figd|dckr_pat|tfp|rnd|vercel|glsa|xai|pplx|nvapi|tvly|csk|jina|sgp|phc|phx|lsv2_pt"
    r"|lsv2_sk|ATATT|ATCTT|sbp|sb_secret|pscale_tkn|pscale_pw|CFPAT|EAA[A-Z])[_-](?=[\w-]*(?:\d|[a-z][A-Z]))[\w=-]{20,}"
    r"|eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?"
    r")"
)
_KEY_BEGINS = re.compile(r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----")
_KEY_ENDS = re.compile(r"-----END [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----")
_KEY_TEXT = re.compile(r"[A-Za-z0-9+/=\s\\:,.\-]*")
_CUT_KEY_TEXT = re.compile(r"[A-Za-z0-9+/=\s\\]{0,20000}")
_LONGEST_KEY = 20_000
_ASSIGNED = re.compile(
    r"(?i)(?P<name>api[_ -]?key|access[_ -]?key(?:[_ -]?id)?|account[_ -]?key|secret(?:[_ -]?(?:access[_ -]?)?key)?"
    r"|client[_ -]?secret|(?:auth|access|refresh|session|id|bot)[_ -]?token|token|cookie|session[_ -]?id|signature|sig"
    r"|pass(?:word|wd|phrase|code)?|pwd|pw|pin(?:[_ -]?code)?|bearer|private[_ -]?key|authorization|x-api-key|otp"
    r"|connection[_ -]?string|passwort|contraseña|mot de passe|wachtwoord)"
    r"[\"'`*]{0,3}\s{0,3}(?P<by>[:=]|=>|\bis\b|\s)\s{0,3}(?:Bearer\s+"
    r"|Basic\s+)?[\"'`*]{0,3}(?P<value>[^\s\"'`,;<>]{4,512})"
)
_ASSIGNED_HINT = re.compile(
    r"(?:[kK]ey|[kK]EY|[tT]oken|TOKEN|[sS]ecret|SECRET|[cC]ookie|COOKIE|[sS]ession|SESSION|[sS]ig|SIG|[pP]ass|PASS"
    r"|[pP]wd|PWD|[pP][wW]|[pP]in|PIN|[bB]earer|BEARER|[aA]uthori|AUTHORI|[oO][tT][pP]|[cC]onnection|CONNECTION"
    r"|[cC]ontrase|CONTRASE|[mM]ot de|MOT DE|[wW]acht|WACHT|[cC]ode|CODE|[iI][dD][_-])"
)
_PARTS: Final = (
    "key", "token", "secret", "pass", "pwd", "pw", "pin", "otp", "bearer", "authori", "cookie", "sig", "contrase",
    "wacht", "session", "connection",
)  # fmt: skip
"""In lower case: one of these is in each name of `_ASSIGNED`, and in other words that announce a secret."""
_STEM_DEPTH = 12
"""How far inside a name its stem may begin: "refresh_token", "client secret", "x-api-key"."""
_LONG = re.compile(r"[A-Za-z0-9_.:\-]{16}")
_PASSWORD = re.compile(r"(?i)pass|pwd|secret|^pw$|contraseña|wachtwoord")
_PIN = re.compile(r"(?i)^(?:pin|otp)")
_RUN = re.compile(r"[A-Za-z0-9_\-+/]{24,4096}={0,2}")
_CAMEL_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_PIECE = re.compile(r"[A-Za-z0-9_\-]{24,}")
_URL = re.compile(r"(?:(?<![A-Za-z0-9])[A-Za-z][A-Za-z0-9+.\-]{1,20}:|(?<![\w:/.]))(?://)[^\s<>\"'`\\]{3,4000}")
_SECRET_PARAMETER = re.compile(
    r"(?i)[?&#;](?:[\w.\-]{0,40}(?:token|secret|passw|signature|credential|apikey|api[_-]key|access[_-]?key|session)"
    r"[\w.\-]{0,20}|key|sig|pwd|pass|auth|code|sid|jwt|otp|hash|hmac|ticket|invite)=[^&#\s]{4,}"
)
_LOGIN = re.compile(r"//[^/\s?#@]{1,300}@")
"""Wherever it stands: a URL may carry another one."""
_WEBHOOK = re.compile(
    r"(?i)://(?:hooks\.slack\.com/|(?:\w+\.)?discord(?:app)?\.com/api/webhooks/|[\w.\-]+\.webhook\.office)"
)


@detector(
    kind="API_KEY",
    family="secret",
    secret=True,
    triggers=lambda seen: seen.has_long or any(part in seen.lowered for part in _PARTS),
    examples=("the key is sk-abcdefghijklmnop1234", "password: hunter2xyz"),
)
def find_keys(text: str) -> Iterator[Span]:
    """Keys of known shapes, PEM private keys, random-looking runs, and values under a name that announces them."""
    if _LONG.search(text):
        for match in _KNOWN_KEYS.finditer(text):
            yield Span(match.start(), match.end(), "API_KEY", "pattern:api_key")
        yield from _find_random(text)
    if "-----BEGIN" in text:
        for start, end in _private_keys(text):
            yield Span(start, end, "API_KEY", "pattern:private_key")
    for match in _assignments(text):
        value = match["value"].rstrip(".)]}!?*")
        if _is_secret(match["name"], match["by"].strip(), value):
            yield Span(match.start("value"), match.start("value") + len(value), "API_KEY", "pattern:secret")


def _private_keys(text: str) -> Iterator[tuple[int, int]]:
    """Keys between their two lines, and those that are cut off; each character is read once however many begin."""
    ends = [match.span() for match in _KEY_ENDS.finditer(text)]
    done = read = 0
    for begin in _KEY_BEGINS.finditer(text):
        start, inside = begin.span()
        if start < done:
            continue
        if inside > read:
            read = _KEY_TEXT.match(text, inside).end()  # type: ignore[union-attr]
        at = bisect_left(ends, (inside, 0))
        if at < len(ends) and ends[at][0] <= min(read, inside + _LONGEST_KEY):
            done = ends[at][1]
        else:
            done = _CUT_KEY_TEXT.match(text, inside).end()  # type: ignore[union-attr]
        yield start, done


def _assignments(text: str) -> Iterator[re.Match[str]]:
    """Every match of `_ASSIGNED`: it is tried only around the stems of its names, of which one is in each."""
    done = 0
    for stem in _ASSIGNED_HINT.finditer(text):
        for at in range(max(done, stem.start() - _STEM_DEPTH), stem.start() + 1):
            if match := _ASSIGNED.match(text, at):
                done = match.end()
                yield match
                break


def _find_random(text: str) -> Iterator[Span]:
    """Long runs that only a generator of chance writes, whoever issued them: upper, lower and digits all mixed.

    Hexadecimal runs (commits, checksums, UUIDs) are no secrets by themselves and do not count.
    """
    for run in _RUN.finditer(text):
        if len(run[0]) >= 40 and sum(run[0].count(c) for c in "/+-_") <= 0.08 * len(run[0]) and _looks_random(run[0]):
            yield Span(run.start(), run.end(), "API_KEY", "pattern:random")
            continue
        for piece in _PIECE.finditer(run[0]):
            if _looks_random(piece[0]):
                yield Span(run.start() + piece.start(), run.start() + piece.end(), "API_KEY", "pattern:random")


def _looks_random(text: str) -> bool:
    """Whether the runs of one class of characters are as short as by chance: about 2; words of camel case have 4."""
    letters = re.sub(r"[^A-Za-z0-9]", "", text)
    if len(letters) < 20 or letters.islower() or letters.isupper() or letters.isdigit():
        return False
    longest_mean = 3.1 if any(c.isdigit() for c in letters) else 3.0
    if not any(c.isdigit() for c in letters) and len(letters) < 28:
        return False
    return len(letters) <= longest_mean * len(_CAMEL_WORD.findall(letters)) and _entropy(text) >= 3.4


def _is_secret(name: str, by: str, value: str) -> bool:
    """Whether an assigned value is a secret: passwords by their name, others by how random they look."""
    mixed = any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
    if re.match(r"[\[<{$(]|[A-Z]+_\d+$", value):
        return False  # a placeholder, a variable, a type
    if _PIN.match(name):
        return re.fullmatch(r"\d{4,8}", value) is not None
    if _PASSWORD.search(name) and len(value) >= 4:
        return (by in (":", "=", "=>") and not value.startswith(("str", "None", "null", "true", "false"))) or mixed
    return len(value) >= 12 and mixed and _entropy(value) >= 3.0


def _entropy(text: str) -> float:
    """Shannon entropy in bits a character."""
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())


@detector(
    kind="URL",
    family="contact",
    triggers=lambda seen: "//" in seen.text,
    examples=("postgres://ada:pass1234@db.mill.example/rows",),
)
def find_secret_urls(text: str) -> Iterator[Span]:
    """URLs with a password or a secret parameter, whole; ordinary URLs are left alone."""
    for match in _URL.finditer(text):
        url = match[0].rstrip(".,;:!?)]}*_")
        if _LOGIN.search(url) or _SECRET_PARAMETER.search(url) or _WEBHOOK.search(url):
            yield Span(match.start(), match.start() + len(url), "URL", "pattern:url")
