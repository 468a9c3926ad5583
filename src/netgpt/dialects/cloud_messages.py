"""OpenAI's chat body said in Anthropic's Messages API (version 2023-06-01, as its SDK 2.14 types it)."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any, Final

from netgpt.dialects.saying import (
    MESSAGES_FORMAT,
    Saying,
    arguments_of,
    as_object,
    check_fields,
    check_message,
    data_of,
    named,
    parts_of,
    texts_of,
    thoughts_of,
    without_breakpoints,
    words_of,
)
from netgpt.outbound import Encoder, SaidBody

NAME: Final = "anthropic"
_API: Final = "Anthropic's Messages API"
_NATIVE: Final = frozenset(
    (
        "model", "stream", "thinking", "cache_control", "container", "mcp_servers",
        "context_management", "inference_geo", "speed", "diagnostics",
    )
)  # fmt: skip
"""Fields that go as they are: of the same name in both, or this API's own."""
_SAID: Final = frozenset(
    (
        "messages", "max_tokens", "max_completion_tokens", "stop", "tools", "tool_choice", "parallel_tool_calls",
        "response_format", "reasoning_effort", "output_config", "user", "safety_identifier", "metadata", "service_tier",
        "stream_options", "temperature", "top_p", "top_k",
    )
)  # fmt: skip
_HINTS: Final = frozenset(
    (
        "seed", "store", "prediction", "verbosity", "prompt_cache_key", "prompt_cache_retention",
        "prompt_cache_options",
    )
)  # fmt: skip
_NOTHING: Final[Mapping[str, Any]] = {
    "n": 1, "logprobs": False, "top_logprobs": 0, "presence_penalty": 0, "frequency_penalty": 0, "logit_bias": {},
    "modalities": ["text"], "store": False, "verbosity": "medium", "tools": [],
}  # fmt: skip
"""Values that say what is so anyway."""
_CURES: Final = {
    "n": "ask several times", "functions": "use tools", "function_call": "use tool_choice",
    "web_search_options": 'use a tool of the type "web_search_20250305"',
}  # fmt: skip
_BUDGETS: Final = {"minimal": 1_024, "low": 2_048, "medium": 8_192, "high": 16_384, "xhigh": 24_576, "max": 32_768}
"""Tokens to think, for models that are told a number."""
_LEAST_BUDGET: Final = 1_024
_WITH_BUDGET: Final = re.compile(
    r"claude-(?:v?[1-3]\b|instant|(?:opus|sonnet|haiku)-4(?:[-.@](?:0|1|5|20\d{6})\b|$))|^(?!.*claude)"
)
"""Models before Claude 4.6, and other makers' that speak this API: they think by a budget, not adaptively, and take a
system message at the beginning only."""
_SAMPLES: Final = re.compile(rf"{_WITH_BUDGET.pattern}|claude-(?:opus|sonnet)-4[-.]6")
"""Models that take a temperature."""


def messages_encoder(max_tokens: int, passes: Collection[str] = ()) -> Encoder:
    """`max_tokens`: of a request that names none; this API wants a bound. `passes`: fields that go as they are."""
    return partial(_said, max_tokens=max_tokens, passes=frozenset(passes))


def _said(body: Mapping[str, Any], max_tokens: int, passes: frozenset[str]) -> SaidBody:
    saying = Saying(_API)
    fields = {name: value for name, value in body.items() if value is not None and _NOTHING.get(name) != value}
    for name in fields:
        if name in _HINTS:
            saying.leave_out(name)
        elif name not in _NATIVE | _SAID | passes:
            saying.cannot(name, _CURES.get(name, "leave it out"))
    said: dict[str, Any] = {name: value for name, value in fields.items() if name in _NATIVE | passes}
    said["max_tokens"] = fields.get("max_completion_tokens") or fields.get("max_tokens") or max_tokens
    by_budget = _WITH_BUDGET.search(str(body.get("model"))) is not None
    system, messages = _conversation(fields.get("messages") or (), saying, at_beginning=by_budget)
    said |= {"messages": messages} | ({"system": system} if system else {})
    _say_sampling(fields, said, saying)
    _say_limits(fields, said, saying)
    _say_tools(fields, said, saying)
    _say_form(fields, said, saying, by_budget=by_budget)
    if user := fields.get("user") or fields.get("safety_identifier"):
        said["metadata"] = {"user_id": user}
    return SaidBody(said, NAME, saying.left_out)


