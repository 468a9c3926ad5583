"""The visitor of an outbound body: it sees every string and number with its position, in a fixed order.

The body is rebuilt with what `see` returns. What a field is says a typed table (`wire.toml`). One that passes must have
the form of what it claims to be: an "id" with blanks or an "@" is none, and is searched like prose, as is what no rule
of the table names. Nothing is skipped for being unknown: only words of the protocols and of JSON schema, at known
places, are not seen. JSON inside strings is parsed and visited, too.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import tomllib
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from importlib.resources import files
from typing import Any, Final, NamedTuple

from netgpt.errors import NotDisclosable
from netgpt.privacy.kinds import word_set
from netgpt.privacy.media import clean_media, clean_media_within
from netgpt.registry import holds_texts

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
_SIGNED_ID: Final = 100
"""Characters from which an id in base64 is a signature: some servers know a call again by it alone."""
_DER: Final = "MI"
"""How private keys begin in base64."""
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
    if len(text) >= _SIGNED_ID and not text.startswith(_DER) and is_blob(text):
        return TextPosition.BLOB
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


MEDIA_PARTS: Final = word_set(
    "image_url input_image image input_audio audio file input_file document video video_url input_video"
)
SCHEMA_WORDS: Final = word_set("""
    type properties required description title enum const default examples items anyOf oneOf allOf not
    additionalProperties prefixItems $defs definitions $ref format pattern minLength maxLength minimum maximum
    exclusiveMinimum exclusiveMaximum multipleOf minItems maxItems uniqueItems minProperties maxProperties
    patternProperties dependentRequired dependentSchemas propertyNames propertyOrdering if then else contains
    unevaluatedProperties $comment readOnly writeOnly nullable deprecated $schema $id $anchor""")
SCHEMA_TYPES: Final = word_set("string number integer boolean object array null")
SCHEMA_OF_SCHEMAS: Final = word_set("properties $defs definitions patternProperties dependentSchemas dependentRequired")
SCHEMA_KEYS: Final = word_set("required propertyOrdering dependentRequired")
"""Keywords whose values are names of properties."""
SCHEMA_NAMES: Final = word_set("$ref $schema $id $anchor format pattern")
"""Keywords whose value is a name or a rule, not prose: the tagger would take parts of it for persons."""
SUBSCHEMAS: Final = word_set("""
    items anyOf oneOf allOf not additionalProperties prefixItems propertyNames if then else contains
    unevaluatedProperties""")
CONVERSATION: Final = ("messages", "input")
"""Visited last: what a conversation grows by is numbered after all that was there before."""

_HINTS: Final = (
    (re.compile(r"(?i)(?:^|[_\-. ])(?:e?mail)(?:[_\-. ]?addr(?:ess)?)?$"), "EMAIL"),
    (re.compile(r"(?i)(?:phone|mobile|telephone|fax|msisdn)(?:[_\-. ]?(?:number|no|nr))?$|^tel$"), "PHONE"),
    (
        re.compile(r"(?i)(?:street|address|addr)(?:[_\-. ]?(?:line)?[_\-. ]?\d?)?$|post_?code$|zip(?:_?code)?$"),
        "ADDRESS",
    ),
    (re.compile(r"(?i)(?:^|[_\-. ])(?:city|town|village|birth_?place)$"), "PLACE"),
    (
        re.compile(
            r"(?i)(?:full|first|last|middle|sur|family|given|maiden|nick|customer|client|patient|contact"
            r"|recipient|sender"
            r"|author|owner|employee|guest|passenger|holder|person|student|teacher|doctor|user|display)[_\-. ]?name$"
            r"|^(?:name|customer|client|patient|recipient|sender|author|owner|attendees?|participants?|assignee|guest"
            r"|passenger|contact)$"
        ),
        "PERSON",
    ),
)


def field_hint(key: object) -> str | None:
    """The kind of private data that a field's name suggests, or None.

    >>> field_hint("customer_name"), field_hint("phone"), field_hint("colour")
    ('PERSON', 'PHONE', None)
    """
    return _hint_of(key) if isinstance(key, str) and len(key) <= 40 else None


@holds_texts
@lru_cache(maxsize=4_096)
def _hint_of(key: str) -> str | None:
    return next((kind for pattern, kind in _HINTS if pattern.search(key)), None if key.isascii() else _label(key))


def _label(key: str) -> str | None:
    return "PERSON" if key.strip().casefold() in wire().person_labels else None


def _hints(fields: Mapping[str, Any]) -> dict[str, str | None]:
    """The hint of each field. In other scripts a bare "name" is a person's only beside a way to reach one: products,
    towns and files have names, too, and nothing in their form tells."""
    hints = {key: field_hint(key) for key in fields}
    if not any(hint in ("EMAIL", "PHONE", "ADDRESS") for hint in hints.values()):
        for key, value in fields.items():
            if key in _BARE_NAMES and isinstance(value, str) and value[:1] > "\u036f":
                hints[key] = None
    return hints


_BARE_NAMES: Final = word_set("name owner author contact holder")


_DATA_URI = re.compile(r"data:[\w.+/\-]{0,80}(?:;[\w.=\-]{1,60}){0,4};base64,[A-Za-z0-9+/=_\-\s%]*")
_DATA_IN_TEXT = re.compile(r"data:[\w.+/\-]{0,80}(?:;[\w.=\-]{1,60}){0,4};base64,[A-Za-z0-9+/]{64}")
_BASE64 = re.compile(r"[A-Za-z0-9+/_\-\s]*={0,2}\s*")


def holds_data(text: str) -> bool:
    """Whether a text contains an encoded file or image."""
    return _DATA_IN_TEXT.search(text) is not None


def is_data(key: str, value: str) -> bool:
    """Whether the field holds encoded data and nothing else."""
    if value.startswith("data:"):
        return _DATA_URI.fullmatch(value) is not None
    return key in ("data", "file_data") and len(value) > 100 and _BASE64.fullmatch(value) is not None


def longest_string(value: Any) -> int:
    """Characters of the longest string in a body, keys aside."""
    longest, rest = 0, [value]
    while rest:
        value = rest.pop()
        if isinstance(value, str):
            longest = max(longest, len(value))
        elif isinstance(value, dict | list | tuple):
            rest.extend(value.values() if isinstance(value, dict) else value)
    return longest


def opened(text: str) -> Any:
    """The JSON object or array in a string, or None. One with duplicate keys is text: a key would be lost."""
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        value = json.loads(text, object_pairs_hook=_without_doubles, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return value or None


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("duplicate key")
    return result


def _refuse(word: str) -> None:
    raise ValueError(word)


_DEEPEST = 60
MOST_VALUES: Final = 100_000
"""Strings and numbers that are looked at, those within JSON in strings included."""
DROP = object()
"""Returned by `see`: leave this field out."""


class Seen(NamedTuple):
    """One string or number (as text) of the body."""

    text: str
    place: TextPosition
    hint: str | None = None
    """The kind that the field's name suggests: `{"phone": ...}` -> PHONE."""
    voice: str = ""
    """`PROGRAM`: definitions of tools, and the long instructions beside them; `RESULT`: what tools said; else what
    people wrote."""


