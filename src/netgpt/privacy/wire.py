"""The wire's fields: what each is, as a typed table (`wire.toml`), and the forms of what may pass byte for byte.

A field that passes must have the form of what it claims to be: an "id" with blanks or an "@" is none, and is searched
like prose. What is in no rule of the table is prose.
"""

from __future__ import annotations

import base64
import binascii
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final

REQUEST: Final = "request"
"""The object that the body itself is."""
DEFAULT: Final = "prose"


class TextPosition(Enum):
    """The kind of position of a string or number."""

    PROSE = "prose"
    KEY = "key"
    """A key of an object that is no word of the protocol."""
    NAME = "name"
    """An identifier of the caller: names of tools and functions."""
    ID = "id"
    """An identifier or name of the protocol that has its form: it passes, unless it carries a key."""
    LOOSE_ID = "loose id"
    """The same in the form of no known issuer: it is searched by pattern."""
    ADDRESS = "address"
    """Where a picture lies: it is searched by pattern; its random parts and its own signature pass."""
    BLOB = "blob"
    """A signature or encrypted content: random bytes in base64, which are not searched."""
    SPEAKER = "speaker"
    """The `name` of a message's author."""
    USER = "user"
    MODEL = "model"
    NUMBER = "number"
    PARAMETER = "parameter"
    """A number for the model's sampler; it is left out rather than replaced."""


@dataclass(frozen=True)
class WireTable:
    """The table as it is asked: rules by object and field, words by field, and the forms."""

    objects: Mapping[str, Mapping[str, str]]
    words: Mapping[str, frozenset[str]]
    names: frozenset[str]
    """All names of fields: as keys of a message or a tool they are never searched."""
    issued: re.Pattern[str]
    random: re.Pattern[str]
    providers: frozenset[str]
    person_labels: frozenset[str]
    """Names of fields for a person's name, in other scripts."""

    def rule(self, within: str, field: str) -> str | None:
        """The rule of a field within an object; None: unknown."""
        return self.objects[within].get(field)

    def is_word(self, field: str, value: str) -> bool:
        """Whether the value is a constant of the protocol in this field."""
        return value in self.words.get(field, ())


@lru_cache(maxsize=1)
def wire() -> WireTable:
    """The table, read at its first use. Raises ValueError: an object or a rule that does not exist."""
    raw: dict[str, Any] = tomllib.loads(files("netgpt.privacy").joinpath("wire.toml").read_text("utf-8"))
    objects = {
        name: {field: rule for rule, fields in rules.items() for field in fields.split() if rule != "else"}
        | {"": rules.get("else", DEFAULT)}
        for name, rules in raw["objects"].items()
    }
    for name, rules in objects.items():
        for rule in rules.values():
            if rule not in _RULES and rule.removeprefix("@") not in objects:
                raise ValueError(f"wire.toml: no rule {rule} ({name})")
    names = {field for rules in objects.values() for field in rules}
    return WireTable(
        objects,
        {field: frozenset(words.split()) for field, words in raw["words"].items()},
        frozenset(names),
        re.compile("".join(raw["forms"]["issued"].split())),
        re.compile("".join(raw["forms"]["random"].split())),
        _listed(raw["forms"]["providers"]),
        _listed(raw["labels"]["person"]),
    )


def _listed(text: str) -> frozenset[str]:
    return frozenset(each.strip() for each in text.replace("\n", "").split("|"))


_RULES: Final = frozenset(
    (
        "prose", "id", "blob", "encrypted", "url", "media", "slug", "name", "author", "model", "user", "number", "word",
        "tokens", "schema", "parts", "secret", "choice",
    )
)  # fmt: skip

