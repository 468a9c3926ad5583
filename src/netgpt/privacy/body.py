"""The visitor of an outbound body: it sees every string and number with its position, in a fixed order.

The body is rebuilt with what `see` returns. Nothing is skipped for being unknown: only words of OpenAI's chat protocol
and of JSON schema, at known paths, are not seen. JSON inside strings is parsed and visited, too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Container, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from netgpt.errors import NotDisclosable
from netgpt.privacy.kinds import word_set
from netgpt.privacy.media import clean_media, clean_media_within

WORDS: Final = word_set("""
    model messages role content name tool_calls tool_call_id function_call function functions arguments type
    text refusal reasoning_content tools tool_choice parallel_tool_calls response_format json_schema schema
    strict description parameters stream stream_options include_usage max_tokens max_completion_tokens
    temperature top_p top_k min_p n stop seed user metadata store logprobs top_logprobs logit_bias
    frequency_penalty presence_penalty repetition_penalty service_tier reasoning_effort verbosity modalities
    audio voice format prediction id index image_url url detail input_audio data file file_data file_id filename
    safety_identifier prompt_cache_key custom input allowed_tools mode tool video_url""")
"""Names of fields of the protocol. In free-form objects these are seen, too."""

CONSTANTS: Final[dict[str, frozenset[str]]] = {
    "role": word_set("system developer user assistant tool function"),
    "type": word_set("""
        function custom text image_url input_audio file json_object json_schema refusal input_text output_text
        input_image input_file video_url allowed_tools content grammar thinking"""),
    "tool_choice": word_set("auto none required any"),
    "mode": word_set("auto required"),
    "detail": word_set("auto low high"),
    "format": word_set("wav mp3 flac opus pcm16 aac"),
    "voice": word_set("alloy ash ballad coral echo fable nova onyx sage shimmer verse"),
    "modalities": word_set("text audio"),
    "service_tier": word_set("auto default flex priority scale"),
    "reasoning_effort": word_set("none minimal low medium high xhigh"),
    "verbosity": word_set("low medium high"),
}
PARAMETERS: Final = word_set("""
    max_tokens max_completion_tokens temperature top_p top_k min_p n seed top_logprobs frequency_penalty
    presence_penalty repetition_penalty""")
USER_FIELDS: Final = word_set("user safety_identifier prompt_cache_key")
MEDIA_PARTS: Final = word_set(
    "image_url input_image image input_audio audio file input_file document video video_url input_video"
)
SCHEMA_WORDS: Final = word_set("""
    type properties required description title enum const default examples items anyOf oneOf allOf not
    additionalProperties prefixItems $defs definitions $ref format pattern minLength maxLength minimum maximum
    exclusiveMinimum exclusiveMaximum multipleOf minItems maxItems uniqueItems minProperties maxProperties
    patternProperties nullable deprecated $schema $id""")
SCHEMA_TYPES: Final = word_set("string number integer boolean object array null")
SCHEMA_OF_SCHEMAS: Final = word_set("properties $defs definitions patternProperties")
SCHEMA_NAMES: Final = word_set("$ref $schema $id format pattern")
"""Keywords whose value is a name or a rule, not prose: the tagger would take parts of it for persons."""

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
    if not isinstance(key, str) or len(key) > 40:
        return None
    return next((kind for pattern, kind in _HINTS if pattern.search(key)), None)


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
DROP = object()
"""Returned by `see`: leave this field out."""


class TextPosition(Enum):
    """The kind of position of a string or number."""

    PROSE = "prose"
    NAME = "name"
    """An identifier of the caller: tool and function names, ids, keys of objects."""
    SPEAKER = "speaker"
    """The `name` of a message's author."""
    USER = "user"
    MODEL = "model"
    NUMBER = "number"
    PARAMETER = "parameter"
    """A number for the model's sampler; it is left out rather than replaced."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One string or number (as text) of the body."""

    text: str
    place: TextPosition
    hint: str | None = None
    """The kind that the field's name suggests: `{"phone": ...}` -> PHONE."""


See = Callable[[Seen], Any]


