"""Forms checked: JSON against the schema that was asked for, and code that parses."""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Mapping
from typing import Any, Final

_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "object": (dict,), "array": (list,), "string": (str,), "boolean": (bool,), "null": (type(None),), "integer": (int,),
    "number": (int, float),
}  # fmt: skip
_DEEPEST: Final = 24
_MOST_CODE: Final = 20_000
"""Characters of code that are read."""
FENCE: Final = re.compile(
    r"^[ \t]*(`{3,}|~{3,})[ \t]*([\w+#.-]*)[^\n]*\n(.*?)(?:^[ \t]*\1[ \t]*$|\Z)", re.MULTILINE | re.DOTALL
)
_BRACKETS: Final = {")": "(", "]": "[", "}": "{"}
_WITH_BRACKETS: Final = frozenset(
    [
        "c",
        "cpp",
        "c++",
        "cs",
        "csharp",
        "java",
        "js",
        "javascript",
        "jsx",
        "ts",
        "typescript",
        "go",
        "php",
        "kotlin",
        "swift",
        "dart",
    ]
)
_QUOTED: Final = re.compile(
    r'"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|`(?:\\.|[^`\\])*`|//[^\n]*|/\*.*?\*/|#[^\n]*', re.DOTALL
)


def wanted_form(body: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """Which form the body asks for: "" (none), "json_object" or "json_schema", with its schema."""
    wanted = body.get("response_format")
    kind = wanted.get("type") if isinstance(wanted, Mapping) else None
    if not isinstance(wanted, Mapping) or kind not in ("json_object", "json_schema"):
        return "", {}
    outer = wanted.get("json_schema")
    schema = outer.get("schema") if isinstance(outer, Mapping) else None
    return str(kind), schema if isinstance(schema, Mapping) else {}


def broken_form(body: Mapping[str, Any], answer: str) -> str | None:
    """In which way an answer breaks the form asked for, in words for the model; "" where it keeps it; None: none was
    asked for, or there is no answer.

    >>> broken_form({"response_format": {"type": "json_object"}}, "{")
    'it is not valid JSON'
    """
    kind, schema = wanted_form(body)
    if not kind or not answer:
        return None
    try:
        value = json.loads(answer)
    except (ValueError, RecursionError):
        return "it is not valid JSON"
    if kind == "json_object":
        return "" if isinstance(value, dict) else "it is not a JSON object"
    return misfit(value, schema, schema)


def holds_json(answer: str) -> bool:
    """Whether an answer holds JSON that parses: as a whole, in a fence, or from its first bracket to its last."""
    blocks = [code for language, code in code_blocks(answer) if language in ("json", "")]
    start = min((at for at in (answer.find("{"), answer.find("[")) if at >= 0), default=0)
    for text in (answer, *blocks, answer[start : max(answer.rfind("}"), answer.rfind("]")) + 1]):
        try:
            json.loads(text)
        except (ValueError, RecursionError):
            continue
        return True
    return False


def misfit(value: Any, schema: Any, root: Mapping[str, Any], depth: int = 0) -> str:
    """Where a value does not fit a JSON schema, in a few words that name the schema's own fields; "" where it fits.

    Read are the words that answers are asked for with: types, properties, required, items, enum, const, bounds,
    pattern, anyOf, oneOf, allOf, references within the schema. What else stands there is taken to fit.
    """
    if schema is False:
        return "it has a part that the schema does not allow"
    if not isinstance(schema, Mapping) or depth > _DEEPEST:
        return ""
    if isinstance(reference := schema.get("$ref"), str):
        return misfit(value, _resolved(reference, root), root, depth + 1)
    types = schema.get("type")
    if types is not None and not any(_is(value, one) for one in (types if isinstance(types, list) else [types])):
        return f"a value is not of the type {types}" if depth else f"it is not of the type {types}"
    if ("const" in schema and value != schema["const"]) or (
        isinstance(schema.get("enum"), list) and value not in schema["enum"]
    ):
        return "a value is none of those that the schema allows"
    for word, enough in (("anyOf", any), ("oneOf", any), ("allOf", all)):
        parts = schema.get(word)
        if isinstance(parts, list) and not enough(not misfit(value, one, root, depth + 1) for one in parts):
            return f"it does not fit {word} of the schema"
    if isinstance(value, dict):
        return _object_misfit(value, schema, root, depth)
    if isinstance(value, list):
        return _array_misfit(value, schema, root, depth)
    return _bounds_misfit(value, schema)


def _object_misfit(value: Mapping[str, Any], schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> str:
    required, known = schema.get("required"), schema.get("properties")
    if isinstance(required, list) and (
        missing := [one for one in required if isinstance(one, str) and one not in value]
    ):
        return f'the field "{missing[0]}" is missing'
    known = known if isinstance(known, Mapping) else {}
    other = schema.get("additionalProperties", True)
    for name, inner in value.items():
        if name in known:
            wrong = misfit(inner, known[name], root, depth + 1)
            if wrong:
                return f'in the field "{name}" {wrong}'
        elif other is False:
            return "it has a field that the schema does not allow"
        elif wrong := misfit(inner, other, root, depth + 1):
            return wrong
    return ""


def _array_misfit(value: list[Any], schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> str:
    if len(value) < _bound(schema, "minItems", 0) or len(value) > _bound(schema, "maxItems", len(value)):
        return "a list has too few or too many entries"
    return next((wrong for inner in value if (wrong := misfit(inner, schema.get("items"), root, depth + 1))), "")


def _bounds_misfit(value: Any, schema: Mapping[str, Any]) -> str:
    if isinstance(value, str):
        if len(value) < _bound(schema, "minLength", 0) or len(value) > _bound(schema, "maxLength", len(value)):
            return "a text is too short or too long"
        return ""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if number and not _bound(schema, "minimum", value) <= value <= _bound(schema, "maximum", value):
        return "a number is out of its bounds"
    return ""


def _bound(schema: Mapping[str, Any], name: str, otherwise: float) -> float:
    bound = schema.get(name)
    return bound if isinstance(bound, int | float) and not isinstance(bound, bool) else otherwise


def _resolved(reference: str, root: Mapping[str, Any]) -> Any:
    place: Any = root
    for part in reference.removeprefix("#").strip("/").split("/") if reference.startswith("#") else ():
        place = place.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(place, Mapping) and part else place
    return place if place is not root else None


def _is(value: Any, kind: object) -> bool:
    if isinstance(value, bool) and kind in ("integer", "number"):
        return False
    if kind == "integer" and isinstance(value, float):
        return value == int(value) if abs(value) < 1e15 else False
    return not isinstance(kind, str) or kind not in _TYPES or isinstance(value, _TYPES[kind])


def code_blocks(answer: str) -> list[tuple[str, str]]:
    """(language, code) of each fenced block."""
    return [(found[2].lower(), found[3]) for found in FENCE.finditer(answer[:_MOST_CODE])]


def parses(language: str, code: str) -> bool | None:
    """Whether code parses: Python and JSON by their grammar, languages with brackets by their balance. None: unknown.

    >>> parses("python", "def f(:"), parses("js", "f({a: [1]})"), parses("text", "((")
    (False, True, None)
    """
    if not code.strip() or len(code) > _MOST_CODE:
        return None
    if language in ("python", "py", "python3"):
        if re.search(r"^\s*(?:>>>|\$|%|!)", code, re.MULTILINE):
            return None  # a session, not a program
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ast.parse(code)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            return False
        return True
    if language == "json":
        try:
            json.loads(code)
        except (ValueError, RecursionError):
            return False if "..." not in code and "//" not in code else None
        return True
    return balanced(code) if language in _WITH_BRACKETS else None


def balanced(code: str) -> bool:
    """Whether every bracket is closed by its own, quotations and comments left out."""
    opened: list[str] = []
    for sign in re.findall(r"[()\[\]{}]", _QUOTED.sub("", code)):
        if sign not in _BRACKETS:
            opened.append(sign)
        elif not opened or opened.pop() != _BRACKETS[sign]:
            return False
    return not opened
