"""What opens doors: API keys, tokens, passwords, private keys, and URLs that carry them."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from urllib.parse import urlsplit

from netgpt.types import Span

__all__ = ["find_keys", "find_secret_urls"]

_KNOWN_KEYS = re.compile(
    r"(?<![A-Za-z0-9])(?:"
    r"sk-[A-Za-z0-9_-]{16,}|(?:sk|pk|rk)_(?:live|test)_[A-Za-z0-9]{10,}|gh[pousr]_[A-Za-z0-9]{20,}|github_pat_\w{20,}"
    r"|(?:AKIA|ASIA|AGPA|AIDA|AROA)[A-Z0-9]{12,20}|xox[abeprs]-[A-Za-z0-9-]{10,}|xapp-[A-Za-z0-9-]{10,}|AIza[\w-]{30,}"
    r"|ya29\.[\w-]{20,}|glpat-[\w-]{16,}|hf_[A-Za-z0-9]{20,}|npm_[A-Za-z0-9]{20,}|pypi-[\w-]{20,}|ngpt_[\w-]{16,}"
    r"|SG\.[\w-]{16,}\.[\w-]{16,}|gsk_[A-Za-z0-9]{20,}|r8_[A-Za-z0-9]{20,}|dop_v1_[a-f0-9]{40,}|shp(?:at"
    r"|ss)_[a-f0-9]{20,}"
    r"|eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?"
    r")"
)
_PRIVATE_KEY = re.compile(
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----"
    r"(?:[A-Za-z0-9+/=\s\\:,.\-]{0,20000}?-----END [A-Z ]{0,30}PRIVATE KEY(?: BLOCK)?-----|[A-Za-z0-9+/=\s\\]{0,20000})"
)
_ASSIGNED = re.compile(
    r"(?i)(?P<name>api[_ -]?key|access[_ -]?key|secret(?:[_ -]?key)?|client[_ -]?secret|auth[_ -]?token"
    r"|access[_ -]?token"
    r"|refresh[_ -]?token|token|pass(?:word|wd|phrase|code)|pwd|bearer|private[_ -]?key|authorization|x-api-key)"
    r"[\"'`*]{0,3}\s{0,3}(?P<by>[:=]|=>|\bis\b|\s)\s{0,3}(?:Bearer\s+"
    r"|Basic\s+)?[\"'`*]{0,3}(?P<value>[^\s\"'`,;<>]{4,512})"
)
_PASSWORD = re.compile(r"(?i)pass|pwd|secret")
_URL = re.compile(r"(?<![A-Za-z0-9])[A-Za-z][A-Za-z0-9+.\-]{1,15}://[^\s<>\"'`\\]{3,4000}")
_SECRET_PARAMETER = re.compile(
    r"(?i)[?&#;](?:[\w.\-]{0,40}(?:token|secret|passw|signature|credential|apikey|api[_-]key|session)[\w.\-]{0,20}"
    r"|key|sig|pwd|pass|auth|code|sid|jwt|otp)=[^&#\s]{4,}"
)


def find_keys(text: str) -> Iterator[Span]:
    """Keys of known shapes, PEM private keys, and random-looking values given a telling name."""
    for match in _KNOWN_KEYS.finditer(text):
        yield Span(match.start(), match.end(), "API_KEY", "pattern:api_key")
    if "-----BEGIN" in text:
        for match in _PRIVATE_KEY.finditer(text):
            yield Span(match.start(), match.end(), "API_KEY", "pattern:private_key")
    for match in _ASSIGNED.finditer(text):
        value = match["value"].rstrip(".)]}!?*")
        if _is_secret(match["name"], match["by"].strip(), value):
            yield Span(match.start("value"), match.start("value") + len(value), "API_KEY", "pattern:secret")


def _is_secret(name: str, by: str, value: str) -> bool:
    """Whether an assigned value is a secret: passwords by their name, others by how random they look."""
    mixed = any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
    if re.match(r"[\[<{$(]|[A-Z]+_\d+$", value):
        return False  # a placeholder, a variable, a type
    if _PASSWORD.search(name) and len(value) >= 4:
        return (by in (":", "=", "=>") and not value.startswith(("str", "None", "null", "true", "false"))) or mixed
    return len(value) >= 12 and mixed and _entropy(value) >= 3.0


def _entropy(text: str) -> float:
    """Shannon entropy in bits a character."""
    return -sum(n / len(text) * math.log2(n / len(text)) for n in Counter(text).values())


def find_secret_urls(text: str) -> Iterator[Span]:
    """URLs with a password or a secret parameter, whole; ordinary URLs are left alone."""
    for match in _URL.finditer(text):
        url = match[0].rstrip(".,;:!?)]}*_")
        if _has_login(url) or _SECRET_PARAMETER.search(url):
            yield Span(match.start(), match.start() + len(url), "URL", "pattern:url")


def _has_login(url: str) -> bool:
    try:
        parts = urlsplit(url)
    except ValueError:  # not a URL after all, such as one with an unclosed bracket
        return "@" in url
    return "@" in parts.netloc
