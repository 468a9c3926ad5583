"""Every string and number of an outbound body, each with its place, in a fixed order.

The walk rebuilds the body with whatever `see` returns. Nothing is skipped for being unknown: only words of the
protocol itself, checked against fixed sets at known paths, are not seen. JSON inside strings is opened and walked.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from netgpt.errors import NotDisclosable
from netgpt.privacy.kinds import word_set
from netgpt.privacy.media import clean_media, clean_media_within

# --- The words of OpenAI's chat protocol and of JSON schema: all that may pass unseen, and only at its own place.

WORDS: Final = word_set(
    """
    model messages role content name tool_calls tool_call_id function_call function functions arguments type
    text refusal reasoning_content tools tool_choice parallel_tool_calls response_format json_schema schema
    strict description parameters stream stream_options include_usage max_tokens max_completion_tokens
    temperature top_p top_k min_p n stop seed user metadata store logprobs top_logprobs logit_bias
    frequency_penalty presence_penalty repetition_penalty service_tier reasoning_effort verbosity modalities
    audio voice format prediction id index image_url url detail input_audio data file file_data file_id filename
    safety_identifier prompt_cache_key custom input allowed_tools mode tool video_url
    """
)
"""Names of fields. In free-form objects even these are looked at."""

CONSTANTS: Final[dict[str, frozenset[str]]] = {
    "role": word_set("system developer user assistant tool function"),
    "type": word_set(
        """
    function custom text image_url input_audio file json_object json_schema refusal input_text output_text
    input_image input_file video_url allowed_tools content grammar thinking
    """
    ),
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
PARAMETERS: Final = word_set(
    """
    max_tokens max_completion_tokens temperature top_p top_k min_p n seed top_logprobs frequency_penalty
    presence_penalty repetition_penalty
    """
)
USER_FIELDS: Final = word_set("user safety_identifier prompt_cache_key")
MEDIA_PARTS: Final = word_set(
    "image_url input_image image input_audio audio file input_file document video video_url input_video"
)
SCHEMA_WORDS: Final = word_set(
    """
    type properties required description title enum const default examples items anyOf oneOf allOf not
    additionalProperties prefixItems $defs definitions $ref format pattern minLength maxLength minimum maximum
    exclusiveMinimum exclusiveMaximum multipleOf minItems maxItems uniqueItems minProperties maxProperties
    patternProperties nullable deprecated $schema $id
    """
)
SCHEMA_TYPES: Final = word_set("string number integer boolean object array null")
SCHEMA_OF_SCHEMAS: Final = word_set("properties $defs definitions patternProperties")
SCHEMA_NAMES: Final = word_set("$ref $schema $id format pattern")
"""Keywords whose value is a name or a rule, not prose: the language model would take parts of it for persons."""
LIST_OF_NAMES: Final = word_set("required")

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
    """The kind of private data that a field's name promises, or None."""
    if not isinstance(key, str) or len(key) > 40:
        return None
    return next((kind for pattern, kind in _HINTS if pattern.search(key)), None)


# --- What lies inside a string: JSON to be opened, encoded data to be passed or kept.

_DATA_URI = re.compile(r"data:[\w.+/\-]{0,80}(?:;[\w.=\-]{1,60}){0,4};base64,[A-Za-z0-9+/=_\-\s%]*")
_DATA_IN_TEXT = re.compile(r"data:[\w.+/\-]{0,80}(?:;[\w.=\-]{1,60}){0,4};base64,[A-Za-z0-9+/]{64}")
_BASE64 = re.compile(r"[A-Za-z0-9+/_\-\s]*={0,2}\s*")


def holds_data(text: str) -> bool:
    """Whether a text carries an encoded file or image."""
    return _DATA_IN_TEXT.search(text) is not None


def is_data(key: str, value: str) -> bool:
    """Whether the field holds encoded data and nothing else."""
    if value.startswith("data:"):
        return _DATA_URI.fullmatch(value) is not None
    return key in ("data", "file_data") and len(value) > 100 and _BASE64.fullmatch(value) is not None


