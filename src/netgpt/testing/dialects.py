"""`DialectCloud`: a cloud on loopback that speaks OpenAI's Responses API or Anthropic's Messages API, with faults.

It is strict where the real ones are: it signs what it thinks and refuses it changed, wants a bound on the answer and a
version in the head, results for every call, and blocks that say something.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import orjson

from netgpt.testing.server import STATUSES, Connection, Fault, FaultyCloud, ReceivedRequest, Reply, error_body

Event = dict[str, Any]
PATHS: Final = {"responses": "/v1/responses", "anthropic": "/v1/messages"}
_FINISH: Final = {"tool_calls": "tool_use", "length": "max_tokens", "content_filter": "refusal"}
_TYPES: Final = {
    Fault.RATE_LIMIT: "rate_limit_error", Fault.SERVER_ERROR: "api_error", Fault.REFUSED: "authentication_error",
    Fault.TOO_LONG: "invalid_request_error", Fault.ERROR_IN_200: "overloaded_error",
}  # fmt: skip
_FOREVER_S: Final = 86_400.0


def signature_of(thought: str) -> str:
    """What the fake signs a thought with: 96 characters in base64."""
    return base64.b64encode(hashlib.sha512(b"signed" + thought.encode("utf-8", "replace")).digest() + bytes(8)).decode()


def user_text(body: Mapping[str, Any]) -> str:
    """The words of the user's last turn, in either dialect; else the result of the last call."""
    turns = body.get("input") or body.get("messages") or ()
    if isinstance(turns, str):
        return turns
    for turn in reversed(turns):
        if turn.get("role") == "user" or str(turn.get("type")).endswith("_output"):
            content = turn.get("content", turn.get("output"))
            return content if isinstance(content, str) else "".join(map(_words, content or ()))
    return ""


def _words(part: Mapping[str, Any]) -> str:
    inner = part.get("text", part.get("content"))
    return inner if isinstance(inner, str) else "".join(map(_words, inner or ()))


def answer_in(dialect: str, message: Mapping[str, Any], model: str, number: int = 1) -> dict[str, Any]:
    """A whole answer. `message`: as a chat's (`content`, `refusal`, `tool_calls`), with `thinking`, a text, and
    `finish_reason`."""
    return (_response if dialect == "responses" else _message)(message, model, number)


def _message(said: Mapping[str, Any], model: str, number: int) -> dict[str, Any]:
    content: list[dict[str, Any]] = []
    if thought := said.get("thinking"):
        content.append({"type": "thinking", "thinking": thought, "signature": signature_of(thought)})
    if said.get("redacted"):
        content.append({"type": "redacted_thinking", "data": signature_of(said["redacted"])})
    if said.get("content"):
        content.append({"type": "text", "text": said["content"], "citations": None})
    for call in said.get("tool_calls") or ():
        inner = call["function"]
        content.append(
            {"type": "tool_use", "id": call["id"], "name": inner["name"], "input": json.loads(inner["arguments"])}
        )
    finish = said.get("finish_reason") or ("tool_calls" if said.get("tool_calls") else "stop")
    stop = "refusal" if said.get("refusal") else _FINISH.get(finish, "end_turn")
    usage = {
        "input_tokens": 7, "cache_creation_input_tokens": 2, "cache_read_input_tokens": 3, "output_tokens": 5,
        "output_tokens_details": {"thinking_tokens": 1},
    }  # fmt: skip
    details = {"type": "refusal", "category": None, "explanation": said["refusal"]} if said.get("refusal") else None
    return {
        "id": f"msg_{number:024x}", "type": "message", "role": "assistant", "model": model, "content": content,
        "stop_reason": stop, "stop_sequence": None, "stop_details": details, "usage": usage,
    }  # fmt: skip


