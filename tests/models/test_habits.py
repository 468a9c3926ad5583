"""Clouds differ in how they write: each habit, streamed and whole, is the same answer to the caller."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest
from clouds import chat, cloud_model, everything
from outbounds import send

from netgpt.models.stream import join_chunks
from netgpt.testing.habits import THOUGHT, Habit
from netgpt.testing.server import FaultyCloud
from netgpt.types import Usage

WORDS = "The answer is 42, and a half \ufffd of it."
CALLS: list[Any] = [
    {"id": "call_a", "type": "function", "function": {"name": "tool_0", "arguments": '{"city":"Portwick","n":[1,2]}'}},
    {"id": "call_b", "type": "function", "function": {"name": "tool_1", "arguments": '{"x":"{}"}'}},
]
THINKS = {Habit.THINKING_PARTS, Habit.REASONING, Habit.REASONING_CONTENT}


def reply(body: Any) -> Any:
    if body.get("tools"):
        calls = [{**call, "index": place} for place, call in enumerate(CALLS)]
        return {"content": None, "tool_calls": calls}
    return WORDS


@pytest.fixture(scope="module")
def cloud() -> Any:
    with FaultyCloud(reply, chunk_size=5) as running:
        yield running


@pytest.fixture
async def model(cloud: FaultyCloud) -> AsyncIterator[Any]:
    model = cloud_model(cloud.base_url)
    yield model
    await model.close()


def asked(habit: Habit, *, stream: bool, **more: Any) -> dict[str, Any]:
    return chat("ask", **more) | {"model": f"any+{habit}", "stream": stream}


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("habit", Habit)
async def test_words_are_the_same_in_every_habit(habit: Habit, stream: bool, model: Any) -> None:
    chunks = await everything(send(model, asked(habit, stream=stream)))
    answer = join_chunks(chunks)
    (choice,) = answer["choices"]
    assert choice["message"]["content"] == WORDS
    assert choice["finish_reason"] == "stop"
    assert Usage.from_openai(answer["usage"]) == Usage(1, 10)
    assert not stream or habit is Habit.THE_OTHER_WAY or len(chunks) > 3
    assert stream or len(chunks) == 1
    if habit in THINKS:
        assert (choice["message"].get("reasoning_content") or choice["message"].get("reasoning")) == THOUGHT
    assert all(isinstance(each["index"], int) for chunk in chunks for each in chunk["choices"])
    assert orjson.loads(orjson.dumps(chunks)) == chunks


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("habit", Habit)
async def test_two_calls_are_two_calls_in_every_habit(habit: Habit, stream: bool, model: Any) -> None:
    """Each with its name and arguments, an id of its own that is said once, and a number."""
    chunks = await everything(send(model, asked(habit, stream=stream, tools=[{"type": "function"}])))
    (choice,) = join_chunks(chunks)["choices"]
    calls = choice["message"]["tool_calls"]
    assert [call["function"]["name"] for call in calls] == ["tool_0", "tool_1"]
    for call, meant in zip(calls, CALLS, strict=True):
        assert orjson.loads(call["function"]["arguments"]) == orjson.loads(meant["function"]["arguments"])
    ids = [call["id"] for call in calls]
    assert all(ids) and len(set(ids)) == 2
    if habit not in (Habit.NO_IDS, Habit.NULL_IDS):
        assert ids == ["call_a", "call_b"]
    assert choice["finish_reason"] == "tool_calls"  # whatever the server called it: agents go on by this word
    said = [call.get("id") for chunk in chunks for each in chunk["choices"]
            for call in each["delta"].get("tool_calls") or ()]  # fmt: skip
    assert sorted(filter(None, said)) == sorted(ids)
