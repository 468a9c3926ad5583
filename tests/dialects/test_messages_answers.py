"""Answers of chat as messages and as events: each is read by the types of Anthropic's own client, however it is cut."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import Message, RawMessageStreamEvent
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from netgpt.dialects.messages import CALL_EXTRAS, to_chat
from netgpt.dialects.messages_answers import (
    AnswerEvents,
    MessagesWriter,
    error_of,
    joined,
    usage_of,
    whole_message,
)
from netgpt.errors import (
    AuthenticationError,
    BrokenStream,
    ContextTooLong,
    ModelTimeout,
    NetGPTError,
    NotFound,
    Overloaded,
    PayloadTooLarge,
    PermissionDenied,
    RateLimited,
    RequestError,
)
from netgpt.models.stream import EventParser, as_chunk, join_chunks, split_answer

EVENTS: TypeAdapter[RawMessageStreamEvent] = TypeAdapter(RawMessageStreamEvent)


def answer(reason: str = "stop", usage: dict[str, Any] | None = None, **message: Any) -> dict[str, Any]:
    choice = {
        "index": 0,
        "message": {"role": "assistant", **({"content": None} | message if "content" not in message else message)},
        "finish_reason": reason,
    }
    return {
        "id": "chatcmpl-7", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice],
        "usage": usage or {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
    }  # fmt: skip


def call(number: int, arguments: str, **more: Any) -> dict[str, Any]:
    return {
        "id": f"toolu_{number}",
        "type": "function",
        **more,
        "function": {"name": f"f{number}", "arguments": arguments},
    }


def events_of(chunks: Sequence[dict[str, Any]], **options: Any) -> list[dict[str, Any]]:
    """The events, read back from the bytes; their order is checked."""
    writer = MessagesWriter(AnswerEvents(**options), "ex_1")
    written = b"".join([*(writer.add(chunk) for chunk in chunks), writer.end()])
    events = []
    for each in EventParser().feed(written):
        events.append(json.loads(each.data))
        assert events[-1]["type"] == each.name
    check_order(events)
    return events


def check_order(events: list[dict[str, Any]]) -> None:
    """Each block begins, goes on and ends before the next; each event is one of the SDK's types."""
    kinds = [each["type"] for each in events]
    assert kinds[:2] == ["message_start", "ping"] and kinds[-2:] == ["message_delta", "message_stop"]
    opened, number = False, -1
    for each in events[2:-2]:
        if each["type"] == "content_block_start":
            assert not opened
            opened, number = True, number + 1
        assert opened and each["index"] == number
        opened = each["type"] != "content_block_stop"
    assert not opened
    for each in events:
        if each["type"] != "ping":
            EVENTS.validate_python(each)


def as_sdk(events: list[dict[str, Any]]) -> Message:
    """What the SDK's stream helper makes of the events."""
    message, buffers = None, dict[int, bytes]()
    for each in events:
        if each["type"] != "ping":
            event: Any = EVENTS.validate_python(each)
            message = accumulate_event(event=event, current_snapshot=message, json_bufs=buffers)
    assert message is not None
    return message


def content_of(message: Message) -> list[dict[str, Any]]:
    return [block.model_dump(exclude_none=True) for block in message.content]


