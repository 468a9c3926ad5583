"""Answers of OpenAI's chat, whole or in chunks, as Anthropic's messages and the events of their streams.

One state machine does both, so a whole answer is what its stream says. Blocks are given one after the other, as the
dialect has them: a called tool whose arguments come in turns with another's waits until the other's are whole. Usage is
told with the last but one event, as only then it is known.
"""

from __future__ import annotations

import hashlib
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from netgpt.dialects import event
from netgpt.dialects.messages import CALL_EXTRAS, FORMAT, NO_THREADS, carried
from netgpt.errors import ContextTooLong, NetGPTError, Overloaded
from netgpt.types import Chunk

Event = dict[str, Any]
"""One event of the stream; its `type` is the event's name, too."""

_REASONS: Final = {
    "stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "function_call": "tool_use",
    "content_filter": "refusal",
}  # fmt: skip
_NATIVE: Final = frozenset(["max_tokens", "stop_sequence", "pause_turn", "refusal", "model_context_window_exceeded"])
"""What a cloud of this dialect says beside `finish_reason`, where chat has no word for it."""
_THOUGHTS: Final = ("thinking_blocks", "reasoning_details")
_TEXTS: Final = ("thinking", "text", "summary")


@dataclass(slots=True)
class _Block:
    """One block of the answer. `key`: what its pieces are known by."""

    key: tuple[str, Any]
    start: dict[str, Any]
    waiting: list[dict[str, Any]] = field(default_factory=list)
    """Deltas that were not given yet."""
    arguments: list[str] = field(default_factory=list)
    detail: dict[str, Any] = field(default_factory=dict)
    """What is known of a piece of reasoning beside its text."""
    said_in: str | None = None
    begun: bool = False

    @property
    def kind(self) -> str:
        return str(self.start["type"])

    def is_whole(self) -> bool:
        """Whether nothing more belongs to it, now that another block has begun."""
        if self.kind != "tool_use":
            return True
        text = "".join(self.arguments).rstrip()
        return text.endswith("}") and _input(text) is not None

    def signature(self) -> str:
        if self.key[0] == "reasoning_details" and not (
            self.detail.get("format") == FORMAT and self.detail.get("signature")
        ):
            return carried(self.detail, self.said_in)
        return str(self.detail.get("signature") or "")


def _input(arguments: str) -> dict[str, Any] | None:
    try:
        value = orjson.loads(arguments or "{}")
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


