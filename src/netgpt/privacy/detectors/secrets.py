"""What opens doors: API keys, tokens, private keys, and URLs that carry them. `passwords` has what people choose."""

from __future__ import annotations

import math
import re
import tomllib
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache
from importlib import resources
from typing import Final, NamedTuple

from netgpt.privacy.detectors.normalize import places
from netgpt.privacy.detectors.secret_values import read_value, strong
from netgpt.privacy.registry import detector
from netgpt.types import Span

_KEY_BEGINS = re.compile(r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----")
_KEY_ENDS = re.compile(r"-----END [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----")
_KEY_TEXT = re.compile(r"[A-Za-z0-9+/=\s\\:,.\-]*")
_CUT_KEY_TEXT = re.compile(r"[A-Za-z0-9+/=\s\\]{0,20000}")
_LONGEST_KEY = 20_000
_ASSIGNED = re.compile(
    r"(?i)(?P<name>api[_ -]?key|access[_ -]?key(?:[_ -]?id)?|account[_ -]?key|secret(?:[_ -]?(?:access[_ -]?)?key)?"
    r"|client[_ -]?secret|(?:auth|access|refresh|session|id|bot)[_ -]?token|token|cookie|session[_ -]?id|signature|sig"
    r"|bearer|private[_ -]?key|authorization|x-api-key|connection[_ -]?string)"
    r"[\"'`*]{0,3}\s{0,3}(?P<by>[:=]|=>|->|→|\bis\b|\s)\s{0,3}(?:Bearer\s{1,3}|Basic\s{1,3}"
    r"|Token\s{1,3})?(?P<value>)(?=\S)"
)
_ASSIGNED_HINT = re.compile(
    r"(?:[kK]ey|[kK]EY|[tT]oken|TOKEN|[sS]ecret|SECRET|[cC]ookie|COOKIE|[sS]ession|SESSION|[sS]ig|SIG"
    r"|[bB]earer|BEARER|[aA]uthori|AUTHORI|[cC]onnection|CONNECTION|[iI][dD][_-])"
)
_PARTS: Final = ("key", "token", "secret", "bearer", "authori", "cookie", "sig", "session", "connection")
"""In lower case: one of these is in each name of `_ASSIGNED`, and in other words that announce a secret."""
_STEM_DEPTH = 12
"""How far inside a name its stem may begin: "refresh_token", "client secret", "x-api-key"."""
_LONG = re.compile(r"[A-Za-z0-9_.:\-]{16}")
_RUN = re.compile(r"[A-Za-z0-9_\-+/]{24,}={0,2}")
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
    examples=("the key is sk-abcdefghijklmnop1234", "api_key = 9f8a7b6c5d4e3f2a1b"),
)
def find_keys(text: str) -> Iterator[Span]:
    """Keys of known shapes, PEM private keys, random-looking runs, and values under a name that announces them."""
    if _LONG.search(text):
        for start, end in _of_known_form(text):
            yield Span(start, end, "API_KEY", "pattern:api_key")
        yield from _find_random(text)
    if "-----BEGIN" in text:
        for start, end in _private_keys(text):
            yield Span(start, end, "API_KEY", "pattern:private_key")
    for match in _assignments(text):
        place = read_value(text, match.end(), weak=False)
        if place is not None and _is_secret(match["name"], text[slice(*place)]):
            yield Span(*place, "API_KEY", "pattern:secret")


class KeyForm(NamedTuple):
    """How the keys of a service look."""

    service: str
    begins: tuple[str, ...]
    """Literals of which one begins each key; empty where a key begins with anything."""
    holds: tuple[str, ...]
    form: re.Pattern[str]


@lru_cache(maxsize=1)
def key_forms() -> tuple[KeyForm, ...]:
    """The forms of `key_forms.toml`."""
    text = resources.files("netgpt.privacy.detectors").joinpath("key_forms.toml").read_text(encoding="utf-8")
    return tuple(
        KeyForm(
            row["service"], tuple(row.get("begins", ())), tuple(row.get("holds", ())),
            re.compile(rf"(?<![A-Za-z0-9])(?:{row['form']})"),
        )
        for row in tomllib.loads(text)["key"]
    )  # fmt: skip


@lru_cache(maxsize=1)
def _signs_of_keys() -> dict[str, list[int]]:
    """What forms begin with or hold, and the numbers of these forms: most texts hold none, or few."""
    signs: dict[str, list[int]] = {}
    for number, row in enumerate(key_forms()):
        for sign in (*row.begins, *row.holds):
            signs.setdefault(sign, []).append(number)
    return signs