def _say_sampling(fields: Mapping[str, Any], said: dict[str, Any], saying: Saying) -> None:
    """Models since Claude 4.7 choose how they sample, and refuse to be told."""
    takes = _SAMPLES.search(str(fields.get("model"))) is not None
    for name in ("temperature", "top_p", "top_k"):
        if takes and name in fields:
            if name == "temperature" and fields[name] > 1:
                saying.cannot(name, "it goes from 0 to 1 there", what="more than 1")
            said[name] = fields[name]
        elif name in fields and fields[name] != 1:
            saying.leave_out(name)


def _say_limits(fields: Mapping[str, Any], said: dict[str, Any], saying: Saying) -> None:
    stops = fields.get("stop")
    stops = [each for each in ([stops] if isinstance(stops, str) else stops or ()) if each]
    if any(not each.strip() for each in stops):
        saying.cannot("stop", "name words", what="a stop of blanks alone")
    if stops:
        said["stop_sequences"] = stops
    tier = fields.get("service_tier")
    if tier in ("auto", "standard_only"):
        said["service_tier"] = tier
    elif tier in ("default", "standard"):
        said["service_tier"] = "standard_only"
    elif tier is not None:
        saying.leave_out("service_tier")
    metadata = fields.get("metadata") or {}
    if isinstance(metadata, dict) and isinstance(metadata.get("user_id"), str):
        said["metadata"] = {"user_id": metadata["user_id"]}
        metadata = {name: value for name, value in metadata.items() if name != "user_id"}
    if metadata:
        saying.leave_out("metadata")


def _say_tools(fields: Mapping[str, Any], said: dict[str, Any], saying: Saying) -> None:
    tools = [_tool(at, kind, tool, saying) for at, kind, tool in named(fields.get("tools") or (), "tools", saying)]
    if tools:
        said["tools"] = tools
    choice = fields.get("tool_choice")
    if isinstance(choice, str):
        choice = {"type": {"required": "any"}.get(choice, choice)}
    elif isinstance(choice, dict) and choice.get("type") == "function":
        choice = {
            "type": "tool",
            "name": as_object(choice.get("function") or choice, "tool_choice", saying).get("name"),
        }
    elif isinstance(choice, dict) and choice.get("type") not in ("auto", "any", "tool", "none"):
        saying.cannot("tool_choice", "name one function, or offer fewer tools")
    if fields.get("parallel_tool_calls") is False and tools and (choice or {}).get("type") != "none":
        choice = {**(choice or {"type": "auto"}), "disable_parallel_tool_use": True}
    if choice is not None:
        said["tool_choice"] = choice


def _tool(at: str, kind: str, tool: dict[str, Any], saying: Saying) -> dict[str, Any]:
    if kind == "custom" and "input_schema" not in tool:
        saying.cannot(at, "describe its input by a schema, as a function", what="a tool with free input")
    if kind != "function":
        return tool  # of this API's own
    known = ("name", "description", "parameters", "strict", "input_examples")
    check_fields(tool, known, at, saying)
    said = {name: tool.get(name) for name in known if name != "parameters"} | {"strict": tool.get("strict") or None}
    schema = as_object(tool.get("parameters"), f"{at}.parameters", saying)
    schema = schema if schema.get("type") else {"type": "object", "properties": {}, **schema}
    marks = without_breakpoints(tool, at, saying, takes="cache_control")
    return {name: value for name, value in said.items() if value is not None} | {"input_schema": schema, **marks}


def _say_form(fields: Mapping[str, Any], said: dict[str, Any], saying: Saying, *, by_budget: bool) -> None:
    """The form of the answer, and how much is thought before it."""
    config = as_object(fields.get("output_config"), "output_config", saying)
    form = as_object(fields.get("response_format"), "response_format", saying)
    if form.get("type") == "json_schema":
        given = as_object(form.get("json_schema"), "response_format.json_schema", saying)
        words = {"title": given.get("name"), "description": given.get("description")}
        schema = {name: value for name, value in words.items() if value} | as_object(
            given.get("schema"), "response_format", saying
        )
        config["format"] = {"type": "json_schema", "schema": schema}
    elif form.get("type") not in (None, "text"):
        saying.cannot("response_format", 'use {"type": "json_schema"}, with a schema', what="JSON without a schema")
    effort = fields.get("reasoning_effort")
    if effort == "none":
        said.setdefault("thinking", {"type": "disabled"})
    elif effort is not None and ("thinking" in said or not by_budget):
        config["effort"] = "low" if effort == "minimal" else effort
        said.setdefault("thinking", {"type": "adaptive"})
    elif effort is not None:
        _say_budget(_BUDGETS.get(str(effort), _LEAST_BUDGET), fields, said, saying)
    if config:
        said["output_config"] = config


