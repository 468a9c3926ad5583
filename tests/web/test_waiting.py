"""Requests that may wait: kept when nobody can answer, sent once when somebody can, shown to their person alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from clouds import Says
from doors import Door, door, layer
from fastapi import FastAPI

from netgpt.testing.models import ScriptedModel
from netgpt.testing.server import Fault, FaultyCloud
from netgpt.web.app import create_app

WAITS = {"model": "netgpt/cloud", "netgpt": {"may_wait": True}}
QUICK = {"per_minute": 6_000}


@asynccontextmanager
async def away(home: Path, edge: Any = None, **settings: Any) -> AsyncIterator[tuple[Door, FaultyCloud]]:
    """An app whose cloud cannot be reached until it is started; what waits is sent by the app's own sender."""
    cloud = FaultyCloud()
    cloud.start()
    cloud.stop()  # it keeps its port
    async with door(home, cloud, edge=edge, waiting={**QUICK, **settings}) as here:
        deferred = here.state.deferred
        deferred.start()
        try:
            yield here, cloud
        finally:
            await deferred.close()
            cloud.stop()


async def ended(here: Door, id: str, key: str | None = None, within_s: float = 60) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    for _ in range(int(within_s / 0.05)):
        shown = (await here.get(f"/v1/waiting/{id}", key=key)).json()
        if shown.get("status") not in ("waiting", "sending", "sent"):
            return shown
        await asyncio.sleep(0.05)
    raise AssertionError(f"it did not end: {shown}")


def ids_at(cloud: FaultyCloud) -> list[str | None]:
    return [request.header("idempotency-key") for request in cloud.received]


async def test_it_is_kept_and_sent_once_and_in_order(tmp_path: Path) -> None:
    async with away(tmp_path) as (here, cloud):
        kept = [await here.chat(text=f"question {n}", fields={**WAITS, "stream": n == 1}) for n in range(4)]
        assert [answer.status_code for answer in kept] == [202] * 4, kept[0].text
        shown = kept[0].json()
        assert shown["object"] == "netgpt.waiting" and shown["status"] == "waiting" and shown["reason"]
        assert kept[0].headers["location"] == f"/v1/waiting/{shown['id']}"
        cloud.start()
        ids = [answer.json()["id"] for answer in kept]
        answers = [await ended(here, id) for id in ids]
        assert [each["status"] for each in answers] == ["answered"] * 4
        said = [each["answer"]["choices"][0]["message"]["content"] for each in answers]
        assert said == [f"question {n}" for n in range(4)]
        assert ids_at(cloud) == ids
        listed = (await here.get("/v1/waiting")).json()["data"]
        assert [row["id"] for row in listed] == ids[::-1] and "question" not in str(listed)
        exchange = (await here.get(f"/v1/exchanges/{answers[0]['exchange']}")).json()
        assert exchange["route"] == "cloud" and exchange["outbound"]["messages"][0]["content"] == "question 0"


async def test_what_waited_is_answered_in_the_words_of_its_door(tmp_path: Path) -> None:
    async with away(tmp_path) as (here, cloud):
        body = {**WAITS, "input": "a question", "metadata": {"of": "a test"}, "stream": True}
        kept = await here.ask("POST", "/v1/responses", json=body)
        assert kept.status_code == 202, kept.text
        cloud.start()
        answer = (await ended(here, kept.json()["id"]))["answer"]
        assert answer["object"] == "response" and answer["metadata"] == {"of": "a test"}
        assert answer["output"][0]["content"][0]["text"] == "a question"


async def test_without_leave_to_wait_nothing_is_kept(tmp_path: Path) -> None:
    async with away(tmp_path) as (here, _):
        answer = await here.chat(text="hello", fields={"model": "netgpt/cloud"})
        assert answer.status_code == 200 and answer.json()["netgpt"]["route"] == "edge"
        assert (await here.get("/v1/waiting")).json()["data"] == []


