"""Chat's chunks as events of the Responses API: checked with OpenAI's own types and parser, at every cut."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from openai import omit
from openai.lib.streaming.responses._responses import ResponseStreamState
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from netgpt.dialects.responses import to_chat
from netgpt.dialects.responses_events import ResponsesWriter, response_frame, response_of
from netgpt.errors import BrokenStream, RateLimited
from netgpt.models.stream import join_chunks

Chunks = list[dict[str, Any]]
SAID: dict[str, Any] = {
    "model": "netgpt", "input": "hi", "instructions": "be brief", "include": ["reasoning.encrypted_content"],
    "tools": [{"type": "function", "name": "f", "parameters": {"type": "object"}}, {"type": "custom", "name": "c"}],
    "metadata": {"of": "a test"}, "text": {"verbosity": "low"}, "reasoning": {"effort": "low", "summary": "auto"},
}  # fmt: skip
USAGE = {
    "prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12, "prompt_tokens_details": {"cached_tokens": 3},
    "completion_tokens_details": {"reasoning_tokens": 2},
}  # fmt: skip
TYPES: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


def frame() -> dict[str, Any]:
    return response_frame("ab" * 16, SAID, 1_700_000_000)


def delta(said: dict[str, Any], finish: str | None = None, **more: Any) -> dict[str, Any]:
    choice = {"index": 0, "delta": said, "finish_reason": finish, **more}
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "far", "choices": [choice]}


def written(events: bytes) -> list[dict[str, Any]]:
    """The events, each valid by OpenAI's own types, with a name that is its type."""
    found = []
    for block in events.decode().split("\n\n")[:-1]:
        name, data = block.split("\n")
        read = json.loads(data.removeprefix("data: "))
        TYPES.validate_python(read, strict=True)
        assert name == f"event: {read['type']}"
        found.append(read)
    return found


def streamed(chunks: Iterable[dict[str, Any]], said: dict[str, Any] = SAID) -> list[dict[str, Any]]:
    writer = ResponsesWriter(response_frame("ab" * 16, said, 1_700_000_000), said)
    return written(b"".join([*(writer.add(chunk) for chunk in chunks), writer.end()]))


def digested(events: list[dict[str, Any]]) -> Any:
    """What the SDK's helper makes of the events: its final response."""
    state: Any = ResponseStreamState(input_tools=omit, text_format=omit)
    last: Any = None
    for each in events:
        for fired in state.handle_event(TYPES.validate_python(each)):
            last = fired
    assert last.type == "response.completed"
    return last.response


@cache
def calls() -> Chunks:
    """Reasoning, words, and two calls whose pieces come mixed."""
    encrypted = {"type": "reasoning.encrypted", "data": "gAAAAB+/=", "id": "rs_1", "index": 1}
    head = {"type": "reasoning.summary", "index": 0, "id": "rs_1", "format": "openai-responses-v1"}
    begun = [
        {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}},
        {"index": 1, "id": "call_2", "type": "custom", "custom": {"name": "c", "input": "*** Be"}},
    ]
    return [
        delta({"role": "assistant", "content": ""}),
        delta({"reasoning_content": "let me ", "reasoning_details": [{**head, "summary": "let me "}]}),
        delta({"reasoning_details": [{"type": "reasoning.summary", "index": 0, "summary": "see"}]}),
        delta({"reasoning_details": [encrypted]}),
        delta({"content": "I look "}), delta({"content": "it up."}), delta({"tool_calls": [begun[0]]}),
        delta({"tool_calls": [{"index": 0, "function": {"arguments": '{"a"'}}]}), delta({"tool_calls": [begun[1]]}),
        delta({"tool_calls": [{"index": 0, "function": {"arguments": ": 1}"}}]}),
        delta({"tool_calls": [{"index": 1, "custom": {"input": "gin Patch"}}]}), delta({}, "tool_calls"),
        {"id": "chatcmpl-1", "choices": [], "usage": USAGE},
    ]  # fmt: skip


def test_reasoning_words_and_calls_are_items_in_their_order() -> None:
    events = streamed(calls())
    assert [each["sequence_number"] for each in events] == list(range(len(events)))
    assert events[-1]["type"] == "response.completed"
    response = events[-1]["response"]
    Response.model_validate(response, strict=True)
    thought, words, function, custom = response["output"]
    assert thought["id"] == "rs_1" and thought["encrypted_content"] == "gAAAAB+/="
    assert thought["summary"] == [{"type": "summary_text", "text": "let me see"}] and "content" not in thought
    assert words["content"][0]["text"] == "I look it up." and words["status"] == "completed"
    assert (function["call_id"], function["name"], function["arguments"]) == ("call_1", "f", '{"a": 1}')
    assert (custom["call_id"], custom["name"], custom["input"]) == ("call_2", "c", "*** Begin Patch")
    assert response["usage"]["input_tokens_details"]["cached_tokens"] == 3
    assert response["usage"]["output_tokens_details"]["reasoning_tokens"] == 2
    assert (response["metadata"], response["instructions"]) == ({"of": "a test"}, "be brief")


