"""OpenAI's Responses API (as its SDK 3.54 types it): its request as OpenAI's chat body.

Items that one answer gave (reasoning, message, calls) become one assistant message, as chat has them. Reasoning travels
as `reasoning_details` in OpenRouter's form, encrypted content byte for byte. What is about the answer's keeping
(metadata, store, include) stays on the box.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from netgpt.dialects import cannot_say, wrong
from netgpt.errors import NetGPTError, NotFound

PATH: Final = "/v1/responses"
FORMAT: Final = "openai-responses-v1"
"""`format` of a piece of reasoning whose encryption is OpenAI's (OpenRouter's name)."""
ENCRYPTED: Final = "reasoning.encrypted_content"
LOGPROBS: Final = "message.output_text.logprobs"
INCLUDABLE: Final = frozenset(
    (
        ENCRYPTED, LOGPROBS, "message.input_image.image_url",
        "file_search_call.results", "computer_call_output.output.image_url", "code_interpreter_call.outputs",
        "web_search_call.action.sources", "web_search_call.results",
    )
)  # fmt: skip
_OF_THE_BOX: Final = frozenset(
    (
        "input", "instructions", "metadata", "client_metadata", "store", "previous_response_id", "truncation",
        "include", "background", "max_tool_calls", "stream_options", "max_output_tokens", "reasoning", "text",
        "tools", "tool_choice", "parallel_tool_calls", "top_logprobs", "before",
    )
)  # fmt: skip
"""Fields that are translated, or that say what the box keeps and shows; all others are chat's too."""
_CURES: Final = {
    "conversation": "send the items, or previous_response_id",
    "prompt": "send the template's words as instructions",
    "context_management": "shorten the input yourself",
    "background_options": "leave it out",
    "access_programs": "leave it out",
    "image": "leave it out",
}


