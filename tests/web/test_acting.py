"""How far an answer may be believed, as a caller sees it: in body, header, stream, row and error."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from boxes import gateway as quiet_gateway
from doors import Door

from netgpt.app.gateway import Gateway
from netgpt.judgement import TaskKind
from netgpt.stages.generate import Generate
from netgpt.testing.models import RuleJudge, ScriptedModel
from netgpt.testing.server import FaultyCloud

DOUBT = {"maybe": 0.4}
PRIVATE = "Write to ada.keller@mill.example about the tide"


@asynccontextmanager
async def gateway(home: Path, *arguments: Any, **settings: Any) -> AsyncIterator[Gateway]:
    """A box that acts on what it believes."""
    acts = {"on_low_confidence": "say", "cascade": True, **settings.pop("routing", {})}
    async with quiet_gateway(home, *arguments, routing=acts, **settings) as here:
        yield here


def judged(here: Gateway, kind: str = "facts") -> Door:
    """The door to a box that doubts every answer with a "maybe" in it."""
    stage = next(stage for stage in here.workflow.stages if isinstance(stage, Generate))
    stage.acting = here.routing_service.acting(RuleJudge(DOUBT), kind_of=lambda _text: TaskKind(kind, 0.9))
    return Door(here)


def events(text: str) -> tuple[list[dict[str, Any]], bool]:
    """The chunks of a stream, and whether it ended as a whole answer does."""
    data = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    return [json.loads(each) for each in data if each != "[DONE]"], data[-1] == "[DONE]"


def words(chunks: list[dict[str, Any]]) -> str:
    return "".join(c["delta"].get("content") or "" for each in chunks for c in each.get("choices") or ())


async def test_a_whole_answer_says_how_far_it_may_be_believed(tmp_path: Path) -> None:
    async with gateway(tmp_path / "home", edge=ScriptedModel("maybe seven")) as here:
        door = judged(here)
        reply = await door.chat(text="Wie viele sind es, und was kostet das?")
        told = reply.json()["netgpt"]["confidence"]
        assert told["chance"] == 0.4 and told["reasons"] == ["by a rule"] and told["acted"] == "said"
        assert reply.headers["x-netgpt-confidence"] == "0.40"
        assert reply.json()["choices"][0]["message"]["content"].startswith("Da bin ich mir nicht sicher.")
        row = await here.store.exchange(reply.json()["netgpt"]["exchange"])
        assert row is not None and row.private is not None and row.private["confidence"] == told
        sure = await door.chat(text="hi", fields={"netgpt": {"on_low_confidence": "answer"}})
        assert sure.json()["choices"][0]["message"]["content"] == "maybe seven"


async def test_an_escalated_stream_shows_no_word_of_its_start_and_its_originals_come_back(tmp_path: Path) -> None:
    with FaultyCloud("To [EMAIL_1]: the tide is high") as cloud:
        async with gateway(tmp_path / "home", cloud, edge=ScriptedModel("maybe to nobody")) as here:
            reply = await judged(here).chat(text=PRIVATE, fields={"stream": True})
            chunks, done = events(reply.text)
            assert done and words(chunks) == "To ada.keller@mill.example: the tide is high"
            assert b"ada.keller" not in cloud.all_bytes() and b"maybe" not in cloud.all_bytes()
            told = chunks[-1]["netgpt"]["confidence"]
            assert told["acted"] == "escalated" and told["given_up_tokens"] > 0 and told["start"]["chance"] == 0.4
            assert reply.headers["x-netgpt-rule"].endswith("+cascade") and reply.headers["x-netgpt-route"] == "cloud"
            assert "x-netgpt-confidence" not in reply.headers, "a cloud's answer was judged by nobody"
            assert chunks[0]["netgpt"]["route"] == "cloud"
            [receipt] = (await Door(here).get("/v1/receipts")).json()["data"]
            assert receipt["exchange"] == chunks[0]["netgpt"]["exchange"]


async def test_a_refusal_is_an_error_that_says_what_to_do(tmp_path: Path) -> None:
    async with gateway(tmp_path / "home", edge=ScriptedModel("maybe seven")) as here:
        door = judged(here)
        for stream in (True, False):
            fields = {"stream": stream, "netgpt": {"on_low_confidence": "refuse"}}
            reply = await door.chat(fields=fields)
            error = reply.json()["error"]
            assert (
                reply.status_code == 422
                and error["code"] == "low_confidence"
                and "on_low_confidence" in error["message"]
            )
            assert "maybe" not in reply.text
        wrong = await door.chat(fields={"netgpt": {"on_low_confidence": "guess"}})
        assert wrong.status_code == 400


@pytest.mark.parametrize("stream", [True, False])
async def test_who_hangs_up_while_the_words_are_held_back_ends_both_calls(tmp_path: Path, stream: bool) -> None:
    edge = ScriptedModel("maybe " * 200, delay_s=0.01)
    with FaultyCloud(slow_s=30, faults=["slow_first_byte"]) as cloud:
        async with gateway(tmp_path / "home", cloud, edge=edge) as here:
            task = asyncio.create_task(judged(here).chat(text="hello", fields={"stream": stream}))
            while not cloud.open_requests:
                await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            async with asyncio.timeout(10):
                while cloud.open_requests or not edge.closed_early:
                    await asyncio.sleep(0.01)


async def test_what_an_escalation_costs_is_booked_and_counted_towards_the_share(tmp_path: Path) -> None:
    prices = {"price_prompt": 1_000_000.0, "price_completion": 1_000_000.0}
    edge = ScriptedModel("maybe seven")
    with FaultyCloud("seven") as cloud:
        bound = {"max_cloud_share": 0.5}
        async with gateway(tmp_path / "home", cloud, edge=edge, prices=prices, routing=bound) as here:
            door, share = judged(here), here.routing_service.context.memory.share
            before = share.credit
            reply = await door.chat(text="hello there")
            row = await here.store.exchange(reply.json()["netgpt"]["exchange"])
            assert row is not None and row.cost > 0 and row.route == "cloud" and row.target == "cloud"
            await asyncio.sleep(0)
            assert share.credit < before
            share.credit = 0.0
            kept = await door.chat(text="hello there")
            assert kept.json()["netgpt"]["route"] == "edge" and "not sure" in kept.text