def test_the_helper_of_the_sdk_ends_with_the_same_response() -> None:
    events = streamed(calls())
    assert [item.to_dict(exclude_none=True) for item in digested(events).output] == events[-1]["response"]["output"]


def test_a_whole_answer_has_the_items_of_the_stream() -> None:
    whole = response_of(frame(), join_chunks(calls()), SAID)
    Response.model_validate(whole, strict=True)
    assert whole["output"] == streamed(calls())[-1]["response"]["output"]


def test_what_was_given_goes_back_as_it_came() -> None:
    output = streamed(calls())[-1]["response"]["output"]
    results = [{"type": "function_call_output", "call_id": "call_1", "output": "one"},
               {"type": "custom_tool_call_output", "call_id": "call_2", "output": "two"}]  # fmt: skip
    _, said, one, two = to_chat({"input": [{"role": "user", "content": "hi"}, *output, *results]})["messages"]
    assert said["content"] == "I look it up."
    assert [call["id"] for call in said["tool_calls"]] == ["call_1", "call_2"]
    assert [detail.get("data") for detail in said["reasoning_details"]] == [None, "gAAAAB+/="]
    assert {detail["id"] for detail in said["reasoning_details"]} == {"rs_1"}
    assert (one["tool_call_id"], two["tool_call_id"]) == ("call_1", "call_2")


def test_signatures_of_another_cloud_are_carried_byte_for_byte() -> None:
    first = {"type": "reasoning.text", "index": 0, "text": "hm", "format": "anthropic-claude-v1"}
    chunks = [
        delta({"reasoning_details": [first]}),
        delta({"reasoning_details": [{"type": "reasoning.text", "index": 0, "signature": "EqQB+/=="}]}),
        delta({"reasoning_details": [{"type": "reasoning.encrypted", "index": 1, "data": "Q0RF", "format": "x-v2"}]}),
        delta({"content": "so"}, "stop"),
    ]
    output = streamed(chunks)[-1]["response"]["output"]
    assert [item["type"] for item in output] == ["reasoning", "reasoning", "message"]
    (said,) = to_chat({"input": output})["messages"]
    one, two = said["reasoning_details"]
    assert (one["text"], one["signature"], one["format"]) == ("hm", "EqQB+/==", "anthropic-claude-v1")
    assert (two["type"], two["data"], two["format"]) == ("reasoning.encrypted", "Q0RF", "x-v2")


def test_plain_reasoning_goes_back_as_plain_reasoning() -> None:
    output = streamed([delta({"reasoning_content": "hm"}), delta({"reasoning": "m"}), delta({"content": "so"}, "stop")])
    items = output[-1]["response"]["output"]
    assert items[0]["content"] == [{"type": "reasoning_text", "text": "hmm"}] and items[0]["summary"] == []
    assert to_chat({"input": items})["messages"][0]["reasoning_content"] == "hmm"


def test_a_call_of_a_namespaces_function_says_so() -> None:
    space = {"type": "namespace", "name": "crm", "description": "d", "tools": [{"type": "function", "name": "find"}]}
    call = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "crm__find", "arguments": "{}"}}
    (item,) = streamed([delta({"tool_calls": [call]}, "tool_calls")], {**SAID, "tools": [space]})[-1]["response"][
        "output"
    ]
    assert (item["namespace"], item["name"]) == ("crm", "find")


def test_reasoning_that_comes_twice_is_told_once() -> None:
    first = {"type": "reasoning.text", "index": 0, "text": "hm", "format": "anthropic-claude-v1"}
    chunks = [
        delta({"reasoning_content": "h", "reasoning_details": [{**first, "text": ""}]}),
        delta({"reasoning_content": "m", "reasoning_details": [first]}), delta({"reasoning_content": "!"}),
        delta({"content": "so"}, "stop"),
    ]  # fmt: skip
    thought, _ = streamed(chunks)[-1]["response"]["output"]
    assert thought["content"] == [{"type": "reasoning_text", "text": "hm"}]


def test_encrypted_content_comes_only_where_it_is_asked_for() -> None:
    item = streamed(calls(), {**SAID, "include": []})[-1]["response"]["output"][0]
    assert item["type"] == "reasoning" and "encrypted_content" not in item


def test_refusals_citations_and_chances() -> None:
    mark = {"type": "url_citation", "url_citation": {"url": "https://x.example", "title": "x", "start_index": 0,
                                                     "end_index": 2}}  # fmt: skip
    token = {"token": "so", "logprob": -0.1, "bytes": None, "top_logprobs": [{"token": "no", "logprob": -3.0}]}
    chunks = [
        delta({"content": "so"}, logprobs={"content": [token]}), delta({"annotations": [mark]}),
        delta({"refusal": "I will not"}, "stop"),
    ]  # fmt: skip
    events = streamed(chunks, {**SAID, "include": ["message.output_text.logprobs"]})
    (item,) = events[-1]["response"]["output"]
    Response.model_validate(events[-1]["response"], strict=True)
    words, refusal = item["content"]
    assert words["annotations"] == [{"type": "url_citation", **mark["url_citation"]}]  # type: ignore[dict-item]
    assert words["logprobs"][0]["bytes"] == [115, 111] and refusal == {"type": "refusal", "refusal": "I will not"}
    assert not streamed(chunks)[-1]["response"]["output"][0]["content"][0]["logprobs"]


