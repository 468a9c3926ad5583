"""Where a request can carry a text, and how people and programs write one: for planting private values."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from netgpt_bench.people import data_uri

__all__ = ["FRAMES", "PLACES", "framed"]

FRAMES = (
    "{}", "my details: {} thanks!!", "ok so its {} pls dont share", "Name,Contact,Age\nAda,{},41\nBob,none,7",
    "<contact>\n  <value>{}</value>\n</contact>", "| who | what |\n|---|---|\n| x | {} |", "note: {}\nother: none\n",
    "2026-05-01 12:33:01,221 ERROR [worker-3] failed for {} after 3 retries", "x = '{}'  # todo: remove",
    "Hi,\nsee below.\n--\nAda\n{}\nSent from my phone", "BEGIN:VCARD\nVERSION:3.0\nNOTE:{}\nEND:VCARD", "({})",
    "/search?q={}&page=2", "Please update it to {}.", "is {} right?", "**{}**", "`{}`", "- {}\n- none", "foo;{};bar",
    "From: x\nReply-To: {}\nSubject: hi\n\nhello", 'console.log("{}")', "[{}](see)", "WHERE note = '{}' LIMIT 5",
    "> > {}\n> yes", "{} / {}", "1) {}\n2) nothing", "# {}\n\ntext", "\t{}\t", "¿{}?", "„{}“", "«{}»", "…{}…",
)  # fmt: skip


def framed(chance: random.Random, text: str) -> str:
    """The text as it would stand in something that somebody writes."""
    return chance.choice(FRAMES).replace("{}", text)


def _said(text: str) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": text}]}


def _with(**fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": "go on"}], **fields}


def _history(*messages: Mapping[str, Any]) -> dict[str, Any]:
    return {"messages": [*messages, {"role": "user", "content": "go on"}]}


def _called(**function: Any) -> dict[str, Any]:
    call = {"id": "call_1", "type": "function", "function": {"name": "look_up", "arguments": "{}", **function}}
    return _history(
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "done"},
    )


def _tool(**function: Any) -> dict[str, Any]:
    return _with(tools=[{"type": "function", "function": {"name": "look_up", **function}}])


def _schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    return _with(
        response_format={"type": "json_schema", "json_schema": {"name": "out", "schema": {"type": "object", **schema}}}
    )


def _nested(text: str, times: int) -> str:
    for number in range(times):
        text = json.dumps({f"k{number}": [text]})
    return text


PLACES: Mapping[str, Callable[[str], dict[str, Any]]] = {
    "user": _said,
    "system": lambda t: _history({"role": "system", "content": t}),
    "developer": lambda t: _history({"role": "developer", "content": t}),
    "assistant": lambda t: _history({"role": "assistant", "content": t}),
    "tool": lambda t: _history({"role": "tool", "tool_call_id": "call_1", "content": t}),
    "function result": lambda t: _history({"role": "function", "name": "look_up", "content": t}),
    "refusal": lambda t: _history({"role": "assistant", "content": None, "refusal": t}),
    "reasoning": lambda t: _history({"role": "assistant", "content": "x", "reasoning_content": t}),
    "parts": lambda t: _said(""),  # replaced below
    "speaker": lambda t: _history({"role": "user", "name": t, "content": "hi"}),
    "message, unknown field": lambda t: _history({"role": "user", "content": "hi", "annotations": [{"x": t}]}),
    "message, unknown key": lambda t: _history({"role": "user", "content": "hi", t: 1}),
    "tool arguments": lambda t: _called(arguments=json.dumps({"to": t, "n": 1})),
    "tool arguments, not JSON": lambda t: _called(arguments=f"{{to: {t}"),
    "tool arguments, key": lambda t: _called(arguments=json.dumps({t: True})),
    "tool call name": lambda t: _called(name=t),
    "tool call id": lambda t: _history({"role": "tool", "tool_call_id": t, "content": "done"}),
    "tool description": lambda t: _tool(description=t),
    "tool name": lambda t: _tool(name=t),
    "tool parameter": lambda t: _tool(parameters={"type": "object", "properties": {"a": {"description": t}}}),
    "tool parameter name": lambda t: _tool(parameters={"type": "object", "properties": {t: {"type": "string"}}}),
    "tool enum": lambda t: _tool(parameters={"type": "object", "properties": {"a": {"enum": [t, "b"]}}}),
    "tool default": lambda t: _tool(parameters={"type": "object", "properties": {"a": {"default": {"x": t}}}}),
    "tool pattern": lambda t: _tool(parameters={"type": "object", "properties": {"a": {"pattern": t}}}),
    "tool unknown": lambda t: _with(tools=[{"type": t, "x": {"y": t}}]),
    "old functions": lambda t: _with(functions=[{"name": "f", "description": t}], function_call={"name": t}),
    "tool choice": lambda t: _with(tool_choice={"type": "function", "function": {"name": t}}),
    "tool choice, word": lambda t: _with(tool_choice=t),
    "metadata": lambda t: _with(metadata={"about": t}),
    "metadata key": lambda t: _with(metadata={t: "x"}),
    "end user": lambda t: _with(user=t[:256]),
    "safety id": lambda t: _with(safety_identifier=t, prompt_cache_key=t),
    "stop": lambda t: _with(stop=t),
    "stops": lambda t: _with(stop=["x", t]),
    "logit bias": lambda t: _with(logit_bias={t: 5}),
    "prediction": lambda t: _with(prediction={"type": "content", "content": t}),
    "prediction parts": lambda t: _with(prediction={"type": "content", "content": [{"type": "text", "text": t}]}),
    "schema title": lambda t: _schema({"title": t, "properties": {}}),
    "schema description": lambda t: _schema({"properties": {"a": {"type": "string", "description": t}}}),
    "schema const": lambda t: _schema({"properties": {"a": {"const": t}}}),
    "schema required": lambda t: _schema({"required": [t]}),
    "schema $ref": lambda t: _schema({"$defs": {t: {}}, "$ref": t}),
    "schema type": lambda t: _schema({"properties": {"a": {"type": t}}}),
    "schema, if then": lambda t: _schema({"if": {"properties": {t: {"const": t}}}, "x-note": t}),
    "schema name": lambda t: _with(response_format={"type": "json_schema", "json_schema": {"name": t, "schema": {}}}),
    "response format": lambda t: _with(response_format={"type": t}),
    "unknown field": lambda t: _with(extra_body={"deep": [[{"x": t}]]}),
    "unknown key": lambda t: _with(**{f"x-{t}": 1}),
    "modalities": lambda t: _with(modalities=[t], service_tier=t, reasoning_effort=t, verbosity=t),
    "audio": lambda t: _with(audio={"voice": t, "format": t}),
    "web search": lambda t: _with(web_search_options={"user_location": {"approximate": {"city": t}}}),
    "stream options": lambda t: _with(stream_options={"note": t}),
    "a level of JSON": lambda t: _said(_nested(t, 1)),
    "three levels of JSON": lambda t: _said(_nested(t, 3)),
    "JSON in a fence": lambda t: _said("```json\n" + json.dumps({"a": {"b": t}}, indent=2) + "\n```"),
    "JSON, escaped": lambda t: _said(
        "".join(f"\\u{ord(c):04x}" if not c.isalnum() else c for c in t if ord(c) < 65536)
    ),
    "form": lambda t: _said("a=1&note=" + quote(t) + "&b=2"),
    "image address": lambda t: _history(
        {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "https://x.example/" + quote(t)}}]}
    ),
    "file name": lambda t: _history(
        {
            "role": "user",
            "content": [{"type": "file", "file": {"filename": t, "file_data": data_uri("png", "")}}],
        }
    ),
    "file id": lambda t: _history({"role": "user", "content": [{"type": "file", "file": {"file_id": t}}]}),
    "video": lambda t: _history({"role": "user", "content": [{"type": "video_url", "video_url": {"url": t}}]}),
    "unknown part": lambda t: _history({"role": "user", "content": [{"type": "thing", "x": {t: t}}]}),
}


def _parts(text: str) -> dict[str, Any]:
    """Cut into three parts that a reader would join."""
    third = max(1, len(text) // 3)
    pieces = [text[:third], text[third : 2 * third], text[2 * third :]]
    return _history({"role": "user", "content": [{"type": "text", "text": piece} for piece in pieces]})


PLACES = {**PLACES, "parts": _parts}
