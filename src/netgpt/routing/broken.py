"""Whether an answer by schema keeps to it, as far as a glance tells: JSON, the required names, the plain types."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

__all__ = ["breaks_schema"]

_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "boolean": (bool,),
    "null": (type(None),),
    "integer": (int,),
    "number": (int, float),
}


def breaks_schema(body: Mapping[str, Any], answer: str) -> bool | None:
    """None: no schema was asked for, or there is no answer to look at."""
    wanted = body.get("response_format")
    kind = wanted.get("type") if isinstance(wanted, Mapping) else None
    if not isinstance(wanted, Mapping) or kind not in ("json_object", "json_schema") or not answer:
        return None
    try:
        value = json.loads(answer)
    except ValueError:
        return True
    if kind == "json_object":
        return not isinstance(value, dict)
    told = wanted.get("json_schema")
    schema = told.get("schema") if isinstance(told, Mapping) else None
    return not _fits(value, schema) if isinstance(schema, Mapping) else False


def _fits(value: Any, schema: Mapping[str, Any]) -> bool:
    """Type and required names, one level down; what the glance does not know is taken to fit."""
    if not _is(value, schema.get("type")):
        return False
    if not isinstance(value, dict):
        return True
    required, properties = schema.get("required"), schema.get("properties")
    if isinstance(required, list) and any(isinstance(name, str) and name not in value for name in required):
        return False
    if not isinstance(properties, Mapping):
        return True
    known = ((value[name], each) for name, each in properties.items() if name in value and isinstance(each, Mapping))
    return all(_is(inner, each.get("type")) for inner, each in known)


def _is(value: Any, kind: object) -> bool:
    if isinstance(value, bool) and kind in ("integer", "number"):
        return False
    return not isinstance(kind, str) or kind not in _TYPES or isinstance(value, _TYPES[kind])
