"""Requests of Anthropic's Messages API (`POST /v1/messages`, version 2023-06-01) as OpenAI's chat body.

Written after the published API reference (2026-11). What chat can say is said in its words; what a model's own clouds
read in chat bodies too (`cache_control`, `thinking`, `thinking_blocks`, `top_k`) stays beside them under its name. What
cannot be said is refused with the field's name; nothing is dropped without a word. Values are not echoed in errors.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import orjson

from netgpt.dialects.messages_tools import as_list, as_object, as_text, choice_of, invalid, tools_of
from netgpt.errors import RequestError

CARRIED: Final = "netgpt-detail:"
"""What begins a signature that carries a piece of reasoning as another dialect has it: see `carried`."""
FORMAT: Final = "anthropic-claude-v1"
"""How pieces of reasoning in chat's words name what a model of this dialect signed (OpenRouter's name)."""
NO_THREADS: Final = "thread_unsupported_request"
CALL_EXTRAS: Final = ("extra_content", "provider_specific_fields", "thought_signature")
"""What some clouds send beside a call and must have back: it travels in an encrypted thought of its own."""
_NOT_HERE: Final = {
    "container": "containers run at the provider, and this request may go elsewhere",
    "mcp_servers": "servers of tools are called by the provider, and this request may go elsewhere",
    "inference_geo": "the region is the owner's choice (cloud.region, and the rules that ask for it)",
    "fallbacks": "which model answers when one refuses is the owner's choice (netgpt.fallback)",
    "compaction": "no conversation is shortened here; shorten it before you send it",
}
_UNSAID: Final = frozenset(
    ["context_management", "diagnostics", "speed", "user_profile_id", "workspace_id", "billing_policy"]
)
"""Wishes that change nothing of what the answer means: the answer says in its own words that none was met, or they
name an account at the provider, which stays here."""
_SESSION: Final = re.compile(r"user_[0-9a-f]{16,}_account_|.*_session_[0-9a-f-]{36}\Z|\s*\{", re.DOTALL)
"""How ids of agents begin or end that name a device and a session, not a person."""


def to_chat(body: Mapping[str, Any], *, counting: bool = False) -> dict[str, Any]:
    """The chat body. `counting`: of `count_tokens`, which needs no `max_tokens`. Raises RequestError: the field that
    is wrong, or that chat cannot say."""
    if body.get("max_tokens") is None and not counting:
        raise invalid("max_tokens", "Field required")
    chat: dict[str, Any] = {"messages": []}
    if body.get("system") is not None:
        chat["messages"] += [_system(body["system"], "system")]
    messages = as_list(body.get("messages"), "messages")
    if not messages:
        raise invalid("messages", "at least one message is required")
    for number, message in enumerate(messages):
        chat["messages"] += _messages(as_object(message, where := f"messages.{number}"), where)
    for name, value in body.items():
        if value is not None and name not in ("system", "messages"):
            _field(chat, name, value)
    if chat.get("stream"):
        chat["stream_options"] = {"include_usage": True}
    return chat


_NAMES: Final = {"user": "metadata.user_id", "stop": "stop_sequences", "response_format": "output_config.format",
                 "reasoning_effort": "output_config.effort"}  # fmt: skip


def in_our_words(error: RequestError) -> RequestError:
    """What is wrong with the chat body, by the names that its fields have here; messages are counted otherwise."""
    param = error.param or ""
    name = param.partition(".")[0]
    here = name if name == "messages" else _NAMES.get(name)
    if here is not None:
        error.message = here + error.message.removeprefix(param) if error.message.startswith(param) else error.message
        error.param = here
    return error


def _field(chat: dict[str, Any], name: str, value: Any) -> None:
    """One field of the request beside its messages, put into the chat body."""
    if name in _FIELDS:
        _FIELDS[name](chat, value)
    elif name in _NOT_HERE and value not in ("global", "not_available", [], {}):
        raise invalid(name, _NOT_HERE[name])
    elif name not in _UNSAID and name not in _NOT_HERE:
        chat[name] = value  # as chat passes what it does not know: searched, and refused by who knows better


def _thread(_chat: dict[str, Any], _value: Any) -> None:
    """The code is the API's own: with it, its clients go on by themselves and send the whole conversation."""
    raise RequestError("thread: no thread is kept here; send the whole conversation without it",
                       code=NO_THREADS, param="thread")  # fmt: skip


def _stops(chat: dict[str, Any], value: Any) -> None:
    stops = [as_text(each, f"stop_sequences.{n}") for n, each in enumerate(as_list(value, "stop_sequences"))]
    chat.update({"stop": stops} if stops else {})