def _say_budget(budget: int, fields: Mapping[str, Any], said: dict[str, Any], saying: Saying) -> None:
    """Thoughts count towards the bound: within one of the caller's, on top of one of ours."""
    if not (fields.get("max_completion_tokens") or fields.get("max_tokens")):
        said["max_tokens"] += budget
    budget = min(budget, said["max_tokens"] * 3 // 4)
    if budget < _LEAST_BUDGET:
        saying.leave_out("reasoning_effort")
    else:
        said["thinking"] = {"type": "enabled", "budget_tokens": budget}


Blocks = list[dict[str, Any]]


def _conversation(messages: Sequence[Any], saying: Saying, *, at_beginning: bool) -> tuple[Blocks, list[Any]]:
    """System blocks, and turns: what one side says in a row is one turn. `at_beginning`: the model takes system
    messages there only, so later ones are said there, and that is told."""
    system: Blocks = []
    turns: list[tuple[str, Blocks]] = []
    for place, message in enumerate(messages):
        where, role = f"messages.{place}", message.get("role")
        blocks = _blocks(message, where, saying)
        if role in ("system", "developer") and (not turns or at_beginning):
            if turns:
                saying.leave_out(f"{where}.role")
            system += blocks
            continue
        speaker = {"tool": "user", "developer": "system"}.get(role, role)
        if not blocks:
            continue
        if turns and turns[-1][0] == speaker:
            turns[-1][1].extend(blocks)
        else:
            turns.append((speaker, blocks))
    if not turns:
        saying.cannot("messages", "add a message of the user", what="a system message alone")
    return system, [{"role": role, "content": _short(blocks)} for role, blocks in turns]


def _short(blocks: Blocks) -> str | Blocks:
    """One plain text as such."""
    return blocks[0]["text"] if len(blocks) == 1 and blocks[0].keys() == {"type", "text"} else blocks


def _blocks(message: Mapping[str, Any], where: str, saying: Saying) -> Blocks:
    """What one message says. Fields of earlier answers that only the sender's program knows are told, not refused."""
    role = message.get("role")
    check_message(message, where, saying)
    blocks = [
        block
        for at, part in parts_of(message.get("content"), f"{where}.content", saying)
        if (block := _block(part, at, saying, texts_only=role in ("system", "developer"))) is not None
    ]
    if role == "assistant":
        blocks = [*_thinking(message, where, saying), *blocks, *_calls(message, where, saying)]
        if message.get("refusal") and not texts_of(message.get("content")):
            blocks.append({"type": "text", "text": message["refusal"]})
    if role == "tool":
        result = {"type": "tool_result", "tool_use_id": call_id(message.get("tool_call_id"))}
        blocks = [result | ({"content": _short(blocks)} if blocks else {})]
    marks = without_breakpoints(message, where, saying, takes="cache_control")
    if marks and blocks:
        blocks[-1] = {**blocks[-1], **marks}
    return blocks


def _block(part: dict[str, Any], at: str, saying: Saying, *, texts_only: bool) -> dict[str, Any] | None:
    kind = part.get("type")
    if kind in ("text", "refusal"):
        check_fields(part, ("type", "text", "refusal"), at, saying, hints=("annotations", "citations", "logprobs"))
        text = part.get("text") or part.get("refusal")
        return {"type": "text", "text": text, **without_breakpoints(part, at, saying, takes="cache_control")}
    if texts_only or kind not in ("image_url", "file", "image", "document", "search_result"):
        saying.cannot(f"{at}.type", "send text, pictures or files", what="such a part there")
    if kind in ("image", "document", "search_result"):
        return part  # of this API's own
    marks = without_breakpoints(part, at, saying, takes="cache_control")
    return (_image if kind == "image_url" else _file)(part.get(kind), f"{at}.{kind}", saying) | marks


def _image(image: Any, at: str, saying: Saying) -> dict[str, Any]:
    image = {"url": image} if isinstance(image, str) else as_object(image, at, saying)
    image = {name: value for name, value in image.items() if (name, value) != ("detail", "auto")}
    check_fields(image, ("url",), at, saying, hints=("detail",))
    return {"type": "image", "source": _source(str(image.get("url")), at, saying)}


def _source(url: str, at: str, saying: Saying) -> dict[str, Any]:
    if (data := data_of(url)) is not None:
        return {"type": "base64", "media_type": data[0], "data": data[1]}
    if not re.match(r"https?://", url):
        saying.cannot(at, "send an https address or a data URI in base64", what="such an address")
    return {"type": "url", "url": url}


def _file(file: Any, at: str, saying: Saying) -> dict[str, Any]:
    file = as_object(file, at, saying)
    check_fields(file, ("file_data", "file_id", "filename"), at, saying)
    title = {"title": file["filename"]} if file.get("filename") else {}
    if file.get("file_id"):
        return {"type": "document", "source": {"type": "file", "file_id": file["file_id"]}, **title}
    kind, data = data_of(str(file.get("file_data"))) or ("", "")
    if kind.startswith("image/"):
        return {"type": "image", "source": {"type": "base64", "media_type": kind, "data": data}}
    if kind == "text/plain":
        text = base64.b64decode(data + "==").decode("utf-8", "replace")
        return {"type": "document", "source": {"type": "text", "media_type": kind, "data": text}, **title}
    if kind != "application/pdf":
        saying.cannot(at, "send a PDF, plain text or a picture, as a data URI", what="such a file")
    return {"type": "document", "source": {"type": "base64", "media_type": kind, "data": data}, **title}


def _thinking(message: Mapping[str, Any], where: str, saying: Saying) -> Blocks:
    """Signed thoughts as they came; those that another maker signed, or nobody, are left out, which is told."""
    blocks: Blocks = []
    thoughts = thoughts_of(message)
    for detail in thoughts:
        if detail.get("format") not in (None, MESSAGES_FORMAT):
            saying.leave_out(f"{where}.reasoning_details")
        elif detail.get("signature"):
            said = {"type": "thinking", "thinking": words_of(detail)}
            blocks.append({**said, "signature": detail["signature"]})
        elif detail.get("type") == "reasoning.encrypted" and detail.get("data"):
            blocks.append({"type": "redacted_thinking", "data": detail["data"]})
        else:
            saying.leave_out(f"{where}.reasoning_details")
    if not thoughts and (message.get("reasoning_content") or message.get("reasoning")):
        saying.leave_out(f"{where}.reasoning_content")
    return blocks


def _calls(message: Mapping[str, Any], where: str, saying: Saying) -> Blocks:
    blocks: Blocks = []
    for at, kind, call in named(message.get("tool_calls") or (), f"{where}.tool_calls", saying):
        if kind != "function":
            saying.cannot(at, "call functions only", what="a call with free input")
        given = message["tool_calls"][len(blocks)]
        block = {"type": "tool_use", "id": call_id(given.get("id")), "name": call.get("name")}
        marks = without_breakpoints(given, at, saying, takes="cache_control")
        blocks.append({**block, "input": arguments_of(call.get("arguments")), **marks})
    return blocks


_CALL_ID: Final = re.compile(r"[a-zA-Z0-9_-]{1,256}")


def call_id(id: Any) -> str:
    """The id of a call; one that this API does not take (of another maker) is replaced by its digest, the same at the
    call and at its result."""
    if isinstance(id, str) and _CALL_ID.fullmatch(id):
        return id
    return "call_" + hashlib.sha256(str(id).encode("utf-8", "replace")).hexdigest()[:32]


def without_thoughts(body: dict[str, Any]) -> dict[str, Any]:
    """The request without signed thoughts, and without thinking, which would want them before the last results."""
    thoughts = ("thinking", "redacted_thinking")
    for turn in body["messages"]:
        if isinstance(turn["content"], list):
            turn["content"] = [block for block in turn["content"] if block["type"] not in thoughts]
    said = {name: value for name, value in body.items() if name != "thinking"}
    return {**said, "messages": [turn for turn in body["messages"] if turn["content"]]}