def _response(said: Mapping[str, Any], model: str, number: int) -> dict[str, Any]:
    output: list[dict[str, Any]] = []
    if thought := said.get("thinking"):
        summary = [{"type": "summary_text", "text": thought}]
        output.append({
            "type": "reasoning", "id": f"rs_{number:024x}", "summary": summary,
            "encrypted_content": signature_of(thought),
        })  # fmt: skip
    if (words := said.get("refusal")) or said.get("content"):
        text: Event = {"type": "output_text", "text": said.get("content"), "annotations": []}
        part = {"type": "refusal", "refusal": words} if words else text
        item: Event = {"type": "message", "id": f"msg_{number:024x}", "role": "assistant", "status": "completed"}
        output.append({**item, "content": [part]})
    for place, call in enumerate(said.get("tool_calls") or ()):
        kind, field = ("custom", "input") if "custom" in call else ("function", "arguments")
        item = {"id": f"fc_{number:016x}{place:08x}", "call_id": call["id"], "status": "completed"}
        name = "custom_tool_call" if kind == "custom" else "function_call"
        output.append({"type": name, **item, "name": call[kind]["name"], field: call[kind][field]})
    reason = {"length": "max_output_tokens", "content_filter": "content_filter"}.get(said.get("finish_reason") or "")
    usage = {
        "input_tokens": 12, "input_tokens_details": {"cached_tokens": 3, "cache_write_tokens": 2}, "output_tokens": 5,
        "output_tokens_details": {"reasoning_tokens": 1}, "total_tokens": 17,
    }  # fmt: skip
    return {
        "id": f"resp_{number:024x}", "object": "response", "created_at": 1_700_000_000, "model": model, "error": None,
        "status": "incomplete" if reason else "completed", "incomplete_details": {"reason": reason} if reason else None,
        "output": output, "usage": usage, "instructions": None, "metadata": {}, "parallel_tool_calls": True,
        "temperature": 1.0, "tool_choice": "auto", "tools": [], "top_p": 1.0,
    }  # fmt: skip


def events_of(answer: Mapping[str, Any], size: int = 8) -> list[Event]:
    """A whole answer as the events of a stream, texts in pieces of `size` characters."""
    if answer.get("object") == "response":
        return [{**event, "sequence_number": place} for place, event in enumerate(_response_events(answer, size))]
    return list(_message_events(answer, size))


def _pieces(text: str, size: int) -> Iterator[str]:
    yield from (text[at : at + size] for at in range(0, len(text), size))


def _message_events(answer: Mapping[str, Any], size: int) -> Iterator[Event]:
    usage = answer["usage"]
    begun = {**answer, "content": [], "stop_reason": None, "stop_details": None, "usage": {**usage, "output_tokens": 1}}
    yield {"type": "message_start", "message": begun}
    yield {"type": "ping"}
    for place, block in enumerate(answer["content"]):
        empty: dict[str, Event] = {
            "thinking": {"thinking": "", "signature": ""},
            "text": {"text": ""},
            "tool_use": {"input": {}},
        }
        start = {**block, **empty.get(block["type"], {})}
        yield {"type": "content_block_start", "index": place, "content_block": start}
        for delta in _block_deltas(block, size):
            yield {"type": "content_block_delta", "index": place, "delta": delta}
        yield {"type": "content_block_stop", "index": place}
    ended = {name: answer[name] for name in ("stop_reason", "stop_sequence", "stop_details")}
    yield {"type": "message_delta", "delta": ended, "usage": {"output_tokens": usage["output_tokens"], **{
        name: usage[name] for name in ("output_tokens_details",)}}}  # fmt: skip
    yield {"type": "message_stop"}


def _block_deltas(block: Mapping[str, Any], size: int) -> Iterator[Event]:
    if block["type"] == "text":
        yield from ({"type": "text_delta", "text": piece} for piece in _pieces(block["text"], size))
    elif block["type"] == "thinking":
        yield from ({"type": "thinking_delta", "thinking": piece} for piece in _pieces(block["thinking"], size))
        yield {"type": "signature_delta", "signature": block["signature"]}
    elif block["type"] == "tool_use" and block["input"]:
        text = json.dumps(block["input"], ensure_ascii=False)
        yield {"type": "input_json_delta", "partial_json": ""}
        yield from ({"type": "input_json_delta", "partial_json": piece} for piece in _pieces(text, size))


