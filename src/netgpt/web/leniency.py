"""Chat bodies as clients write them -> as OpenAI's document has them: read leniently, written strictly.

What means the same is written the one way that every server takes: whole numbers as whole numbers, no field that says
nothing (null, an empty list of tools, an empty stop), texts as parts, arguments as JSON text. Nothing that says
something is left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

_WHOLE: Final = ("max_tokens", "max_completion_tokens", "n", "seed", "top_logprobs", "top_k")
_LIMITS: Final = ("max_tokens", "max_completion_tokens")
_NO_LIMIT: Final = (-1, -2)
"""How llama.cpp, LM Studio and older LangChain write "as long as it takes"."""
_FRACTIONS: Final = ("temperature", "top_p", "presence_penalty", "frequency_penalty")
_MOST_SEED: Final = 2**63 - 1
_OF_TOOLS: Final = ("tool_choice", "parallel_tool_calls")
_SAYS: Final = {"tool_calls", "function_call", "audio", "refusal"}
"""Fields with which an assistant's message needs no content."""
_NO_CHOICE: Final = (True, False, "none", "auto")


def tidied(body: Mapping[str, Any]) -> dict[str, Any]:
    """The body written strictly; what has a wrong type stays as it is, for the check to name."""
    made = {name: value for name, value in body.items() if value is not None}
    for name in _WHOLE:
        if isinstance(value := made.get(name), float) and value.is_integer():
            made[name] = int(value)
    for name in _LIMITS:
        if made.get(name) in _NO_LIMIT:
            del made[name]
    for name in _FRACTIONS:
        if isinstance(value := made.get(name), str):
            made[name] = _number(value)
    if type(seed := made.get("seed")) is int and abs(seed) > _MOST_SEED:
        made["seed"] = seed % _MOST_SEED
    if made.get("model") == "":
        del made["model"]
    if "stop" in made:
        _tidy_stop(made)
    if "stream_options" in made and not made.get("stream"):
        del made["stream_options"]
    _tidy_tools(made)
    if isinstance(messages := made.get("messages"), list):
        made["messages"] = [_message(each) if isinstance(each, dict) else each for each in messages]
    return made


def _number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


def _tidy_stop(body: dict[str, Any]) -> None:
    """An empty text would stop an answer before its first word."""
    stop = body["stop"]
    if isinstance(stop, list):
        stop = [each for each in stop if each not in ("", None)]
    if stop in ("", []):
        del body["stop"]
    else:
        body["stop"] = stop


def _tidy_tools(body: dict[str, Any]) -> None:
    for name, function_of in (("tools", "function"), ("functions", None)):
        tools = body.get(name)
        if tools == []:
            del body[name]
        elif isinstance(tools, list):
            body[name] = [_tool(each, function_of) if isinstance(each, dict) else each for each in tools]
    if body.get("tool_choice") == "any":  # Mistral's word
        body["tool_choice"] = "required"
    if "tools" not in body:
        for name in _OF_TOOLS:
            if body.get(name) in _NO_CHOICE:
                del body[name]


def _tool(tool: dict[str, Any], function_of: str | None) -> dict[str, Any]:
    made = _said(tool)
    if function_of is not None and isinstance(function := made.get(function_of), dict):
        return {"type": "function", **made, function_of: _said(function)}
    return made


def _said(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Without fields that are null: they say nothing, and strict servers refuse them."""
    return {name: value for name, value in fields.items() if value is not None}


def _message(message: dict[str, Any]) -> dict[str, Any]:
    content = message.get("content")
    if len(message) == 2 and isinstance(content, str):  # most are just that
        return message
    made = _said(message)
    if message.get("role") == "tool" and not isinstance(content, str | list):
        made["content"] = "" if content is None else orjson.dumps(content).decode()
    elif content is None and "content" in message:
        made["content"] = None  # of a message with calls alone: OpenAI's own clients write it
    elif isinstance(content, dict):
        made["content"] = [_part(content)]
    elif isinstance(content, list):
        made["content"] = [_part(each) for each in content if each is not None]
    if made.get("tool_calls") == []:
        del made["tool_calls"]
    if made.get("content") is None and message.get("role") == "assistant" and not made.keys() & _SAYS:
        made["content"] = ""
    if isinstance(calls := made.get("tool_calls"), list):
        made["tool_calls"] = [_call(each) if isinstance(each, dict) else each for each in calls]
    if isinstance(function := made.get("function_call"), dict):
        made["function_call"] = _arguments(function)
    return made


def _part(part: Any) -> Any:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    if isinstance(part, dict) and part.get("type") is None and isinstance(part.get("text"), str):
        return {**part, "type": "text"}
    return part


def _call(call: dict[str, Any]) -> dict[str, Any]:
    made = {"type": "function", **_said(call)} if "function" in call else _said(call)
    if isinstance(function := made.get("function"), dict):
        made["function"] = _arguments(function)
    return made


def _arguments(function: dict[str, Any]) -> dict[str, Any]:
    """A call's arguments are JSON text; some write the object itself, or nothing where there are none."""
    given = function.get("arguments")
    if isinstance(given, str) and given.strip():
        return function
    return {**function, "arguments": "{}" if given in ("", None) or isinstance(given, str) else _text(given)}


def _text(value: Any) -> str:
    return orjson.dumps(value).decode()
