"""The clients against a real server: what they send, what they give back, how they end."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any, cast

import pytest
from clouds import KEY, chat, cloud_model, edge_model, everything, text_of
from outbounds import outbound, send
from patience import in_time, until

from netgpt.errors import (
    ModelUnavailable,
    RequestError,
)
from netgpt.models.base import ChatModel, Endpoint, Health, RemoteModel
from netgpt.models.client import EdgeModel
from netgpt.models.stream import join_chunks
from netgpt.testing.server import FaultyCloud, calls_tool


async def test_the_cloud_gets_the_outbound_byte_for_byte() -> None:
    sealed = outbound(chat("Grüße, [PERSON_1]  ", stream=True, zebra={"b": 1, "a": [1.0, None]}))
    async with FaultyCloud() as cloud:
        model = cloud_model(cloud.base_url)
        assert await text_of(model.send(sealed)) == "Grüße, [PERSON_1]  "
        await model.close()
    assert cloud.received[0].body == sealed.content
    assert cloud.received[0].header("authorization") == f"Bearer {KEY}"


@pytest.mark.parametrize("thing", [chat(), b"{}", "text", None, object()])
async def test_the_cloud_takes_nothing_but_an_outbound(thing: Any) -> None:
    async with FaultyCloud() as cloud:
        model = cloud_model(cloud.base_url)
        with pytest.raises(TypeError, match="takes an Outbound"):
            model.send(cast(Any, thing))
    assert cloud.all_bytes() == b""


@pytest.mark.parametrize("stream", [False, True])
async def test_the_edge_gets_its_own_model_name_and_a_bound(stream: bool) -> None:
    async with FaultyCloud() as cloud:
        model = edge_model(cloud.base_url)
        await everything(model.chat(chat("hi", stream=stream)))
        await everything(model.chat(chat("hi", max_completion_tokens=3)))
        await everything(model.chat(chat("hi", max_tokens=5)))
        await model.close()
    first, second, third = (json.loads(request.body) for request in cloud.received)
    assert (first["model"], first["max_tokens"]) == ("small", 64)
    assert first["stream"] is True and first["stream_options"] == {"include_usage": True}
    assert "max_tokens" not in second
    assert third["max_tokens"] == 5


async def test_streams_come_as_they_are_sent_and_carry_usage() -> None:
    async with FaultyCloud("one two three four", chunk_size=4, delay_s=0.1) as cloud:
        model = cloud_model(cloud.base_url)
        open_then, chunks = [], []
        async for chunk in send(model, chat(stream=True)):
            open_then.append(cloud.open_requests)
            chunks.append(chunk)
        await model.close()
    assert len(chunks) > 4
    assert open_then[0] == 1, "the first chunk comes while the cloud still speaks"
    assert join_chunks(chunks)["usage"]["completion_tokens"] == 4


async def test_tool_calls_and_several_choices_come_through() -> None:
    async with FaultyCloud(calls_tool("weather", {"city": "Köln"})) as cloud:
        model = cloud_model(cloud.base_url)
        answer = join_chunks(await everything(send(model, chat(stream=True, n=3))))
        await model.close()
    assert [choice["index"] for choice in answer["choices"]] == [0, 1, 2]
    for choice in answer["choices"]:
        assert choice["finish_reason"] == "tool_calls"
        assert json.loads(choice["message"]["tool_calls"][0]["function"]["arguments"]) == {"city": "Köln"}


async def test_embeddings() -> None:
    async with FaultyCloud() as cloud:
        model = edge_model(cloud.base_url)
        answer = await model.embeddings({"input": ["a", "b", "a"]})
        await model.close()
    vectors = [row["embedding"] for row in answer["data"]]
    assert vectors[0] == vectors[2] != vectors[1]
    assert json.loads(cloud.received[0].body)["model"] == "small"


@pytest.mark.parametrize("how", ["aclose", "cancel"])
@pytest.mark.parametrize("when", ["midway", "before the first byte"])
async def test_leaving_hangs_up_within_a_second(how: str, when: str) -> None:
    fault = None if when == "midway" else "slow_first_byte"
    with FaultyCloud("word " * 200, faults=[fault], delay_s=0.05, slow_s=60) as cloud:
        model = cloud_model(cloud.base_url)
        answer = send(model, chat(stream=True))
        reading = asyncio.create_task(cast(Any, everything(answer) if how == "cancel" else anext(answer)))
        await until(lambda: cloud.open_requests)
        await asyncio.sleep(0.1)
        left = time.monotonic()
        reading.cancel()
        await asyncio.wait({reading})
        await cast(Any, answer).aclose()
        assert in_time(time.monotonic() - left, 0.5)
        await until(lambda: cloud.hangups and not cloud.open_requests)
        assert in_time(cloud.hangups[0] - left, 1)
        assert cloud.open_requests == 0
        await model.close()


async def test_the_edge_follows_an_engine_that_moves() -> None:
    with FaultyCloud("first") as first, FaultyCloud("second") as second:
        addresses = [first.base_url, second.base_url]
        model = EdgeModel("edge", lambda: Endpoint(addresses[0], KEY), "m", timeout_s=30, default_max_tokens=9)
        assert await text_of(model.chat(chat())) == "first"
        addresses.reverse()
        assert await text_of(model.chat(chat())) == "second"
        await model.close()


async def test_an_edge_that_is_not_ready_says_so_when_asked() -> None:
    def endpoint() -> Endpoint:
        raise ModelUnavailable("the engine is starting")

    model = EdgeModel(
        "edge", endpoint, "m", timeout_s=30, default_max_tokens=9, ready=lambda: Health(False, "starting")
    )
    assert model.health() == Health(False, "starting")
    with pytest.raises(ModelUnavailable, match="starting"):
        await everything(model.chat(chat()))


async def test_both_are_what_the_contract_says() -> None:
    assert isinstance(edge_model("http://127.0.0.1:1/v1"), ChatModel)
    assert isinstance(cloud_model("http://127.0.0.1:1/v1"), RemoteModel)


@pytest.mark.parametrize("stream", [False, True])
async def test_lone_surrogates_and_huge_numbers_reach_the_edge(stream: bool) -> None:
    async with FaultyCloud("fine") as cloud:
        model = edge_model(cloud.base_url)
        assert await text_of(model.chat(chat("half \ud800", stream=stream, seed=10**30))) == "fine"
        with pytest.raises(RequestError, match="not JSON"):
            await everything(model.chat(chat(tools={1, 2})))
        await model.close()
