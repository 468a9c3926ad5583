"""Two gateways with homes of their own on one PostgreSQL: one truth, one chain, and a server that goes away."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import postgres
import pytest
from doors import Door, door
from forking import run_netgpt

from netgpt.app.doctor import check_store
from netgpt.errors import StoreError
from netgpt.settings import load_settings
from netgpt.store.encryption import encoded_key, fresh_key
from netgpt.store.schema import KeyLimits
from netgpt.store.store import open_store
from netgpt.testing.server import FaultyCloud
from netgpt.types import Role

pytestmark = pytest.mark.skipif(not postgres.is_there(), reason=postgres.WHY_NOT)
WITHIN_S = 20
"""The machine may be busy."""


@pytest.fixture
def url() -> Iterator[str]:
    url = postgres.server().new()
    yield url.replace("netgpt@", "netgpt:hunter2@")
    postgres.server().give_back(url)


@pytest.fixture
def kept(url: str) -> dict[str, Any]:
    return {"url": url, "key": encoded_key(fresh_key())}


@asynccontextmanager
async def two(tmp_path: Path, kept: dict[str, Any], cloud: FaultyCloud) -> AsyncIterator[tuple[Door, Door]]:
    async with (
        door(tmp_path / "one", cloud, store=kept) as one,
        door(tmp_path / "two", cloud, store=kept) as other,
    ):
        yield one, other


async def comes_true(look: Callable[[], Awaitable[bool]]) -> bool:
    until = time.monotonic() + WITHIN_S
    while not await look():
        if time.monotonic() > until:
            return False
        await asyncio.sleep(0.02)
    return True


TO_CLOUD = {"model": "netgpt/cloud", "user": "ada"}
OF_ADA = {"user": "ada"}


async def test_what_one_writes_the_other_knows_until_it_is_forgotten(tmp_path: Path, kept: dict[str, Any]) -> None:
    with FaultyCloud() as cloud:
        async with two(tmp_path, kept, cloud) as (one, other):
            answer = await one.chat(text="write to ada@example.org", fields=TO_CLOUD)
            assert answer.json()["netgpt"]["route"] == "cloud"
            assert b"ada@example.org" not in cloud.received[-1].body
            exchange = f"/v1/exchanges/{answer.json()['netgpt']['exchange']}"

            async def is_known() -> bool:
                return (await other.get(exchange, params=OF_ADA)).status_code == 200

            assert await comes_true(is_known)
            (receipt,) = (await other.get("/v1/receipts", params=OF_ADA)).json()["data"]
            assert receipt["id"] and (await other.chat(text="a giraffe?", fields=TO_CLOUD)).status_code == 200
            report = await one.gateway.store.receipts.verify()
            assert report.whole and report.receipts == 2
            added = await other.ask("POST", "/v1/profiles/ada/facts", json={"text": "likes plums", "kind": "note"})
            assert added.status_code < 300, added.text
            assert "plums" in (await other.get("/v1/profiles/ada")).text
            assert (await one.ask("DELETE", "/v1/profiles/ada")).status_code == 200
            assert not await is_known()

            async def is_forgotten() -> bool:
                return "plums" not in (await other.get("/v1/profiles/ada")).text

            assert await comes_true(is_forgotten)
            report = await other.gateway.store.receipts.verify()
            assert report.whole and report.erased == 2
            assert (await other.gateway.store.sealing.check()).faults == ()


async def test_keys_and_budgets_count_on_both(tmp_path: Path, kept: dict[str, Any]) -> None:
    with FaultyCloud() as cloud:
        async with two(tmp_path, kept, cloud) as (one, other):

            async def says(here: Door, status: int, key: str | None = None) -> bool:
                return (await here.chat(key)).status_code == status

            assert await says(other, 200)
            await one.make_key(role=Role.ADMIN, tenant="local")
            assert await comes_true(lambda: says(other, 401))  # a box with keys asks for one
            id, narrow = await other.make_key(limits=KeyLimits(tokens_per_day=5))
            assert await comes_true(lambda: says(one, 200, narrow))
            assert await says(other, 429, narrow) and await says(one, 429, narrow)
            free, secret = await one.make_key()
            assert await comes_true(lambda: says(other, 200, secret))
            await one.gateway.store.revoke_key(free)
            assert await says(one, 401, secret) and await comes_true(lambda: says(other, 401, secret))
            assert id != free and (await one.gateway.store.sealing.check()).faults == ()


async def test_a_server_that_is_away_lets_nothing_out_and_comes_back(tmp_path: Path, kept: dict[str, Any]) -> None:
    with FaultyCloud() as cloud:
        async with two(tmp_path, kept, cloud) as (one, other):
            assert (await one.chat(fields=TO_CLOUD)).status_code == 200
            before = len(cloud.received)
            postgres.server().stop("immediate")
            try:
                for here in (one, other):
                    answer = await here.chat(text="write to ada@example.org", fields=TO_CLOUD)
                    assert answer.status_code == 503 and int(answer.headers["retry-after"]) > 0, answer.text
                    assert answer.json()["error"]["code"] == "store_unreachable"
                    assert "postgresql" not in answer.text and "netgpt-pg" not in answer.text  # for its owner alone
                    ready = await here.get("/readyz")
                    assert ready.status_code == 503 and "cannot be reached" in ready.json()["parts"]["store"]["detail"]
                    assert "hunter2" not in ready.text + answer.text
                assert len(cloud.received) == before
                settings = load_settings(environment={}, home=tmp_path / "one", store=kept)
                with pytest.raises(StoreError, match="cannot be reached"):
                    await check_store(settings)
            finally:
                postgres.server().start()
            for here in (one, other):
                assert (await here.chat(fields=TO_CLOUD)).status_code == 200
                assert (await here.get("/readyz")).json()["parts"]["store"]["ok"] is True
            found = await check_store(settings)
            assert found.state == "ok" and found.detail.startswith("postgresql:///")
            settings.database.touch(0o600)
            assert "store move" in (await check_store(settings)).detail
            report = await one.gateway.store.receipts.verify()
            assert report.whole and (await one.gateway.store.sealing.check()).faults == ()


async def test_each_box_vouches_for_its_own_files(tmp_path: Path, kept: dict[str, Any]) -> None:
    """One that shares the database has other adapters, and takes none of the first one's for its own."""
    settings = [load_settings(environment={}, home=tmp_path / name, store=kept) for name in ("one", "two")]
    one, other = (open_store(each) for each in settings)
    unwritten = one.files.known("adapters/index.json")
    one.files.expect("adapters/index.json", b"[1]")
    assert one.files.known("adapters/index.json") == (b"[1]",)
    assert other.files.known("adapters/index.json") == unwritten
    other.files.expect("adapters/index.json", b"[2]")
    assert one.files.known("adapters/index.json") == (b"[1]",)
    assert (await one.sealing.check()).faults == ()
    await one.close()
    await other.close()


async def test_a_lost_key_is_not_replaced_by_a_new_one(tmp_path: Path, url: str) -> None:
    """Another home on a database that is in use needs the key of the first."""
    first = load_settings(environment={}, home=tmp_path / "one", store={"url": url})
    await open_store(first).close()
    with pytest.raises(StoreError, match="key of the sealed database is missing"):
        open_store(load_settings(environment={}, home=tmp_path / "two", store={"url": url}))
    assert not (tmp_path / "two" / "secret.key").exists()
    await open_store(first).close()


def test_the_commands_move_a_box_and_never_show_the_password(tmp_path: Path, url: str, clean_environment: Path) -> None:
    home = clean_environment
    settings = load_settings(environment={}, home=home)
    asyncio.run(open_store(settings).close())
    env = {**os.environ, "NETGPT_HOME": str(home)}
    env["NETGPT_STORE__URL"] = url
    done = run_netgpt("store", "move", "--json", env=env)
    assert json.loads(done.stdout)["receipts_whole"] is True
    shown = [done, run_netgpt("config", "show", env=env), run_netgpt("store", "info", env=env)]
    assert all("hunter2" not in each.stdout + each.stderr and each.stdout for each in shown)
    assert "postgresql:///" in shown[2].stdout
