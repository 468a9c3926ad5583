"""How many tokens a request of the Messages API probably has, counted on the box: nothing is sent for it.

The tokenizers of the large models are not public, or differ; this counts words, numbers, signs and white space as they
all cut them. docs/design/doors-messages.md says how far off it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

import orjson

_PIECES: Final = re.compile(
    r"(?P<word>[A-Za-z]+)|(?P<digits>\d+)|(?P<blank>\s+)|(?P<wide>[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]+)"
    r"|(?P<signs>[!-/:-@\[-`{-~]+)|(?P<letters>[^\W\d_]+)|(?P<other>.)",
    re.DOTALL,
)
_CAMEL: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")
_COMMON: Final = 7
"""Letters of a word that is usually one token; what is longer is cut into pieces of about six."""
_PICTURE: Final = 1_600
"""Tokens of a picture: what one of the largest size takes (width times height by 750)."""
_FILE_BYTES: Final = 40
"""Bytes of a PDF for a token, in base64: a page of 80 kB takes about 2,000."""
_A_MESSAGE: Final = 4
"""Tokens that stand around a message or a tool."""
_SKIPPED: Final = frozenset(
    ("type", "id", "tool_use_id", "role", "cache_control", "signature", "media_type", "netgpt", "model", "metadata")
)


def tokens_of(body: Mapping[str, Any]) -> int:
    """The estimate for a request: its system prompt, messages and tools."""
    around = sum(len(body[name]) for name in ("messages", "tools") if isinstance(body.get(name), list))
    return _A_MESSAGE * (1 + around) + sum(_within(body.get(name)) for name in ("system", "messages", "tools"))


def _within(value: Any) -> int:
    if isinstance(value, str):
        return tokens_in(value)
    if isinstance(value, list):
        return sum(map(_within, value))
    if not isinstance(value, dict):
        return 0
    kind = value.get("type")
    if kind == "redacted_thinking":
        return 0
    if kind in ("image", "base64", "url"):
        return _PICTURE if kind == "image" else max(_PICTURE, len(str(value.get("data") or "")) // _FILE_BYTES)
    as_json = [orjson.dumps(value[name]).decode() for name in ("input", "input_schema") if name in value]
    others = (each for name, each in value.items() if name not in _SKIPPED and name not in ("input", "input_schema"))
    return sum(map(tokens_in, as_json)) + sum(map(_within, others))


def tokens_in(text: str) -> int:
    """The estimate for one text."""
    count = 0.0
    for found in _PIECES.finditer(text):
        kind, size = found.lastgroup, found.end() - found.start()
        if kind == "word":
            count += _in_word(found[0], size)
        elif kind == "digits":
            count += -(-size // 3)
        elif kind == "blank":
            count += 0.0 if found[0] == " " else 0.9
        elif kind == "signs":
            count += 0.95 if size == 1 else size * 0.5
        else:
            count += size * {"wide": 0.9, "letters": 0.4, "other": 1.5}[kind or ""]
    return round(count)


def _in_word(word: str, size: int) -> float:
    if size <= _COMMON:
        return 1.0 if size <= 3 or word.islower() or word.istitle() else 1.5
    return sum(1.0 if len(part) <= _COMMON else len(part) / 6.0 for part in _CAMEL.findall(word))
