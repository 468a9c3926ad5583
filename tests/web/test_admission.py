"""Permits of a busy box, in simulated time: a server of known capacity, callers that ask for more than it can do."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from virtual_time import run_virtually

from netgpt.errors import NetGPTError, Overloaded, RateLimited
from netgpt.web.admission import Admission, Permit, PoolStart, Who

SERVICE_S = 1.0


@dataclass
class Lab:
    """An edge that works on `capacity` answers at once, each for about a second, behind the places."""

    capacity: int
    slower: float = 1.0
    admission: Admission = field(init=False)
    slots: asyncio.Semaphore = field(init=False)
    took: list[tuple[float, str, float]] = field(default_factory=list)
    """(when it was asked, key, seconds) of every answer."""
    refused: list[tuple[str, NetGPTError]] = field(default_factory=list)
    most: int = 0

    def __post_init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.admission = Admission(at_once=64, waiting=192, clock=loop.time)
        self.slots = asyncio.Semaphore(self.capacity)
        self.random = random.Random(7)

    async def ask(self, key: str, pool: str = "edge") -> None:
        clock = asyncio.get_running_loop().time
        asked = clock()
        try:
            place = await self.admission.enter(pool, Who(key, ""), 100)
        except NetGPTError as error:
            self.refused.append((key, error))
            return
        self.most = max(self.most, self.admission.at_work)
        try:
            async with self.slots:
                await asyncio.sleep(SERVICE_S * self.slower * self.random.uniform(0.9, 1.1))
            place.answers("edge", size=20, stream=False)
        finally:
            place.release()
        self.took.append((asked, key, clock() - asked))

    async def load(self, rates: dict[str, float], seconds: float) -> None:
        """Callers who ask by the clock, whether or not they were answered (requests a second by key)."""
        async with asyncio.TaskGroup() as group:
            for key, rate in rates.items():
                group.create_task(self._caller(group, key, rate, seconds))

    async def _caller(self, group: asyncio.TaskGroup, key: str, rate: float, seconds: float) -> None:
        for _ in range(int(rate * seconds)):
            await asyncio.sleep(self.random.expovariate(rate))
            group.create_task(self.ask(key))

    def p95(self, of: str | None = None, since: float = 0.0) -> float:
        times = sorted(s for asked, key, s in self.took if asked >= since and of in (None, key))
        return times[int(0.95 * len(times))]


def in_lab(work: Callable[[Lab], Awaitable[None]], capacity: int = 8) -> Lab:
    async def run() -> Lab:
        lab = Lab(capacity)
        await work(lab)
        return lab

    return run_virtually(run())


@pytest.mark.slow
@pytest.mark.parametrize("capacity", [4, 8, 24])
def test_five_times_the_capacity(capacity: int) -> None:
    async def work(lab: Lab) -> None:
        await lab.load({"warm": 0.4 * capacity}, 20)
        lab.unloaded = lab.p95()  # type: ignore[attr-defined]
        modest = {f"modest {n}": 0.04 * capacity for n in range(10)}
        await lab.load({"greedy": 4.6 * capacity, **modest}, 60)

    lab = in_lab(work, capacity)
    unloaded: float = lab.unloaded  # type: ignore[attr-defined]
    assert lab.p95(since=20) <= 2 * unloaded
    asked, answered = Counter[str](), Counter(key for _, key, _ in lab.took)
    for key, _ in lab.refused:
        asked[key] += 1
    modest = [key for key in answered if key.startswith("modest")]
    assert len(modest) == 10
    success = sum(answered[k] for k in modest) / sum(answered[k] + asked[k] for k in modest)
    assert success > 0.8
    assert len(lab.took) - 0.4 * capacity * 20 > 0.8 * capacity * 60, "what the server can do is used"
    errors = [error for _, error in lab.refused]
    assert all(error.retry_after and error.retry_after > 0 for error in errors)
    assert {type(e) for k, e in lab.refused if k == "greedy"} <= {RateLimited, Overloaded}
    assert sum(isinstance(e, RateLimited) for k, e in lab.refused if k == "greedy") > 0.7 * asked["greedy"]


def test_a_cold_box_takes_a_crowd_that_the_server_can_bear() -> None:
    async def work(lab: Lab) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(60):
                group.create_task(lab.ask("app"))

    lab = in_lab(work, capacity=100)
    assert not lab.refused and len(lab.took) == 60 and lab.p95() < 9


def test_the_limit_follows_a_server_that_becomes_slower_and_recovers() -> None:
    async def work(lab: Lab) -> None:
        await lab.load({"app": 4}, 30)
        lab.slower = 3.0
        await lab.load({"app": 2}, 60)
        lab.slower = 1.0
        await lab.load({"app": 4}, 30)
        lab.took.clear()
        lab.refused.clear()
        await lab.load({"app": 4}, 30)

    lab = in_lab(work)
    assert len(lab.refused) <= 0.05 * len(lab.took)


def test_nobody_waits_for_ever_and_the_places_come_back() -> None:
    async def work(lab: Lab) -> None:
        await lab.load({"a": 30, "b": 10}, 20)
        await asyncio.sleep(60)
        admission = lab.admission
        assert (admission.at_work, admission.waiting, admission._bytes) == (0, 0, 0)
        (pool,) = admission.pools.values()
        assert pool.at_work == 0 and not pool.busy and not pool.turns

    lab = in_lab(work)
    assert max(s for _, _, s in lab.took) < 15


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 3), st.floats(0, 2)), min_size=1, max_size=80))
def test_hang_ups_free_their_place(plan: list[tuple[str, float, float]]) -> None:
    """Callers come at some time and hang up after some time, waiting or at work: nothing of them stays."""

    async def caller(lab: Lab, key: str, at: float, patience: float) -> None:
        await asyncio.sleep(at)
        try:
            async with asyncio.timeout(patience):
                await lab.ask(key)
        except TimeoutError:
            return

    async def work(lab: Lab) -> None:
        await asyncio.gather(*(caller(lab, *one) for one in plan))
        assert (lab.admission.at_work, lab.admission.waiting, lab.admission._bytes) == (0, 0, 0)
        assert lab.most <= 64
        place = await lab.admission.enter("edge", Who("late", ""), 1)
        place.release()
        place.release()
        assert lab.admission.at_work == 0

    in_lab(work, capacity=2)


def test_never_more_than_the_places_of_the_box() -> None:
    async def work() -> None:
        admission = Admission(at_once=5, waiting=3, max_wait_s=100, first=lambda _pool: PoolStart(50, 4))
        places = [await admission.enter(pool, Who("k", ""), 1) for pool in ("edge", "cloud", "auto", "edge", "cloud")]
        waiting = [asyncio.ensure_future(admission.enter("far", Who("k", ""), 1)) for _ in range(3)]
        await asyncio.sleep(0)
        assert (admission.at_work, admission.waiting) == (5, 3)
        with pytest.raises(Overloaded) as error:
            await admission.enter("edge", Who("k", ""), 1)
        assert error.value.status == 503 and error.value.retry_after
        for place in places:
            place.release()
        for place in await asyncio.gather(*waiting):
            assert place.waited_s >= 0
            place.release()
        assert admission.at_work == 0

    run_virtually(work())


def test_a_wait_that_the_owner_allows_is_waited() -> None:
    async def work() -> list[Any]:
        clock = asyncio.get_running_loop().time
        admission = Admission(at_once=1, waiting=9, max_wait_s=7, clock=clock)
        first = await admission.enter("edge", Who("a", ""), 1)
        second = asyncio.ensure_future(admission.enter("edge", Who("b", ""), 1))
        third = asyncio.ensure_future(admission.enter("edge", Who("c", ""), 1))
        await asyncio.sleep(6)
        first.release()
        place = await second
        assert isinstance(place, Permit) and place.waited_s == 6
        await asyncio.sleep(2)
        with pytest.raises(Overloaded):
            await third
        return [clock()]

    assert run_virtually(work()) == [8.0]


def test_a_pool_with_a_crowd_does_not_keep_another_out() -> None:
    async def work() -> list[str]:
        admission = Admission(at_once=2, waiting=9, max_wait_s=100, first=lambda _pool: PoolStart(50, 4))
        places = [await admission.enter("edge", Who("greedy", ""), 1) for _ in range(2)]
        order: list[str] = []

        async def one(pool: str, key: str) -> None:
            place = await admission.enter(pool, Who(key, ""), 1)
            order.append(pool)
            await asyncio.sleep(1)
            place.release()

        tasks = [asyncio.ensure_future(one("edge", "greedy")) for _ in range(4)]
        tasks.append(asyncio.ensure_future(one("cloud", "modest")))
        await asyncio.sleep(0)
        for place in places:
            place.release()
        await asyncio.gather(*tasks)
        return order

    assert "cloud" in run_virtually(work())[:2]


def test_nobody_waits_longer_than_a_turn_helps() -> None:
    async def work() -> float:
        clock = asyncio.get_running_loop().time
        admission = Admission(at_once=1, waiting=9, max_wait_s=60, clock=clock)
        place = await admission.enter("edge", Who("a", ""), 1)
        with pytest.raises(Overloaded):
            await admission.enter("edge", Who("b", ""), 1, within_s=2.0)
        place.release()
        return clock()

    assert run_virtually(work()) == 2.0
