"""A busy box over HTTP: who waits, who is refused and with which answer, and callers who hang up while they wait."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from doors import Door, door, layer
from patience import until

from netgpt.testing.models import ScriptedModel
from netgpt.types import Chunk
from netgpt.web.auth import LimitsMiddleware

ONE = {"max_concurrency": 1, "max_waiting": 1, "max_wait_s": 60}


class Held(ScriptedModel):
    """Begins its answers once it is let go."""

    def __init__(self, reply: str = "yes") -> None:
        super().__init__(reply)
        self.go = asyncio.Event()

    async def chat(self, body: Mapping[str, Any], *, adapters: Sequence[str] = ()) -> AsyncIterator[Chunk]:
        await self.go.wait()
        async for chunk in super().chat(body, adapters=adapters):
            yield chunk


def places(here: Door) -> Any:
    return here.state.admission


async def test_one_waits_and_one_is_refused(tmp_path: Path) -> None:
    edge = Held()
    async with door(tmp_path, edge=edge, server=ONE) as here:
        asked = [asyncio.create_task(here.chat(text=f"hello {n}")) for n in range(3)]
        await until(lambda: places(here).waiting == 1 and any(one.done() for one in asked))
        await asyncio.sleep(0.25)
        edge.go.set()
        answers = await asyncio.gather(*asked)
        assert sorted(answer.status_code for answer in answers) == [200, 200, 503]
        refused = next(answer for answer in answers if answer.status_code == 503)
        error = refused.json()["error"]
        assert error["code"] == "overloaded" and error["type"] == "server_error" and error["param"] is None
        assert int(refused.headers["retry-after"]) >= 1 and refused.headers["x-netgpt-exchange"]
        waited = []
        for answer in answers:
            if answer.status_code == 200:
                row = (await here.get(f"/v1/exchanges/{answer.headers['x-netgpt-exchange']}")).json()
                waited.append(row["timings_ms"].get("queue", 0.0))
        assert min(waited) == 0 and 200 < max(waited) < 60_000
        assert (places(here).at_work, places(here).waiting) == (0, 0)
        page = (await here.get("/metrics")).text
        assert 'netgpt_refused_total{code="overloaded"} 1.0' in page
        assert 'netgpt_places{lane="auto",what="at_work"} 0.0' in page


async def test_a_key_with_more_than_its_share_gets_429(tmp_path: Path) -> None:
    server, edge = {"max_concurrency": 2, "max_waiting": 3, "max_wait_s": 60}, Held()
    async with door(tmp_path, edge=edge, server=server) as here:
        _, greedy = await here.make_key()
        _, modest = await here.make_key()
        crowd = [asyncio.create_task(here.chat(greedy, fields={"user": f"made up {n}"})) for n in range(4)]
        await until(lambda: (places(here).at_work, places(here).waiting) == (2, 2))
        asked = asyncio.create_task(here.chat(modest))
        await until(lambda: places(here).waiting == 3)
        late = await here.chat(greedy)
        assert late.status_code == 429 and late.json()["error"]["code"] == "too_many_at_once", late.text
        assert int(late.headers["retry-after"]) >= 1
        edge.go.set()
        assert (await asked).status_code == 200
        assert {(await one).status_code for one in crowd} == {200}


async def test_who_hangs_up_while_waiting_leaves_the_queue(tmp_path: Path) -> None:
    edge = Held()
    async with door(tmp_path, edge=edge, server=ONE) as here:
        first = asyncio.create_task(here.chat(text="first"))
        await until(lambda: places(here).at_work == 1)
        gone = asyncio.create_task(here.chat(text="gone"))
        await until(lambda: places(here).waiting == 1)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
        assert places(here).waiting == 0
        edge.go.set()
        assert (await first).status_code == 200
        assert (await here.chat(text="next")).status_code == 200
        assert [body["messages"][-1]["content"] for body in edge.asked] == ["first", "next"]
        assert places(here).at_work == 0


async def test_a_stream_holds_its_place_to_its_end(tmp_path: Path) -> None:
    edge = Held("x" * 40)
    async with door(tmp_path, edge=edge, server={**ONE, "max_waiting": 0}) as here:
        stream = asyncio.create_task(here.chat(text="long", fields={"stream": True}))
        await until(lambda: places(here).at_work == 1)
        assert (await here.chat()).status_code in (429, 503)
        edge.go.set()
        assert "[DONE]" in (await stream).text
        assert places(here).at_work == 0


async def test_a_place_comes_back_where_the_server_cancels_the_work(tmp_path: Path) -> None:
    async with door(tmp_path, edge=Held(), server=ONE) as here:
        body = b'{"messages": [{"role": "user", "content": "hello"}]}'
        came = asyncio.Event()

        async def receive() -> dict[str, Any]:
            if came.is_set():
                await asyncio.sleep(60)
            came.set()
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(_message: Any) -> None:
            raise AssertionError("nothing is answered")

        scope = {
            "type": "http", "method": "POST", "path": "/v1/chat/completions", "query_string": b"",
            "headers": [(b"host", b"localhost")], "client": ("127.0.0.1", 1),
        }  # fmt: skip
        work = asyncio.ensure_future(here.app(scope, receive, send))
        await until(lambda: places(here).at_work == 1)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        assert places(here).at_work == 0


async def test_bodies_that_do_not_come_to_their_end_take_no_place_of_others(tmp_path: Path) -> None:
    async with door(tmp_path) as here:
        _, slow = await here.make_key()
        _, modest = await here.make_key()

        async def one_more() -> None:
            came = False

            async def body() -> Any:
                nonlocal came
                yield b'{"messages": '
                came = True
                await asyncio.sleep(60)

            waiting = here.ask("POST", "/v1/chat/completions", key=slow, content=body())
            tasks.append(asyncio.create_task(waiting))
            await until(lambda: came)

        tasks: list[asyncio.Task[Any]] = []
        for _ in range(330):
            await one_more()
        assert (await here.chat(modest)).status_code == 200
        assert (await here.chat(slow)).status_code == 200
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert layer(here.app, LimitsMiddleware).in_work == 0


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/embeddings"])
async def test_a_body_without_a_length_is_too_large_all_the_same(tmp_path: Path, path: str) -> None:
    async with door(tmp_path, server={"max_body_bytes": 1_000}) as here:

        async def body() -> Any:
            for _ in range(20):
                yield b" " * 100

        answer = await here.ask("POST", path, content=body())
        assert answer.status_code == 413 and answer.json()["error"]["code"] == "payload_too_large"
