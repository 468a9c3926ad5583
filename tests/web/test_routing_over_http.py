"""The preset and the share of the cloud, changed while the box runs: in force at once, noted, for its admins alone."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from doors import Door, door

from netgpt.testing.server import FaultyCloud
from netgpt.types import Role

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def here(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Door]:
    with FaultyCloud() as cloud:
        async with door(tmp_path_factory.mktemp("home"), cloud) as opened:
            yield opened


async def change(here: Door, key: str, **body: Any) -> Any:
    return await here.ask("PATCH", "/v1/routing", key=key, json=body)


async def weights_of(here: Door, key: str) -> tuple[str, str]:
    """(weights, route) of a dry run of an everyday question."""
    asked = await here.chat(key, "capital of Australia", fields={"model": "netgpt", "netgpt": {"dry_run": True}})
    decision = asked.json()["netgpt"]["explain"]["decision"]
    return decision["weights"], decision["rule"]


async def test_a_change_counts_from_the_next_request_and_is_noted(here: Door, caplog: pytest.LogCaptureFixture) -> None:
    id, admin = await here.make_key(tenant="local", role=Role.ADMIN)
    assert (await weights_of(here, admin))[0] == "balanced"
    with caplog.at_level(logging.WARNING, "netgpt.app.routing"):
        changed = (await change(here, admin, prefer="cheap", max_cloud_share=0.25)).json()
    assert (changed["prefer"], changed["max_cloud_share"]) == ("cheap", 0.25)
    assert changed["settings"] == {"prefer": "balanced", "max_cloud_share": None}
    assert changed["changes"][0]["by"] == id and f"changed by {id}" in caplog.text
    assert (await weights_of(here, admin))[0] == "cheap"
    share = here.gateway.routing_service.context.memory.share
    assert share.share == 0.25
    assert (await change(here, admin, prefer="fast")).json()["max_cloud_share"] == 0.25, "what is left out stays"
    free = (await change(here, admin, max_cloud_share=None)).json()
    assert free["max_cloud_share"] is None and free["prefer"] == "fast" and share.share is None
    assert [each["prefer"] for each in free["changes"]] == ["fast", "fast", "cheap"]


async def test_no_share_keeps_everything_that_may_stay_on_the_box(here: Door) -> None:
    _, admin = await here.make_key(tenant="local", role=Role.ADMIN)
    await change(here, admin, prefer="quality", max_cloud_share=0)
    fields = {"model": "netgpt", "netgpt": {"dry_run": True}}
    asked = await here.chat(admin, "explain the proof of the prime number theorem", fields=fields)
    assert asked.json()["netgpt"]["route"] == "edge"
    await change(here, admin, prefer="quality", max_cloud_share=None)
    asked = await here.chat(admin, "explain the proof of the prime number theorem", fields=fields)
    assert asked.json()["netgpt"]["route"] == "cloud"


async def test_the_targets_and_their_health_are_told_and_nobody_else_changes_them(here: Door) -> None:
    _, operator = await here.make_key(tenant="local", role=Role.OPERATOR)
    told = (await here.get("/v1/routing", key=operator)).json()
    assert [each["name"] for each in told["targets"]] == ["edge", "cloud"] and told["targets"][1]["ok"] is True
    assert (await change(here, operator, prefer="fast")).status_code == 403
    _, admin = await here.make_key(tenant="local", role=Role.ADMIN)
    for body in ({"prefer": "best"}, {"prefer": None}, {"max_cloud_share": 1.1}, {"max_cloud_share": "half"}, {"a": 1}):
        assert (await change(here, admin, **body)).status_code == 400, body