def test_an_answer_that_was_cut_short_is_incomplete() -> None:
    for finish, reason in (("length", "max_output_tokens"), ("content_filter", "content_filter")):
        last = streamed([delta({"content": "half"}), delta({}, finish)])[-1]
        assert last["type"] == "response.incomplete" and last["response"]["status"] == "incomplete"
        assert last["response"]["incomplete_details"] == {"reason": reason}
        assert last["response"]["output"][0]["status"] == "incomplete"


def test_a_stream_that_breaks_anywhere_fails_and_never_completes() -> None:
    for until in range(len(calls())):
        writer = ResponsesWriter(frame(), SAID)
        begun = b"".join(writer.add(chunk) for chunk in calls()[:until])
        ends = writer.broken(BrokenStream("the cloud cut its answer"), {"exchange": "ex_1", "partial": True})
        events = written(begun + ends)
        assert events[-1]["type"] == "response.failed"
        assert "response.completed" not in {each["type"] for each in events}
        response = events[-1]["response"]
        assert response["error"] == {"code": "server_error", "message": "the cloud cut its answer"}
        assert response["netgpt"]["code"] == "broken_stream" and response["netgpt"]["exchange"] == "ex_1"


def test_a_limit_in_the_middle_has_the_code_that_clients_wait_for() -> None:
    (*_, last) = written(ResponsesWriter(frame(), SAID).broken(RateLimited("slowly"), {}))
    assert last["response"]["error"]["code"] == "rate_limit_exceeded"


def test_a_server_has_no_say_in_what_the_box_says() -> None:
    odd = {**delta({"content": "x"}, "stop"), "status": "failed", "output": [1], "error": {"message": "no"},
           "citations": ["https://x.example"]}  # fmt: skip
    response = streamed([odd])[-1]["response"]
    assert (response["status"], response["error"]) == ("completed", None)
    assert response["citations"] == ["https://x.example"]


WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=12)
TURNS = st.lists(
    st.one_of(
        st.tuples(st.just("content"), WORDS), st.tuples(st.just("refusal"), WORDS),
        st.tuples(st.just("reasoning_content"), WORDS), st.tuples(st.integers(0, 3), WORDS),
        st.tuples(st.just("thought"), st.tuples(st.integers(0, 2), WORDS)), st.tuples(st.just("sealed"), WORDS),
    ),
    min_size=1, max_size=14,
)  # fmt: skip


def chunks_of(turns: list[Any]) -> Chunks:
    """A stream in which anything follows anything."""
    chunks, begun = [], set()
    for kind, said in turns:
        if kind == "thought":
            place, words = said
            piece = {"type": "reasoning.text", "index": place, "text": words, "format": "anthropic-claude-v1"}
            chunks.append(delta({"reasoning_details": [piece]}))
        elif kind == "sealed":
            piece = {"type": "reasoning.encrypted", "data": said, "format": "openai-responses-v1"}
            chunks.append(delta({"reasoning_details": [piece]}))
        elif isinstance(kind, int):
            head = {} if kind in begun else {"id": f"call_{kind}", "type": "function"}
            name = {} if kind in begun else {"name": f"f{kind}"}
            begun.add(kind)
            chunks.append(delta({"tool_calls": [{"index": kind, **head, "function": {**name, "arguments": said}}]}))
        else:
            chunks.append(delta({kind: said}))
    return [*chunks, delta({}, "stop")]


@given(TURNS)
def test_whatever_follows_whatever_is_a_stream_that_the_sdk_reads_and_nothing_is_lost(turns: list[Any]) -> None:
    events = streamed(chunks_of(turns))
    response = events[-1]["response"]
    assert [item.to_dict(exclude_none=True) for item in digested(events).output] == response["output"]
    assert len({(item["type"], item["id"]) for item in response["output"]}) == len(response["output"])
    for kind, part, name in (("content", "output_text", "text"), ("refusal", "refusal", "refusal")):
        said = "".join(words for what, words in turns if what == kind)
        assert said == "".join(
            each[name] for item in response["output"] for each in item.get("content", ()) if each["type"] == part
        )
    for place in range(4):
        arguments = [item["arguments"] for item in response["output"] if item.get("call_id") == f"call_{place}"]
        assert "".join(arguments) == "".join(words for what, words in turns if what == place) and len(arguments) < 2
    _check_pieces(events)


def _check_pieces(events: list[dict[str, Any]]) -> None:
    """The pieces of each text make what its `done` says, and nothing comes after that."""
    texts: dict[Any, str] = {}
    ended: set[Any] = set()
    for each in events:
        what, _, step = each["type"].rpartition(".")
        key = (what, each.get("item_id"), each.get("content_index"), each.get("summary_index"))
        if step == "delta":
            assert key not in ended
            texts[key] = texts.get(key, "") + each["delta"]
        elif step == "done" and key in texts:
            ended.add(key)
            assert texts[key] == next(each[name] for name in ("text", "refusal", "arguments", "input") if name in each)
    assert ended == texts.keys()
