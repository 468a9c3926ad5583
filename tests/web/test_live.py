"""The stream of exchanges: the rights and filters of the list, one look for all, nothing kept for who does not read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import orjson
import pytest
import pytest_asyncio
from doors import Door, door, layer

from netgpt.errors import RateLimited
from netgpt.store.listing import EVERYTHING, ListFilter
from netgpt.store.schema import ExchangeRecord
from netgpt.testing.server import FaultyCloud
from netgpt.types import Caller, Person, Role
from netgpt.web import live
from netgpt.web.auth import LimitsMiddleware
from netgpt.web.live import LiveRows, Viewer

pytestmark = pytest.mark.asyncio(loop_scope="module")

STREAM = "/v1/exchanges/stream"


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def box(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    with FaultyCloud() as cloud:
        async with door(tmp_path_factory.mktemp("home"), cloud) as opened:
            yield opened


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def keys(box: Door) -> dict[str, str]:
    made: dict[str, dict[str, Any]] = {
        "ada": {"user": "ada"}, "bob": {"user": "bob"}, "app": {}, "operator": {"role": Role.OPERATOR},
        "abroad": {"role": Role.OPERATOR, "tenant": "south"}, "admin": {"role": Role.ADMIN},
    }  # fmt: skip
    return {name: (await box.make_key(**fields))[1] for name, fields in made.items()}


def events(text: str) -> list[tuple[str, Any]]:
    """(name, data) of each event."""
    found = []
    for block in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if ": " in line and not line.startswith(":"))
        if "data" in lines:
            found.append((lines.get("event", ""), orjson.loads(lines["data"])))
    return found


@asynccontextmanager
async def looking(
    box: Door, key: str, params: Mapping[str, str] = MappingProxyType({}), **options: Any
) -> AsyncIterator[list[tuple[str, Any]]]:
    """What a stream told while the block ran; it is there when the block has ended."""
    seen: list[tuple[str, Any]] = []
    viewers = len(box.state.live.viewers)
    task = asyncio.create_task(box.get(STREAM, key=key, params={"seconds": "1", **params}, **options))
    while len(box.state.live.viewers) == viewers and not task.done():
        await asyncio.sleep(0.01)
    yield seen
    answer = await task
    assert answer.status_code == 200 and answer.headers["content-type"].startswith("text/event-stream")
    seen += events(answer.text)


def rows(seen: list[tuple[str, Any]]) -> list[Any]:
    return [data for name, data in seen if name == "exchange"]


async def test_everybody_sees_what_the_list_would_show_them(box: Door, keys: dict[str, str]) -> None:
    async with (
        looking(box, keys["ada"]) as ada,
        looking(box, keys["bob"]) as bob,
        looking(box, keys["operator"]) as operator,
        looking(box, keys["abroad"]) as abroad,
        looking(box, keys["app"], params={"user": "ada"}) as app,
        looking(box, keys["operator"], params={"hidden": "EMAIL"}) as mails,
        looking(box, keys["operator"], params={"status": "failed"}) as failed,
    ):
        asked = await box.chat(keys["ada"], "write to carol@example.org", fields={"model": "netgpt/cloud"})
        await box.chat(keys["bob"], "hello", fields={"model": "netgpt/cloud"})
    id = asked.headers["x-netgpt-exchange"]
    listed = (await box.get("/v1/exchanges", key=keys["ada"])).json()["data"]
    assert rows(ada) == rows(app) == rows(mails)[:0] + listed and listed[0]["id"] == id
    assert listed[0]["finds"] == {"EMAIL": 1} and listed[0]["left_bytes"] > 50 and listed[0]["person"] == "ada"
    assert len(rows(bob)) == 1 and rows(bob)[0]["person"] == "bob"
    assert len(rows(operator)) == 2 and all("person" not in row for row in rows(operator))
    assert [row["id"] for row in rows(mails)] == [id] and rows(abroad) == rows(failed) == []
    assert "carol@" not in orjson.dumps(operator).decode()


async def test_who_comes_back_is_told_what_was_missed(box: Door, keys: dict[str, str]) -> None:
    first = await box.chat(keys["ada"], "one")
    missed = await box.chat(keys["ada"], "two")
    last = {"last-event-id": first.headers["x-netgpt-exchange"]}
    async with looking(box, keys["bob"]):  # so that the look is under way
        async with looking(box, keys["ada"], headers=last) as again:
            pass
        async with looking(box, keys["ada"], params={"seconds": "0"}, headers={"last-event-id": "ex_none"}) as lost:
            pass
    assert [row["id"] for row in rows(again)] == [missed.headers["x-netgpt-exchange"]]
    assert [name for name, _ in lost] == ["open", "again"]


async def test_a_stream_holds_no_place_of_a_chat(box: Door, keys: dict[str, str]) -> None:
    limits = layer(box.app, LimitsMiddleware)
    before = limits.in_work
    async with looking(box, keys["ada"]):
        assert limits.in_work == before
    assert limits.in_work == before and box.state.live.viewers == set()


async def test_who_may_not_look_is_refused_and_wrong_fields_are_named(box: Door, keys: dict[str, str]) -> None:
    assert (await box.get(STREAM)).status_code == 401
    assert (await box.get(STREAM, key=keys["ada"], params={"user": "bob"})).status_code == 403
    answer = await box.get(STREAM, key=keys["ada"], params={"seconds": "9999"})
    assert answer.status_code == 400 and "seconds" in answer.json()["error"]["message"]


async def test_many_viewers_cost_one_look(box: Door, keys: dict[str, str]) -> None:
    """However many look, the store is asked once for a row."""
    rows_of_all = box.state.live
    viewers = [Viewer(Caller("north", Role.OPERATOR), None, EVERYTHING) for _ in range(100)]
    for viewer in viewers:
        await rows_of_all.join(viewer)
    before = rows_of_all.looks
    await box.chat(keys["ada"], "hello all")
    for viewer in viewers:
        await asyncio.wait_for(viewer.news.wait(), 30)
    assert rows_of_all.looks - before <= 2
    assert len({id(viewer.waiting[0]) for viewer in viewers}) <= 100 and all(viewer.waiting for viewer in viewers)
    for viewer in viewers:
        rows_of_all.leave(viewer)


async def test_what_another_process_writes_is_told_too(box: Door, keys: dict[str, str]) -> None:
    """Nothing ends in this process: the row is found by the look that comes anyway."""
    async with looking(box, keys["operator"], params={"seconds": "3", "model": "from elsewhere"}) as seen:
        row = ExchangeRecord(
            "ex_elsewhere", "north", "eve", None, datetime.now(UTC), "complete", "from elsewhere", "edge", "", 1, 1,
            estimated=False, cost=0.0, timings={},
        )  # fmt: skip
        await box.gateway.store.save_exchange(row)
    assert [each["id"] for each in rows(seen)] == ["ex_elsewhere"]


async def test_who_does_not_read_is_told_to_look_again(box: Door) -> None:
    viewer = Viewer(Caller("north", Role.OPERATOR), None, EVERYTHING)
    for _ in range(10 * live.MOST_WAITING):
        viewer.put(b"x" * 1000)
    assert len(viewer.waiting) <= live.MOST_WAITING and live.AGAIN in viewer.waiting


async def test_no_more_look_than_may(box: Door) -> None:
    rows_of_all = LiveRows(box.gateway)
    viewers = [Viewer(Caller("north", Role.OPERATOR), None, ListFilter()) for _ in range(live.MOST_VIEWERS)]
    for viewer in viewers:
        await rows_of_all.join(viewer)
    with pytest.raises(RateLimited):
        await rows_of_all.join(Viewer(Caller("north", Role.OPERATOR), None, ListFilter()))
    await rows_of_all.close()
    assert all(viewer.ended for viewer in viewers)


async def test_the_figures_by_hour_are_those_of_who_asks(box: Door, keys: dict[str, str], tmp_path: Path) -> None:
    await box.chat(keys["bob"], "write to dan@example.org", fields={"model": "netgpt/cloud"})
    mine = (await box.get("/v1/usage", key=keys["bob"])).json()
    shown = (await box.get("/v1/exchanges", key=keys["bob"], params={"limit": "200"})).json()["data"]
    assert mine["total"]["requests"] == len(shown) == sum(each["requests"] for each in mine["data"])
    assert mine["complete"] and len(mine["data"]) == 24 and mine["total"]["hidden"] == {"EMAIL": 1}
    assert mine["data"][-1]["from"] <= datetime.now(UTC).isoformat() < mine["to"]
    everybody = (await box.get("/v1/usage?by=day&last=2", key=keys["operator"])).json()
    assert everybody["total"]["requests"] > mine["total"]["requests"] and len(everybody["data"]) == 2
    assert (await box.get("/v1/usage", key=keys["abroad"])).json()["total"]["requests"] == 0
    assert (await box.get("/v1/usage?user=ada", key=keys["bob"])).status_code == 403
    assert (await box.get("/v1/usage?last=0", key=keys["bob"])).status_code == 400
    await box.gateway.store.forget(Person("north", "bob"))
    assert (await box.get("/v1/usage?user=bob", key=keys["operator"])).json()["total"]["requests"] == 0