def _response_events(answer: Mapping[str, Any], size: int) -> Iterator[Event]:
    begun = {**answer, "status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    for place, item in enumerate(answer["output"]):
        empty: dict[str, Event] = {"message": {"content": []}, "reasoning": {"summary": [], "encrypted_content": ""}}
        start = {**item, **empty.get(item["type"], {"arguments": "", "input": ""}), "status": "in_progress"}
        yield {"type": "response.output_item.added", "output_index": place, "item": start}
        for event in _item_events(item, size):
            yield {**event, "output_index": place, "item_id": item["id"]}
        yield {"type": "response.output_item.done", "output_index": place, "item": item}
    yield {"type": f"response.{answer['status']}", "response": answer}


def _item_events(item: Mapping[str, Any], size: int) -> Iterator[Event]:
    for number, part in enumerate(item.get("content") or ()):
        at = {"content_index": number}
        kind, text = ("refusal", part["refusal"]) if part["type"] == "refusal" else ("output_text", part["text"])
        more: Event = {"logprobs": []} if kind == "output_text" else {}
        yield {"type": "response.content_part.added", **at, "part": {**part, kind.removeprefix("output_"): ""}}
        for piece in _pieces(text, size):
            yield {"type": f"response.{kind}.delta", **at, "delta": piece, **more}
        yield {"type": f"response.{kind}.done", **at, kind.removeprefix("output_"): text, **more}
        yield {"type": "response.content_part.done", **at, "part": part}
    for number, part in enumerate(item.get("summary") or ()):
        at = {"summary_index": number}
        yield {"type": "response.reasoning_summary_part.added", **at, "part": {**part, "text": ""}}
        for piece in _pieces(part["text"], size):
            yield {"type": "response.reasoning_summary_text.delta", **at, "delta": piece}
        yield {"type": "response.reasoning_summary_text.done", **at, "text": part["text"]}
        yield {"type": "response.reasoning_summary_part.done", **at, "part": part}
    for kind, text in (("function_call", "arguments"), ("custom_tool_call", "input")):
        if item["type"] == kind:
            name = f"response.{'function_call_arguments' if kind == 'function_call' else 'custom_tool_call_input'}"
            yield from ({"type": f"{name}.delta", "delta": piece} for piece in _pieces(item[text], size))
            yield {"type": f"{name}.done", text: item[text]} | ({"name": item["name"]} if text == "arguments" else {})


def wrong_with(dialect: str, body: Mapping[str, Any]) -> str:
    """What a strict server refuses in a request, as its message; empty: nothing."""
    return (_wrong_response if dialect == "responses" else _wrong_message)(body)


def _wrong_response(body: Mapping[str, Any]) -> str:
    for name in ("messages", "max_tokens", "response_format", "seed", "n", "stop", "logprobs"):
        if name in body:
            return f"Unknown parameter: '{name}'."
    called, answered = set[str](), set[str]()
    for item in body["input"] if isinstance(body.get("input"), list) else ():
        if item.get("type") == "reasoning":
            words = "".join(part["text"] for part in item["summary"])
            if item.get("encrypted_content") != signature_of(words):
                return "The encrypted content could not be verified."
        elif str(item.get("type")).endswith("_call"):
            called.add(item["call_id"])
        elif str(item.get("type")).endswith("_output"):
            answered.add(item["call_id"])
    return "" if called == answered else "No tool output found for function call."


def _wrong_message(body: Mapping[str, Any]) -> str:
    for name in body.keys() & {"n", "seed", "stop", "response_format", "stream_options", "user", "messages.name"}:
        return f"{name}: Extra inputs are not permitted"
    if not isinstance(body.get("max_tokens"), int):
        return "max_tokens: Field required"
    if not body.get("messages"):
        return "messages: at least one message is required"
    open_calls = set[str]()
    for place, turn in enumerate(body["messages"]):
        blocks = turn["content"]
        blocks = [{"type": "text", "text": blocks}] if isinstance(blocks, str) else blocks
        results = {block["tool_use_id"] for block in blocks if block["type"] == "tool_result"}
        if results != open_calls:
            return f"messages.{place}: tool_use ids were found without tool_result blocks immediately after"
        open_calls = {block["id"] for block in blocks if block["type"] == "tool_use"}
        for block in blocks:
            if block["type"] == "text" and not block["text"].strip():
                return f"messages.{place}: text content blocks must contain non-whitespace text"
            if block["type"] == "thinking" and block["signature"] != signature_of(block["thinking"]):
                return f"messages.{place}.content.0: Invalid `signature` in `thinking` block"
    return ""


class DialectCloud(FaultyCloud):
    """As `FaultyCloud`, in another dialect.

    dialect:  "responses" or "anthropic".
    reply:    a text, or a function of the body as it came that gives one, or a message (`answer_in`).
    break_at: after so many events of a stream a fault happens; None: in the middle.
    """

    def __init__(
        self, dialect: str, reply: Reply = user_text, *, break_at: int | None = None, faults: Iterable[Any] = (),
        **options: Any,
    ) -> None:  # fmt: skip
        super().__init__(reply, faults=faults, **options)
        self.dialect, self.break_at = dialect, break_at

    async def _serve(self, request: ReceivedRequest, connection: Connection) -> None:
        key = request.header("x-api-key") or (request.header("authorization") or "").removeprefix("Bearer ")
        if request.path.partition("?")[0] != PATHS[self.dialect] or request.method != "POST":
            self._refuse(404, "not_found_error", "no such path", connection)
        elif self.key is not None and key != self.key:
            self._refuse(401, "authentication_error", f"invalid key {key}", connection)
        elif self.dialect == "anthropic" and request.header("anthropic-version") is None:
            self._refuse(400, "invalid_request_error", "anthropic-version: header is required", connection)
        else:
            self.answered += 1
            await self._chat(json.loads(request.body), request, connection)

    def _refuse(self, status: int, kind: str, message: str, connection: Connection) -> None:
        connection.answer(status, self._error(kind, message))

    def _error(self, kind: str, message: str) -> bytes:
        error = {"type": kind, "message": message}
        if self.dialect == "anthropic":
            return orjson.dumps({"type": "error", "error": error, "request_id": "req_011"})
        return orjson.dumps({"error": {**error, "code": None, "param": None}})

    async def _chat(self, body: dict[str, Any], request: ReceivedRequest, connection: Connection) -> None:
        fault = self._next_fault(body)
        if fault is Fault.HANGUP:
            connection.abort()
        elif fault in STATUSES:
            head = f"retry-after: {self.retry_after}\r\n" if fault is Fault.RATE_LIMIT else ""
            connection.answer(STATUSES[fault], self._error_of(fault, body, request), headers=head)
        elif fault is Fault.WRONG_CONTENT_TYPE:
            connection.answer(200, b"<html><body>Log in to the Wi-Fi</body></html>", "text/html")
        elif wrong := wrong_with(self.dialect, body):
            self._refuse(400, "invalid_request_error", wrong, connection)
        else:
            if fault is Fault.SLOW_FIRST_BYTE:
                await asyncio.sleep(self.slow_s)
            said = self.reply if isinstance(self.reply, str) else self.reply(body)
            message = {"content": said} if isinstance(said, str) else said
            answer = answer_in(self.dialect, message, str(body.get("model")), self.answered)
            if fault is Fault.BAD_USAGE:
                answer.pop("usage")
            error = self._error_of(fault, body, request)
            if body.get("stream") and fault is not Fault.JSON_INSTEAD_OF_STREAM:
                await self._speak(answer, fault, error, connection)
            else:
                await self._whole(answer, fault, error, connection)

    def _error_of(self, fault: Fault | None, body: Mapping[str, Any], request: ReceivedRequest) -> bytes:
        """Error answers repeat the request's text, as careless servers do."""
        if fault not in _TYPES:
            return b""
        if self.dialect == "responses":
            return error_body(fault, {"messages": [{"role": "user", "content": user_text(body)}]}, request)
        long = "prompt is too long: 210000 tokens > 200000 maximum" if fault is Fault.TOO_LONG else ""
        return self._error(_TYPES[fault], long or f"{request.header('x-api-key')} asked: {user_text(body)}")

    async def _speak(self, answer: dict[str, Any], fault: Fault | None, error: bytes, connection: Connection) -> None:
        events = events_of(answer, self.chunk_size) if "usage" in answer else _without_usage(answer, self.chunk_size)
        breaks = fault in {Fault.CUT, Fault.STALL, Fault.MALFORMED, Fault.ERROR_IN_200}
        until = (len(events) // 2 if self.break_at is None else self.break_at) if breaks else len(events)
        connection.begin_events()
        for event in events[:until]:
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            connection.chunk(_written(event))
        if fault is Fault.ERROR_IN_200:
            connection.chunk(_written(self._error_event(error)))
        elif fault is Fault.MALFORMED:
            connection.chunk(_written(events[-1])[:-9] + b"\n\n")
        elif breaks:
            await self._break(fault, connection)
            return
        connection.chunk(b"")

    def _error_event(self, error: bytes) -> Event:
        found: Event = json.loads(error)
        if self.dialect == "anthropic":
            return found
        inner = {"code": "server_error", "message": found["error"]["message"]}
        return {"type": "response.failed", "response": {"object": "response", "status": "failed", "error": inner}}


def _without_usage(answer: dict[str, Any], size: int) -> list[Event]:
    events = events_of({**answer, "usage": {"output_tokens": 0, "output_tokens_details": None}}, size)
    for event in events:
        event.pop("usage", None)
        for name in ("message", "response"):
            if name in event:
                event[name] = {key: value for key, value in event[name].items() if key != "usage"}
    return events


def _written(event: Event) -> bytes:
    return b"event: %b\ndata: %b\n\n" % (str(event["type"]).encode(), orjson.dumps(event))
