"""What several processes have in common: two stores on one file, each with connections of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from netgpt.errors import RateLimited, StoreError
from netgpt.store.encryption import Sealer
from netgpt.store.learning import DecisionRow
from netgpt.store.schema import KeyLimits
from netgpt.store.sharing import AnswerHold, KeyState
from netgpt.store.store import Store
from netgpt.types import Person

NOW = datetime(2026, 5, 4, 12, 0, 0, tzinfo=UTC)
ADA = Person("local", "ada")
Two = tuple[Store, Store]


@pytest.fixture
async def two(database: Path, sealer: Sealer) -> AsyncIterator[Two]:
    stores = Store.open(database, sealer), Store.open(database, sealer)
    for store in stores:
        store.share(database.parent / "locks")
    yield stores
    for store in stores:
        await store.close()


def later(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


async def test_a_lease_has_one_owner_until_it_dies(two: Two) -> None:
    here, there = two
    assert await here.leases.take("jobs", "one", 8, NOW)
    assert not await there.leases.take("jobs", "two", 8, later(7))
    assert await here.leases.take("jobs", "one", 8, later(7))
    assert not await there.leases.take("jobs", "two", 8, later(14.9))
    assert await there.leases.take("jobs", "two", 8, later(15))  # it said nothing for too long
    assert not await here.leases.take("jobs", "one", 8, later(16))
    assert await there.leases.owner("jobs") == "two"
    await here.leases.gone("two")  # its supervisor saw it die
    assert await here.leases.take("jobs", "one", 8, later(16))


async def test_of_many_that_ask_at_once_one_gets_the_lease(two: Two) -> None:
    asked = [two[number % 2].leases.take("jobs", f"worker {number}", 8, NOW) for number in range(20)]
    assert sum(await asyncio.gather(*asked)) == 1


async def test_a_clock_that_goes_back_keeps_no_dead_owner(two: Two) -> None:
    here, there = two
    assert await here.leases.take("jobs", "one", 8, NOW)
    assert await there.leases.take("jobs", "two", 8, later(-600))


async def test_minutes_are_counted_once(two: Two) -> None:
    limits = KeyLimits(requests_per_minute=6, tokens_per_minute=600)

    def decide(known: KeyState) -> None:
        if known.requests_left < 1:
            raise RateLimited("enough")

    async def admitted(number: int, now: datetime) -> bool:
        try:
            await two[number % 2].shared_limits.admit("key_1", limits, now, decide)
        except RateLimited:
            return False
        return True

    assert sum(await asyncio.gather(*(admitted(number, NOW) for number in range(20)))) == 6
    assert sum([await admitted(number, later(20)) for number in range(6)]) == 2  # a third of a minute
    await two[0].shared_limits.settle([], {"key_1": 500})
    known = await two[1].shared_limits.admit("key_1", limits, later(30), lambda known: None)
    assert known.tokens_left == pytest.approx(200)  # 600, of which 500 are used, and ten seconds


async def test_estimates_of_all_hold_one_budget(two: Two) -> None:
    limits = KeyLimits(tokens_per_day=1000)

    def decide(known: KeyState) -> None:
        if known.use.tokens + known.held_tokens >= 1000:
            raise RateLimited("enough")

    async def held(number: int) -> bool:
        mine = AnswerHold(f"hold {number}", "key_1", f"worker {number % 2}", 300, 0.1)
        try:
            await two[number % 2].shared_limits.hold(mine, limits, 300, NOW, decide)
        except RateLimited:
            return False
        return True

    asked = await asyncio.gather(*(held(number) for number in range(20)))
    assert sum(asked) == 4  # 900 is less than 1000
    left = sum(asked[1::2])
    await two[0].leases.gone("worker 0")
    known = await two[1].shared_limits.admit("key_1", limits, NOW, lambda known: None)
    assert known.held_tokens == 300 * left  # what it answered is answered no more
    assert known.held_cost == pytest.approx(0.1 * left)
    known = await two[1].shared_limits.admit("key_1", limits, later(301), lambda known: None)
    assert known.held_tokens == 0  # nobody holds for longer than an answer may take
    await two[0].shared_limits.expire(later(301))


async def test_who_lost_the_lease_keeps_nothing(two: Two, make_row: object) -> None:
    here, there = two
    row = make_row(user="ada")  # type: ignore[operator]
    await here.save_exchange(row)
    decision = DecisionRow(row.id, "local", "ada", None, row.received, "edge", 1.0, {"x": [1]})
    await here.news.add([(row.id, {"failed": False})], [decision])
    await there.news.add([(row.id, {"rating": 1})])
    assert await here.leases.take("jobs", "one", 8, NOW)
    batch = await here.news.next(10)
    assert [one.known for one in batch] == [{"failed": False}, {"rating": 1}]
    assert await there.leases.take("jobs", "two", 8, later(9))
    with pytest.raises(StoreError) as lost:
        await here.news.learnt("one", batch[-1].seq, [], b"{}")
    assert lost.value.code == "lease_lost" and await here.decisions.state() is None
    assert await there.news.next(10) == batch  # nothing of it was learnt
    await there.news.learnt("two", batch[-1].seq, [], b"{}", [(row.id, {"rating": 1, "tries": 1})])
    assert [one.known for one in await here.news.next(10)] == [{"rating": 1, "tries": 1}]


async def test_news_of_who_was_forgotten_are_not_kept(two: Two) -> None:
    gone = DecisionRow("ex_gone", "local", "ada", None, NOW, "edge", 1.0, {"x": [1]})
    await two[0].news.add([("ex_gone", {"failed": False})], [gone])
    assert await two[1].news.next(10) == []


async def test_one_at_a_time_has_a_conversation(two: Two) -> None:
    inside, most = 0, 0

    async def turn(number: int) -> None:
        nonlocal inside, most
        async with two[number % 2].turn_with(ADA, "talk"):
            inside += 1
            most = max(most, inside)
            known = int((await two[number % 2].load_map(ADA, "talk") or b"0").decode())
            await asyncio.sleep(0)
            await two[number % 2].save_map(ADA, "talk", str(known + 1).encode())
            inside -= 1

    await asyncio.gather(*(turn(number) for number in range(20)))
    assert most == 1 and await two[0].load_map(ADA, "talk") == b"20"