def _metadata(chat: dict[str, Any], value: Any) -> None:
    """The caller's id of its user. One of an agent's device and session is nobody's name: the key says who asks."""
    rest = {name: each for name, each in as_object(value, "metadata").items() if each is not None}
    user = rest.pop("user_id", None)
    if user is not None and not _SESSION.match(as_text(user, "metadata.user_id")):
        chat["user"] = user
    if rest:
        raise invalid(f"metadata.{next(iter(rest))}", "Extra inputs are not permitted")


def _tools(chat: dict[str, Any], value: Any) -> None:
    chat.update({"tools": tools} if (tools := tools_of(value)) else {})


def _choice(chat: dict[str, Any], value: Any) -> None:
    chat.update(choice_of(value))


def _thinking(chat: dict[str, Any], value: Any) -> None:
    kind = as_object(value, "thinking").get("type")
    if kind not in ("enabled", "disabled", "adaptive", "between_tools"):
        raise invalid("thinking.type", "Input should be 'enabled', 'disabled' or 'adaptive'")
    if kind == "enabled" and type(value.get("budget_tokens")) is not int:
        raise invalid("thinking.budget_tokens", "Field required, a number of tokens")
    chat["thinking"] = value


def _service_tier(chat: dict[str, Any], value: Any) -> None:
    if value not in ("auto", "standard_only"):
        raise invalid("service_tier", "Input should be 'auto' or 'standard_only'")
    chat["service_tier"] = "auto" if value == "auto" else "default"


def _output_config(chat: dict[str, Any], value: Any) -> None:
    for name, each in as_object(value, "output_config").items():
        if name == "effort" and each is not None:
            chat["reasoning_effort"] = as_text(each, "output_config.effort")
        elif name == "format" and each is not None:
            _output_format(chat, each, "output_config.format")
        elif name != "task_budget" and each is not None:  # a wish: how much a whole task may take
            raise invalid(f"output_config.{name}", "Extra inputs are not permitted")


def _output_format(chat: dict[str, Any], value: Any, where: str = "output_format") -> None:
    form = as_object(value, where)
    if form.get("type") != "json_schema":
        raise invalid(f"{where}.type", "Input should be 'json_schema'")
    schema = as_object(form.get("schema"), f"{where}.schema")
    named = {"name": form.get("name") or "answer", "schema": schema, "strict": True}
    chat["response_format"] = {"type": "json_schema", "json_schema": named}


_FIELDS: Final[Mapping[str, Callable[[dict[str, Any], Any], None]]] = {
    "stop_sequences": _stops, "metadata": _metadata, "tools": _tools, "tool_choice": _choice, "thinking": _thinking,
    "service_tier": _service_tier, "thread": _thread, "output_config": _output_config, "output_format": _output_format,
    "betas": lambda _chat, _value: None, "anthropic_version": lambda _chat, _value: None,
}  # fmt: skip


def _system(value: Any, where: str) -> dict[str, Any]:
    """The system prompt, at the beginning or in the middle: a text, or a list of texts."""
    if isinstance(value, str):
        return {"role": "system", "content": value}
    blocks = as_list(value, where)
    return {"role": "system", "content": [_part(block, f"{where}.{n}", ("text",)) for n, block in enumerate(blocks)]}


def _messages(message: Mapping[str, Any], where: str) -> list[dict[str, Any]]:
    """One message as chat's: results of tools are messages of their own there, and come first."""
    role, content = message.get("role"), message.get("content")
    if role not in ("user", "assistant", "system"):
        raise invalid(f"{where}.role", "Input should be 'user', 'assistant' or 'system'")
    rest = {name: value for name, value in message.items() if name not in ("role", "content") and value is not None}
    if role == "system":
        return [_system(content, f"{where}.content") | rest]
    if isinstance(content, str):
        return [{"role": role, "content": content, **rest}]
    blocks = [
        (as_object(block, at := f"{where}.content.{n}"), at)
        for n, block in enumerate(as_list(content, f"{where}.content"))
    ]
    return [_assistant(blocks) | rest] if role == "assistant" else _user(blocks, rest)


_Blocks = Sequence[tuple[Mapping[str, Any], str]]
"""Blocks of a message, each with where it stands."""