PROGRAM: Final = "program"
RESULT: Final = "result"
_PROMPT: Final = 2_000
"""Characters from which instructions beside tools are an agent's. Shorter ones, and those without tools (which hold the
documents that are asked about), are about people."""


def _voice(rule: str, within: str, fields: Mapping[str, Any], key: str, has_tools: bool) -> str:
    """Whose the words of a field are; "": as those around it."""
    if rule == "@tool":
        return PROGRAM
    instructs = fields.get("role") in ("system", "developer") and key == "content"
    if instructs or (within == REQUEST and key in ("system", "instructions")):
        return PROGRAM if has_tools and len(str(fields[key])) > _PROMPT else ""
    is_result = fields.get("role") in ("tool", "function") or str(fields.get("type")).endswith(("_output", "_result"))
    return RESULT if is_result else ""


See = Callable[[Seen], Any]


class BodyVisitor:
    """Visits one body once. `groups`: the numbers of text parts that belong together."""

    def __init__(self, see: See, *, media: str = "keep", passes: Container[str] = ()) -> None:
        """`passes`: names of unknown fields that pass as they are, where their values have the form of identifiers."""
        self._see = see
        self._media = media
        self._passes = passes
        self._voice, self._has_tools = "", False
        self._wire = wire()
        self._count = 0
        self._values = 0
        self.groups: list[list[int]] = []

    def body(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The body rebuilt. Raises NotDisclosable: media that must stay, too deep nesting, or keys that become one."""
        order = sorted(body, key=lambda field: field in CONVERSATION)
        self._has_tools = bool(body.get("tools") or body.get("functions"))
        seen = dict(zip(order, self._fields({key: body[key] for key in order}, REQUEST, 0), strict=True))
        return _object([seen[key] for key in body])

    def _fields(self, fields: Mapping[str, Any], within: str, depth: int) -> list[tuple[str, Any]]:
        """The fields of an object of the wire, rebuilt, one after the other."""
        return [
            (self._field_name(key), self._field(within, fields, key, value, depth)) for key, value in fields.items()
        ]

    def _known(self, within: str, value: Any, depth: int) -> Any:
        """An object of the wire, or a list of such."""
        if isinstance(value, dict):
            return _object(self._fields(value, within, self._deeper(depth)))
        if isinstance(value, list | tuple):
            return [self._known(within, item, self._deeper(depth)) for item in value]
        return self._by_rule(self._wire.objects[within][""], "", value, depth)

    def _field_name(self, key: str) -> str:
        return key if key in self._wire.names else self._key(key)

    def _field(self, within: str, fields: Mapping[str, Any], key: str, value: Any, depth: int) -> Any:
        rule = self._wire.rule(within, key)
        if rule is None:
            if key in self._passes:
                return self._passing(value, depth)
            return self._word(key, value, depth)
        if rule == "author":
            of_tool = fields.get("role") in ("tool", "function")
            return self._text(value, TextPosition.NAME if of_tool else TextPosition.SPEAKER, depth)
        if rule == "encrypted":
            return self._by_rule("blob" if fields.get("type") in ENCRYPTED else DEFAULT, key, value, depth)
        before, self._voice = self._voice, _voice(rule, within, fields, key, self._has_tools) or self._voice
        new = self._by_rule(rule, key, value, depth)
        self._voice = before
        return new

    def _by_rule(self, rule: str, key: str, value: Any, depth: int) -> Any:
        if rule.startswith("@"):
            return self._known(rule[1:], value, depth)
        simple = _SIMPLE.get(rule)
        if simple is not None:
            return simple(self, key, value, depth)
        return self._free(value, depth)

    def _word(self, key: str, value: Any, depth: int) -> Any:
        """A constant of the protocol, or a list of such; anything else is prose."""
        if isinstance(value, str):
            return value if self._wire.is_word(key, value) else self._prose(value, depth, None)
        if isinstance(value, list) and all(isinstance(item, str) for item in value):
            return [self._word(key, item, depth) for item in value]
        return self._free(value, depth)

    def _form(self, rule: str, value: Any, depth: int) -> Any:
        """An identifier, signature or slug, or a list of such: it passes where it has the form of one."""
        if isinstance(value, list | tuple):
            return [self._form(rule, item, self._deeper(depth)) for item in value]
        if not isinstance(value, str):
            return self._free(value, depth)
        place = position_of(rule, value)
        return self._prose(value, depth, None) if place is TextPosition.PROSE else self._visit(value, place)

    def _passing(self, value: Any, depth: int) -> Any:
        """A field that the owner lets pass: what has no form of an identifier in it is searched all the same."""
        if isinstance(value, dict):
            return _object([(self._key(key), self._passing(item, self._deeper(depth))) for key, item in value.items()])
        if isinstance(value, list | tuple):
            return [self._passing(item, self._deeper(depth)) for item in value]
        return self._form("id", value, depth)

    def _text(self, value: Any, place: TextPosition, depth: int) -> Any:
        if isinstance(value, list | tuple):
            return [self._text(item, place, self._deeper(depth)) for item in value]
        if not isinstance(value, str):
            return self._free(value, depth)
        words = place is TextPosition.NAME and len(value.split()) > 1
        return self._visit(value, TextPosition.KEY if words else place)

    def _choice(self, value: Any, depth: int) -> Any:
        """ "auto", or the name of a tool."""
        if isinstance(value, str) and self._wire.is_word("tool_choice", value):
            return value
        return self._text(value, TextPosition.NAME, depth)

    def _number(self, value: Any, depth: int) -> Any:
        if not _is_number(value):
            return self._free(value, depth)
        return self._visit(_written(value), TextPosition.PARAMETER, value)

    def _tokens(self, value: Any, depth: int) -> Any:
        """Numbers of tokens with their biases, or a list of such: they are no one's numbers."""
        if isinstance(value, dict):
            plain = all(_TOKEN.fullmatch(key) and _is_number(item) and abs(item) <= 100 for key, item in value.items())
        else:
            plain = isinstance(value, list) and all(_is_number(item) and _TOKEN.fullmatch(str(item)) for item in value)
        return value if plain else self._free(value, depth)

    def _parts(self, value: Any, depth: int) -> Any:
        """Content: a text, or a list of parts, each of them media or an object with a text."""
        if not isinstance(value, list):
            return self._free(value, depth)
        group: list[int] = []
        result = []
        for part in value:
            if isinstance(part, dict) and str(part.get("type")) in MEDIA_PARTS:
                result.append(self._media_part(part))
            else:
                result.append(self._part(part, group, self._deeper(depth)))
        if len(group) > 1:
            self.groups.append(group)
        return result

    def _part(self, part: Any, group: list[int], depth: int) -> Any:
        """A part that is not media. Its text belongs to the group, unless it is JSON."""
        text = part.get("text") if isinstance(part, dict) else part
        if isinstance(text, str) and self._opened(text) is None:
            if not isinstance(part, dict):
                group.append(self._count)
                return self._prose(text, depth, None)
            group.append(self._count)
            first = self._prose(text, depth, None)
            rest = self._fields({key: value for key, value in part.items() if key != "text"}, "part", depth)
            named = dict(zip((key for key in part if key != "text"), rest, strict=True))
            return _object([("text", first) if key == "text" else named[key] for key in part])
        return self._known("part", part, depth) if isinstance(part, dict) else self._free(part, depth)

    def _media_part(self, part: dict[str, Any]) -> Any:
        if self._media != "send":
            raise self._unchecked("images, audio and files")
        return self._known("media", part, 0)

    def _media_data(self, key: str, value: Any, depth: int) -> Any:
        """Encoded data passes without its metadata; the address of a picture as it is; all else is searched."""
        if isinstance(value, dict):
            return self._known("media", value, depth)
        if isinstance(value, str) and is_data(key, value):
            return clean_media(value)
        return self._form("url", value, depth)

    def _unchecked(self, what: str) -> NotDisclosable:
        cure = "set privacy.media to send them" if self._media == "keep" else self._media
        return NotDisclosable(f"{what} cannot be checked and stay on the box: {cure}", param="messages")

    def _schema(self, value: Any, depth: int) -> Any:
        """A JSON schema: its keywords stay, names of properties are keys, the rest is visited."""
        if isinstance(value, list):
            return [self._schema(item, self._deeper(depth)) for item in value]
        if not isinstance(value, dict):
            return self._free(value, depth)
        fields = value.items()
        return _object([(k if k in SCHEMA_WORDS else self._key(k), self._keyword(k, v, depth)) for k, v in fields])

    def _keyword(self, key: str, item: Any, depth: int) -> Any:
        deeper = self._deeper(depth)
        if key == "type" and isinstance(item, str | list):
            words = [item] if isinstance(item, str) else item
            return item if all(str(word) in SCHEMA_TYPES for word in words) else self._free(item, depth)
        if key in SCHEMA_OF_SCHEMAS and isinstance(item, dict):
            return _object(
                [
                    (
                        self._key(k),
                        self._keyword(key, v, deeper) if key == "dependentRequired" else self._schema(v, deeper),
                    )
                    for k, v in item.items()
                ]
            )
        if key in SCHEMA_KEYS and isinstance(item, list):
            return [self._key(one) if isinstance(one, str) else self._free(one, depth) for one in item]
        if key == "$ref" and isinstance(item, str) and _POINTER.fullmatch(item):
            return "/".join(step if step in SCHEMA_WORDS else self._key(step) for step in item.split("/"))
        if key in SCHEMA_NAMES and isinstance(item, str):
            return self._visit(item, TextPosition.NAME)
        return self._schema(item, deeper) if key in SUBSCHEMAS else self._free(item, depth)

    def _free(self, value: Any, depth: int, hint: str | None = None) -> Any:
        """Anything else: all strings are prose, all keys and numbers are seen."""
        if isinstance(value, str):
            return self._prose(value, depth, hint)
        if isinstance(value, dict):
            self._bound()
            deeper = self._deeper(depth)
            hints = _hints(value)
            return _object([(self._key(key), self._free(item, deeper, hints[key])) for key, item in value.items()])
        if isinstance(value, list | tuple):
            self._bound()
            deeper = self._deeper(depth)
            return [self._free(item, deeper, hint) for item in value]
        if _is_number(value):
            return self._visit(_written(value), TextPosition.NUMBER, value, hint)
        if value is None or isinstance(value, bool):
            return value
        raise NotDisclosable("the request holds something that is not JSON; nothing was sent")

    def _prose(self, text: str, depth: int, hint: str | None) -> Any:
        if self._media != "send" and holds_data(text):
            raise self._unchecked("encoded data inside a text")
        text = clean_media_within(text)
        value = self._opened(text)
        if value is None:
            return self._visit(text, TextPosition.PROSE, hint=hint)
        visited = self._free(value, self._deeper(depth))
        return text if visited == value else json.dumps(visited, ensure_ascii=False)

    def _key(self, text: Any) -> str:
        return str(self._visit(str(text), TextPosition.KEY))

    def _visit(self, text: str, place: TextPosition, value: Any = None, hint: str | None = None) -> Any:
        self._count += 1
        self._bound()
        new = self._see(Seen(text, place, hint, self._voice))
        return value if value is not None and new == text else new

    def _opened(self, text: str) -> Any:
        """As `opened`; what has too many values is not even parsed, which would hold up all threads."""
        if len(text) > MOST_VALUES and text.lstrip()[:1] in ("{", "["):
            self._bound(text.count(","))
        return opened(text)

    def _bound(self, more: int = 0) -> None:
        """Count one value; `more` may come."""
        self._values += 1
        if self._values + more > MOST_VALUES:
            raise NotDisclosable(f"the request holds more than {MOST_VALUES} values; nothing was sent")

    def _deeper(self, depth: int) -> int:
        if depth >= _DEEPEST:
            raise NotDisclosable(f"the request is nested deeper than {_DEEPEST} levels; nothing was sent")
        return depth + 1


_POINTER: Final = re.compile(r"#(?:/[^/:@#?]{1,64}){1,8}")
_TOKEN: Final = re.compile(r"\d{1,7}")
_SIMPLE: Final[Mapping[str, Callable[[BodyVisitor, str, Any, int], Any]]] = {
    "id": lambda visitor, _key, value, depth: visitor._form("id", value, depth),
    "blob": lambda visitor, _key, value, depth: visitor._form("blob", value, depth),
    "slug": lambda visitor, _key, value, depth: visitor._form("slug", value, depth),
    "url": lambda visitor, key, value, depth: visitor._media_data(key, value, depth),
    "media": lambda visitor, key, value, depth: visitor._media_data(key, value, depth),
    "name": lambda visitor, _key, value, depth: visitor._text(value, TextPosition.NAME, depth),
    "model": lambda visitor, _key, value, depth: visitor._text(value, TextPosition.MODEL, depth),
    "user": lambda visitor, _key, value, _depth: (
        None if value is None else visitor._visit(str(value), TextPosition.USER)
    ),
    "number": lambda visitor, _key, value, depth: visitor._number(value, depth),
    "word": lambda visitor, key, value, depth: visitor._word(key, value, depth),
    "tokens": lambda visitor, _key, value, depth: visitor._tokens(value, depth),
    "schema": lambda visitor, _key, value, depth: visitor._schema(value, depth),
    "parts": lambda visitor, _key, value, depth: visitor._parts(value, depth),
    "choice": lambda visitor, _key, value, depth: visitor._choice(value, depth),
    "secret": lambda _visitor, _key, _value, _depth: DROP,
}
"""What is done by each rule of the table."""


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """The object without what is left out. Raises NotDisclosable: two keys have become one."""
    result = {key: value for key, value in pairs if value is not DROP}
    if len(result) != sum(value is not DROP for _, value in pairs):
        raise NotDisclosable("two names of fields are one when they are hidden; nothing was sent")
    return result


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _written(number: float) -> str:
    """As JSON writes it."""
    return str(number) if type(number) is int else json.dumps(number)