SIGNED = [
    {"type": "thinking", "thinking": "first, so", "signature": "c2lnbmVkMQ==", "index": 0},
    {"type": "redacted_thinking", "data": "ZGF0YQ==", "index": 1},
    {"type": "thinking", "thinking": "then", "signature": "c2lnbmVkMg==", "index": 2},
]
PAGES = [
    {"type": "reasoning.text", "text": "hm", "signature": "c2ln", "format": "anthropic-claude-v1", "index": 0},
    {"type": "reasoning.summary", "summary": "in short", "format": "openai-responses-v1", "index": 1, "id": "rs_1"},
    {"type": "reasoning.encrypted", "data": "ZGF0YQ==", "id": "rs_2", "index": 2},
]
ANSWERS: dict[str, dict[str, Any]] = {
    "words": answer(content="Hello [there] {you}"),
    "nothing": answer(content=""),
    "cut": answer("length", content="Hello and"),
    "a call": answer("tool_calls", tool_calls=[call(1, '{"a": [1, {"b": "}"}]}')]),
    "a call said to be a stop": answer("stop", tool_calls=[call(1, "{}")]),
    "words and calls": answer(
        "tool_calls", content="I look", tool_calls=[call(1, '{"a": 1}'), call(2, ""), call(3, "{}")]),
    "signed thoughts": answer("tool_calls", content="So:", thinking_blocks=SIGNED, tool_calls=[call(1, "{}")]),
    "thoughts said twice": answer(content="So", reasoning_content="first, so", thinking_blocks=SIGNED[:1]),
    "thoughts of another dialect": answer("tool_calls", reasoning_details=PAGES, tool_calls=[call(1, "{}")]),
    "plain thoughts": answer(reasoning_content="hm hm hm", content="So"),
    "a refusal": answer(refusal="I may not say that."),
    "filtered": answer("content_filter", content="I"),
    "beside a call": answer(
        "tool_calls", tool_calls=[call(1, "{}", extra_content={"google": {"thought_signature": "c2ln"}})]),
}  # fmt: skip
REASONS = {
    "cut": "max_tokens", "a call": "tool_use", "a call said to be a stop": "tool_use", "words and calls": "tool_use",
    "signed thoughts": "tool_use", "thoughts of another dialect": "tool_use", "a refusal": "refusal",
    "filtered": "refusal", "beside a call": "tool_use",
}  # fmt: skip


@pytest.mark.parametrize("name", ANSWERS)
def test_a_stream_says_what_the_whole_answer_says(name: str) -> None:
    message = whole_message(ANSWERS[name])
    Message.model_validate(message)
    assert message["stop_reason"] == REASONS.get(name, "end_turn")
    for size in (1, 2, 5, 1_000):
        events = events_of(list(split_answer(ANSWERS[name], size)))
        assert joined(events) == message
        read = as_sdk(events)
        assert content_of(read) == message["content"] and read.stop_reason == message["stop_reason"]
        assert (read.usage.input_tokens, read.usage.output_tokens) == (9, 3)


@pytest.mark.parametrize("name", [name for name in ANSWERS if name not in ("a refusal", "filtered", "nothing")])
def test_what_was_answered_comes_back_as_it_was(name: str) -> None:
    """chat -> message -> chat: all that both can say."""
    sent = ANSWERS[name]["choices"][0]["message"]
    content = whole_message(ANSWERS[name])["content"]
    (back,) = to_chat({"max_tokens": 9, "messages": [{"role": "assistant", "content": content}]})["messages"]
    blocks = [{n: v for n, v in each.items() if n != "index"} for each in sent.get("thinking_blocks", ())]
    assert back.get("content") == sent["content"]
    if blocks:
        assert back["thinking_blocks"] == blocks
    if "reasoning_details" in sent:
        assert back["reasoning_details"] == sent["reasoning_details"]
    if "thinking_blocks" not in sent:
        assert back.get("reasoning_content") == sent.get("reasoning_content")
    for made, came in zip(sent.get("tool_calls", ()), back.get("tool_calls", ()), strict=True):
        assert json.loads(made["function"]["arguments"] or "{}") == json.loads(came["function"]["arguments"])
        assert [made.get(n) for n in ("id", *CALL_EXTRAS)] == [came.get(n) for n in ("id", *CALL_EXTRAS)]


TEXT = st.text(st.sampled_from('ab {}[]":,\\n'), max_size=12)
VALUE = st.dictionaries(TEXT, TEXT | st.integers(0, 99) | st.lists(TEXT, max_size=2), max_size=3)


