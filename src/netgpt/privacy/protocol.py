"""The words of OpenAI's chat protocol and of JSON schema: all that may pass unseen, and only at its own place."""

from __future__ import annotations

import re
from typing import Final

from netgpt.privacy.wordsets import words

__all__ = [
    "CONSTANTS",
    "LIST_OF_NAMES",
    "MEDIA_PARTS",
    "PARAMETERS",
    "SCHEMA_NAMES",
    "SCHEMA_OF_SCHEMAS",
    "SCHEMA_TYPES",
    "SCHEMA_WORDS",
    "USER_FIELDS",
    "WORDS",
    "field_hint",
]


WORDS: Final = words(
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
    "role": words("system developer user assistant tool function"),
    "type": words(
        """
    function custom text image_url input_audio file json_object json_schema refusal input_text output_text
    input_image input_file video_url allowed_tools content grammar thinking
    """
    ),
    "tool_choice": words("auto none required any"),
    "mode": words("auto required"),
    "detail": words("auto low high"),
    "format": words("wav mp3 flac opus pcm16 aac"),
    "voice": words("alloy ash ballad coral echo fable nova onyx sage shimmer verse"),
    "modalities": words("text audio"),
    "service_tier": words("auto default flex priority scale"),
    "reasoning_effort": words("none minimal low medium high xhigh"),
    "verbosity": words("low medium high"),
}
PARAMETERS: Final = words(
    """
    max_tokens max_completion_tokens temperature top_p top_k min_p n seed top_logprobs frequency_penalty
    presence_penalty repetition_penalty
    """
)
USER_FIELDS: Final = words("user safety_identifier prompt_cache_key")
MEDIA_PARTS: Final = words(
    "image_url input_image image input_audio audio file input_file document video video_url input_video"
)
SCHEMA_WORDS: Final = words(
    """
    type properties required description title enum const default examples items anyOf oneOf allOf not
    additionalProperties prefixItems $defs definitions $ref format pattern minLength maxLength minimum maximum
    exclusiveMinimum exclusiveMaximum multipleOf minItems maxItems uniqueItems minProperties maxProperties
    patternProperties nullable deprecated $schema $id
    """
)
SCHEMA_TYPES: Final = words("string number integer boolean object array null")
SCHEMA_OF_SCHEMAS: Final = words("properties $defs definitions patternProperties")
SCHEMA_NAMES: Final = words("$ref $schema $id format pattern")
"""Keywords whose value is a name or a rule, not prose: the language model would take parts of it for persons."""
LIST_OF_NAMES: Final = words("required")

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