def opened(text: str) -> Any:
    """The JSON object or array that the string holds, or None. One with doubled keys is text: a key would be lost."""
    if text.lstrip()[:1] not in ("{", "["):
        return None
    try:
        value = json.loads(text, object_pairs_hook=_without_doubles, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    return value if value else None


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise ValueError("doubled key")
    return result


def _refuse(word: str) -> None:
    raise ValueError(word)


_DEEPEST = 60

DROP = object()
"""Returned by `see`: leave this field out."""


class TextPosition(Enum):
    """What kind of position a string or number stands at."""

    PROSE = "prose"
    NAME = "name"
    """An identifier of the caller's: tool and function names, ids, keys of objects."""
    SPEAKER = "speaker"
    """The `name` of a message's author."""
    USER = "user"
    MODEL = "model"
    NUMBER = "number"
    PARAMETER = "parameter"
    """A number that steers the model; it is left out rather than replaced."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One string or number (as text) of the body."""

    text: str
    place: TextPosition
    hint: str | None = None
    """The kind that the field's name promises: `{"phone": ...}` -> PHONE."""


See = Callable[[Seen], Any]


class BodyVisitor:
    """One walk over one body. `groups` lists the numbers of the text parts that a reader would join."""

    def __init__(self, see: See, *, media: str = "keep") -> None:
        self._see = see
        self._media = media
        self._count = 0
        self.groups: list[list[int]] = []

    def body(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The body rebuilt. Raises NotDisclosable: media that must stay, or nesting beyond reason."""
        result: dict[str, Any] = {}
        for key, value in body.items():
            name = key if key in WORDS else self._name(key)
            new = self._field(key, value)
            if new is not DROP:
                result[name] = new
        return result

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
        return self._constant(key, value) if key in CONSTANTS else self._free(value, 0)

    def _message(self, message: Any) -> Any:
        if not isinstance(message, dict):
            return self._free(message, 0)
        result: dict[str, Any] = {}
        spoken = message.get("role") not in ("tool", "function")
        for key, value in message.items():
            name = key if key in WORDS else self._name(key)
            if key == "content" and isinstance(value, list):
                result[name] = self._parts(value)
            elif key == "name" and isinstance(value, str):
                result[name] = self._visit(value, TextPosition.SPEAKER if spoken else TextPosition.NAME)
            elif key in ("tool_call_id", "tool_calls", "function_call", "audio"):
                result[name] = self._call(value, 0)
            elif key in CONSTANTS:
                result[name] = self._constant(key, value)
            else:
                result[name] = self._free(value, 0)
        return result

    def _parts(self, parts: list[Any]) -> list[Any]:
        group: list[int] = []
        result = []
        for part in parts:
            if isinstance(part, dict) and part.get("type") in MEDIA_PARTS:
                result.append(self._media_part(part))
                continue
            text = part.get("text") if isinstance(part, dict) else part
            if isinstance(text, str) and opened(text) is None:
                place = self._count + sum(1 for k in part if k not in WORDS) if isinstance(part, dict) else self._count
                group.append(place)
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
                values[key] = self._constant(key, value) if key in CONSTANTS else self._free(value, 1)
        return {names[key]: values[key] for key in part}

    def _media_part(self, part: dict[str, Any]) -> Any:
        if self._media != "send":
            raise self._unchecked("images, audio and files")
        return self._constant_tree(part, 1)

    def _unchecked(self, what: str) -> NotDisclosable:
        cure = "set privacy.media to send them" if self._media == "keep" else self._media
        return NotDisclosable(f"{what} cannot be checked and stay on the box: {cure}", param="messages")

    def _constant_tree(self, value: Any, depth: int) -> Any:
        """A media part: encoded data passes, all else (file names, URLs) is walked."""
        if isinstance(value, dict):
            return {
                (key if key in WORDS else self._name(key)): self._blob(key, item, depth) for key, item in value.items()
            }
        return self._free(value, depth)

    def _blob(self, key: str, value: Any, depth: int) -> Any:
        if isinstance(value, dict):
            return self._constant_tree(value, self._deeper(depth))
        if isinstance(value, str) and key in ("url", "image_url", "file_data", "data") and is_data(key, value):
            return clean_media(value)
        return self._constant(key, value) if key in CONSTANTS else self._free(value, depth)

    def _call(self, value: Any, depth: int) -> Any:
        """Tool calls of the history: names and ids are identifiers, arguments are JSON in a string."""
        if isinstance(value, list):
            return [self._call(item, self._deeper(depth)) for item in value]
        if isinstance(value, str):
            return self._name(value)
        if not isinstance(value, dict):
            return self._free(value, depth)
        result: dict[str, Any] = {}
        for key, item in value.items():
            name = key if key in WORDS else self._name(key)
            if key in ("function", "custom", "id", "name") and isinstance(item, dict | str):
                result[name] = self._call(item, self._deeper(depth))
            else:
                result[name] = self._constant(key, item) if key in CONSTANTS else self._free(item, depth)
        return result

    def _tool(self, value: Any, depth: int) -> Any:
        """Tool definitions, tool choices, response formats."""
        if isinstance(value, list):
            return [self._tool(item, self._deeper(depth)) for item in value]
        if isinstance(value, str):
            return value if value in CONSTANTS["tool_choice"] else self._name(value)
        if not isinstance(value, dict):
            return self._free(value, depth)
        result: dict[str, Any] = {}
        for key, item in value.items():
            name = key if key in WORDS else self._name(key)
            if key in ("parameters", "schema", "input_schema"):
                result[name] = self._schema(item, self._deeper(depth))
            elif key in ("function", "custom", "json_schema", "allowed_tools", "tools"):
                result[name] = self._tool(item, self._deeper(depth))
            elif key == "name" and isinstance(item, str):
                result[name] = self._name(item)
            else:
                result[name] = self._constant(key, item) if key in CONSTANTS else self._free(item, depth)
        return result

    def _schema(self, value: Any, depth: int) -> Any:
        """A JSON schema: its keywords stay, names of properties are identifiers, the rest is walked."""
        if isinstance(value, list):
            return [self._schema(item, self._deeper(depth)) for item in value]
        if not isinstance(value, dict):
            return self._free(value, depth)
        result: dict[str, Any] = {}
        for key, item in value.items():
            name = key if key in SCHEMA_WORDS else self._name(key)
            if key == "type":
                result[name] = self._allowed(item, SCHEMA_TYPES)
            elif key in SCHEMA_OF_SCHEMAS and isinstance(item, dict):
                result[name] = {self._name(k): self._schema(v, self._deeper(depth)) for k, v in item.items()}
            elif key in LIST_OF_NAMES and isinstance(item, list):
                result[name] = [self._name(one) if isinstance(one, str) else self._free(one, depth) for one in item]
            elif key in SCHEMA_NAMES and isinstance(item, str):
                result[name] = self._name(item)
            elif key in ("items", "anyOf", "oneOf", "allOf", "not", "additionalProperties", "prefixItems"):
                result[name] = self._schema(item, self._deeper(depth))
            else:
                result[name] = self._free(item, depth)
        return result

    def _free(self, value: Any, depth: int, hint: str | None = None) -> Any:
        """Anything else: all strings are prose, all keys identifiers, all numbers looked at."""
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
        walked = self._free(value, self._deeper(depth))
        return text if walked == value else json.dumps(walked, ensure_ascii=False)

    def _constant(self, key: str, value: Any) -> Any:
        return self._allowed(value, CONSTANTS[key])

    def _allowed(self, value: Any, words: Iterable[str]) -> Any:
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