@st.composite
def interleaved(draw: st.DrawFn) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """An answer with some of all, and its chunks: the calls' pieces in turns, as some servers send them."""
    calls = [call(n, json.dumps(draw(VALUE)) if draw(st.booleans()) else "") for n in range(draw(st.integers(0, 3)))]
    fields: dict[str, Any] = {"content": draw(TEXT)}
    if draw(st.booleans()):
        fields["thinking_blocks"] = SIGNED[: draw(st.integers(1, 3))]
    elif draw(st.booleans()):
        fields["reasoning_content"] = draw(TEXT)
    fields |= {"tool_calls": calls} if calls else {}
    whole = answer("tool_calls" if calls else "stop", **fields)
    chunks = list(split_answer(whole, draw(st.integers(1, 6))))
    of_calls = [c for c in chunks if c["choices"] and c["choices"][0]["delta"].get("tool_calls")]
    head = chunks[: chunks.index(of_calls[0])] if of_calls else chunks
    tail = chunks[len(head) + len(of_calls) :]
    queues = [
        [c for c in of_calls if c["choices"][0]["delta"]["tool_calls"][0]["index"] == n] for n in range(len(calls))
    ]
    turns = []
    while any(queues):
        queue = draw(st.sampled_from([each for each in queues if each]))
        turns.append(queue.pop(0))
    return whole, [*head, *turns, *tail]


@settings(max_examples=150, deadline=None)
@given(interleaved())
def test_calls_that_come_in_turns_are_given_one_after_the_other(
    made: tuple[dict[str, Any], list[dict[str, Any]]],
) -> None:
    whole, chunks = made
    events = events_of(chunks)
    said, message = joined(events), whole_message(join_chunks(chunks))
    assert {name: said[name] for name in ("stop_reason", "usage")} == {n: message[n] for n in ("stop_reason", "usage")}
    assert sorted(map(json.dumps, said["content"])) == sorted(map(json.dumps, message["content"]))
    calls = {block["id"]: block["input"] for block in said["content"] if block["type"] == "tool_use"}
    sent = whole["choices"][0]["message"].get("tool_calls", ())
    assert calls == {each["id"]: json.loads(each["function"]["arguments"] or "{}") for each in sent}


def test_thoughts_without_a_signature_are_for_those_who_asked() -> None:
    plain, signed = ANSWERS["plain thoughts"], ANSWERS["signed thoughts"]
    assert [b["type"] for b in whole_message(plain, shows_thoughts=False)["content"]] == ["text"]
    assert whole_message(signed, shows_thoughts=False) == whole_message(signed)


def test_edits_of_the_context_that_were_asked_for_are_none() -> None:
    said = whole_message(ANSWERS["words"], edits=True)
    assert said["context_management"] == {"applied_edits": []}
    assert joined(events_of(list(split_answer(ANSWERS["words"], 4)), edits=True)) == said


def test_arguments_that_are_no_object_are_told_as_such() -> None:
    for arguments in ('{"a": ', "[1]", "no"):
        content = whole_message(answer("tool_calls", tool_calls=[call(1, arguments)]))["content"]
        assert content[0]["input"] == {"INVALID_JSON": arguments}


STOPPED: list[dict[str, Any]] = [
    {"stop_reason": "END"}, {"matched_stop": "END"}, {"native_finish_reason": "stop_sequence", "stop_sequence": "END"},
    {"native_finish_reason": "stop_sequence", "stop_sequence": "[TERM_1]"},
]  # fmt: skip


@pytest.mark.parametrize("beside", STOPPED)
def test_the_sequence_at_which_it_stopped(beside: dict[str, Any]) -> None:
    said = answer(content="one")
    said["choices"][0] |= beside
    message = whole_message(said, stops=["END"])
    assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence", "END")
    assert whole_message(answer(content="one"), stops=["END"])["stop_reason"] == "end_turn"


