"""Over HTTP: however a cloud writes, the caller gets OpenAI's shape with the originals in it, and is told what was left
out."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import orjson
import pytest
from serving import Served, finishes, text_of

from netgpt.testing.habits import Habit
from netgpt.testing.server import FaultyCloud, last_user_text

pytestmark = pytest.mark.slow

ADA = "ada@mill.example"
ASKED = f"Tell {ADA} that it rains"
REFUSED = {"temperature": "openai value", "stream_options": "pydantic", "max_tokens": "openai", "n": "openai"}


def reply(body: Any) -> Any:
    """Echoes, and calls a tool with what it was told, where there is one."""
    said = last_user_text(body)
    if body.get("tools"):
        arguments = orjson.dumps({"to": said}).decode()
        return {"tool_calls": [{"index": 0, "id": "call_a", "type": "function",
                                "function": {"name": "send", "arguments": arguments}}]}  # fmt: skip
    return said


@pytest.fixture(scope="module")
def cloud() -> Iterator[FaultyCloud]:
    with FaultyCloud(reply, chunk_size=5) as running:
        yield running


@pytest.fixture(scope="module")
def box(cloud: FaultyCloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with Served(tmp_path_factory.mktemp("clouds"), cloud=cloud, cloud__model="far") as served:
        yield served


@pytest.fixture(autouse=True)
def as_usual(cloud: FaultyCloud) -> Iterator[None]:
    yield
    cloud.habit, cloud.disliked = None, {}
    cloud.forget()


def body(**more: Any) -> dict[str, Any]:
    return {"model": "netgpt/cloud", "messages": [{"role": "user", "content": ASKED}], **more}


OVER_HTTP = (
    Habit.EMPTY_DATA, Habit.PING_EVENTS, Habit.NULL_CHOICES, Habit.PARTS, Habit.THINKING_PARTS, Habit.NO_REASON,
    Habit.NOT_A_NUMBER, Habit.HALF_CHARACTERS, Habit.BYTE_BY_BYTE, Habit.NO_CONTENT_TYPE, Habit.THE_OTHER_WAY,
    Habit.EOS, Habit.USAGE_IN_CHOICE, Habit.REASONING_DETAILS,
)  # fmt: skip
"""One of each sort: all of them are in tests/models/test_habits.py."""


@pytest.mark.parametrize("habit", OVER_HTTP)
def test_words_in_these_habits(habit: Habit, box: Served, cloud: FaultyCloud) -> None:
    cloud.habit = habit
    whole = box.post(body())
    assert whole.status_code == 200 and whole.headers["x-netgpt-route"] == "cloud"
    (choice,) = whole.json()["choices"]
    assert choice["message"]["content"] == ASKED and choice["finish_reason"] == "stop"
    assert whole.json()["usage"]["completion_tokens"] > 0
    events = box.stream(body(stream_options={"include_usage": True}))
    assert text_of(events) == ASKED and finishes(events) == ["stop"] and events[-1] == "[DONE]"
    assert any(isinstance(event, dict) and event.get("usage") for event in events)
    assert ADA.encode() not in cloud.all_bytes()


@pytest.mark.parametrize("habit", [Habit.NO_INDEX, Habit.ONE_INDEX, Habit.OBJECT_ARGUMENTS, Habit.NULL_IDS,
                                   Habit.REPEATED_NAMES, Habit.NO_REASON, Habit.THE_OTHER_WAY])  # fmt: skip
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_tools_in_the_habits_that_touch_them(habit: Habit, stream: bool, box: Served, cloud: FaultyCloud) -> None:
    cloud.habit = habit
    tools = [{"type": "function", "function": {"name": "send", "parameters": {"type": "object"}}}]
    if stream:
        chunks = [event for event in box.stream(body(tools=tools)) if isinstance(event, dict)]
        calls = [call for chunk in chunks for each in chunk.get("choices") or () for call in
                 (each.get("delta") or {}).get("tool_calls") or ()]  # fmt: skip
        arguments = "".join((call.get("function") or {}).get("arguments") or "" for call in calls)
        assert len({call["index"] for call in calls}) == 1
    else:
        (call,) = box.post(body(tools=tools)).json()["choices"][0]["message"]["tool_calls"]
        arguments = call["function"]["arguments"]
    assert orjson.loads(arguments) == {"to": ASKED}


def test_what_was_left_out_is_told_and_each_body_has_its_receipt(box: Served, cloud: FaultyCloud) -> None:
    cloud.disliked = REFUSED
    asked = body(temperature=0.3, max_tokens=30, user="eve")
    first = box.post(asked)
    assert first.status_code == 200 and first.headers["x-netgpt-left-out"] == "temperature"
    told = first.json()["netgpt"]
    assert told["left_out"] == ["temperature"] and told["route"] == "cloud"
    sent = [orjson.loads(each.body) for each in cloud.received]
    assert "temperature" not in sent[-1] and sent[-1]["max_completion_tokens"] == 30
    kept = box.get("/v1/receipts", params={"user": "eve"}).json()["data"]
    assert len(kept) == len(sent) == 3
    row = box.get(f"/v1/exchanges/{told['exchange']}", params={"user": "eve"}).text
    assert all(sha256(each.body).hexdigest() in row for each in cloud.received)
    before = len(cloud.received)
    again = box.post(asked)
    assert again.json()["netgpt"]["left_out"] == ["temperature"] and len(cloud.received) == before + 1
    plain = box.post(body(temperature=1))
    assert "left_out" not in plain.json()["netgpt"] and "x-netgpt-left-out" not in plain.headers


def test_a_stream_whose_cloud_counts_nothing_has_its_usage(box: Served, cloud: FaultyCloud) -> None:
    cloud.disliked = {"stream_options": "mistral"}
    cloud.schedule(*["bad_usage"] * 3)
    events = box.stream(body(stream_options={"include_usage": True}))
    cloud.unschedule()
    assert text_of(events) == ASKED
    last = [event for event in events if isinstance(event, dict)][-1]
    assert last["choices"] == [] and last["usage"]["prompt_tokens"] > 0 and last["usage"]["completion_tokens"] > 0


def test_what_would_be_another_answer_is_refused(box: Served, cloud: FaultyCloud) -> None:
    cloud.disliked = REFUSED
    answer = box.post(body(n=2))
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "n" and "leave n out" in answer.json()["error"]["message"]


def test_reasoning_and_sources_are_restored_and_signatures_are_not_touched(box: Served, cloud: FaultyCloud) -> None:
    def thinking(asked: Any) -> Any:
        who = last_user_text(asked).split()[1]
        return {"choices": [{"index": 0, "finish_reason": "stop", "message": {
            "role": "assistant", "content": f"to {who}", "reasoning": f"about {who}",
            "reasoning_details": [
                {"type": "reasoning.text", "text": f"first {who}", "signature": f"sig{who}", "index": 0},
                {"type": "reasoning.encrypted", "data": f"blob{who}", "index": 1},
            ],
            "annotations": [{"type": "url_citation", "url_citation": {"title": f"page of {who}"}}],
        }}], "citations": [f"a source on {who}"], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}  # fmt: skip

    cloud.reply = thinking
    try:
        answer = box.post(body()).json()
    finally:
        cloud.reply = reply
    message = answer["choices"][0]["message"]
    assert message["content"] == f"to {ADA}" and message["reasoning"] == f"about {ADA}"
    text, encrypted = message["reasoning_details"]
    assert text["text"] == f"first {ADA}" and ADA not in text["signature"] + encrypted["data"]
    assert message["annotations"][0]["url_citation"]["title"] == f"page of {ADA}"
    assert answer["citations"] == [f"a source on {ADA}"]
