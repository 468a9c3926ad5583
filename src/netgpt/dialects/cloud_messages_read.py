"""Answers, events and errors of Anthropic's Messages API read as OpenAI's chat."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from netgpt.dialects.reading import Speaker, as_mapping, as_text, count, objects, usage_of
from netgpt.dialects.saying import MESSAGES_FORMAT
from netgpt.types import Chunk

_FINISH: Final = {
    "end_turn": "stop", "stop_sequence": "stop", "tool_use": "tool_calls", "max_tokens": "length",
    "model_context_window_exceeded": "length", "pause_turn": "length", "refusal": "content_filter",
}  # fmt: skip
STATUSES: Final = {
    "invalid_request_error": 400, "authentication_error": 401, "billing_error": 402, "permission_error": 403,
    "not_found_error": 404, "request_too_large": 413, "rate_limit_error": 429, "api_error": 500, "timeout_error": 504,
    "overloaded_error": 529,
}  # fmt: skip
"""The HTTP status that each type of error comes with, also where it comes in the middle of a stream."""


class MessagesReader:
    """Reads one answer. Signed thoughts are `thinking_blocks`, as LiteLLM names them, in pieces with an index. Blocks
    of tools that the cloud itself runs are passed over; their words come as text."""

    def __init__(self, peer: str) -> None:
        self._say = Speaker(peer)
        self._usage: dict[str, Any] = {}
        self._kinds: dict[Any, str] = {}
        """Type of each block that has begun."""
        self._inputs: dict[Any, Any] = {}
        """Inputs that came with the beginning of a call, of which no piece has come."""
        self._open: Any = None

    def read(self, event: Any) -> Iterator[Chunk | None]:
        """One event as chunks, None: the answer is whole. Unknown ones, and pings, are passed over."""
        if not isinstance(event, Mapping):
            raise self._say.broken("an event that is no object")
        place = event.get("index") if isinstance(event.get("index"), int) else None
        match event.get("type"):
            case "message_start":
                message = as_mapping(event.get("message"))
                self._usage |= as_mapping(message.get("usage"))
                yield self._say.begin(message)
            case "content_block_start":
                yield from self._begun(place, as_mapping(event.get("content_block")))
            case "content_block_delta":
                yield from self._piece(place, as_mapping(event.get("delta")))
            case "content_block_stop":
                yield from self._stopped(place)
            case "message_delta":
                said = {name: value for name, value in as_mapping(event.get("usage")).items() if value is not None}
                self._usage |= said
                yield from self._finished(as_mapping(event.get("delta")))
            case "message_stop":
                if not self._say.said_anything:
                    raise self._say.broken("an end without an answer")
                if self._open is not None:
                    raise self._say.broken("the end of an answer in the middle of one of its parts")
                yield self._say.usage(_usage(self._usage))
                yield None

    def whole(self, message: Mapping[str, Any]) -> dict[str, Any]:
        """A whole answer as a `chat.completion`."""
        if message.get("type") != "message" or not isinstance(message.get("content"), list):
            raise self._say.broken("an answer without messages' content")
        self._say.begin(message)
        said: dict[str, Any] = {"role": "assistant", "content": None}
        for place, block in enumerate(objects(message["content"])):
            for chunk in (*self._begun(place, block), *self._stopped(place)):
                _join(said, chunk["choices"][0]["delta"])
        finish = _FINISH.get(as_text(message.get("stop_reason")), "stop")
        if words := as_text(as_mapping(message.get("stop_details")).get("explanation")):
            said["refusal"] = words
        choice = {"index": 0, "message": said, "finish_reason": finish, **_native(message)}
        usage = _usage(as_mapping(message.get("usage")))
        return {**self._say.head, "object": "chat.completion", "choices": [choice], "usage": usage}

    def _begun(self, place: Any, block: Mapping[str, Any]) -> Iterator[Chunk]:
        kind = as_text(block.get("type"))
        self._kinds[place], self._open = kind, place
        if kind == "text" and block.get("text"):
            yield self._say.chunk({"content": block["text"]})
        elif kind == "thinking":
            yield from self._thought(place, as_text(block.get("thinking")), block.get("signature") or None)
        elif kind == "redacted_thinking":
            sealed = self._say.detail(place, "redacted_thinking", data=block.get("data"), format=MESSAGES_FORMAT)
            yield self._say.chunk({"thinking_blocks": [sealed]})
        elif kind == "tool_use":
            self._inputs[place] = block.get("input")
            fields = {"name": block.get("name"), "arguments": ""}
            yield self._say.chunk(self._say.call(place, fields, id=block.get("id") or f"call_{len(self._inputs)}"))
        if objects(block.get("citations")):
            yield self._say.chunk({"citations": objects(block["citations"])})

    def _piece(self, place: Any, delta: Mapping[str, Any]) -> Iterator[Chunk]:
        kind = self._kinds.get(place)
        match delta.get("type"):
            case "text_delta":
                yield self._say.chunk({"content": delta.get("text")})
            case "thinking_delta":
                yield from self._thought(place, as_text(delta.get("thinking")), None)
            case "signature_delta":
                yield from self._thought(place, "", delta.get("signature"))
            case "input_json_delta" if kind == "tool_use":
                if piece := as_text(delta.get("partial_json")):
                    self._inputs.pop(place, None)
                    yield self._say.chunk(self._say.call(place, {"arguments": piece}))
            case "citations_delta":
                yield self._say.chunk({"citations": [as_mapping(delta.get("citation"))]})

    def _thought(self, place: Any, words: str, signature: Any) -> Iterator[Chunk]:
        if words or signature:
            piece = self._say.detail(place, "thinking", thinking=words, signature=signature)
            yield self._say.chunk({"thinking_blocks": [piece], **({"reasoning_content": words} if words else {})})

    def _stopped(self, place: Any) -> Iterator[Chunk]:
        """A call without pieces has the input that it began with."""
        self._open = None
        if self._kinds.get(place) == "tool_use" and place in self._inputs:
            given = self._inputs.pop(place)
            yield self._say.chunk(self._say.call(place, {"arguments": json.dumps(given or {}, ensure_ascii=False)}))

    def _finished(self, delta: Mapping[str, Any]) -> Iterator[Chunk]:
        reason = delta.get("stop_reason")
        if words := as_text(as_mapping(delta.get("stop_details")).get("explanation")):
            yield self._say.chunk({"refusal": words})
        if reason:
            yield self._say.chunk({}, finish=_FINISH.get(as_text(reason), "stop"), **_native(delta))


def _native(said: Mapping[str, Any]) -> dict[str, Any]:
    """Why it stopped in this API's own words, which are more than chat has."""
    own = {"native_finish_reason": said.get("stop_reason"), "stop_sequence": said.get("stop_sequence")}
    return {name: value for name, value in own.items() if isinstance(value, str)}


