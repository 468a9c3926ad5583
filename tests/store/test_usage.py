"""Sums by hour: each exchange is counted once, a forgotten person is taken out, and a picture reads sums alone."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from netgpt.store.encryption import Sealer
from netgpt.store.store import Store
from netgpt.store.usage import BATCH, HourFigures, by_step
from netgpt.types import Person

ADA, BOB = Person("local", "ada"), Person("local", "bob")
NOW = datetime(2026, 5, 4, 10, 30, tzinfo=UTC)
BEGIN = NOW - timedelta(hours=40)


async def total(store: Store, person: Person | None, tenant: str = "local") -> HourFigures:
    whole = HourFigures()
    for figures in (await store.usage.by_hour(person, tenant, BEGIN)).values():
        whole.add(figures)
    return whole


async def test_each_exchange_is_counted_once_for_its_person_and_its_tenant(store: Store, make_row: Any) -> None:
    rows = [
        make_row(received=NOW, finds={"EMAIL": 2, "PERSON": 1}, route="cloud", timings={"total": 100.0}),
        make_row(received=NOW, user="bob", status="failed", route="none", cost=0.0),
        make_row(received=NOW - timedelta(hours=3), finds={"EMAIL": 1}, timings={"total": 900.0}),
        make_row(received=NOW, status="dry_run"),
        make_row(received=NOW, tenant="other"),
    ]
    for row in rows:
        await store.save_exchange(row)
    assert await store.usage.count()
    assert await store.usage.count()
    everybody, ada = await total(store, None), await total(store, ADA)
    assert (everybody.requests, everybody.edge, everybody.elsewhere, everybody.failed) == (3, 1, 1, 1)
    assert (ada.requests, ada.hidden, ada.cost) == (2, Counter({"EMAIL": 3, "PERSON": 1}), 0.5)
    assert ada.took_ms(0.5) == pytest.approx(100, rel=0.03) and ada.took_ms(0.95) == pytest.approx(900, rel=0.03)
    hours = await store.usage.by_hour(None, "local", BEGIN)
    assert [hours[hour].requests for hour in sorted(hours)] == [1, 2]
    assert (await total(store, None, "nobody")).requests == 0


async def test_who_is_forgotten_is_taken_out_of_the_sums(store: Store, make_row: Any) -> None:
    for row in (make_row(received=NOW, finds={"EMAIL": 1}), make_row(received=NOW, user="bob", finds={"PHONE": 1})):
        await store.save_exchange(row)
    await store.usage.count()
    await store.save_exchange(make_row(received=NOW))
    await store.forget(ADA)
    await store.usage.count()
    assert (await total(store, ADA)).requests == 0
    left = await total(store, None)
    assert left.kept() == (await total(store, BOB)).kept() and left.hidden == {"PHONE": 1}


async def test_sums_go_with_the_exchanges_that_they_count(store: Store, make_row: Any) -> None:
    await store.save_exchange(make_row(received=NOW - timedelta(days=1), finds={"EMAIL": 1}))
    await store.usage.count()
    await store.delete_expired(NOW, exchanges_days=0.5, maps_days=1)
    assert (await total(store, None)).requests == 0 == (await total(store, ADA)).requests


async def test_two_processes_that_count_at_once_count_each_once(
    database: Path, sealer: Sealer, store: Store, make_row: Any
) -> None:
    for _ in range(BATCH // 10):
        await store.save_exchange(make_row(received=NOW, private=None))
    other = Store.open(database, sealer)
    await asyncio.gather(*(each.usage.count() for each in (store, other, store, other)))
    assert (await total(other, None)).requests == BATCH // 10
    await other.close()


def test_steps_without_anything_are_told_too() -> None:
    since, hour = datetime(2026, 5, 4, 8, tzinfo=UTC), timedelta(hours=1)
    steps = by_step({since + hour: HourFigures(requests=2)}, since, since + 3 * hour, hour)
    assert [figures.requests for _, figures in steps] == [0, 2, 0, 0]
    assert steps[0][1].as_dict()["p50_ms"] is None
