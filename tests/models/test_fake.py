"""The shipped fakes do what they promise to those who test with them."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import Any, cast

import httpx
import pytest
from clouds import chat

from netgpt.errors import BrokenStream, ModelTimeout, NetGPTError
from netgpt.models.stream import join_chunks
from netgpt.testing.models import ScriptedModel
from netgpt.testing.server import FaultyCloud, calls_tool, echo, last_user_text


async def test_scripted_says_the_same_streamed_and_whole() -> None:
    model = ScriptedModel("Hello there!", chunk_size=3)
    whole = [chunk async for chunk in model.chat(chat())]
    pieces = [chunk async for chunk in model.chat(chat(stream=True))]
    assert len(whole) == 1 and len(pieces) > 4
    assert join_chunks(whole)["choices"] == join_chunks(pieces)["choices"]
    assert join_chunks(pieces)["usage"]["completion_tokens"] == 2
    assert [bool(body.get("stream")) for body in model.asked] == [False, True]


async def test_scripted_fails_where_it_is_asked_to() -> None:
    model = ScriptedModel("Hello there!", chunk_size=3, error=ModelTimeout("silent"), error_after=2)
    seen = []
    with pytest.raises(ModelTimeout):
        async for chunk in model.chat(chat(stream=True)):
            seen.append(chunk)
    assert len(seen) == 2
    with pytest.raises(ModelTimeout):
        async for _ in ScriptedModel("x", error=ModelTimeout("silent"), error_after=99).chat(chat(stream=True)):
            pass


async def test_scripted_counts_those_who_leave() -> None:
    model = ScriptedModel("Hello there!", delay_s=0.01)
    answer = model.chat(chat(stream=True))
    await anext(answer)
    await cast(Any, answer).aclose()
    task = asyncio.create_task(cast(Any, anext(model.chat(chat(stream=True)))))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait({task})
    assert model.closed_early == 2


async def test_scripted_knows_its_health_and_embeds() -> None:
    model = ScriptedModel(down="broken by hand")
    assert not model.health().ok and model.health().detail == "broken by hand"
    assert len((await model.embeddings({"input": "a"}))["data"]) == 1


async def test_a_tool_is_called_once_and_its_result_said() -> None:
    model = ScriptedModel(calls_tool("weather", {"city": "Bonn"}))
    body = chat()
    answer = join_chunks([chunk async for chunk in model.chat(body)])["choices"][0]
    assert answer["finish_reason"] == "tool_calls"
    result = {"role": "tool", "tool_call_id": "call_1", "content": "rain"}
    body = {**body, "messages": [*body["messages"], answer["message"], result]}
    assert join_chunks([chunk async for chunk in model.chat(body)])["choices"][0]["message"]["content"] == "rain"


def test_the_last_user_text_is_found_among_parts() -> None:
    parts = [
        {"type": "text", "text": "a"},
        {"type": "image_url", "image_url": {"url": "x"}},
        {"type": "text", "text": "b"},
    ]
    messages = [{"role": "user", "content": parts}, {"role": "assistant", "content": "no"}]
    assert last_user_text({"messages": messages}) == echo({"messages": messages}) == "ab"
    assert last_user_text({}) == ""


async def test_a_reply_may_be_a_whole_answer() -> None:
    answer = {"id": "x", "choices": [{"index": 0, "message": {"content": "own"}, "finish_reason": "length"}]}
    model = ScriptedModel(lambda body: answer)
    assert join_chunks([chunk async for chunk in model.chat(chat())])["choices"][0]["finish_reason"] == "length"


def test_the_cloud_logs_every_byte() -> None:
    with FaultyCloud() as cloud, httpx.Client(timeout=60) as client:
        sent = client.post(f"{cloud.base_url}/chat/completions?x=1", json=chat(), headers={"X-Mine": "yes"})
        assert sent.json()["choices"][0]["message"]["content"] == last_user_text(chat())
        request = cloud.received[0]
        assert (request.method, request.path) == ("POST", "/v1/chat/completions?x=1")
        assert request.header("x-mine") == "yes" and json.loads(request.body) == chat()
        assert b"X-Mine: yes" in cloud.all_bytes() and request.body in cloud.all_bytes()
        assert "my aunt" not in repr(request)
        cloud.forget()
        assert cloud.received == [] and cloud.all_bytes() == b""


def test_the_cloud_lists_models_embeds_and_refuses_nonsense() -> None:
    with (
        FaultyCloud(key="right") as cloud,
        httpx.Client(headers={"Authorization": "Bearer right"}, timeout=60) as client,
    ):
        assert client.get(f"{cloud.base_url}/models").json()["data"][0]["id"] == "fake"
        assert len(client.post(f"{cloud.base_url}/embeddings", json={"input": ["a", "b"]}).json()["data"]) == 2
        assert client.post(f"{cloud.base_url}/chat/completions", content=b"[").status_code == 400
        assert client.get(f"{cloud.base_url}/nowhere").status_code == 404
        wrong = httpx.get(f"{cloud.base_url}/models", headers={"Authorization": "Bearer wrong"}, timeout=60)
        assert wrong.status_code == 401


def test_a_fault_may_be_named_in_the_models_name() -> None:
    with FaultyCloud() as cloud:
        url = f"{cloud.base_url}/chat/completions"
        assert httpx.post(url, json=chat() | {"model": "any+rate_limit"}, timeout=60).headers["retry-after"] == "1"
        assert httpx.post(url, json=chat() | {"model": "any+nonsense"}, timeout=60).status_code == 200


def test_the_schedule_is_followed_in_order() -> None:
    with FaultyCloud(faults=["server_error", None, "refused"]) as cloud, httpx.Client(timeout=60) as client:
        answers = [client.post(f"{cloud.base_url}/chat/completions", json=chat()) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [500, 200, 401, 200]
    with pytest.raises(ValueError, match="nonsense"):
        FaultyCloud(faults=["nonsense"])


def test_a_taken_port_is_reported() -> None:
    with FaultyCloud() as cloud, pytest.raises(NetGPTError, match=f"127.0.0.1:{cloud.port}"):
        FaultyCloud(port=cloud.port).start()


def test_it_may_be_started_and_stopped_twice() -> None:
    cloud = FaultyCloud()
    cloud.start()
    cloud.start()
    assert httpx.get(f"{cloud.base_url}/models", timeout=60).status_code == 200
    cloud.stop()
    cloud.stop()
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{cloud.base_url}/models", timeout=60)


def test_it_runs_as_a_process() -> None:
    command = [sys.executable, "-m", "netgpt.testing.server", "--reply", "from afar"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        base_url = process.stdout.readline().strip()
        answer = httpx.post(f"{base_url}/chat/completions", json=chat(), timeout=60).json()
        process.terminate()
    assert answer["choices"][0]["message"]["content"] == "from afar"


async def test_an_unfinished_answer_is_broken_for_a_reader_who_joins() -> None:
    model = ScriptedModel("Hello there!", error=BrokenStream("cut"), error_after=1)
    seen = []
    with pytest.raises(BrokenStream):
        async for chunk in model.chat(chat(stream=True)):
            seen.append(chunk)
    assert join_chunks(seen)["choices"][0]["finish_reason"] is None
