"""What a cloud answers in another dialect, read as chat: whole and streamed alike, at every cut of its events, and
nothing that is cut, failed or odd ever looks like a whole answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator, Sequence
from typing import Any

import pytest
from anthropic.types import Message as AnthropicMessage
from anthropic.types import RawMessageStreamEvent
from dialects.chat_bodies import THOUGHT, everything_for
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from netgpt.dialects.clouds import DIALECTS
from netgpt.errors import BrokenStream, ContextTooLong, ModelError, ModelMisconfigured, ModelRejected, NetGPTError
from netgpt.models.errors import Peer, failed_status
from netgpt.models.stream import join_chunks, read_chunks
from netgpt.testing.dialects import answer_in, events_of, signature_of

BOTH = ("responses", "anthropic")
CALLS = [
    {"id": f"call_{n}", "type": "function", "function": {"name": "read", "arguments": f'{{"path": "f{n} \\u00e9"}}'}}
    for n in (1, 2)
]
SAYS: dict[str, dict[str, Any]] = {
    "words": {"content": "A café — 東京, and a long tail of words."},
    "thoughts": {"content": "So.", "thinking": THOUGHT},
    "calls": {"content": "I read.", "tool_calls": CALLS, "thinking": THOUGHT},
    "only calls": {"tool_calls": CALLS},
    "refusal": {"refusal": "I will not say that."},
    "cut by its bound": {"content": "half of", "finish_reason": "length"},
    "filtered": {"content": "half of", "finish_reason": "content_filter"},
}


def peer(dialect: str) -> Peer:
    return Peer("cloud", "cloud.example", "cloud", DIALECTS[dialect].error)


def read(dialect: str, pieces: Sequence[bytes], kind: str = "text/event-stream") -> list[dict[str, Any]]:
    async def sent() -> AsyncGenerator[bytes, None]:
        for piece in pieces:
            yield piece

    async def all_of() -> list[dict[str, Any]]:
        reader = DIALECTS[dialect].reader(str(peer(dialect)))
        return [chunk async for chunk in read_chunks(sent(), kind, peer(dialect), 1, reader)]

    return asyncio.run(all_of())


def written(events: Sequence[dict[str, Any]], *, named: bool = True) -> bytes:
    head = (f"event: {event['type']}\n" if named else "" for event in events)
    return "".join(f"{name}data: {json.dumps(event)}\n\n" for name, event in zip(head, events, strict=True)).encode()


def as_chat(chunks: list[dict[str, Any]]) -> dict[str, Any]:
    """The joined answer; pieces of thoughts joined by their index, as clients do."""
    answer = join_chunks(chunks)
    message = answer["choices"][0]["message"]
    message["content"] = message["content"] or None
    for name in ("reasoning_details", "thinking_blocks"):
        joined: dict[int, dict[str, Any]] = {}
        for piece in message.get(name) or ():
            known = joined.setdefault(piece["index"], {})
            for key, value in piece.items():
                text = key in ("thinking", "summary", "text", "signature") and isinstance(value, str)
                known[key] = known.get(key, "") + value if text else value
        if joined:
            message[name] = list(joined.values())
    return answer


@pytest.mark.parametrize("dialect", BOTH)
@pytest.mark.parametrize("what", SAYS)
def test_whole_and_streamed_are_the_same_chat(dialect: str, what: str) -> None:
    said = SAYS[what]
    there = answer_in(dialect, said, "m")
    whole = as_chat(read(dialect, [json.dumps(there).encode()], "application/json"))
    streamed = as_chat(read(dialect, [written(events_of(there, 3))]))
    assert whole == streamed
    choice = whole["choices"][0]
    message = choice["message"]
    if not (dialect == "anthropic" and what == "refusal"):
        assert message["content"] == said.get("content")
    assert message.get("refusal") == said.get("refusal")
    assert [
        (call["id"], json.loads(call["function"]["arguments"])) for call in message.get("tool_calls") or ()
    ] == [(call["id"], json.loads(call["function"]["arguments"])) for call in said.get("tool_calls") or ()]  # fmt: skip
    assert message.get("reasoning_content") == said.get("thinking")
    ends = {"calls": "tool_calls", "only calls": "tool_calls", "filtered": "content_filter", "refusal": "stop"}
    ends["cut by its bound"] = "length"
    expected = "content_filter" if (dialect, what) == ("anthropic", "refusal") else ends.get(what, "stop")
    assert choice["finish_reason"] == expected
    usage = whole["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (12, 5, 17)
    assert usage["prompt_tokens_details"]["cached_tokens"] == 3
    assert usage["completion_tokens_details"]["reasoning_tokens"] == 1


@pytest.mark.parametrize("dialect", BOTH)
def test_signed_thoughts_come_byte_for_byte(dialect: str) -> None:
    message = as_chat(read(dialect, [written(events_of(answer_in(dialect, SAYS["calls"], "m"), 5))]))["choices"][0]
    said = message["message"]["thinking_blocks" if dialect == "anthropic" else "reasoning_details"]
    if dialect == "anthropic":
        assert said == [
            {"type": "thinking", "index": 0, "thinking": THOUGHT, "signature": signature_of(THOUGHT)}
        ]  # fmt: skip
    else:
        assert [each["type"] for each in said] == ["reasoning.summary", "reasoning.encrypted"]
        assert said[1]["data"] == signature_of(THOUGHT) and said[0]["id"] == said[1]["id"]


@pytest.mark.parametrize("dialect", BOTH)
def test_the_fake_speaks_as_the_sdk_reads(dialect: str) -> None:
    whole: TypeAdapter[Any] = TypeAdapter(Response if dialect == "responses" else AnthropicMessage)
    one: Any = TypeAdapter(ResponseStreamEvent if dialect == "responses" else RawMessageStreamEvent)
    for said in SAYS.values():
        answer = answer_in(dialect, said, "m")
        whole.validate_python(answer)
        for event in events_of(answer):
            if event["type"] != "ping":
                one.validate_python(event)


@pytest.mark.parametrize("dialect", BOTH)
@pytest.mark.parametrize("what", ["calls", "thoughts", "refusal"])
def test_at_every_cut_of_the_bytes_the_chunks_are_the_same(dialect: str, what: str) -> None:
    data = written(events_of(answer_in(dialect, SAYS[what], "m"), 12))
    expected = as_chat(read(dialect, [data]))
    assert as_chat(read(dialect, [bytes([byte]) for byte in data])) == expected
    for at in range(0, len(data), 1 if len(data) < 1_500 else 97):
        assert as_chat(read(dialect, [data[:at], data[at:]])) == expected, at


@pytest.mark.parametrize("dialect", BOTH)
@pytest.mark.parametrize("what", SAYS)
def test_a_stream_that_ends_early_is_an_error(dialect: str, what: str) -> None:
    events = events_of(answer_in(dialect, SAYS[what], "m"), 6)
    last = -2 if dialect == "anthropic" else -1  # its reason to stop comes with the last but one
    for until in range(len(events) + last + 1):
        with pytest.raises(BrokenStream):
            read(dialect, [written(events[:until])])


ERRORS: dict[str, Any] = {
    "anthropic": {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}, "request_id": "r"},
    "responses": {"type": "error", "code": "rate_limit_exceeded", "message": "slow", "param": None},
}


@pytest.mark.parametrize("dialect", BOTH)
def test_an_error_at_every_event_is_an_error(dialect: str) -> None:
    events = events_of(answer_in(dialect, SAYS["calls"], "m"), 12)
    failed = {"type": "response.failed", "response": {"status": "failed", "error": {"code": "server_error"}}}
    for error in (ERRORS[dialect], *([failed] if dialect == "responses" else [])):
        for until in range(len(events)):
            for named in (True, False):
                with pytest.raises(ModelError):
                    read(dialect, [written([*events[:until], error, *events[until:]], named=named)])


@pytest.mark.parametrize("dialect", BOTH)
def test_pings_unknown_events_and_fields_are_passed_over(dialect: str) -> None:
    events = events_of(answer_in(dialect, SAYS["calls"], "m"), 12)
    expected = as_chat(read(dialect, [written(events)]))
    odd: list[dict[str, Any]] = [
        {"type": "ping"},
        {"type": "response.news", "output_index": 0, "delta": "x"},
        {"type": "x_delta", "a": [1]},
    ]
    for at in range(len(events)):
        more = [{**event, "new_field": {"a": 1}} for event in events]
        assert as_chat(read(dialect, [b": ping\n\n" + written([*more[:at], *odd, *more[at:]])])) == expected


@pytest.mark.parametrize("dialect", BOTH)
def test_fields_of_other_types_never_break_us(dialect: str) -> None:
    """Each field of each event, one after the other, is something else: an answer, or an error of ours."""
    events = events_of(answer_in(dialect, SAYS["calls"], "m"), 400)
    for number, event in enumerate(events):
        for place, path in enumerate(paths(event)):
            odd: Any
            for odd in ((None, 7, [], "x", {"a": [1]})[(place + number) % 5], []):
                broken = [*events[:number], put(event, path, odd), *events[number + 1 :]]
                try:
                    read(dialect, [written(broken, named=False)])
                except NetGPTError as error:
                    assert error.message, path


def paths(value: Any) -> Iterator[list[Any]]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield [key]
        yield from ([key, *rest] for rest in paths(each))


def put(value: Any, path: list[Any], new: Any) -> Any:
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = new if len(path) == 1 else put(value[path[0]], path[1:], new)
    return copy


def test_items_that_came_without_pieces_are_read_from_their_end() -> None:
    answer = answer_in("responses", SAYS["calls"], "m")
    expected = as_chat(read("responses", [json.dumps(answer).encode()], "application/json"))
    events = [event for event in events_of(answer) if ".delta" not in event["type"]]
    assert as_chat(read("responses", [written(events)])) == expected
    few = [event for event in events if event["type"] in ("response.created", "response.completed")]
    assert as_chat(read("responses", [written(few)])) == expected
    assert as_chat(read("responses", [written(few[-1:])])) == expected


def test_a_call_whose_input_came_at_once() -> None:
    events = events_of(answer_in("anthropic", SAYS["only calls"], "m"))
    for event in events:
        if event["type"] == "content_block_start":
            event["content_block"]["input"] = {"path": "x"}
    events = [event for event in events if event["type"] != "content_block_delta"]
    calls = as_chat(read("anthropic", [written(events)]))["choices"][0]["message"]["tool_calls"]
    assert [json.loads(call["function"]["arguments"]) for call in calls] == [{"path": "x"}] * 2


def bad(message: str) -> dict[str, Any]:
    return {"type": "invalid_request_error", "message": message}


OWNERS, REFUSED = (ModelMisconfigured, 502, None), (ModelRejected, 400, None)
Row = tuple[int, dict[str, Any], tuple[type[NetGPTError], int, str | None], str]
TOLD: dict[str, Row] = {
    "wrong key": (401, {"type": "authentication_error", "message": "invalid x-api-key"}, OWNERS, "cloud.api_key"),
    "no right": (403, {"type": "permission_error", "message": "no"}, OWNERS, "api_key"),
    "no money": (400, bad("Your credit balance is too low to access the API"), OWNERS, "no money"),
    "billing": (402, {"type": "billing_error", "message": "x"}, OWNERS, "no money"),
    "wrong model": (404, {"type": "not_found_error", "message": "model: claude-x"}, OWNERS, "cloud.model"),
    "too many": (429, {"type": "rate_limit_error", "message": "x"}, (ModelRejected, 429, None), "too many"),
    "overloaded": (529, {"type": "overloaded_error", "message": "x"}, (ModelError, 502, None), "529"),
    "server": (500, {"type": "api_error", "message": "x"}, (ModelError, 502, None), "500"),
    "too long": (400, bad("prompt is too long: 210000 tokens > 200000"), (ContextTooLong, 400, None), "too long"),
    "too long with the answer": (
        400, bad("input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000"),
        (ContextTooLong, 400, None), "too long",
    ),
    "too large": (413, {"type": "request_too_large"}, (ContextTooLong, 413, None), "too long"),
    "bad value": (
        400, bad("max_tokens: 100000 > 64000, which is the maximum allowed"), (ModelRejected, 400, "max_tokens"),
        "check max_tokens",
    ),
    "a field of theirs": (
        400, bad("thinking.budget_tokens: Input should be greater than or equal to 1024"),
        (ModelRejected, 400, "reasoning_effort"), "reasoning_effort",
    ),
    "words of the caller": (400, bad("anna: is not here"), REFUSED, "does not accept"),
}  # fmt: skip


@pytest.mark.parametrize("what", TOLD)
def test_errors_of_theirs_in_our_tree(what: str) -> None:
    status, error, expected, words = TOLD[what]
    body = json.dumps({"type": "error", "error": error, "request_id": "req_1"}).encode()
    found = failed_status(peer("anthropic"), status, {}, body).error
    assert (type(found), found.status, found.param) == expected and words in found.message
    assert "anna" not in found.message


def test_the_bodies_of_the_tests_name_every_call() -> None:
    assert {each["id"] for each in everything_for("responses")["messages"][2]["tool_calls"]} == {
        "call_1", "call_2", "call_3"
    }  # fmt: skip
