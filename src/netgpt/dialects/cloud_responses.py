"""OpenAI's chat body said in OpenAI's Responses API (as its SDK 3.54 types it).

Nothing is kept there: `store` is false unless the request asks for it, and encrypted reasoning comes along, so that it
can be sent back in the next turn.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any, Final

from netgpt.dialects.saying import (
    RESPONSES_FORMAT,
    Saying,
    as_object,
    check_fields,
    check_message,
    named,
    parts_of,
    texts_of,
    thoughts_of,
    without_breakpoints,
    words_of,
)
from netgpt.outbound import Encoder, SaidBody

NAME: Final = "responses"
_API: Final = "OpenAI's Responses API"
_NATIVE: Final = frozenset(
    (
        "model", "stream", "temperature", "top_p", "parallel_tool_calls", "metadata", "user", "safety_identifier",
        "prompt_cache_key", "prompt_cache_retention", "prompt_cache_options", "service_tier", "moderation",
        "truncation", "max_tool_calls", "include", "instructions", "context_management",
    )
)  # fmt: skip
_SAID: Final = frozenset(
    (
        "messages", "max_tokens", "max_completion_tokens", "tools", "tool_choice", "response_format", "verbosity",
        "reasoning_effort", "reasoning", "logprobs", "top_logprobs", "store", "web_search_options", "stream_options",
        "text",
    )
)  # fmt: skip
_HINTS: Final = frozenset(("seed", "prediction", "cache_control"))
_NOTHING: Final[Mapping[str, Any]] = {
    "n": 1, "logprobs": False, "top_logprobs": 0, "presence_penalty": 0, "frequency_penalty": 0, "logit_bias": {},
    "modalities": ["text"], "store": False, "stop": [], "tools": [],
}  # fmt: skip
"""Values that say what is so anyway."""
_CURES: Final = {"n": "ask several times", "functions": "use tools", "function_call": "use tool_choice"}
ENCRYPTED: Final = "reasoning.encrypted_content"
_THOUGHTLESS: Final = re.compile(r"gpt-[34]")
"""Models that do not reason, and refuse to be asked for it."""
_LOGPROBS: Final = "message.output_text.logprobs"


def responses_encoder(passes: Collection[str] = ()) -> Encoder:
    """`passes`: fields that go as they are."""
    return partial(_said, passes=frozenset(passes))


def _said(body: Mapping[str, Any], passes: frozenset[str]) -> SaidBody:
    saying = Saying(_API)
    fields = {name: value for name, value in body.items() if value not in (None, "") and _NOTHING.get(name) != value}
    for name in fields:
        if name in _HINTS:
            saying.leave_out(name)
        elif name not in _NATIVE | _SAID | passes:
            saying.cannot(name, _CURES.get(name, "leave it out"))
    said: dict[str, Any] = {name: value for name, value in fields.items() if name in _NATIVE | passes}
    said["input"] = _items(fields.get("messages") or (), saying)
    if bound := fields.get("max_completion_tokens") or fields.get("max_tokens"):
        said["max_output_tokens"] = bound
    said["store"] = fields.get("store", False)
    include = [*(fields.get("include") or ())] + ([] if _THOUGHTLESS.search(str(fields.get("model"))) else [ENCRYPTED])
    if fields.get("logprobs"):
        include.append(_LOGPROBS)
        said |= {"top_logprobs": fields["top_logprobs"]} if "top_logprobs" in fields else {}
    if include:
        said["include"] = list(dict.fromkeys(include))
    options = as_object(fields.get("stream_options"), "stream_options", saying)
    if "include_obfuscation" in options:
        said["stream_options"] = {"include_obfuscation": options["include_obfuscation"]}
    _say_tools(fields, said, saying)
    _say_form(fields, said, saying)
    return SaidBody(said, NAME, saying.left_out)


def _say_form(fields: Mapping[str, Any], said: dict[str, Any], saying: Saying) -> None:
    """The form of the answer, how long it is, and how much is thought before it."""
    text = as_object(fields.get("text"), "text", saying)
    form = as_object(fields.get("response_format"), "response_format", saying)
    if form.get("type") == "json_schema":
        given = as_object(form.get("json_schema"), "response_format.json_schema", saying)
        check_fields(given, ("name", "description", "schema", "strict"), "response_format.json_schema", saying)
        text["format"] = {"type": "json_schema", "name": "answer", **given}
    elif form.get("type") == "json_object":
        text["format"] = {"type": "json_object"}
    elif form.get("type") not in (None, "text"):
        saying.cannot("response_format", 'use {"type": "json_schema"}', what="such a form")
    if "verbosity" in fields:
        text["verbosity"] = fields["verbosity"]
    reasoning = as_object(fields.get("reasoning"), "reasoning", saying)
    if "reasoning_effort" in fields:
        reasoning["effort"] = fields["reasoning_effort"]
    said |= {name: value for name, value in (("text", text), ("reasoning", reasoning)) if value}


def _say_tools(fields: Mapping[str, Any], said: dict[str, Any], saying: Saying) -> None:
    tools = [_tool(at, kind, tool, saying) for at, kind, tool in named(fields.get("tools") or (), "tools", saying)]
    if "web_search_options" in fields:
        tools.append({"type": "web_search", **_search(fields["web_search_options"], saying)})
    if tools:
        said["tools"] = tools
    choice = fields.get("tool_choice")
    if isinstance(choice, dict) and isinstance(inner := choice.get(str(choice.get("type"))), dict):
        allowed = [_flat(tool) for tool in inner.get("tools") or ()]
        choice = {"type": choice["type"], **inner} | ({"tools": allowed} if allowed else {})
    if choice is not None:
        said["tool_choice"] = choice


def _flat(tool: Any) -> Any:
    """A function that is named within an object of its own, named at its side."""
    inner = tool.get(str(tool.get("type"))) if isinstance(tool, dict) else None
    return {"type": tool["type"], **inner} if isinstance(inner, dict) else tool


def _search(given: Any, saying: Saying) -> dict[str, Any]:
    options = as_object(given, "web_search_options", saying)
    check_fields(options, ("search_context_size", "user_location"), "web_search_options", saying)
    if isinstance(place := options.get("user_location"), dict):
        options["user_location"] = {"type": "approximate", **(place.get("approximate") or {})}
    return options


def _tool(at: str, kind: str, tool: dict[str, Any], saying: Saying) -> dict[str, Any]:
    without_breakpoints(tool, at, saying)
    tool = {name: value for name, value in tool.items() if name not in ("cache_control", "prompt_cache_breakpoint")}
    if kind == "function":
        check_fields(tool, ("name", "description", "parameters", "strict"), at, saying, hints=("input_examples",))
        tool.pop("input_examples", None)
        # What chat leaves open is false there, and true here.
        return {"type": kind, "parameters": {"type": "object", "properties": {}}, "strict": False} | tool
    if kind != "custom":
        return tool  # of this API's own
    form = as_object(tool.get("format"), f"{at}.format", saying)
    if form:
        tool["format"] = {"type": form.get("type"), **as_object(form.get("grammar"), f"{at}.format", saying)}
    return {"type": kind, **tool}


Items = list[dict[str, Any]]


def _items(messages: Sequence[Any], saying: Saying) -> Items:
    items: Items = []
    custom: set[str] = set()
    for place, message in enumerate(messages):
        where, role = f"messages.{place}", message.get("role")
        check_message(message, where, saying, more=("phase",))
        without_breakpoints(message, where, saying)
        if role == "assistant":
            items += _answer(message, where, saying, custom)
        elif role == "tool":
            id = call_id(message.get("tool_call_id"))
            kind = "custom_tool_call_output" if id in custom else "function_call_output"
            items.append({"type": kind, "call_id": id, "output": _content(message, where, saying)})
        else:
            items.append({"role": role, "content": _content(message, where, saying)})
    return items


def _answer(message: Mapping[str, Any], where: str, saying: Saying, custom: set[str]) -> Items:
    """An earlier answer: thoughts, words and calls, in this order. A refusal is said as its words."""
    items = _reasoning(message, where, saying)
    for at, part in parts_of(message.get("content"), f"{where}.content", saying):
        if part.get("type") not in ("text", "refusal"):
            saying.cannot(f"{at}.type", "send the words", what="such a part of an answer")
        without_breakpoints(part, at, saying)
    words = texts_of(message.get("content"))
    if words := words or (message.get("refusal") or ""):
        phase = {"phase": message["phase"]} if message.get("phase") is not None else {}
        items.append({"role": "assistant", "content": words, **phase})
    calls = message.get("tool_calls") or ()
    for (_, kind, call), given in zip(named(calls, f"{where}.tool_calls", saying), calls, strict=True):
        id = call_id(given.get("id"))
        item = {"call_id": id, "name": call.get("name")}
        if kind == "custom":
            custom.add(id)
            items.append({"type": "custom_tool_call", **item, "input": call.get("input") or ""})
        else:
            items.append({"type": "function_call", **item, "arguments": call.get("arguments") or "{}"})
    return items


def _reasoning(message: Mapping[str, Any], where: str, saying: Saying) -> Items:
    """Reasoning items as they came; some clients leave their ids out, then what is encrypted ends one. What another
    maker encrypted, or nobody did, is left out, which is told."""
    items: dict[Any, dict[str, Any]] = {}
    unnamed = 0
    thoughts = thoughts_of(message)
    for detail in thoughts:
        kind, id = str(detail.get("type")), detail.get("id")
        if detail.get("format", RESPONSES_FORMAT) != RESPONSES_FORMAT or not isinstance(id, str | None):
            saying.leave_out(f"{where}.reasoning_details")
            continue
        named = {} if id is None else {"id": id}
        item = items.setdefault(id or unnamed, {"type": "reasoning", **named, "summary": []})
        if kind == "reasoning.summary":
            item["summary"].append({"type": "summary_text", "text": words_of(detail)})
        elif kind == "reasoning.text":
            item.setdefault("content", []).append({"type": "reasoning_text", "text": words_of(detail)})
        elif kind == "reasoning.encrypted":
            item["encrypted_content"], unnamed = detail.get("data"), unnamed + 1
    whole = [item for item in items.values() if item.get("encrypted_content") or item.get("content")]
    if len(whole) < len(items):
        saying.leave_out(f"{where}.reasoning_details")
    if not thoughts and (message.get("reasoning_content") or message.get("reasoning")):
        saying.leave_out(f"{where}.reasoning_content")
    return whole


def _content(message: Mapping[str, Any], where: str, saying: Saying) -> str | Items:
    content = message.get("content")
    if not isinstance(content, list):
        return content or ""
    parts = [_part(part, at, saying) for at, part in parts_of(content, f"{where}.content", saying)]
    return parts[0]["text"] if len(parts) == 1 and parts[0].keys() == {"type", "text"} else parts


def _part(part: dict[str, Any], at: str, saying: Saying) -> dict[str, Any]:
    kind = str(part.get("type"))
    marks = without_breakpoints(part, at, saying, takes="prompt_cache_breakpoint")
    if kind == "text":
        check_fields(part, ("type", "text"), at, saying)
        return {"type": "input_text", "text": part["text"], **marks}
    inner = part.get(kind)
    if kind == "image_url":
        image = {"url": inner} if isinstance(inner, str) else as_object(inner, at, saying)
        check_fields(image, ("url", "detail"), f"{at}.{kind}", saying)
        return {"type": "input_image", "image_url": image.get("url"), "detail": image.get("detail") or "auto", **marks}
    if kind == "file":
        file = as_object(inner, at, saying)
        check_fields(file, ("file_data", "file_id", "filename"), f"{at}.{kind}", saying)
        return {"type": "input_file", **file, **marks}
    if kind in ("input_text", "input_image", "input_file"):
        return part  # of this API's own
    saying.cannot(f"{at}.type", "send text, pictures or files", what="such a part")


_LONGEST_ID: Final = 64


def call_id(id: Any) -> str:
    """The id of a call; one that is longer than this API takes is replaced by its digest, the same at its result."""
    if isinstance(id, str) and 0 < len(id) <= _LONGEST_ID:
        return id
    return "call_" + hashlib.sha256(str(id).encode("utf-8", "replace")).hexdigest()[:32]


def without_thoughts(body: dict[str, Any]) -> dict[str, Any]:
    """The request without reasoning items."""
    return {**body, "input": [item for item in body["input"] if item.get("type") != "reasoning"]}