def _join(said: dict[str, Any], delta: Mapping[str, Any]) -> None:
    """A message so far, and what one block adds."""
    for name, value in delta.items():
        if name == "tool_calls":
            calls = said.setdefault(name, [])
            for call in value:
                if call["index"] == len(calls):
                    calls.append({key: each for key, each in call.items() if key != "index"})
                else:
                    calls[call["index"]]["function"]["arguments"] += call["function"]["arguments"]
        elif isinstance(value, list):
            said.setdefault(name, []).extend(value)
        else:
            said[name] = (said.get(name) or "") + value if isinstance(value, str) else value


def _usage(usage: Mapping[str, Any]) -> dict[str, Any]:
    cached, written = count(usage.get("cache_read_input_tokens")), count(usage.get("cache_creation_input_tokens"))
    thoughts = count(as_mapping(usage.get("output_tokens_details")).get("thinking_tokens"))
    prompt = count(usage.get("input_tokens")) + cached + written
    return usage_of(prompt, count(usage.get("output_tokens")), cached=cached, written=written, reasoning=thoughts)


_TOO_LONG: Final = re.compile(
    r"prompt is too long|exceeds? (the )?(maximum )?context|context (window|length|limit)|too many (input )?tokens"
    r"|input length and `?max_tokens`? exceed"
)
_FIELD: Final = re.compile(r"`?([a-z][a-z_]{1,31})`?(?:\.[\w.]*)?(?::| is| must| may| cannot| and )")
_OURS: Final = {
    "system": "messages", "stop_sequences": "stop", "output_config": "response_format", "thinking": "reasoning_effort",
    "metadata": "user",
}  # fmt: skip
_FIELDS: Final = frozenset(
    (*_OURS, "messages", "model", "max_tokens", "temperature", "top_p", "top_k", "tools", "tool_choice", "stream")
)


def openai_error(document: Any) -> Any:
    """An error of this API in OpenAI's shape, with the status that its type stands for, and with our name of the field
    that it names; anything else as it is."""
    error = as_mapping(as_mapping(document).get("error"))
    kind = as_text(error.get("type"))
    if kind not in STATUSES:
        return document
    message = as_text(error.get("message"))
    shown: dict[str, Any] = {"type": kind, "message": message, "status": STATUSES[kind]}
    if kind in ("invalid_request_error", "request_too_large") and _TOO_LONG.search(message[:400].lower()):
        shown["code"] = "context_length_exceeded"
    elif kind in ("invalid_request_error", "not_found_error"):
        found = _FIELD.match(message)
        if found and found[1] in _FIELDS:
            shown["param"] = _OURS.get(found[1], found[1])
    return {"error": shown}
