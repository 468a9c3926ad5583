"""Several targets over HTTP: answers name who gave them and what broke off, and a box without [cloud] works."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from doors import Door, door
from upstreams import upstream

from netgpt.testing.models import ScriptedModel
from netgpt.testing.server import Fault, FaultyCloud

LONG = "the cloud tells a long story of the sea and of all its fish"


def events_of(response: httpx.Response) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in response.text.splitlines() if line.startswith("data: ")]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


async def ask(here: Door, model: str, **fields: Any) -> httpx.Response:
    return await here.chat(fields={"model": model, **fields})


async def test_an_upstream_is_asked_by_name_and_named_everywhere(tmp_path: Path) -> None:
    with FaultyCloud("far away") as cloud, FaultyCloud("from b") as second:
        async with door(tmp_path, cloud, upstreams=[upstream("b", second, price_completion=1e6)]) as here:
            for model in ("b", "netgpt/b", "model-of-b"):
                answer = await ask(here, model)
                assert answer.json()["choices"][0]["message"]["content"] == "from b"
                assert answer.headers["x-netgpt-arm"] == answer.json()["netgpt"]["arm"] == "b"
            assert not cloud.received
            row = (await here.get(f"/v1/exchanges/{answer.headers['x-netgpt-exchange']}")).json()
            assert row["arm"] == "b" and row["route"] == "cloud" and row["cost"] == row["usage"]["completion_tokens"]
            assert row["decision"]["arm"] == "b" and row["sent_to"][0]["arm"] == "b"
            receipt = (await here.get("/v1/receipts")).json()["data"][0]
            assert receipt["model"] == "model-of-b" and receipt["exchange"] == row["id"]
            assert row["outbound_sha256"] == row["sent_to"][0]["sha256"]


async def test_a_box_without_a_cloud_but_upstreams(tmp_path: Path) -> None:
    with FaultyCloud("from b") as second:
        async with door(tmp_path, upstreams=[upstream("b", second)]) as here:
            assert (await ask(here, "netgpt/cloud")).headers["x-netgpt-arm"] == "b"
            auto = await here.chat(text="write a python function that sorts a list of numbers, step by step")
            assert auto.headers["x-netgpt-arm"] == "b"
            parts = (await here.get("/readyz")).json()["parts"]
            assert parts["b"]["ok"] and "no [cloud]" in parts["cloud"]["detail"]
            assert here.gateway.needs_detector and parts["detector"]["ok"]


@pytest.mark.slow
@pytest.mark.parametrize("fault", [Fault.CUT, Fault.STALL])
async def test_a_stream_that_breaks_off_says_that_it_is_partial(tmp_path: Path, fault: Fault) -> None:
    with FaultyCloud(LONG, faults=[fault]) as cloud:
        async with door(tmp_path, upstreams=[upstream("b", cloud, timeout_s=3.0)]) as here:
            answer = await ask(here, "b", stream=True)
            *_, last = events = events_of(answer)
            exchange = answer.headers["x-netgpt-exchange"]
            assert last["error"]["message"] and last["netgpt"] == {"exchange": exchange, "partial": True}
            assert "[DONE]" not in events and not any(
                choice.get("finish_reason") for event in events for choice in event.get("choices", ())
            )
            row = (await here.get(f"/v1/exchanges/{exchange}")).json()
            assert row["status"] == "failed" and row["partial"] is True and row["usage"]["estimated"]


async def test_a_whole_answer_that_is_cut_is_never_partial(tmp_path: Path) -> None:
    with FaultyCloud(LONG, faults=[Fault.CUT]) as cloud:
        async with door(tmp_path, edge=ScriptedModel(down="asleep"), upstreams=[upstream("b", cloud)]) as here:
            answer = await ask(here, "b")
            assert answer.status_code == 502 and answer.json()["error"]["code"] == "broken_stream"
            row = (await here.get(f"/v1/exchanges/{answer.headers['x-netgpt-exchange']}")).json()
            assert row["status"] == "failed" and row["partial"] is False


async def test_nobody_can_answer_says_why_for_each_or_gives_an_earlier_answer(tmp_path: Path) -> None:
    edge = ScriptedModel("as the box once said")
    with FaultyCloud("far") as cloud:
        async with door(tmp_path, edge=edge, upstreams=[upstream("b", cloud)]) as here:
            first = await here.chat(text="hello")
            edge.down = "the engine is starting"
            cloud.schedule(Fault.SERVER_ERROR)
            again = await here.chat(text="hello")
            body = again.json()["netgpt"]
            assert again.json()["choices"] == first.json()["choices"] and body["cached"] is True and body["age_s"] >= 0
            assert again.headers["x-netgpt-rule"] == again.headers["x-netgpt-arm"] == "cached"
            assert "answered 500" in body["reason"] and "the engine is starting" in body["reason"]
            cloud.schedule(Fault.SERVER_ERROR)
            new = await here.chat(text="hello to you")
            said = new.json()["error"]["message"]
            assert new.status_code == 503 and int(new.headers["retry-after"]) >= 1
            assert "B: " in said and "answered 500" in said and "Edge: the engine is starting" in said
            cloud.stop()
            gone = await here.chat(text="and again", fields={"model": "b"})
            assert gone.status_code == 503 and "Edge: the engine is starting" in gone.json()["error"]["message"]


async def test_a_late_upstream_is_hedged_by_the_edge(tmp_path: Path) -> None:
    rules = {"hedge": "edge", "hedge_after_s": 0.1}
    with FaultyCloud("far", faults=[Fault.SLOW_FIRST_BYTE], slow_s=60) as cloud:
        async with door(tmp_path, upstreams=[upstream("b", cloud)], routing=rules) as here:
            answer = await here.chat(text="write a python function that sorts a list of numbers, step by step")
            assert answer.headers["x-netgpt-arm"] == "edge" and answer.headers["x-netgpt-rule"].endswith("+hedge")
            row = (await here.get(f"/v1/exchanges/{answer.headers['x-netgpt-exchange']}")).json()
            assert [sent["arm"] for sent in row["sent_to"]] == ["b"] and row["outbound"]["model"] == "model-of-b"
            cloud.slow_s = 1.2
            cloud.schedule(Fault.SLOW_FIRST_BYTE)
            assert (await ask(here, "b")).headers["x-netgpt-arm"] == "b", "who names a target waits for it"
            text = (await here.get("/metrics")).text
            assert 'netgpt_model_calls_total{outcome="hedge_lost",route="b"} 1.0' in text
