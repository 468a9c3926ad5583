"""What counts as an answer, and what as a broken one."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from clouds import Says, chat, cloud_model, everything, text_of
from hypothesis import given
from hypothesis import strategies as st
from outbounds import send
from patience import in_time

from netgpt.errors import BrokenStream
from netgpt.models.answers import AnswerChecker
from netgpt.models.errors import Peer
from netgpt.models.stream import as_chunk, join_chunks

CHUNK = b'data: {"choices": [{"index": %d, "delta": {"content": "a"}, "finish_reason": %b}]}\n\n'
ROLE = b'data: {"choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}}]}\n\n'
CALL = b'data: {"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": "{}"}}]}}]}\n\n'
DONE = b"data: [DONE]\n\n"
PEER = Peer("cloud", "cloud.example", "cloud")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "cut its answer"),
        (DONE, "cut its answer"),
        (CHUNK % (0, b"null"), "cut its answer"),
        (ROLE + DONE, "cut its answer"),
        (CALL + DONE, "cut its answer"),
        (CHUNK % (0, b"null") + CALL + DONE, "cut its answer"),
        (b"data: [1]\n\n", "OpenAI's shape"),
        (b'data: {"choices": {}}\n\n', "OpenAI's shape"),
        (b'data: {"choices": [{"index": "0", "delta": {}}]}\n\n', "OpenAI's shape"),
        (b'data: {"choices": [{"index": 0, "delta": []}]}\n\n', "OpenAI's shape"),
        (b'data: {"choices": [{"index": 0, "delta": {"content": 5}}]}\n\n', "OpenAI's shape"),
        (b'data: {"choices": [{"index": 0, "delta": {"tool_calls": [{"function": "x"}]}}]}\n\n', "OpenAI's shape"),
        (b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": 1}]}\n\n', "OpenAI's shape"),
        (b"data: \xff\n\n", "not JSON"),
    ],
)
async def test_a_stream_that_is_none_is_broken(body: bytes, message: str) -> None:
    with Says(body) as server:
        model = cloud_model(server.base_url)
        with pytest.raises(BrokenStream, match=message):
            await everything(send(model, chat(stream=True)))
        await model.close()


@pytest.mark.parametrize(
    "body",
    [
        CHUNK % (0, b'"stop"'),
        b": ping\r\n\r\n"
        + CHUNK % (0, b'"stop"')
        + b'data: {"usage": {"prompt_tokens": 1, "completion_tokens": 1}}\n\n',
        (CHUNK % (0, b'"stop"')).replace(b'"index": 0, ', b"") + DONE,
        CHUNK % (0, b'"stop"') + b"data: oops\n\n",
    ],
)
async def test_small_sins_of_real_servers_are_forgiven(body: bytes) -> None:
    with Says(body) as server:
        model = cloud_model(server.base_url)
        assert await text_of(send(model, chat(stream=True))) == "a"
        await model.close()


async def test_done_ends_words_without_a_finish_reason() -> None:
    """Some servers leave it out; the caller is told "stop", for each choice that the server left open."""
    both = CHUNK % (0, b'"length"') + CHUNK % (1, b"null") + b'data: {"usage": {"completion_tokens": 2}}\n\n'
    with Says(both + DONE) as server:
        model = cloud_model(server.base_url)
        answer = join_chunks(await everything(send(model, chat(stream=True, n=2))))
        assert [choice["finish_reason"] for choice in answer["choices"]] == ["length", "stop"]
        assert answer["usage"] == {"completion_tokens": 2}
        await model.close()


async def test_without_done_every_choice_asked_for_must_end() -> None:
    with Says(CHUNK % (0, b'"stop"')) as server:
        model = cloud_model(server.base_url)
        with pytest.raises(BrokenStream, match="cut its answer"):
            await everything(send(model, chat(stream=True, n=2)))
        await model.close()
    with Says(CHUNK % (0, b'"stop"') + DONE) as server:
        model = cloud_model(server.base_url)
        assert await text_of(send(model, chat(stream=True, n=2))) == "a"
        await model.close()


async def test_a_stream_that_says_done_need_not_be_waited_for() -> None:
    endless = "transfer-encoding: chunked\r\n"
    data = CHUNK % (0, b'"stop"') + DONE

    class Lingers(Says):
        async def serve(self, request: Any, connection: Any) -> None:
            connection.begin(200, f"content-type: {self.kind}\r\n{endless}")
            connection.chunk(data)
            await asyncio.sleep(60)

    with Lingers(b"") as server:
        model = cloud_model(server.base_url)
        start = time.perf_counter()
        assert await text_of(send(model, chat(stream=True))) == "a"
        assert in_time(time.perf_counter() - start, 1)
        await model.close()


async def test_answers_larger_than_the_limit_are_broken_off() -> None:
    with Says(b'{"choices": "' + b"x" * 17_000_000, "application/json") as server:
        model = cloud_model(server.base_url)
        with pytest.raises(BrokenStream, match="larger than 16000000 bytes"):
            await everything(send(model, chat()))
        await model.close()


async def test_an_event_without_end_is_broken_off() -> None:
    with Says(b"data: " + b"x" * 4_100_000) as server:
        model = cloud_model(server.base_url)
        with pytest.raises(BrokenStream, match=r"one event of model \"cloud\" at 127\.0\.0\.1:\d+ is larger"):
            await everything(send(model, chat(stream=True)))
        await model.close()


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"[]",
        b'{"choices": []}',
        b'{"choices": [{}]}',
        b'{"choices": [{"message": {"tool_calls": "x"}}]}',
        b'{"choices": [{"message": {"tool_calls": [5]}}]}',
    ],
)
async def test_a_whole_answer_that_is_none_is_broken(body: bytes) -> None:
    with Says(body, "application/json") as server:
        model = cloud_model(server.base_url)
        with pytest.raises(BrokenStream):
            await everything(send(model, chat()))
        await model.close()


@pytest.mark.parametrize("kind", ["", "text/plain; charset=utf-8", "alice@example.com/secret"])
async def test_other_content_types_are_named_only_when_they_look_like_one(kind: str) -> None:
    with Says(b"oops", kind) as server:
        model = cloud_model(server.base_url)
        with pytest.raises(BrokenStream, match=r"content type (none|text/plain|unreadable);"):
            await everything(send(model, chat()))
        await model.close()


values: st.SearchStrategy[Any] = (
    st.none() | st.booleans() | st.integers(-1, 3) | st.text(max_size=3) | st.just([]) | st.just({})
)
functions = values | st.fixed_dictionaries({}, optional={"name": values, "arguments": values})
tool_calls = values | st.lists(
    values | st.fixed_dictionaries({}, optional={"index": values, "id": values, "function": functions}), max_size=3
)
deltas = values | st.fixed_dictionaries(
    {}, optional={"content": values, "role": values, "tool_calls": tool_calls, "function_call": functions}
)
probabilities = values | st.fixed_dictionaries({}, optional={"content": values | st.lists(values)})
choices = st.lists(
    values
    | st.fixed_dictionaries(
        {}, optional={"index": values, "delta": deltas, "finish_reason": values, "logprobs": probabilities}
    ),
    max_size=3,
)
chunks = values | st.fixed_dictionaries({}, optional={"choices": values | choices, "usage": values, "id": values})


@given(st.lists(chunks, max_size=4))
def test_whatever_passes_the_check_can_be_joined(documents: list[Any]) -> None:
    passed = []
    for document in documents:
        try:
            passed.append(AnswerChecker(PEER, 16).chunk(document))
        except BrokenStream:
            continue
    answer = join_chunks(passed)
    assert AnswerChecker(PEER, 16).chunk(as_chunk(answer))["choices"] is not None