def to_chat(body: Mapping[str, Any], before: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    """The chat body. `before`: the items of the conversation so far, which this request goes on with.

    Raises RequestError, which names the field: it is malformed, or chat cannot say it; NotFound: an item that is not
    in `before`.
    """
    for name, cure in _CURES.items():
        if body.get(name) not in (None, [], {}):
            raise cannot_say(name, cure)
    _check_kept_here(body)
    chat = {name: value for name, value in body.items() if name not in _OF_THE_BOX and value is not None}
    chat["messages"] = _messages(body, before)
    if body.get("max_output_tokens") is not None:
        chat["max_completion_tokens"] = body["max_output_tokens"]
    include = body.get("include") or ()
    if body.get("top_logprobs") or LOGPROBS in include:
        chat |= {"logprobs": True} | ({"top_logprobs": body["top_logprobs"]} if body.get("top_logprobs") else {})
    _say_form(body, chat)
    _say_tools(body, chat)
    if chat.get("stream"):
        chat["stream_options"] = {"include_usage": True}
    return chat


def _check_kept_here(body: Mapping[str, Any]) -> None:
    if body.get("background"):
        raise cannot_say("background", "ask without it, or with `netgpt.may_wait`, which keeps it until it can be sent")
    if body.get("truncation") not in (None, "disabled"):
        raise cannot_say("truncation", 'shorten the input yourself; "disabled" is how it is here')
    options = _object(body.get("stream_options") or {}, "stream_options")
    if options.get("include_obfuscation"):
        raise cannot_say("stream_options.include_obfuscation", "leave it out; use TLS and a padding of your own")
    for place, each in enumerate(_list(body.get("include") or [], "include")):
        if each not in INCLUDABLE:
            raise wrong(f"include.{place}", f"must be one of {', '.join(sorted(INCLUDABLE))}")
    metadata = _object(body.get("metadata") or {}, "metadata")
    if len(metadata) > 16 or not all(
        isinstance(v, str) and len(v) <= 512 and len(k) <= 64 for k, v in metadata.items()
    ):
        raise wrong("metadata", "must be at most 16 texts of 512 characters, under names of 64")


def _say_form(body: Mapping[str, Any], chat: dict[str, Any]) -> None:
    """The form of the answer, its length, and how much is thought before it."""
    text = _object(body.get("text") or {}, "text")
    _check_fields(text, ("format", "verbosity"), "text")
    if text.get("verbosity") is not None:
        chat["verbosity"] = text["verbosity"]
    form = _object(text.get("format") or {}, "text.format")
    kind = form.get("type", "text")
    if kind == "json_schema":
        _check_fields(form, ("type", "name", "description", "schema", "strict"), "text.format")
        schema = {name: value for name, value in form.items() if name != "type" and value is not None}
        chat["response_format"] = {"type": kind, kind: schema}
    elif kind == "json_object":
        chat["response_format"] = {"type": kind}
    elif kind != "text":
        raise cannot_say("text.format.type", "use text, json_object or json_schema")
    reasoning = _object(body.get("reasoning") or {}, "reasoning")
    # How much of the reasoning is told is the model's matter: what it tells is passed on.
    _check_fields(
        reasoning,
        ("effort", "summary", "generate_summary"),
        "reasoning",
        says_nothing={"context": "auto", "mode": "standard"},
    )
    if reasoning.get("effort") is not None:
        chat["reasoning_effort"] = reasoning["effort"]


def _say_tools(body: Mapping[str, Any], chat: dict[str, Any]) -> None:
    tools = [said for place, tool in enumerate(_list(body.get("tools") or [], "tools"))
             for said in _tools(tool, f"tools.{place}")]  # fmt: skip
    named = [tool[tool["type"]].get("name") for tool in tools]
    if twice := next((name for name in named if named.count(name) > 1), None):
        raise wrong("tools", f"two are called {twice}")
    choice = _choice(body.get("tool_choice"))
    if tools:
        chat["tools"] = tools
        chat |= {"tool_choice": choice} if choice is not None else {}
        if body.get("parallel_tool_calls") is not None:
            chat["parallel_tool_calls"] = body["parallel_tool_calls"]
    elif choice not in (None, "auto", "none"):
        raise wrong("tool_choice", "there is no tool to choose")


_FREE_TO_CALL: Final = {"allowed_callers": ["direct"], "defer_loading": False, "async": False}
"""What says nothing of a tool."""


def _tools(tool: Any, where: str) -> list[dict[str, Any]]:
    """A tool; of a namespace all of them, as chat has no such groups."""
    tool = _object(tool, where)
    if tool.get("type") != "namespace":
        return [_tool(tool, where)]
    _check_fields(tool, ("type", "name", "description", "tools"), where)
    space, inner = _text(tool, "name", where), _list(tool.get("tools"), f"{where}.tools")
    said = [_tool(each, f"{where}.tools.{place}") for place, each in enumerate(inner)]
    for place, each in enumerate(said):
        one = each[each["type"]]
        one["name"] = within(space, str(one.get("name")))
        if not place and tool.get("description"):  # a model is told once what its tools are for
            one["description"] = f"[{space}: {tool['description']}]\n{one.get('description') or ''}".rstrip()
    return said


_LONGEST_NAME: Final = 64
_SALT: Final = secrets.token_bytes(16)
"""Of this process: what stands for a long namespace tells nothing of it."""


def within(space: str, name: str) -> str:
    """The name in chat of a function of a namespace; too long with it, another word stands for the namespace.

    Nothing is cut in the middle: half of a private value would not be found any more.
    """
    flat = f"{space}__{name}"
    if len(flat) <= _LONGEST_NAME:
        return flat
    word = hashlib.sha256(_SALT + space.encode()).hexdigest()[:10]
    short = f"ns_{word}__{name}"
    return short if len(short) <= _LONGEST_NAME else f"ns_{hashlib.sha256(_SALT + flat.encode()).hexdigest()[:32]}"


def namespaces_of(said: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Namespace and name of each function that has one, by its name in chat."""
    spaces = [tool for tool in said.get("tools") or () if tool.get("type") == "namespace"]
    pairs = [(space["name"], tool["name"]) for space in spaces for tool in space["tools"]]
    return {within(*pair): pair for pair in pairs}


def _tool(tool: Any, where: str) -> dict[str, Any]:
    tool = _object(tool, where)
    kind = tool.get("type")
    if kind == "function":
        _check_fields(tool, ("type", "name", "description", "parameters", "strict"), where, says_nothing=_FREE_TO_CALL)
        said = {name: tool.get(name) for name in ("name", "description", "parameters", "strict")}
        return {"type": kind, kind: {name: value for name, value in said.items() if value is not None}}
    if kind == "custom":
        _check_fields(tool, ("type", "name", "description", "format"), where, says_nothing=_FREE_TO_CALL)
        custom = {name: tool[name] for name in ("name", "description", "format") if tool.get(name) is not None}
        form = _object(custom.get("format") or {}, f"{where}.format")
        if form.get("type") == "grammar":
            grammar = {name: value for name, value in form.items() if name != "type"}
            custom["format"] = {"type": "grammar", "grammar": grammar}
        return {"type": kind, kind: custom}
    name = kind if isinstance(kind, str) else "a tool without a type"
    raise cannot_say(f"{where}.type", f"leave {name} out, or offer a function of your own", code="unsupported_tool")


def _choice(choice: Any) -> Any:
    if choice is None or choice in ("auto", "none", "required"):
        return choice
    choice = _object(choice, "tool_choice")
    kind = choice.get("type")
    if kind in ("function", "custom"):
        return {"type": kind, kind: {"name": choice.get("name")}}
    if kind == "allowed_tools":
        tools = [_choice(tool) for tool in _list(choice.get("tools"), "tool_choice.tools")]
        return {"type": kind, kind: {"mode": choice.get("mode"), "tools": tools}}
    raise cannot_say("tool_choice.type", "use auto, none, required, function, custom or allowed_tools")


def _messages(body: Mapping[str, Any], before: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    conversation = _Conversation(before)
    if body.get("instructions"):
        conversation.messages.append({"role": "system", "content": body["instructions"]})
    for item in before:
        conversation.add(item, "previous_response_id")
    asked = items_of(body)
    for place, item in enumerate(asked):
        conversation.add(item, f"input.{place}")
    if not asked and not before:
        raise wrong("input", "is empty: write something")
    return conversation.messages


def reference_of(item: Any) -> str | None:
    """The id of an item that is only named; None: it is there itself."""
    if not isinstance(item, dict) or item.get("type", "item_reference") != "item_reference" or "role" in item:
        return None
    return item["id"] if isinstance(item.get("id"), str) else None


def items_of(body: Mapping[str, Any]) -> list[Any]:
    """The request's own items. A text is one message of the user's."""
    asked = body.get("input") or []
    if isinstance(asked, str):
        return [{"type": "message", "role": "user", "content": asked}]
    return _list(asked, "input")


class _Conversation:
    """Chat messages, made of items one after the other."""

    def __init__(self, before: Sequence[Mapping[str, Any]]) -> None:
        self.messages: list[dict[str, Any]] = []
        self._known = {item["id"]: item for item in before if isinstance(item.get("id"), str)}
        self._details = 0

    def add(self, item: Any, where: str) -> None:
        item = _object(item, where)
        kind = item.get("type")
        if kind is None:
            kind = "message" if "role" in item else "item_reference"
        adds = _ADDS.get(str(kind))
        if adds is None:
            raise cannot_say(f"{where}.type", f"leave items of the type {str(kind)[:40]} out")
        if isinstance(item.get("id"), str) and kind != "item_reference":
            self._known.setdefault(item["id"], item)
        adds(self, item, where)

    def _answer(self, *, anew: bool = False) -> dict[str, Any]:
        """The assistant message that is being put together; a new one where none is, or `anew`."""
        last = self.messages[-1] if self.messages else {}
        if last.get("role") != "assistant" or anew:
            last = {"role": "assistant", "content": None}
            self.messages.append(last)
        return last

    def _message(self, item: Mapping[str, Any], where: str) -> None:
        role, content = item.get("role"), item.get("content")
        if role not in ("user", "assistant", "system", "developer"):
            raise wrong(f"{where}.role", "must be user, assistant, system or developer")
        parts = [content] if isinstance(content, str) else _list(content, f"{where}.content")
        said = [_part(part, f"{where}.content.{place}") for place, part in enumerate(parts)]
        if role != "assistant":
            self.messages.append({"role": role, "content": _together(said)})
            return
        last = self._answer()
        if last["content"] is not None or "refusal" in last:
            if not last.get("tool_calls"):
                last = self._answer(anew=True)
            elif isinstance(last["content"], str):  # words between calls: chat has them in one message
                said = [{"type": "text", "text": last["content"]}, *said]
            else:
                said = [*(last["content"] or ()), *said]
        refusals = [part["refusal"] for part in said if part["type"] == "refusal"]
        words = [part for part in said if part["type"] != "refusal"]
        last["content"] = _together(words) if words or not refusals else None
        last |= {"refusal": "".join(refusals)} if refusals else {}
        last |= {"phase": item["phase"]} if item.get("phase") is not None else {}
        last |= extras_of(item)
        marks = [
            mark
            for place, part in enumerate(parts)
            if isinstance(part, dict) and part.get("annotations") is not None
            for mark in _list(part["annotations"], f"{where}.content.{place}.annotations")
        ]
        last |= {"annotations": [_mark(mark) for mark in marks]} if marks else {}

    def _call(self, item: Mapping[str, Any], where: str) -> None:
        kind, text = ("function", "arguments") if item["type"] == "function_call" else ("custom", "input")
        for name in ("call_id", "name", text):
            if not isinstance(item.get(name), str):
                raise wrong(f"{where}.{name}", "must be a text")
        space = item.get("namespace")
        name = within(space, item["name"]) if isinstance(space, str) else item["name"]
        call = {"id": item["call_id"], "type": kind, kind: {"name": name, text: item[text]}}
        self._answer().setdefault("tool_calls", []).append(call | extras_of(item))

    def _output(self, item: Mapping[str, Any], where: str) -> None:
        if not isinstance(item.get("call_id"), str):
            raise wrong(f"{where}.call_id", "must be a text")
        output = item.get("output")
        if not isinstance(output, str):
            output = [_part(p, f"{where}.output.{n}") for n, p in enumerate(_list(output, f"{where}.output"))]
        said = output if isinstance(output, str) else _together(output)
        self.messages.append({"role": "tool", "tool_call_id": item["call_id"], "content": said})

    def _reasoning(self, item: Mapping[str, Any], where: str) -> None:
        last = self._answer()
        if (last["content"] is not None or "refusal" in last) and not last.get("tool_calls"):
            last = self._answer(anew=True)
        summary, content = (
            [str(_object(part, f"{where}.{name}.{place}").get("text") or "") for place, part in enumerate(parts)]
            for name, parts in (
                (name, _list(item.get(name) or [], f"{where}.{name}")) for name in ("summary", "content")
            )
        )
        encrypted = item.get("encrypted_content")
        if not isinstance(encrypted, str | None):
            raise wrong(f"{where}.encrypted_content", "must be a text")
        if content and not summary and not encrypted:
            last["reasoning_content"] = (last.get("reasoning_content") or "") + "".join(content)
            return
        head = {"id": item["id"]} if isinstance(item.get("id"), str) else {}
        format, field, data = unmarked(encrypted)
        texts: list[dict[str, Any]] = [{"type": "reasoning.summary", "summary": text} for text in summary]
        texts += [{"type": "reasoning.text", "text": text} for text in content]
        if field == "signature" and texts:
            texts[-1] |= {"signature": data}
        elif data is not None:
            texts.append({"type": "reasoning.encrypted", "data": data})
        for detail in texts:
            own = {} if format != FORMAT else head
            last.setdefault("reasoning_details", []).append({**detail, **own, "format": format, "index": self._details})
            self._details += 1

    def _reference(self, item: Mapping[str, Any], where: str) -> None:
        known = self._known.get(str(item.get("id")))
        if known is None:
            raise NotFound(
                f"{where}.id: no such item in this conversation: send the item itself",
                code="item_not_found",
                param=f"{where}.id",
            )
        self.add(known, where)


_ADDS: Final[Mapping[str, Callable[[_Conversation, Mapping[str, Any], str], None]]] = {
    "message": _Conversation._message,
    "function_call": _Conversation._call,
    "custom_tool_call": _Conversation._call,
    "function_call_output": _Conversation._output,
    "custom_tool_call_output": _Conversation._output,
    "reasoning": _Conversation._reasoning,
    "item_reference": _Conversation._reference,
}

_MARKED: Final = re.compile(r"netgpt:([a-z0-9.-]{1,40}):(signature|data):(.+)", re.DOTALL)


def marked(data: str, format: str, field: str) -> str:
    """Encrypted content that this API can carry, of what another cloud signed or encrypted."""
    return data if format == FORMAT and field == "data" else f"netgpt:{format}:{field}:{data}"


def unmarked(encrypted: str | None) -> tuple[str, str, str | None]:
    """(format, signature or data, the bytes themselves): the opposite of `marked`."""
    match = _MARKED.fullmatch(encrypted or "")
    return (match[1], match[2], match[3]) if match else (FORMAT, "data", encrypted)


_EXTRAS: Final = ("extra_content", "provider_specific_fields", "thought_signature")
"""Where other clouds put what they want back byte for byte, on messages and calls."""


def extras_of(thing: Mapping[str, Any]) -> dict[str, Any]:
    return {name: thing[name] for name in _EXTRAS if thing.get(name) is not None}


def _together(parts: Sequence[Mapping[str, Any]]) -> Any:
    """A content: a single text is a text."""
    if len(parts) == 1 and parts[0].keys() == {"type", "text"}:
        return parts[0]["text"]
    return list(parts)


def _part(part: Any, where: str) -> dict[str, Any]:
    """A part of a content or of a tool's output."""
    if isinstance(part, str):
        return {"type": "text", "text": part}
    part = _object(part, where)
    kind = part.get("type")
    if kind in ("input_text", "output_text", "text", "summary_text", "reasoning_text"):
        said: dict[str, Any] = {"type": "text", "text": _text(part, "text", where)}
    elif kind == "refusal":
        said = {"type": "refusal", "refusal": _text(part, "refusal", where)}
    elif kind == "input_image":
        if part.get("file_id") is not None or part.get("image_url") is None:
            raise cannot_say(f"{where}.file_id", "send the picture as image_url")
        detail = {"detail": part["detail"]} if part.get("detail") is not None else {}
        said = {"type": "image_url", "image_url": {"url": _text(part, "image_url", where), **detail}}
    elif kind == "input_file":
        for name in ("file_url", "detail"):
            if part.get(name) not in (None, "auto"):
                raise cannot_say(f"{where}.{name}", "send the file as file_data")
        names = ("file_data", "file_id", "filename")
        said = {"type": "file", "file": {name: part[name] for name in names if part.get(name) is not None}}
    elif kind == "input_audio":
        said = {"type": kind, kind: part.get(kind)}
    else:
        raise cannot_say(f"{where}.type", "use input_text, input_image or input_file")
    if part.get("prompt_cache_breakpoint") is not None:
        said["prompt_cache_breakpoint"] = part["prompt_cache_breakpoint"]
    return said


def _mark(mark: Any) -> Any:
    """A citation as chat writes it: within an object that is called as its type."""
    kind = mark.get("type") if isinstance(mark, dict) else None
    if not isinstance(kind, str):
        return mark
    return {"type": kind, kind: {name: value for name, value in mark.items() if name != "type"}}


def _text(part: Mapping[str, Any], name: str, where: str) -> str:
    value = part.get(name)
    if not isinstance(value, str):
        raise wrong(f"{where}.{name}", "must be a text")
    return value


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise wrong(where, "must be an object")
    return value


def _list(value: Any, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise wrong(where, "must be a list")
    return value


def _check_fields(
    thing: Mapping[str, Any], known: Sequence[str], where: str, says_nothing: Mapping[str, Any] | None = None
) -> None:
    """Raises RequestError for a field that would be lost; those without a value say nothing."""
    for name, value in thing.items():
        if name not in known and value is not None and (says_nothing or {}).get(name) != value:
            raise cannot_say(f"{where}.{name}", "leave it out")


_IN_CHAT: Final = (
    ("response_format.json_schema", "text.format"), ("response_format", "text.format"), ("messages", "input"),
    ("max_completion_tokens", "max_output_tokens"), ("max_tokens", "max_output_tokens"),
    ("reasoning_effort", "reasoning.effort"), ("verbosity", "text.verbosity"),
)  # fmt: skip


def error_body(error: NetGPTError) -> tuple[int, dict[str, Any]]:
    """Status and body of an error. What chat calls otherwise has this API's name in `param`."""
    body = error.as_openai()
    for theirs, ours in _IN_CHAT:
        if error.param is not None and (error.param == theirs or error.param.startswith(f"{theirs}.")):
            # the numbers of chat's messages are not those of the items
            body["error"]["param"] = ours if theirs == "messages" else ours + error.param.removeprefix(theirs)
            break
    return error.status, body