def _user(blocks: _Blocks, rest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A user's message: what tools gave, then what the user wrote. Chat's results are texts: their pictures follow."""
    results: list[dict[str, Any]] = []
    parts: list[dict[str, Any]] = []
    for block, where in blocks:
        if block.get("type") == "tool_result":
            result, media = _result(block, where)
            results.append(result)
            parts += media
        else:
            parts += _parts(block, where)
    return [*results, {"role": "user", "content": parts, **rest}] if parts or not results else results


def _result(block: Mapping[str, Any], where: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What a tool gave, and its pictures and files. An error is said in words, as chat has no sign for it."""
    id = as_text(block.get("tool_use_id"), f"{where}.tool_use_id")
    content = block.get("content")
    known = ("type", "tool_use_id", "content", "is_error", "toolset_name")
    rest = {name: value for name, value in block.items() if name not in known and value is not None}
    if block.get("toolset_name"):
        raise invalid(f"{where}.toolset_name", "sets of tools of the provider have no name in other dialects")
    said: str | list[dict[str, Any]] = content if isinstance(content, str) else []
    media: list[dict[str, Any]] = []
    if isinstance(said, list) and content is not None:
        for n, inner in enumerate(as_list(content, f"{where}.content")):
            for part in _parts(as_object(inner, at := f"{where}.content.{n}"), at):
                (said if part["type"] == "text" else media).append(part)
        said = said[0]["text"] if len(said) == 1 and set(said[0]) == {"type", "text"} else said
    if media:
        media = [{"type": "text", "text": f"Of the tool's result {id}:"}, *media]
    if block.get("is_error") and not _says_error(said):
        said = f"Error: {said}" if isinstance(said, str) else [{"type": "text", "text": "Error:"}, *said]
    return {"role": "tool", "tool_call_id": id, "content": said or "", **rest}, media


def _says_error(said: str | list[dict[str, Any]]) -> bool:
    text = said if isinstance(said, str) else said[0]["text"] if said else ""
    return re.match(r"\W*(?:\w+\W?)?error", text, re.IGNORECASE) is not None


def _assistant(blocks: _Blocks) -> dict[str, Any]:
    """What the model said, thought and called."""
    message: dict[str, Any] = {"role": "assistant", "content": None}
    parts: list[dict[str, Any]] = []
    for block, where in blocks:
        kind = block.get("type")
        if kind == "tool_use":
            message.setdefault("tool_calls", []).append(_call(block, where))
        elif kind in ("thinking", "redacted_thinking"):
            _think(message, block, where)
        else:
            parts += _parts(block, where)
    details = message.pop("reasoning_details", [])
    beside = {str(each["of_call"]): each for each in details if "of_call" in each}
    for call in message.get("tool_calls", ()):
        call |= {name: value for name, value in beside.get(call["id"], {}).items() if name in CALL_EXTRAS}
    message["reasoning_details"] = [each for each in details if "of_call" not in each]
    plain = len(parts) == 1 and set(parts[0]) == {"type", "text"}
    message["content"] = parts[0]["text"] if plain else parts or (None if message.get("tool_calls") else "")
    return {name: value for name, value in message.items() if name == "content" or value}


def _call(block: Mapping[str, Any], where: str) -> dict[str, Any]:
    caller = block.get("caller")
    if isinstance(caller, dict) and caller.get("type") != "direct":
        raise invalid(f"{where}.caller", "tools that are called by code run at the provider")
    if block.get("toolset_name"):
        raise invalid(f"{where}.toolset_name", "sets of tools of the provider have no name in other dialects")
    known = ("type", "id", "name", "input", "caller", "toolset_name")
    rest = {name: value for name, value in block.items() if name not in known and value is not None}
    arguments = orjson.dumps(as_object(block.get("input", {}), f"{where}.input")).decode()
    function = {"name": as_text(block.get("name"), f"{where}.name"), "arguments": arguments}
    return {"id": as_text(block.get("id"), f"{where}.id"), "type": "function", "function": function, **rest}


def _think(message: dict[str, Any], block: Mapping[str, Any], where: str) -> None:
    """A thought: signatures and encrypted ones go byte for byte. Clouds know it by one of two names, and pass over the
    other: LiteLLM's `thinking_blocks`, OpenRouter's `reasoning_details`."""
    if block.get("type") == "redacted_thinking":
        sealed = as_text(block.get("data"), f"{where}.data")
    else:
        thought = as_text(block.get("thinking"), f"{where}.thinking")
        sealed = as_text(block.get("signature") or "", f"{where}.signature")
    if sealed.startswith(CARRIED):
        detail = _uncarried(sealed, f"{where}.signature")
        if block.get("type") == "thinking" and (name := detail.pop("said_in", None)):
            detail[name] = thought
        message.setdefault("reasoning_details", []).append(detail)
    elif not sealed:
        message["reasoning_content"] = message.get("reasoning_content", "") + thought
    else:
        blocks, details = (message.setdefault(name, []) for name in ("thinking_blocks", "reasoning_details"))
        blocks.append(dict(block))
        encrypted = block.get("type") == "redacted_thinking"
        words = {"data": sealed} if encrypted else {"text": thought, "signature": sealed}
        kind = "reasoning.encrypted" if encrypted else "reasoning.text"
        details.append({"type": kind, **words, "format": FORMAT, "index": len(details)})


def carried(detail: Mapping[str, Any], said_in: str | None) -> str:
    """A piece of reasoning of another dialect in what this one calls a signature, so that it comes back as it was.
    `said_in`: the field of its text, which stands beside it."""
    rest = {name: value for name, value in detail.items() if name != said_in}
    return CARRIED + base64.urlsafe_b64encode(orjson.dumps(rest | ({"said_in": said_in} if said_in else {}))).decode()


def _uncarried(text: str, where: str) -> dict[str, Any]:
    try:
        detail = orjson.loads(base64.urlsafe_b64decode(text.removeprefix(CARRIED)))
    except (binascii.Error, ValueError):
        detail = None
    if not isinstance(detail, dict):
        raise invalid(where, "send it back as it was given")
    return detail


_PASSED: Final = ("text", "image", "document", "search_result", "tool_reference", "compaction")


def _part(block: Any, where: str, kinds: Sequence[str]) -> dict[str, Any]:
    block = as_object(block, where)
    if block.get("type") not in kinds:
        raise invalid(f"{where}.type", f"Input should be {' or '.join(map(repr, kinds))}")
    return _parts(block, where)[0]


def _parts(block: Mapping[str, Any], where: str) -> list[dict[str, Any]]:
    """A block of content as parts of chat's content."""
    kind = block.get("type")
    if kind not in _PASSED:
        raise invalid(f"{where}.type", "blocks of this type cannot be said to other models: " + ", ".join(_PASSED))
    if isinstance(cited := block.get("citations"), dict) and cited.get("enabled"):
        raise invalid(f"{where}.citations", "citations are made by the provider; ask for quotations in words")
    mark = {"cache_control": block["cache_control"]} if block.get("cache_control") is not None else {}
    if kind == "text":
        rest = {name: value for name, value in block.items() if name not in ("type", "text") and value is not None}
        return [{"type": "text", "text": as_text(block.get("text"), f"{where}.text"), **rest}]
    if kind == "compaction":
        return [{"type": "text", "text": as_text(block.get("content") or "", f"{where}.content"), **mark}]
    if kind == "tool_reference":
        name = as_text(block.get("tool_name"), f"{where}.tool_name")
        return [{"type": "text", "text": f"The tool {name} can be called.", **mark}]
    if kind == "image":
        return [{**_image(block, where), **mark}]
    parts = _found(block, where) if kind == "search_result" else _document(block, where)
    return [*parts[:-1], {**parts[-1], **mark}]


def _source(block: Mapping[str, Any], where: str) -> tuple[str, Mapping[str, Any]]:
    source = as_object(block.get("source"), f"{where}.source")
    if source.get("type") == "file":
        raise invalid(f"{where}.source.type", "files kept at the provider cannot be read elsewhere; send their content")
    return str(source.get("type")), source


def _data_uri(source: Mapping[str, Any], where: str) -> str:
    kind = as_text(source.get("media_type"), f"{where}.source.media_type")
    return f"data:{kind};base64,{as_text(source.get('data'), f'{where}.source.data')}"


def _image(block: Mapping[str, Any], where: str) -> dict[str, Any]:
    kind, source = _source(block, where)
    if kind not in ("base64", "url"):
        raise invalid(f"{where}.source.type", "Input should be 'base64' or 'url'")
    url = _data_uri(source, where) if kind == "base64" else as_text(source.get("url"), f"{where}.source.url")
    return {"type": "image_url", "image_url": {"url": url}}


def _found(block: Mapping[str, Any], where: str) -> list[dict[str, Any]]:
    heads = [as_text(block.get(name), f"{where}.{name}") for name in ("title", "source")]
    inner = as_list(block.get("content"), f"{where}.content")
    return [
        {"type": "text", "text": "\n".join(heads)},
        *(_part(each, f"{where}.content.{n}", ("text",)) for n, each in enumerate(inner)),
    ]


def _document(block: Mapping[str, Any], where: str) -> list[dict[str, Any]]:
    """A document: its title and context are texts before it, unless a file's name says the title."""
    kind, source = _source(block, where)
    title, context = (block.get(name) and as_text(block[name], f"{where}.{name}") for name in ("title", "context"))
    heads = [{"type": "text", "text": text} for text in (title, context) if text]
    if kind == "text":
        return [*heads, {"type": "text", "text": as_text(source.get("data"), f"{where}.source.data")}]
    if kind == "content":
        content = source.get("content")
        inner = content if isinstance(content, list) else [{"type": "text", "text": content}]
        kinds = ("text", "image")
        return [*heads, *(_part(each, f"{where}.source.content.{n}", kinds) for n, each in enumerate(inner))]
    if kind == "base64":
        file = {"filename": title or "document.pdf", "file_data": _data_uri(source, where)}
        return [*heads[1 if title else 0 :], {"type": "file", "file": file}]
    raise invalid(f"{where}.source.type", "send the document itself: 'base64', 'text' or 'content'")