async def test_a_request_that_has_left_is_not_kept(tmp_path: Path) -> None:
    async with away(tmp_path) as (here, cloud):
        cloud.schedule(Fault.CUT)
        cloud.start()
        answer = await here.chat(text="hello", fields=WAITS)
        assert answer.status_code != 202
        assert (await here.get("/v1/waiting")).json()["data"] == []


@pytest.mark.slow
async def test_what_broke_after_it_left_is_not_sent_again(tmp_path: Path) -> None:
    async with away(tmp_path) as (here, cloud):
        id = (await here.chat(text="hello", fields=WAITS)).json()["id"]
        cloud.schedule(Fault.CUT)
        cloud.start()
        shown = await ended(here, id)
        assert shown["status"] == "unknown" and shown["answer"] is None and shown["error"]["code"]
        await asyncio.sleep(1.5)
        assert ids_at(cloud) == [id]


async def test_a_request_refused_for_now_is_tried_again(tmp_path: Path) -> None:
    async with away(tmp_path) as (here, cloud):
        id = (await here.chat(text="hello", fields=WAITS)).json()["id"]
        cloud.schedule(Fault.RATE_LIMIT)
        cloud.start()
        shown = await ended(here, id)
        assert shown["status"] == "answered" and shown["tries"] == 1
        assert ids_at(cloud) == [id, id]


@pytest.mark.slow
async def test_an_answer_that_says_429_did_begin(tmp_path: Path) -> None:
    async with away(tmp_path) as (here, cloud):
        id = (await here.chat(text="hello", fields=WAITS)).json()["id"]
        port, body = cloud.port, b'{"error": {"type": "rate_limit_error", "code": 429}}'
        with Says(body, kind="application/json", port=port) as server:
            assert (await ended(here, id))["status"] == "unknown"
            await asyncio.sleep(1.5)
            assert len(server.requests) == 1


async def test_what_is_refused_for_good_has_failed(tmp_path: Path) -> None:
    async with away(tmp_path) as (here, cloud):
        id = (await here.chat(text="hello", fields=WAITS)).json()["id"]
        cloud.schedule(Fault.REFUSED)
        cloud.start()
        shown = await ended(here, id)
        assert shown["status"] == "failed" and shown["error"]["code"] == "invalid_api_key"


async def test_it_goes_by_what_the_key_says_when_it_is_sent(tmp_path: Path) -> None:
    async with away(tmp_path, ScriptedModel(down="asleep")) as (here, cloud):
        _, key = await here.make_key(user="ada", prefer="cheap")
        id = (await here.chat(key, fields={"netgpt": {"may_wait": True}})).json()["id"]
        cloud.start()
        shown = await ended(here, id, key)
        exchange = (await here.get(f"/v1/exchanges/{shown['exchange']}", key=key)).json()
        assert shown["status"] == "answered" and exchange["decision"]["weights"] == "cheap"


async def test_how_much_may_wait_is_bounded(tmp_path: Path) -> None:
    async with away(tmp_path, max_requests=2, max_bytes=4_000) as (here, _):
        for _ in range(2):
            assert (await here.chat(fields={**WAITS, "user": "ada"})).status_code == 202
        refused = await here.chat(fields={**WAITS, "user": "ada"})
        assert refused.status_code == 429 and refused.json()["error"]["code"] == "too_many_waiting"
        refused = await here.chat(text="x" * 5_000, fields={**WAITS, "user": "bob"})
        assert refused.status_code == 429
        assert (await here.chat(fields={**WAITS, "user": "bob"})).status_code == 202


async def test_cancelling_it(tmp_path: Path) -> None:
    async with away(tmp_path) as (here, cloud):
        id = (await here.chat(fields=WAITS)).json()["id"]
        shown = await here.ask("DELETE", f"/v1/waiting/{id}")
        while shown.status_code == 409:  # it is tried in this very moment, in vain
            assert shown.json()["error"]["code"] == "being_sent"
            await asyncio.sleep(0.05)
            shown = await here.ask("DELETE", f"/v1/waiting/{id}")
        assert shown.json() == {"id": id, "deleted": True}
        assert (await here.get(f"/v1/waiting/{id}")).status_code == 404
        assert (await here.ask("DELETE", f"/v1/waiting/{id}")).status_code == 404
        cloud.start()
        await asyncio.sleep(1.2)
        assert ids_at(cloud) == []