ENCRYPTED: Final = frozenset(("redacted_thinking", "reasoning.encrypted"))
"""Types of objects whose `data` are encrypted."""
_ID: Final = re.compile(r"[A-Za-z0-9][\w.:/|=+\-]{0,199}", re.ASCII)
_SLUG: Final = re.compile(r"[a-z0-9][a-z0-9.\-]{0,63}(?:/[a-z0-9][a-z0-9.\-]{0,63}){0,2}(?::[a-z0-9.\-]{1,20})?")
_BLOB: Final = re.compile(r"[A-Za-z0-9+/_\-]{16,}={0,3}")
_URL: Final = re.compile(r"(?:https?|gs|s3)://(?![^/?#\s]*@)[^\s<>\"'`\\^{}|]{3,4000}")
_RUN: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+")
_PREFIXED: Final = re.compile(r"[A-Za-z][a-z]{1,15}[_\-]")
_SIGNED: Final = re.compile(
    r"(?i)(?<=[?&])(?:X-(?:Amz|Goog)-[\w-]+|Signature|Key-Pair-Id|Policy|Expires|sig|s[vtepr]|spr|skoid|sktid|skt|ske|sks|skv)"
    r"=[^&#]*"
)
"""The parameters of a signed address: with them one picture can be read, for a while, and nothing else."""
_MEDIA_BEGINS: Final = (
    b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"RIFF", b"%PDF", b"PK\x03\x04", b"ID3", b"OggS", b"fLaC", b"\x00\x00\x00",
    b"II*\x00", b"MM\x00*", b"BM", b"\xff\xfb", b"\xff\xf3", b"\x1aE\xdf\xa3", b"\x1f\x8b",
)  # fmt: skip
"""How pictures, sounds, films, documents and archives begin."""


def position_of(rule: str, text: str) -> TextPosition:
    """The position of a text in a field with the rule "id", "blob", "url" or "slug", by its form."""
    if rule == "blob":
        return TextPosition.BLOB if is_blob(text) else TextPosition.PROSE
    if rule == "url":
        return TextPosition.ADDRESS if _URL.fullmatch(text) else TextPosition.PROSE
    if rule == "slug":
        return TextPosition.ID if text in wire().providers or _SLUG.fullmatch(text) else TextPosition.PROSE
    if wire().issued.fullmatch(text) or (wire().random.fullmatch(text) and _is_chance(text)):
        return TextPosition.ID
    if _ID.fullmatch(text):
        return TextPosition.LOOSE_ID
    return TextPosition.PROSE if len(text) > 256 or len(text.split()) > 1 else TextPosition.NAME


def is_blob(text: str) -> bool:
    """Whether a text is base64 of bytes that are neither readable nor a picture, sound or file.

    >>> [is_blob(base64.b64encode(data).decode()) for data in (bytes(range(120, 220)), b"Ada Lovelace, London")]
    [True, False]
    """
    if not _BLOB.fullmatch(text) or not _is_chance(text):
        return False
    plain = text.rstrip("=").replace("-", "+").replace("_", "/")
    plain = plain[: len(plain) // 4 * 4]
    try:
        data = base64.b64decode(plain)
    except (binascii.Error, ValueError):  # pragma: no cover - its alphabet and length were checked
        return False
    if data.startswith(_MEDIA_BEGINS):
        return False
    return sum(0x20 <= byte < 0x7F for byte in data) < 0.7 * len(data) and not _is_utf8(data)


def _is_utf8(data: bytes) -> bool:
    """Whether the bytes are a text; the last character may be cut."""
    return any(_decodes(data[: len(data) - cut]) for cut in range(4))


def _decodes(data: bytes) -> bool:
    try:
        return not any(ord(c) < 9 for c in data.decode("utf-8"))
    except UnicodeDecodeError:
        return False


def _is_chance(text: str) -> bool:
    """Whether runs of one class of characters are as short as by chance: about 2; names and words have longer ones.

    >>> _is_chance("call_Xk29dkW0qMsd82jdLLmWq02d"), _is_chance("DafyddPrydderch1968")
    (True, False)
    """
    tail = re.sub(r"^[a-z]+(?:_[a-z]+)?[_\-.]|[^A-Za-z0-9]", "", text)
    return len(tail) <= 3.1 * len(_RUN.findall(tail))


def may_be_random(text: str) -> bool:
    """Whether an id may look like chance: servers issue such. A long one without a prefix could be anybody's key."""
    return len(text) <= 32 or _PREFIXED.match(text) is not None


def unsigned(url: str) -> str:
    """The address without the parameters of its signature."""
    return _SIGNED.sub("", url)
