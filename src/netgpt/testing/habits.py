"""How clouds differ: good answers in the ways in which real servers write them, and refusals of fields in their words.

`FaultyCloud(habit=...)` answers so, and `refuses={"max_tokens": "openai"}` refuses what it names.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

from netgpt.models.stream import split_answer


class Habit(StrEnum):
    """A way to write a good answer. What it is called says what is odd."""

    EMPTY_DATA = "empty_data"
    COMMENTS = "comments"
    PING_EVENTS = "ping_events"
    PING_WORDS = "ping_words"
    OWN_EVENTS = "own_events"
    NAMED_CHUNKS = "named_chunks"
    DONE_EVENT = "done_event"
    NO_CHOICES = "no_choices"
    NULL_CHOICES = "null_choices"
    EMPTY_CHOICES = "empty_choices"
    ROLE_CHUNKS = "role_chunks"
    NULL_DELTAS = "null_deltas"
    MESSAGES = "messages"
    NO_CHOICE_INDEX = "no_choice_index"
    PARTS = "parts"
    THINKING_PARTS = "thinking_parts"
    NO_REASON = "no_reason"
    NO_DONE = "no_done"
    DONE_IN_QUOTES = "done_in_quotes"
    AFTER_DONE = "after_done"
    NOT_A_NUMBER = "not_a_number"
    BYTE_ORDER_MARK = "byte_order_mark"
    HALF_CHARACTERS = "half_characters"
    BAD_BYTES = "bad_bytes"
    CRLF = "crlf"
    NO_SPACE = "no_space"
    NO_EMPTY_LINES = "no_empty_lines"
    LINES_OF_JSON = "lines_of_json"
    BYTE_BY_BYTE = "byte_by_byte"
    NO_CONTENT_TYPE = "no_content_type"
    PLAIN_TEXT = "plain_text"
    OCTET_STREAM = "octet_stream"
    THE_OTHER_WAY = "the_other_way"  # one document for a stream, events for a whole answer
    NO_INDEX = "no_index"
    NULL_INDEX = "null_index"
    ONE_INDEX = "one_index"
    TEXT_INDEX = "text_index"
    OBJECT_ARGUMENTS = "object_arguments"
    NO_IDS = "no_ids"
    NULL_IDS = "null_ids"
    REPEATED_NAMES = "repeated_names"
    EOS = "eos"
    COMPLETE = "COMPLETE"
    END_TURN = "end_turn"
    UPPER_STOP = "STOP"
    USAGE_IN_CHOICE = "usage_in_choice"
    USAGE_OF_GROQ = "usage_of_groq"
    USAGE_EVERYWHERE = "usage_everywhere"
    USAGE_OF_OTHERS = "usage_of_others"
    REASONING = "reasoning"
    REASONING_CONTENT = "reasoning_content"
    REASONING_DETAILS = "reasoning_details"
    CITATIONS = "citations"


THOUGHT = "I think."
"""What the thinking habits think aloud."""


@dataclass(frozen=True, slots=True)
class WrittenAnswer:
    """An answer as bytes, in the pieces in which they are sent; `kind` is its content type, empty for none."""

    kind: str
    pieces: tuple[bytes, ...]


def written(habit: Habit, answer: Mapping[str, Any], *, stream: bool, size: int) -> WrittenAnswer:
    """The answer in the way of the habit, as a stream of pieces of `size` characters or whole."""
    kinds = {Habit.NO_CONTENT_TYPE: "", Habit.PLAIN_TEXT: "text/plain", Habit.OCTET_STREAM: "application/octet-stream"}
    if habit is Habit.THE_OTHER_WAY:
        stream = not stream
    if not stream:
        document = orjson.loads(orjson.dumps(answer))
        for choice in document["choices"]:
            _change(habit, choice, choice["message"], "message")
        _count_elsewhere(habit, [document])
        return WrittenAnswer(kinds.get(habit, "application/json"), (_whole_bytes(habit, document),))
    chunks = [orjson.loads(orjson.dumps(chunk)) for chunk in split_answer(answer, size)]
    for chunk in chunks:
        for choice in chunk["choices"]:
            _change(habit, choice, choice["delta"], "delta")
    _count_elsewhere(habit, chunks)
    kind = "application/x-ndjson" if habit is Habit.LINES_OF_JSON else kinds.get(habit, "text/event-stream")
    return WrittenAnswer(kind, tuple(_framed(habit, chunks)))


def _whole_bytes(habit: Habit, document: Mapping[str, Any]) -> bytes:
    content = _bytes_of(habit, document)
    before = {Habit.BYTE_ORDER_MARK: b"\xef\xbb\xbf", Habit.COMMENTS: b"\n \n", Habit.EMPTY_DATA: b" \r\n"}
    return before.get(habit, b"") + content


_OWN_WORDS: Mapping[Habit, bytes] = {
    Habit.EMPTY_DATA: b"data:\n\ndata: \n\n",
    Habit.COMMENTS: b": OPENROUTER PROCESSING\n\n:\n\n",
    Habit.PING_EVENTS: b'event: ping\ndata: {"type": "ping"}\n\nevent: heartbeat\ndata:\n\n',
    Habit.PING_WORDS: b"data: ping\n\ndata: keep-alive\n\ndata: null\n\ndata: {}\n\n",
    Habit.OWN_EVENTS: b'event: metadata\ndata: {"cost": 1}\n\nevent: log\ndata: one moment\n\nid: 7\nretry: 10\n\n',
    Habit.NO_CHOICES: b'data: {"id": "x", "object": "chat.completion.chunk"}\n\n',
    Habit.NULL_CHOICES: b'data: {"id": "x", "choices": null}\n\n',
    Habit.EMPTY_CHOICES: b'data: {"id": "x", "choices": [], "prompt_filter_results": [{"prompt_index": 0}]}\n\n',
    Habit.ROLE_CHUNKS: b'data: {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}\n\n',
    Habit.NULL_DELTAS: b'data: {"choices": [{"index": 0, "delta": null}]}\n\n',
}
"""What stands between the chunks."""


def _framed(habit: Habit, chunks: Iterable[Mapping[str, Any]]) -> Iterable[bytes]:
    end, before = b"\r\n" if habit is Habit.CRLF else b"\n", b""
    if habit is Habit.BYTE_ORDER_MARK:
        before = b"\xef\xbb\xbf"
    if habit is Habit.NAMED_CHUNKS:
        before = b"event: completion.chunk" + end
    for chunk in chunks:
        content = _bytes_of(habit, chunk)
        yield _OWN_WORDS.get(habit, b"")
        if habit is Habit.LINES_OF_JSON:
            yield content + b"\n"
            continue
        field = b"data:" if habit is Habit.NO_SPACE else b"data: "
        event = before + field + content + (end if habit is Habit.NO_EMPTY_LINES else end + end)
        yield from (event[at : at + 1] for at in range(len(event))) if habit is Habit.BYTE_BY_BYTE else (event,)
        before = b"" if habit is Habit.BYTE_ORDER_MARK else before
    ends = {
        Habit.NO_DONE: b"", Habit.LINES_OF_JSON: b"", Habit.DONE_IN_QUOTES: b'data: "[DONE]" \n\n',
        Habit.DONE_EVENT: b"event: done\ndata: {}\n\n", Habit.AFTER_DONE: b"data: [DONE]\n\ndata: [DONE]\n\n: bye\n\n",
    }  # fmt: skip
    yield ends.get(habit, b"data: [DONE]" + end + end)


def _bytes_of(habit: Habit, document: Mapping[str, Any]) -> bytes:
    content = json.dumps(document, ensure_ascii=habit is Habit.HALF_CHARACTERS).encode()
    if habit is Habit.BAD_BYTES:
        content = content.replace("\ufffd".encode(), b"\xe2\x82")
    return content


_REASONS = (Habit.EOS, Habit.COMPLETE, Habit.END_TURN, Habit.UPPER_STOP)


def _change(habit: Habit, choice: dict[str, Any], said: dict[str, Any], field: str) -> None:
    """Write one choice in the way of the habit."""
    text = said.get("content")
    if habit in _REASONS and choice.get("finish_reason"):
        choice["finish_reason"] = str(habit)
    elif habit is Habit.NO_REASON:
        choice.pop("finish_reason", None)
    elif habit is Habit.NO_CHOICE_INDEX:
        choice.pop("index", None)
    elif habit is Habit.MESSAGES and field == "delta":
        choice["message"] = choice.pop("delta")
    elif habit is Habit.NOT_A_NUMBER:
        choice["logprobs"] = {"content": [{"token": "a", "logprob": float("-inf")}, {"token": "b", "x": float("nan")}]}
    elif habit is Habit.HALF_CHARACTERS and text:
        said["content"] = text.replace("\ufffd", "\ud83d")
    elif habit is Habit.PARTS and text is not None:
        said["content"] = [{"type": "text", "text": text[:3]}, {"type": "text", "text": text[3:]}]
    elif text is not None and (thought := _THOUGHTS.get(habit)) is not None and (field == "message" or "role" in said):
        said |= thought(text)
    for call in said.get("tool_calls") or ():
        if change := _CALLS.get(habit):
            change(call)


_THOUGHTS: Mapping[Habit, Callable[[str], dict[str, Any]]] = {
    Habit.THINKING_PARTS: lambda text: {
        "content": [
            {"type": "thinking", "thinking": [{"type": "text", "text": THOUGHT}], "closed": True},
            {"type": "reference", "reference_ids": [1]}, {"type": "text", "text": text},
        ]
    },
    Habit.REASONING: lambda _text: {"reasoning": THOUGHT},
    Habit.REASONING_CONTENT: lambda _text: {"reasoning_content": THOUGHT},
    Habit.REASONING_DETAILS: lambda _text: {
        "reasoning_details": [
            {"type": "reasoning.text", "text": THOUGHT, "signature": "c2lnbmVk", "index": 0},
            {"type": "reasoning.encrypted", "data": "b3BhcXVl", "index": 1},
        ]
    },
    Habit.CITATIONS: lambda text: {"annotations": [{"type": "url_citation", "url_citation": {"title": text}}]},
}  # fmt: skip


def _forget(name: str, value: Any = ...) -> Callable[[dict[str, Any]], None]:
    def change(call: dict[str, Any]) -> None:
        call.pop(name, None)
        if value is not ...:
            call[name] = value

    return change


def _as_text(call: dict[str, Any]) -> None:
    call["index"] = str(call.get("index", 0))


def _as_object(call: dict[str, Any]) -> None:
    function = call["function"]
    if (text := function.get("arguments")) and text.startswith("{") and text.endswith("}"):
        function["arguments"] = json.loads(text)


def _named_always(call: dict[str, Any]) -> None:
    call["type"] = "function"
    call["function"] = {"name": f"tool_{call.get('index', 0)}", **call["function"]}


_CALLS: Mapping[Habit, Callable[[dict[str, Any]], None]] = {
    Habit.NO_INDEX: _forget("index"), Habit.NULL_INDEX: _forget("index", None), Habit.ONE_INDEX: _forget("index", 0),
    Habit.TEXT_INDEX: _as_text, Habit.OBJECT_ARGUMENTS: _as_object, Habit.NO_IDS: _forget("id"),
    Habit.NULL_IDS: _forget("id", None), Habit.REPEATED_NAMES: _named_always,
}  # fmt: skip


def _count_elsewhere(habit: Habit, documents: list[dict[str, Any]]) -> None:
    last = documents[-1]
    usage = last.get("usage")
    if usage is None:
        return
    if habit is Habit.USAGE_IN_CHOICE:
        del last["usage"]
        place = next(each for each in reversed(documents) if each["choices"])
        place["choices"][0]["usage"] = usage
    elif habit is Habit.USAGE_OF_GROQ:
        del last["usage"]
        documents[0]["x_groq"] = {"id": "req_1", "usage": {**usage, "queue_time": 0.1}}
    elif habit is Habit.USAGE_EVERYWHERE:
        for number, each in enumerate(documents):
            each["usage"] = usage if each is last else {"prompt_tokens": number, "completion_tokens": 0}
    elif habit is Habit.USAGE_OF_OTHERS:
        last["usage"] = {"input_tokens": usage["prompt_tokens"], "output_tokens": str(usage["completion_tokens"])}


_REFUSALS: Mapping[str, tuple[int, Callable[[str], Any]]] = {
    "openai": (400, lambda name: {"error": {
        "message": f"Unsupported parameter: '{name}' is not supported with this model.", "param": name,
        "type": "invalid_request_error", "code": "unsupported_parameter"}}),
    "openai value": (400, lambda name: {"error": {
        "message": f"Unsupported value: '{name}' does not support 0.2 with this model. Only the default (1) value is "
        "supported.", "param": name, "type": "invalid_request_error", "code": "unsupported_value"}}),
    "azure": (400, lambda name: {"error": {
        "message": f"Unrecognized request argument supplied: {name}", "type": "invalid_request_error", "param": None,
        "code": None}}),
    "pydantic": (422, lambda name: {"detail": [
        {"type": "extra_forbidden", "loc": ["body", name], "msg": "Extra inputs are not permitted", "input": 1}]}),
    "mistral": (422, lambda name: {"object": "error", "type": "invalid_request_error", "message": {"detail": [
        {"type": "extra_forbidden", "loc": ["body", name], "msg": "Extra inputs are not permitted"}]}}),
    "fireworks": (400, lambda name: {"error": {
        "message": f"Extra inputs are not permitted, field: '{name}', value: 1", "type": "invalid_request_error"}}),
    "go": (400, lambda name: {"error": f'json: unknown field "{name}"'}),
    "schema": (400, lambda name: {"error": {
        "message": f"Additional properties are not allowed ('{name}' was unexpected) - 'request'"}}),
    "groq": (400, lambda name: {"error": {
        "message": f"property '{name}' is unsupported", "type": "invalid_request_error"}}),
    "anthropic": (400, lambda name: {"type": "error", "error": {
        "type": "invalid_request_error", "message": f"{name}: Extra inputs are not permitted"}}),
    "plain": (400, lambda name: {"message": f"The parameter {name} is not supported by this model", "code": 400}),
    "azure ai": (400, lambda name: {"error": {
        "code": 400, "message": f"Validation error at #/{name}: Extra inputs are not permitted"}}),
}  # fmt: skip
REFUSALS = tuple(_REFUSALS)
"""In whose words `FaultyCloud(refuses=...)` can refuse a field."""


def refusal(refuses: Mapping[str, str], body: Mapping[str, Any]) -> tuple[int, bytes] | None:
    """Status and body for a request with a field that is not taken ("developer": that role); None: all is taken."""
    roles = {message.get("role") for message in body.get("messages") or () if isinstance(message, dict)}
    for name, style in refuses.items():
        if name == "developer" and name in roles:
            said = "developer is not one of ['system', 'assistant', 'user', 'function'] - 'messages.0.role'"
            return 400, orjson.dumps({"error": {"message": said, "type": "invalid_request_error", "param": None}})
        if (path := _path_of(name, body)) is not None:
            status, say = _REFUSALS[style]
            return status, orjson.dumps(say(path))
    return None


def _path_of(name: str, body: Mapping[str, Any]) -> str | None:
    """Where a field stands: in the body, in a message or tool, or in a part or call of one."""
    if name in body:
        return name
    for of in ("messages", "tools"):
        for place, each in enumerate(body.get(of) or ()):
            if name in each:
                return f"{of}[{place}].{name}"
            for inner in ("content", "tool_calls"):
                for at, part in enumerate(each.get(inner) if isinstance(each.get(inner), list) else ()):
                    if name in part:
                        return f"{of}[{place}].{inner}[{at}].{name}"
    return None