class AnswerEvents:
    """The events of one answer: `feed` its chunks, then `end`. `prompt_tokens`: an estimate until it is known;
    `stops`: the sequences that end it; `shows_thoughts`: whether the caller asked for thoughts. Those that are signed
    are given to anybody, as they must come back. `edits`: whether it asked for edits of its context: none was made."""

    def __init__(
        self, prompt_tokens: int = 0, stops: Sequence[str] = (), *, shows_thoughts: bool = True, edits: bool = False
    ) -> None:
        self._usage = {**usage_of({}), "input_tokens": prompt_tokens}
        self._stops, self._shows_thoughts = stops, shows_thoughts
        self._blocks: deque[_Block] = deque()
        self._index = 0
        self._begun = self._ended = self._called = self._refused = self._detailed = False
        self._calls: dict[Any, _Block] = {}
        self._id = ""
        self._end: Mapping[str, Any] = {}
        self._beside: dict[str, Any] = {"context_management": {"applied_edits": []}} if edits else {}

    def feed(self, chunk: Mapping[str, Any]) -> Iterator[Event]:
        """What can be given after a chunk."""
        self._note(chunk)
        if not self._begun:
            yield from self._start(chunk)
        for choice in chunk.get("choices") or ():
            if choice.get("index", 0) != 0:
                continue
            self._read(choice.get("delta") or {})
            if choice.get("finish_reason"):
                self._end, self._ended = choice, True
            yield from self._given()

    def end(self) -> Iterator[Event]:
        """The rest, when the answer has ended as it should."""
        self._ended = True
        if not self._begun:
            yield from self._start({})
        yield from self._given()
        reason, sequence = self._reason()
        details = {"stop_details": {"type": "refusal", "category": None, "explanation": None}}
        delta = {"stop_reason": reason, "stop_sequence": sequence} | (details if reason == "refusal" else {})
        yield {"type": "message_delta", "delta": delta, "usage": self._usage, **self._beside}
        yield {"type": "message_stop"}

    def _note(self, chunk: Mapping[str, Any]) -> None:
        if isinstance(usage := chunk.get("usage"), dict):
            self._usage = usage_of(usage)
        if (said := chunk.get("netgpt")) is not None:
            self._beside["netgpt"] = said

    def _start(self, chunk: Mapping[str, Any]) -> Iterator[Event]:
        self._begun, self._id = True, message_id(chunk)
        message = {
            "id": self._id, "type": "message", "role": "assistant", "model": str(chunk.get("model") or ""),
            "content": [], "stop_reason": None, "stop_sequence": None, "usage": dict(self._usage),
            **self._beside,
        }  # fmt: skip
        yield {"type": "message_start", "message": message}
        yield {"type": "ping"}

    # Reading

    def _read(self, delta: Mapping[str, Any]) -> None:
        self._think(delta)
        for name in ("content", "refusal"):
            if isinstance(text := delta.get(name), str) and text:
                self._refused = self._refused or name == "refusal"
                self._block(("text", None), {"type": "text", "text": ""}).waiting.append(
                    {"type": "text_delta", "text": text}
                )
        for call in delta.get("tool_calls") or ():
            if isinstance(call, dict):
                self._call(call.get("index", 0), call)
        if isinstance(function := delta.get("function_call"), dict):
            self._call(-1, {"function": function})

    def _block(self, key: tuple[str, Any], start: dict[str, Any]) -> _Block:
        """The block that is read now, where it is the same; else a new one."""
        if not self._blocks or self._blocks[-1].key != key:
            self._blocks.append(_Block(key, start))
        return self._blocks[-1]

    def _call(self, index: Any, call: Mapping[str, Any]) -> None:
        block = self._calls.get(index)
        if beside := {name: call[name] for name in CALL_EXTRAS if call.get(name)}:
            sealed = carried({**beside, "of_call": call.get("id") or (block.start["id"] if block else "")}, None)
            self._blocks.append(_Block(("beside", index), {"type": "redacted_thinking", "data": sealed}))
        if block is None:
            start = {"type": "tool_use", "id": "", "name": "", "input": {}}
            block = self._calls[index] = _Block(("tool_use", index), start)
            self._blocks.append(block)
            self._called = True
        function = call.get("function") or call.get("custom") or {}
        if not block.begun:
            block.start["id"] = call.get("id") or block.start["id"]
            block.start["name"] = function.get("name") or block.start["name"]
        piece = function.get("arguments") or function.get("input")
        if isinstance(piece, str) and piece:
            block.arguments.append(piece)
            block.waiting.append({"type": "input_json_delta", "partial_json": piece})

    def _think(self, delta: Mapping[str, Any]) -> None:
        source = next((name for name in _THOUGHTS if delta.get(name)), "")
        for place, detail in enumerate(delta[source] if source and isinstance(delta[source], list) else ()):
            if isinstance(detail, dict):
                self._detail(source, detail.get("index", place), detail)
        plain = delta.get("reasoning_content") or delta.get("reasoning")
        if isinstance(plain, str) and plain and not self._detailed and self._shows_thoughts:
            block = self._block(("reasoning_content", None), {"type": "thinking", "thinking": "", "signature": ""})
            block.waiting.append({"type": "thinking_delta", "thinking": plain})

    def _detail(self, source: str, number: Any, detail: Mapping[str, Any]) -> None:
        """A piece of reasoning that its cloud wants back: what is encrypted is a block of its own."""
        if detail.get("type") in ("redacted_thinking", "reasoning.encrypted"):
            data = (
                detail.get("data")
                if source == "thinking_blocks" or detail.get("format") == FORMAT
                else carried(detail, None)
            )
            self._blocks.append(_Block((source, None), {"type": "redacted_thinking", "data": str(data or "")}))
            return
        said_in = next((name for name in _TEXTS if isinstance(detail.get(name), str) and detail[name]), None)
        block = self._thought(source, number, said_in)
        for name, value in detail.items():
            if name == "signature" and isinstance(value, str):
                block.detail[name] = block.detail.get(name, "") + value
            elif name not in _TEXTS and value is not None:
                block.detail[name] = value
        if said_in is not None:
            self._detailed, block.said_in = True, said_in
            block.waiting.append({"type": "thinking_delta", "thinking": detail[said_in]})

    def _thought(self, source: str, number: Any, said_in: str | None) -> _Block:
        """The block of a piece of reasoning: one that is signed does not go on."""
        last = self._blocks[-1] if self._blocks else None
        if last is not None and last.key[0] == "reasoning_content" and said_in is None:  # the signature of plain text
            last.key, last.said_in = (source, number), "text"
            return last
        if last is not None and last.key == (source, number) and (said_in is None or "signature" not in last.detail):
            return last
        self._blocks.append(_Block((source, number), {"type": "thinking", "thinking": "", "signature": ""}))
        return self._blocks[-1]

    # Giving

    def _given(self) -> Iterator[Event]:
        """Events of the first block, and of those behind it while it is whole."""
        while self._blocks:
            block = self._blocks[0]
            if not block.begun:
                is_known = block.start.get("name") and block.arguments
                if block.kind == "tool_use" and not self._ended and not is_known:
                    return
                block.begun = True
                if block.kind == "tool_use" and not block.start["id"]:
                    block.start["id"] = "toolu_" + hashlib.sha256(f"{self._id} {self._index}".encode()).hexdigest()[:24]
                yield {"type": "content_block_start", "index": self._index, "content_block": block.start}
            for delta in block.waiting:
                yield {"type": "content_block_delta", "index": self._index, "delta": delta}
            block.waiting.clear()
            if not self._ended and (len(self._blocks) == 1 or not block.is_whole()):
                return
            if block.kind == "thinking" and (signature := block.signature()):
                signed = {"type": "signature_delta", "signature": signature}
                yield {"type": "content_block_delta", "index": self._index, "delta": signed}
            yield {"type": "content_block_stop", "index": self._index}
            self._blocks.popleft()
            self._index += 1

    def _reason(self) -> tuple[str, str | None]:
        """Why it stopped, and at which sequence."""
        end = self._end
        said = [end.get(name) for name in ("stop_reason", "native_finish_reason", "matched_stop", "stop_sequence")]
        sequence = next((each for each in reversed(said) if isinstance(each, str) and each in self._stops), None)
        native = next((each for each in said if isinstance(each, str) and each in _NATIVE), None)
        reason = _REASONS.get(str(end.get("finish_reason")), "end_turn")
        if self._refused:
            return "refusal", None
        if self._called and reason == "end_turn":
            return "tool_use", None
        if reason == "end_turn" and (sequence is not None or native == "stop_sequence"):
            return "stop_sequence", sequence or (self._stops[0] if len(self._stops) == 1 else None)
        return (native if native and native != "stop_sequence" else reason), None


