"""Requests that come round, over real sockets: a box behind a box behind itself, and a box that is its own model."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from boxes import gateway

from netgpt.app.gateway import Gateway
from netgpt.models.base import HOPS_HEADER, MOST_HOPS, Endpoint, arrive, new_box_id, passed
from netgpt.models.client import EdgeModel
from netgpt.testing.models import ScriptedModel
from netgpt.web.app import create_app

LONG = "write a python function that sorts a list of numbers, step by step, and prove that it ends"


@dataclass
class Counted:
    """A gateway that listens, and how many chats came to it."""

    gateway: Gateway
    url: str
    chats: int = 0


def free_port() -> tuple[socket.socket, int]:
    listener = socket.create_server(("127.0.0.1", 0))
    return listener, listener.getsockname()[1]


@asynccontextmanager
async def listening(opened: Gateway, listener: socket.socket) -> AsyncIterator[Counted]:
    counted, app = Counted(opened, f"http://127.0.0.1:{listener.getsockname()[1]}"), create_app(opened)

    async def counts(scope: Any, receive: Any, send: Any) -> None:
        counted.chats += scope["type"] == "http" and scope["path"].endswith("/chat/completions")
        await app(scope, receive, send)

    server = uvicorn.Server(uvicorn.Config(counts, log_level="error", lifespan="off", timeout_graceful_shutdown=1))
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        while not server.started:
            await asyncio.sleep(0.01)
        yield counted
    finally:
        server.should_exit = True
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def ring(home: Path, count: int, model: str) -> AsyncIterator[list[Counted]]:
    """Boxes in a ring: each has the next one as its cloud, and asks it for `model`."""
    taken = [free_port() for _ in range(count)]
    async with AsyncExitStack() as stack:
        boxes = []
        for number in range(count):
            behind = f"http://localhost:{taken[(number + 1) % count][1]}/v1"  # another name than it listens on
            cloud = {"base_url": behind, "model": model, "retries": 2, "timeout_s": 120, "breaker_failures": 2}
            opened = await stack.enter_async_context(
                gateway(
                    home / str(number), edge=ScriptedModel(f"edge {number} says so"), cloud=cloud,
                    completion={"mode": "off"}, policy={"set": "open"},
                )
            )  # fmt: skip
            boxes.append(await stack.enter_async_context(listening(opened, taken[number][0])))
        yield boxes


async def ask(box: Counted, model: str, headers: Mapping[str, str] | None = None, **fields: Any) -> httpx.Response:
    body = {"model": model, "messages": [{"role": "user", "content": LONG}], **fields}
    async with httpx.AsyncClient(timeout=200) as client:
        return await client.post(f"{box.url}/v1/chat/completions", json=body, headers=headers)


def said(answer: httpx.Response) -> str:
    """The words of an answer, streamed or whole."""
    if not answer.headers["content-type"].startswith("text/event-stream"):
        return str(answer.json()["choices"][0]["message"]["content"])
    events = [line.removeprefix("data: ") for line in answer.text.splitlines() if line.startswith("data: {")]
    choices = [choice for event in events for choice in json.loads(event).get("choices", ())]
    return "".join(choice["delta"].get("content") or "" for choice in choices)


@pytest.mark.parametrize("count", [1, 2, 3])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_ring_of_boxes_ends_where_it_began(tmp_path: Path, count: int, stream: bool) -> None:
    async with ring(tmp_path, count, "netgpt/cloud") as boxes:
        answer = await ask(boxes[0], "netgpt/cloud", stream=stream)
        # The one before the first was refused at once. Its owner has to mend that: no box covers it up with its words.
        assert answer.status_code == 502 and "cloud.base_url leads back" in answer.text
        assert answer.json()["error"]["code"] == "request_loop"
        assert [box.chats for box in boxes] == [2, *([1] * (count - 1))], "asked once each, and the first once more"
        last = boxes[-1].gateway.remotes["cloud"]
        for _ in range(3):
            await ask(boxes[0], "netgpt/cloud")
        assert last.health().ok, "a refusal is no fault of the link: the breaker stays closed"
        assert "leads back to this box" in last.health().fault
        always = await ask(boxes[0], "netgpt/cloud", stream=stream, netgpt={"fallback": "always"})
        assert always.status_code == 200 and "edge 0 says so" in said(always)


async def test_where_nobody_else_can_answer_the_owner_is_told(tmp_path: Path) -> None:
    async with ring(tmp_path, 2, "netgpt/cloud") as boxes:
        for box in boxes:
            box.gateway.edge.down = "asleep"  # type: ignore[attr-defined]
        answer = await ask(boxes[0], "netgpt/cloud")
        assert answer.status_code == 502 and "base_url" in answer.json()["error"]["message"]
        assert [box.chats for box in boxes] == [2, 1], "never tried again, and never round"


async def test_a_box_whose_edge_is_itself(tmp_path: Path) -> None:
    listener, port = free_port()
    endpoint = Endpoint(f"http://localhost:{port}/v1", None)
    edge = EdgeModel("small", lambda: endpoint, "netgpt", timeout_s=120, default_max_tokens=64)
    async with (
        gateway(tmp_path, edge=edge, completion={"mode": "off"}) as opened,
        listening(opened, listener) as box,
    ):
        answer = await ask(box, "netgpt")
        assert answer.status_code == 502 and "came round; edge.base_url" in answer.json()["error"]["message"]
        assert box.chats == 2


async def test_what_came_round_is_refused_and_nothing_is_done_for_it(tmp_path: Path) -> None:
    async with ring(tmp_path, 1, "netgpt") as (box,):
        own = box.gateway.box_id
        for header in (own, f"{new_box_id()}, {own}", f"{new_box_id()},{own},{new_box_id()}"):
            refused = await ask(box, "netgpt/edge", {HOPS_HEADER: header})
            assert refused.status_code == 508 and refused.json()["error"]["code"] == "request_loop"
        crowd = ", ".join(new_box_id() for _ in range(MOST_HOPS))
        refused = await ask(box, "netgpt/edge", {HOPS_HEADER: crowd})
        assert refused.status_code == 508 and f"{MOST_HOPS} boxes" in refused.json()["error"]["message"]
        assert own not in refused.text, "what a box is called is nobody's business"
        for header in (new_box_id(), "", ",,", "x" * 5_000):
            assert (await ask(box, "netgpt/edge", {HOPS_HEADER: header})).status_code == 200
        assert await box.gateway.store.exchanges(None, 100, None)
        assert len(await box.gateway.store.exchanges(None, 100, None)) == 4, "the refused ones left no trace"


def test_what_is_passed_on_is_made_of_ids_alone() -> None:
    box = new_box_id()
    arrive(box, "0123456789abcdef, a\r\nHost: evil, \u00e9t\u00e9")
    assert passed() == f"0123456789abcdef, {box}"
