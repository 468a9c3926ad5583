"""Joining is the opposite of splitting, for every answer and every size of piece."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from netgpt.models.stream import Joiner, as_chunk, join_chunks, split_answer

texts = st.text(max_size=30)
calls = st.builds(
    lambda id, name, text: {"id": id, "type": "function", "function": {"name": name, "arguments": text}},
    st.text(min_size=1, max_size=5), st.text(min_size=1, max_size=5), texts,
)  # fmt: skip
custom_calls = st.builds(
    lambda text: {"id": "c", "type": "custom", "custom": {"name": "run", "input": text}}, st.text(max_size=9)
)
logprobs = st.none() | st.fixed_dictionaries(
    {"content": st.lists(st.fixed_dictionaries({"token": texts, "logprob": st.just(-0.5)}), min_size=1, max_size=3)}
)


@st.composite
def answers(draw: st.DrawFn) -> dict[str, Any]:
    choices = []
    for index in range(draw(st.integers(1, 3))):
        message: dict[str, Any] = {"role": "assistant", "content": draw(st.none() | texts)}
        if draw(st.booleans()):
            message["refusal"] = draw(st.none() | texts)
            message["reasoning_content"] = draw(texts)
        if draw(st.booleans()):
            message["tool_calls"] = draw(st.lists(calls | custom_calls, min_size=1, max_size=3))
        if draw(st.booleans()):
            message["annotations"] = [{"type": "url_citation"}]
        choice = {"index": index, "message": message, "finish_reason": draw(st.sampled_from(["stop", "length"]))}
        if draw(st.booleans()):
            choice["logprobs"] = draw(logprobs)
        choices.append(choice)
    answer = {"id": "x", "object": "chat.completion", "created": 1, "model": "m", "choices": choices}
    if draw(st.booleans()):
        answer |= {"usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}, "system_fingerprint": "f"}
    return answer


@given(answers(), st.integers(1, 9))
def test_joining_undoes_splitting(answer: dict[str, Any], size: int) -> None:
    before = copy.deepcopy(answer)
    assert join_chunks(split_answer(answer, size)) == answer == before


@given(answers())
def test_a_whole_answer_is_one_chunk_and_back(answer: dict[str, Any]) -> None:
    chunk = as_chunk(answer)
    assert chunk["object"] == "chat.completion.chunk"
    assert chunk.get("usage") == answer.get("usage")
    assert join_chunks([chunk]) == answer


@given(answers(), st.integers(1, 9))
def test_joining_leaves_the_chunks_as_they_are(answer: dict[str, Any], size: int) -> None:
    chunks = list(split_answer(answer, size))
    before = copy.deepcopy(chunks)
    join_chunks(chunks)
    assert chunks == before


def piece(delta: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"id": "x", "model": "m", "choices": [{"index": 0, "delta": delta, **more}]}


def test_tool_calls_of_several_indices_grow_together() -> None:
    first = {"index": 1, "id": "b", "type": "function", "function": {"name": "two", "arguments": ""}}
    second = {"index": 0, "id": "a", "type": "function", "function": {"name": "one", "arguments": '{"x"'}}
    more = [{"index": 1, "function": {"arguments": "{}"}}, {"index": 0, "function": {"arguments": ":1}", "name": None}}]
    joined = join_chunks([piece({"tool_calls": [first, second]}), piece({"tool_calls": more})])
    functions = [call["function"] for call in joined["choices"][0]["message"]["tool_calls"]]
    assert functions == [{"name": "one", "arguments": '{"x":1}'}, {"name": "two", "arguments": "{}"}]


def test_tool_calls_without_indices_are_distinguished_by_id() -> None:
    one, two = ({"id": name, "function": {"name": name, "arguments": "{}"}} for name in "ab")
    joined = join_chunks([piece({"tool_calls": [one]}), piece({"tool_calls": [two]})])
    assert [call["id"] for call in joined["choices"][0]["message"]["tool_calls"]] == ["a", "b"]


def test_logprobs_of_the_pieces_follow_each_other() -> None:
    parts = [piece({"content": t}, logprobs={"content": [{"token": t}], "refusal": None}) for t in "ab"]
    assert join_chunks(parts)["choices"][0]["logprobs"] == {
        "content": [{"token": "a"}, {"token": "b"}],
        "refusal": None,
    }


def test_a_repeated_role_and_a_null_usage_do_no_harm() -> None:
    parts = [piece({"role": "assistant", "content": "a"}) | {"usage": None}, piece({"role": "assistant"})]
    joined = join_chunks(parts)
    assert joined["choices"][0]["message"] == {"role": "assistant", "content": "a"}
    assert "usage" not in joined


def test_the_answer_so_far_may_be_asked_at_any_time() -> None:
    joiner = Joiner()
    assert joiner.answer()["choices"] == []
    joiner.add(piece({"content": "half"}))
    assert joiner.answer()["choices"][0]["finish_reason"] is None
    joiner.add(piece({"content": " more"}, finish_reason="stop"))
    assert joiner.answer()["choices"][0]["message"]["content"] == "half more"


def test_a_whole_choice_without_finish_reason_is_ended() -> None:
    answer = {"choices": [{"message": {"content": "x"}, "finish_reason": None}]}
    assert as_chunk(answer)["choices"] == [{"index": 0, "delta": {"content": "x"}, "finish_reason": "stop"}]