def test_reasons_that_only_this_dialect_has() -> None:
    said = answer("length", content="one")
    said["choices"][0]["stop_reason"] = "model_context_window_exceeded"
    assert whole_message(said)["stop_reason"] == "model_context_window_exceeded"


def test_usage_with_what_a_cache_had() -> None:
    usage = {"prompt_tokens": 100, "completion_tokens": 7, "prompt_tokens_details": {"cached_tokens": 60,
             "cache_write_tokens": 30}, "completion_tokens_details": {"reasoning_tokens": 4}}  # fmt: skip
    assert usage_of(usage) == {
        "input_tokens": 10, "cache_creation_input_tokens": 30, "cache_read_input_tokens": 60, "output_tokens": 7,
        "output_tokens_details": {"thinking_tokens": 4},
    }  # fmt: skip
    assert usage_of({"prompt_tokens": 5, "cache_read_input_tokens": 3})["input_tokens"] == 2


def test_a_call_without_an_id_or_a_name_at_first() -> None:
    """A name that comes late, as where it is held back, is the name of its block all the same."""
    head = {"id": "c", "model": "m"}
    pieces = [{"function": {"name": "", "arguments": '{"a": 1}'}}, {"function": {"name": "late"}}]
    chunks = [{**head, "choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, **piece}]}}]} for piece in pieces]
    end = {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}
    (block,) = joined(events_of([*chunks, end]))["content"]
    assert block["name"] == "late" and block["input"] == {"a": 1} and block["id"].startswith("toolu_")


def test_an_answer_that_breaks_does_not_look_whole() -> None:
    chunks = list(split_answer(ANSWERS["words"], 3))
    for count in range(4):
        writer = MessagesWriter(AnswerEvents(), "ex_1")
        written = b"".join(writer.add(chunk) for chunk in chunks[:count])
        written += writer.broken(BrokenStream("the cloud cut its answer"), {"exchange": "ex_1", "partial": True})
        events = [json.loads(each.data) for each in EventParser().feed(written)]
        assert events[-1]["type"] == "error" and events[-1]["error"]["type"] == "api_error"
        assert events[-1]["request_id"] == "ex_1" and events[-1]["netgpt"]["partial"]
        assert not {"message_delta", "message_stop"} & {each["type"] for each in events}


KINDS: list[tuple[NetGPTError, int, str]] = [
    (RequestError("m", param="p"), 400, "invalid_request_error"),
    (AuthenticationError("m"), 401, "authentication_error"),
    (RequestError("m", status=402), 402, "billing_error"),
    (PermissionDenied("m"), 403, "permission_error"),
    (NotFound("m"), 404, "not_found_error"),
    (RequestError("m", status=405), 405, "invalid_request_error"),
    (PayloadTooLarge("m"), 413, "request_too_large"),
    (RateLimited("m"), 429, "rate_limit_error"),
    (NetGPTError("m"), 500, "api_error"),
    (BrokenStream("m"), 502, "api_error"),
    (ModelTimeout("m"), 504, "timeout_error"),
    (Overloaded("m"), 529, "overloaded_error"),
]


@pytest.mark.parametrize(("error", "status", "kind"), KINDS)
def test_errors(error: NetGPTError, status: int, kind: str) -> None:
    said, body = error_of(error, "ex_1")
    assert said == status and body["type"] == "error" and body["request_id"] == "ex_1"
    assert body["error"] == {"type": kind, "message": "m", "code": error.code, "param": error.param}


def test_agents_know_a_conversation_that_is_too_long_by_its_words() -> None:
    _, body = error_of(ContextTooLong("the model takes 8192 tokens"))
    assert body["error"]["type"] == "invalid_request_error"
    assert body["error"]["message"] == "prompt is too long: the model takes 8192 tokens"


def test_a_whole_answer_is_one_chunk_too() -> None:
    for each in ANSWERS.values():
        assert joined(events_of([as_chunk(each)])) == whole_message(each)