async def test_a_key_revoked_meanwhile_sends_nothing(tmp_path: Path) -> None:
    async with away(tmp_path) as (here, cloud):
        key_id, key = await here.make_key(user="ada")
        _, other = await here.make_key(user="ada")
        id = (await here.chat(key, fields=WAITS)).json()["id"]
        await here.gateway.store.revoke_key(key_id)
        cloud.start()
        shown = await ended(here, id, other)
        assert shown["status"] == "failed" and "revoked" in shown["error"]["message"]
        assert ids_at(cloud) == []


async def test_others_learn_nothing_of_it(tmp_path: Path) -> None:
    async with away(tmp_path) as (here, _):
        _, ada = await here.make_key(user="ada")
        _, bob = await here.make_key(user="bob")
        _, far = await here.make_key(tenant="south")
        id = (await here.chat(ada, fields=WAITS)).json()["id"]
        for key in (bob, far):
            assert (await here.get(f"/v1/waiting/{id}", key=key)).status_code == 404
            assert (await here.ask("DELETE", f"/v1/waiting/{id}", key=key)).status_code == 404
            assert (await here.get("/v1/waiting", key=key)).json()["data"] == []
        assert (await here.get(f"/v1/waiting/{id}", key=ada)).status_code == 200


async def test_forget_and_export_include_it(tmp_path: Path) -> None:
    async with away(tmp_path) as (here, cloud):
        _, key = await here.make_key(user="ada")
        id = (await here.chat(key, text="my umbrella", fields=WAITS)).json()["id"]
        took = (await here.get("/v1/profiles/ada/export", key=key)).json()
        assert [row["id"] for row in took["waiting"]] == [id] and "my umbrella" in str(took["waiting"])
        gone = (await here.ask("DELETE", "/v1/profiles/ada", key=key)).json()
        assert gone["removed"]["waiting"] == 1, gone
        cloud.start()
        await asyncio.sleep(1.2)
        assert ids_at(cloud) == []


async def test_two_processes_on_one_database_send_it_once(tmp_path: Path) -> None:
    async with away(tmp_path) as (here, cloud):
        ids = [(await here.chat(fields={**WAITS, "user": f"u{n}"})).json()["id"] for n in range(12)]
        others = [layer(create_app(here.gateway), FastAPI).state.deferred for _ in range(2)]
        for other in others:
            other.start()
        cloud.start()
        try:
            assert {(await ended(here, id))["status"] for id in ids} == {"answered"}
        finally:
            for other in others:
                await other.close()
        assert sorted(map(str, ids_at(cloud))) == sorted(ids)


async def test_the_answer_of_last_resort(tmp_path: Path) -> None:
    cloud = FaultyCloud()
    async with door(tmp_path, cloud.__enter__() and cloud, edge=None) as here:
        first = await here.chat(text="the tides of Portwick", fields={"model": "netgpt/cloud"})
        assert first.status_code == 200
        cloud.stop()
        here.gateway.edge.down = "gone"  # type: ignore[attr-defined]
        again = await here.chat(text="the tides of Portwick", fields={"model": "netgpt/cloud", "temperature": 0.1})
        assert again.status_code == 200, again.text
        shown = again.json()
        assert shown["choices"][0]["message"]["content"] == "the tides of Portwick"
        assert "cached" in str(shown["netgpt"]) and again.headers["x-netgpt-rule"] == "cached"
        other = await here.chat(text="the tides of Portwick", fields={"model": "netgpt/cloud", "user": "bob"})
        assert other.status_code == 503 and isinstance(other, httpx.Response)
        more = await here.chat(text="the tides of Portwick", fields={"model": "netgpt/cloud", "max_tokens": 3})
        assert more.status_code == 503
