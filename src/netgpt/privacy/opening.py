"""What lies inside a string: JSON to be opened, encoded data to be passed or kept."""

from __future__ import annotations

import json
import re
from typing import Any

__all__ = ["holds_data", "is_data", "opened"]

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
