"""Canaries that do worse are taken back by themselves: a real registry, a real store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from made_adapters import adapter_file, card_for

from netgpt.adapters.canary import CanaryDecision, watch_canaries
from netgpt.adapters.card import State
from netgpt.adapters.registry import Registry
from netgpt.exchange import new_id
from netgpt.store.encryption import Sealer
from netgpt.store.schema import ExchangeRecord
from netgpt.store.store import Store


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = Store.open(tmp_path / "netgpt.db", Sealer.from_file(tmp_path / "key", create=True))
    yield store
    await store.close()


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    """site@1 is active, site@2 is the canary of half the people."""
    registry = Registry(tmp_path / "adapters")
    for version in (1, 2):
        weights = adapter_file(tmp_path / f"{version}.gguf", seed=version)
        registry.add(weights, card_for(weights, "site", version, scope="site"))
    registry.promote("site@1")
    registry.promote("site@2", canary=0.5)
    return registry


async def answered(store: Store, adapter: str, user: str, *, failed: bool) -> None:
    await store.save_exchange(
        ExchangeRecord(
            id=new_id(), tenant="local", user=user, key_id=None, received=datetime.now(UTC),
            status="failed" if failed else "complete", model="edge", route="edge", reason="", prompt_tokens=1,
            completion_tokens=1, estimated=False, cost=0.0, timings={"first_token": 20.0}, private=None,
            adapters=(adapter,),
        )
    )  # fmt: skip


async def test_a_canary_that_fails_more_often_is_taken_back(store: Store, registry: Registry) -> None:
    for number in range(30):
        await answered(store, "site@1", f"old{number}", failed=False)
        await answered(store, "site@2", f"new{number}", failed=number % 2 == 0)
    found = await watch_canaries(registry, store.outcomes)
    assert found["site@2"].decision is CanaryDecision.ROLL_BACK
    taken_back = registry.show("site@2")
    assert taken_back.state is State.REJECTED and "15 of 30 answers failed" in taken_back.why
    assert (entry := registry.active("site")) is not None and entry.id == "site@1"
    assert await watch_canaries(registry, store.outcomes) == {}


async def test_a_canary_that_does_as_well_stays(store: Store, registry: Registry) -> None:
    for number in range(30):
        for adapter in ("site@1", "site@2"):
            await answered(store, adapter, f"user{number}", failed=number == 0)
    assert (await watch_canaries(registry, store.outcomes))["site@2"].decision is CanaryDecision.WAIT
    assert registry.show("site@2").state is State.CANARY