class BodyVisitor:
    """Visits one body once. `groups`: the numbers of text parts that belong together."""

    def __init__(self, see: See, *, media: str = "keep") -> None:
        self._see = see
        self._media = media
        self._count = 0
        self.groups: list[list[int]] = []

    def body(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The body rebuilt. Raises NotDisclosable: media that must stay, or too deep nesting."""
        return {key: value for key, value in self._object(body, self._field).items() if value is not DROP}

    def _object(
        self, fields: Mapping[str, Any], visit: Callable[[str, Any], Any], words: Container[str] = WORDS
    ) -> dict[str, Any]:
        """The object rebuilt: `visit(key, value)` gives each value; keys that are not among `words` are seen."""
        return {(key if key in words else self._name(key)): visit(key, value) for key, value in fields.items()}

    def _field(self, key: str, value: Any) -> Any:
        if key == "messages" and isinstance(value, list):
            return [self._message(item) for item in value]
        if key in ("tools", "functions") and isinstance(value, list):
            return [self._tool(item, 0) for item in value]
        if key == "model" and isinstance(value, str):
            return self._visit(value, TextPosition.MODEL)
        if key in USER_FIELDS and value is not None:
            return self._visit(str(value), TextPosition.USER)
        if key in PARAMETERS and _is_number(value):
            return self._visit(json.dumps(value), TextPosition.PARAMETER, value)
        if key in ("audio", "prediction", "stream_options"):
            return self._part(value)
        if key in ("tool_choice", "function_call", "response_format"):
            return self._tool(value, 0)
        return self._other(key, value, 0)

    def _other(self, key: str, value: Any, depth: int) -> Any:
        """A field without a rule of its own."""
        return self._allowed(value, CONSTANTS[key]) if key in CONSTANTS else self._free(value, depth)

    def _message(self, message: Any) -> Any:
        if not isinstance(message, dict):
            return self._free(message, 0)
        author = TextPosition.NAME if message.get("role") in ("tool", "function") else TextPosition.SPEAKER

        def visit(key: str, value: Any) -> Any:
            if key == "content" and isinstance(value, list):
                return self._parts(value)
            if key == "name" and isinstance(value, str):
                return self._visit(value, author)
            if key in ("tool_call_id", "tool_calls", "function_call", "audio"):
                return self._call(value, 0)
            return self._other(key, value, 0)

        return self._object(message, visit)

    def _parts(self, parts: list[Any]) -> list[Any]:
        group: list[int] = []
        result = []
        for part in parts:
            if isinstance(part, dict) and part.get("type") in MEDIA_PARTS:
                result.append(self._media_part(part))
                continue
            text = part.get("text") if isinstance(part, dict) else part
            if isinstance(text, str) and opened(text) is None:
                group.append(self._count + (sum(key not in WORDS for key in part) if isinstance(part, dict) else 0))
            result.append(self._part(part))
        if len(group) > 1:
            self.groups.append(group)
        return result

    def _part(self, part: Any) -> Any:
        """A part that is not media. Its text is seen right after its unknown keys."""
        if not isinstance(part, dict):
            return self._free(part, 1)
        names = {key: key if key in WORDS else self._name(key) for key in part}
        values = {"text": self._free(part["text"], 1)} if "text" in part else {}
        for key, value in part.items():
            if key != "text":
                values[key] = self._other(key, value, 1)
        return {names[key]: values[key] for key in part}

    def _media_part(self, part: dict[str, Any]) -> Any:
        if self._media != "send":
            raise self._unchecked("images, audio and files")
        return self._media_object(part, 1)

    def _unchecked(self, what: str) -> NotDisclosable:
        cure = "set privacy.media to send them" if self._media == "keep" else self._media
        return NotDisclosable(f"{what} cannot be checked and stay on the box: {cure}", param="messages")

    def _media_object(self, part: dict[str, Any], depth: int) -> Any:
        """A media part: encoded data passes without its metadata, all else (file names, URLs) is visited."""

        def visit(key: str, value: Any) -> Any:
            if isinstance(value, dict):
                return self._media_object(value, self._deeper(depth))
            if isinstance(value, str) and key in ("url", "image_url", "file_data", "data") and is_data(key, value):
                return clean_media(value)
            return self._other(key, value, depth)

        return self._object(part, visit)

    def _call(self, value: Any, depth: int) -> Any:
        """Tool calls of earlier turns: names and ids are identifiers, arguments are JSON in a string."""
        if isinstance(value, list):
            return [self._call(item, self._deeper(depth)) for item in value]
        if isinstance(value, str):
            return self._name(value)
        if not isinstance(value, dict):
            return self._free(value, depth)

        def visit(key: str, item: Any) -> Any:
            if key in ("function", "custom", "id", "name") and isinstance(item, dict | str):
                return self._call(item, self._deeper(depth))
            return self._other(key, item, depth)

        return self._object(value, visit)

    def _tool(self, value: Any, depth: int) -> Any:
        """Tool definitions, tool choices, response formats."""
        if isinstance(value, list):
            return [self._tool(item, self._deeper(depth)) for item in value]
        if isinstance(value, str):
            return value if value in CONSTANTS["tool_choice"] else self._name(value)
        if not isinstance(value, dict):
            return self._free(value, depth)

        def visit(key: str, item: Any) -> Any:
            if key in ("parameters", "schema", "input_schema"):
                return self._schema(item, self._deeper(depth))
            if key in ("function", "custom", "json_schema", "allowed_tools", "tools"):
                return self._tool(item, self._deeper(depth))
            if key == "name" and isinstance(item, str):
                return self._name(item)
            return self._other(key, item, depth)

        return self._object(value, visit)

    def _schema(self, value: Any, depth: int) -> Any:
        """A JSON schema: its keywords stay, names of properties are identifiers, the rest is visited."""
        if isinstance(value, list):
            return [self._schema(item, self._deeper(depth)) for item in value]
        if not isinstance(value, dict):
            return self._free(value, depth)

        def visit(key: str, item: Any) -> Any:
            if key == "type":
                return self._allowed(item, SCHEMA_TYPES)
            if key in SCHEMA_OF_SCHEMAS and isinstance(item, dict):
                return {self._name(k): self._schema(v, self._deeper(depth)) for k, v in item.items()}
            if key == "required" and isinstance(item, list):
                return [self._name(one) if isinstance(one, str) else self._free(one, depth) for one in item]
            if key in SCHEMA_NAMES and isinstance(item, str):
                return self._name(item)
            if key in ("items", "anyOf", "oneOf", "allOf", "not", "additionalProperties", "prefixItems"):
                return self._schema(item, self._deeper(depth))
            return self._free(item, depth)

        return self._object(value, visit, SCHEMA_WORDS)

    def _free(self, value: Any, depth: int, hint: str | None = None) -> Any:
        """Anything else: all strings are prose, all keys identifiers, all numbers seen."""
        if isinstance(value, str):
            return self._prose(value, depth, hint)
        if isinstance(value, dict):
            deeper = self._deeper(depth)
            return {self._name(key): self._free(item, deeper, field_hint(key)) for key, item in value.items()}
        if isinstance(value, list | tuple):
            deeper = self._deeper(depth)
            return [self._free(item, deeper, hint) for item in value]
        if _is_number(value):
            return self._visit(json.dumps(value), TextPosition.NUMBER, value, hint)
        if value is None or isinstance(value, bool):
            return value
        raise NotDisclosable("the request holds something that is not JSON; nothing was sent")

    def _prose(self, text: str, depth: int, hint: str | None) -> Any:
        if self._media != "send" and holds_data(text):
            raise self._unchecked("encoded data inside a text")
        text = clean_media_within(text)
        value = opened(text)
        if value is None:
            return self._visit(text, TextPosition.PROSE, hint=hint)
        visited = self._free(value, self._deeper(depth))
        return text if visited == value else json.dumps(visited, ensure_ascii=False)

    def _allowed(self, value: Any, words: Container[str]) -> Any:
        if isinstance(value, str) and value in words:
            return value
        if isinstance(value, list):
            return [self._allowed(item, words) for item in value]
        return self._free(value, 1)

    def _name(self, text: Any) -> Any:
        return self._visit(str(text), TextPosition.NAME)

    def _visit(self, text: str, place: TextPosition, value: Any = None, hint: str | None = None) -> Any:
        self._count += 1
        new = self._see(Seen(text, place, hint))
        return value if value is not None and new == text else new

    def _deeper(self, depth: int) -> int:
        if depth >= _DEEPEST:
            raise NotDisclosable(f"the request is nested deeper than {_DEEPEST} levels; nothing was sent")
        return depth + 1


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