def _of_known_form(text: str) -> Iterator[tuple[int, int]]:
    signs, forms = _signs_of_keys(), key_forms()
    for number in sorted({number for sign in filter(text.__contains__, signs) for number in signs[sign]}):
        row, done = forms[number], 0
        for at in places(text, row.begins):
            if at >= done and (match := row.form.match(text, at)):
                done = match.end()
                yield match.span()
        if any(part in text for part in row.holds):
            yield from (match.span() for match in row.form.finditer(text))


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


_ID_BEFORE = re.compile(
    r"(?:(?<![A-Za-z0-9])(?:call|toolu|srvtoolu|tooluse|chatcmpl|cmpl|msg|resp|rs|fc|ws|ci|mcp|run"
    r"|step|thread|asst|file|vs|batch|req"
    r"|gen|ctc|tlr|chatcmpl-tool|integrity|sha\d{1,3})[_\-]|\bh1:|;base64,|ssh-(?:rsa|dss|ed25519) "
    r"|\becdsa-sha2-nistp\d{3} )\Z"
)
"""What stands before an identifier of a dialogue, a checksum, a picture or a public key."""
_ID_BEGINS = re.compile(
    r"(?:call|toolu|srvtoolu|tooluse|chatcmpl|cmpl|msg|resp|rs|fc|ws|run|step|thread|asst|file|vs"
    r"|batch|req|gen|sha\d{1,3})[_\-]"
    r"|iVBORw0KGgo|/9j/|R0lGOD|UklGR|JVBERi0|UEsDB|PHN2Zy|AAAA[BC]3NzaC1|AAAAE2VjZHNh|AAAAG"
)
_PUBLIC_BLOCK = re.compile(
    r"-----BEGIN (?P<of>CERTIFICATE|[A-Z0-9 ]{0,20}PUBLIC KEY(?: BLOCK)?|CERTIFICATE REQUEST|PGP "
    r"(?:SIGNATURE|MESSAGE))-----"
    r"[A-Za-z0-9+/=\s\\:,.()<>@\-]{0,20000}?-----END (?P=of)-----"
)
_LONGEST_RANDOM: Final = 512
"""Longer runs are data: a picture, a program, a file."""


def _find_random(text: str) -> Iterator[Span]:
    """Long runs that only a generator of chance writes, whoever issued them: upper, lower and digits all mixed.

    Hexadecimal runs (commits, checksums, UUIDs), identifiers of a dialogue (`call_...`), public keys and encoded files
    are no secrets by themselves and do not count.
    """
    public = [match.span() for match in _PUBLIC_BLOCK.finditer(text)] if "-----BEGIN" in text else []
    for run in _RUN.finditer(text):
        start, end = run.span()
        if end - start > _LONGEST_RANDOM or _ID_BEGINS.match(text, start) or any(a <= start < b for a, b in public):
            continue
        if _ID_BEFORE.search(text, max(0, start - 24), start):
            continue
        if end - start >= 40 and sum(run[0].count(c) for c in "/+-_") <= 0.08 * (end - start) and _looks_random(run[0]):
            yield Span(start, end, "API_KEY", "pattern:random")
            continue
        for piece in _PIECE.finditer(run[0]):
            if _looks_random(piece[0]):
                yield Span(start + piece.start(), start + piece.end(), "API_KEY", "pattern:random")


def _looks_random(text: str) -> bool:
    """Whether the runs of one class of characters are as short as by chance: about 2; words of camel case have 4."""
    letters = re.sub(r"[^A-Za-z0-9]", "", text)
    if len(letters) < 20 or letters.islower() or letters.isupper() or letters.isdigit():
        return False
    longest_mean = 3.1 if any(c.isdigit() for c in letters) else 3.0
    if not any(c.isdigit() for c in letters) and len(letters) < 28:
        return False
    return len(letters) <= longest_mean * len(_CAMEL_WORD.findall(letters)) and _entropy(text) >= 3.4


def _is_secret(name: str, value: str) -> bool:
    """Whether an assigned value is a secret, by its name and by how random it looks."""
    mixed = any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
    if "secret" in name.lower() and " " not in value and len(value) >= 6 and strong(value):
        return mixed or any(not c.isalnum() and c not in "._-/" for c in value)
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
