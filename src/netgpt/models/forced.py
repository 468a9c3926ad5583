"""`tool_choice: "required"` on the box, by grammar: llama.cpp takes it as a wish where a template has no grammar of its
own, and a small model then tells a story in place of a call.

The call is asked for as JSON of the functions' schemas, to which the engine's grammar keeps, and read out of it. What a
small model cannot read is left out of a conversation here too, and what is no JSON is made JSON.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from typing import Any, Final

import orjson

from netgpt.types import Chunk

_CALL: Final = re.compile(r'\s*\{\s*"name"\s*:\s*("(?:[^"\\]|\\.)*")\s*,\s*"arguments"\s*:\s*(.*)', re.DOTALL)
_LOCAL: Final = "#/"


def must_call(body: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The functions of which one must be called; none: the model may do as it likes."""
    choice = body.get("tool_choice")
    functions = [tool["function"] for tool in body.get("tools") or () if isinstance(tool.get("function"), dict)]
    if choice == "required":
        return functions
    if not isinstance(choice, dict):
        return []
    allowed = choice.get("allowed_tools")
    if isinstance(allowed, dict):
        if allowed.get("mode") != "required":
            return []
        names = {_name_in(tool) for tool in allowed.get("tools") or ()}
    else:
        names = {_name_in(choice)}
    return [function for function in functions if function.get("name") in names]


def _name_in(tool: Any) -> Any:
    function = tool.get("function") if isinstance(tool, dict) else None
    return function.get("name") if isinstance(function, dict) else None


class ForcedCall:
    """One answer that has to be a call."""

    def __init__(self, functions: list[dict[str, Any]]) -> None:
        self._functions = functions
        self._texts: dict[int, str] = {}

    def asking(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The body, with a grammar in place of the choice."""
        calls, places = [], {}
        for number, function in enumerate(self._functions):
            place = f"f{number}"
            places[place] = _moved(_closed(function.get("parameters") or {}), f"#/$defs/{place}/")
            call = {"name": {"const": function.get("name")}, "arguments": {"$ref": f"#/$defs/{place}"}}
            calls.append({"type": "object", "properties": call, "required": ["name", "arguments"]})
        schema = {"anyOf": calls, "$defs": places}
        asked = {name: value for name, value in body.items() if name != "tool_choice"}
        return {**asked, "response_format": {"type": "json_schema", "json_schema": {"name": "call", "schema": schema}}}

    def read(self, chunk: Chunk) -> Chunk:
        """The chunk without the call's text; where it ends, with the call."""
        return {**chunk, "choices": [self._choice(choice) for choice in chunk.get("choices") or ()]}

    def _choice(self, choice: Mapping[str, Any]) -> dict[str, Any]:
        index, delta = choice.get("index") or 0, dict(choice.get("delta") or {})
        self._texts[index] = self._texts.get(index, "") + (delta.pop("content", None) or "")
        if not (reason := choice.get("finish_reason")):
            return {**choice, "delta": delta}
        text = self._texts.pop(index)
        if (found := _CALL.match(text)) is None:
            return {**choice, "delta": delta}  # cut before the call began
        arguments = found[2]
        if reason != "length":
            arguments, reason = arguments.rstrip().removesuffix("}").rstrip(), "tool_calls"
        function = {"name": orjson.loads(found[1]), "arguments": arguments}
        call = {"index": 0, "id": f"call_{secrets.token_hex(12)}", "type": "function", "function": function}
        return {**choice, "delta": {**delta, "tool_calls": [call]}, "finish_reason": reason}


def _closed(schema: dict[str, Any]) -> dict[str, Any]:
    """A function without parameters takes none: a small model would not stop inventing some."""
    if schema.get("type", "object") != "object" or schema.keys() - {
        "type",
        "properties",
        "$schema",
        "title",
        "required",
    }:
        return schema
    return schema if schema.get("properties") else {"type": "object", "properties": {}, "additionalProperties": False}


def _moved(schema: Any, place: str) -> Any:
    """The schema with its references as they are where it stands now."""
    if isinstance(schema, dict):
        return {
            name: place + value.removeprefix(_LOCAL)
            if name == "$ref" and isinstance(value, str) and value.startswith(_LOCAL)
            else _moved(value, place)
            for name, value in schema.items()
        }
    return [_moved(each, place) for each in schema] if isinstance(schema, list) else schema


_UNREAD: Final = ("thinking", "redacted_thinking", "reasoning")
"""Parts that a model wrote for itself: no template of a model on the box reads them."""


def readable(messages: list[Any]) -> list[Any]:
    """The conversation as llama.cpp takes it: parts of text as text, arguments as JSON. Media stays, to be refused."""
    return [_readable(message) if isinstance(message, dict) else message for message in messages]


def _readable(message: dict[str, Any]) -> dict[str, Any]:
    made = message
    if isinstance(content := message.get("content"), list):
        made = {**made, "content": [_text(part) for part in content if part.get("type") not in _UNREAD]}
    if isinstance(calls := message.get("tool_calls"), list):
        made = {**made, "tool_calls": [_as_json(call) for call in calls]}
    return made


def _text(part: dict[str, Any]) -> dict[str, Any]:
    text = part.get("text", part.get("refusal"))
    return {"type": "text", "text": text} if isinstance(text, str) else part


def _as_json(call: dict[str, Any]) -> dict[str, Any]:
    function = call.get("function")
    if not isinstance(function, dict) or not isinstance(arguments := function.get("arguments"), str):
        return call
    try:
        orjson.loads(arguments)
    except orjson.JSONDecodeError:  # a weak model's call, kept in its history
        return {**call, "function": {**function, "arguments": orjson.dumps(arguments).decode()}}
    return call