def usage_of(usage: Mapping[str, Any]) -> dict[str, Any]:
    """OpenAI's usage in this dialect's words: tokens of the prompt that a cache had, or keeps now, stand apart."""
    prompt, said = _count(usage, "prompt_tokens"), _details(usage, "prompt_tokens_details")
    read = _count(said, "cached_tokens") or _count(usage, "cache_read_input_tokens")
    kept = _count(said, "cache_write_tokens", "cache_creation_tokens") or _count(usage, "cache_creation_input_tokens")
    result: dict[str, Any] = {
        "input_tokens": max(0, prompt - read - kept), "cache_creation_input_tokens": kept,
        "cache_read_input_tokens": read, "output_tokens": _count(usage, "completion_tokens"),
    }  # fmt: skip
    if thought := _count(_details(usage, "completion_tokens_details"), "reasoning_tokens"):
        result["output_tokens_details"] = {"thinking_tokens": thought}
    return result


def _details(usage: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    return value if isinstance(value := usage.get(name), dict) else {}


def _count(counts: Mapping[str, Any], *names: str) -> int:
    return next((value for name in names if type(value := counts.get(name)) is int and value > 0), 0)


def message_id(answer: Mapping[str, Any]) -> str:
    """The answer's id in this dialect's form."""
    id = str(answer.get("id") or "")
    return id if id.startswith("msg_") else "msg_" + (re.sub(r"\W", "", id) or "0")


def whole_message(answer: Mapping[str, Any], **options: Any) -> dict[str, Any]:
    """A whole `chat.completion` as a message. `options`: as of `AnswerEvents`."""
    events = AnswerEvents(**options)
    choices = [{**choice, "delta": choice.get("message")} for choice in answer.get("choices") or ()]
    for choice in choices:
        calls = (choice["delta"] or {}).get("tool_calls")
        numbered = [{"index": place, **call} for place, call in enumerate(calls or ())]
        choice["delta"] = {**(choice["delta"] or {}), "tool_calls": numbered}
    return joined([*events.feed({**answer, "choices": choices}), *events.end()])


def joined(events: Sequence[Event]) -> dict[str, Any]:
    """The message that the events of a stream say."""
    message: dict[str, Any] = {}
    pieces: list[str] = []
    for each in events:
        if each["type"] == "message_start":
            message = dict(each["message"])
            blocks: list[dict[str, Any]] = []
        elif each["type"] == "content_block_start":
            blocks.append(dict(each["content_block"]))
            pieces = []
        elif each["type"] == "content_block_delta":
            delta = each["delta"]
            if delta["type"] == "input_json_delta":
                pieces.append(delta["partial_json"])
            else:
                name = delta["type"].removesuffix("_delta")
                blocks[-1][name] += delta[name]
        elif each["type"] == "content_block_stop" and blocks[-1]["type"] == "tool_use":
            text = "".join(pieces)
            value = _input(text)
            blocks[-1]["input"] = {"INVALID_JSON": text} if value is None else value
        elif each["type"] == "message_delta":
            rest = {name: value for name, value in each.items() if name not in ("type", "delta")}
            message |= {"content": blocks, **each["delta"], **rest}
    return message


class MessagesWriter:
    """The stream of one answer, as bytes."""

    def __init__(self, events: AnswerEvents, request_id: str) -> None:
        self._events, self._request_id = events, request_id

    def add(self, chunk: Chunk) -> bytes:
        return _written(self._events.feed(chunk))

    def end(self) -> bytes:
        return _written(self._events.end())

    def broken(self, error: NetGPTError, netgpt: Mapping[str, Any]) -> bytes:
        """An `error` event, and neither `message_delta` nor `message_stop`."""
        _, body = error_of(error, self._request_id)
        return _written([{**body, "netgpt": netgpt} if netgpt else body])


def _written(events: Iterable[Event]) -> bytes:
    return b"".join(event(each, str(each["type"])) for each in events)


OVERLOADED: Final = 529
_KINDS: Final = {
    400: "invalid_request_error", 401: "authentication_error", 402: "billing_error", 403: "permission_error",
    404: "not_found_error", 408: "timeout_error", 413: "request_too_large", 429: "rate_limit_error",
    504: "timeout_error", OVERLOADED: "overloaded_error",
}  # fmt: skip


def error_of(error: NetGPTError, request_id: str = "") -> tuple[int, dict[str, Any]]:
    """Status and body of an error, with our own `code` and `param` beside what the dialect has."""
    status = OVERLOADED if isinstance(error, Overloaded) else error.status
    message = error.as_openai()["error"]["message"]
    if error.code == ContextTooLong.code:
        message = f"prompt is too long: {message}"  # what agents look for, to shorten their conversation
    said: dict[str, Any] = {"type": _KINDS.get(status, "invalid_request_error" if status < 500 else "api_error"),
            "message": message, "code": error.code, "param": error.param}  # fmt: skip
    if error.code == NO_THREADS:
        said["details"] = {"error_code": error.code}  # where the API's own clients look for it
    return status, {"type": "error", "error": said, "request_id": request_id}
