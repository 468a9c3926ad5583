"""The learner of several workers: whoever hears what came of a decision, one learns it, once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from boxes import answer, exchange, gateway

from netgpt.app.crew import JOBS, Crew, Post
from netgpt.app.shared_learning import SharedLearning
from netgpt.routing.learner import Learner
from netgpt.routing.replay import outcome_of
from netgpt.routing.reward import Parts
from netgpt.settings import load_settings
from netgpt.store.learning import DecisionRow
from netgpt.store.store import Store, open_store
from netgpt.testing.server import FaultyCloud

QUESTION = "compare the tides of spring and autumn in a few lines, step by step"


async def decided(home: Path, count: int) -> list[DecisionRow]:
    """Decisions of a real gateway, as they were before anything was known of them."""
    rows = []
    with FaultyCloud() as cloud:
        async with gateway(home, cloud) as here:
            ids = []
            for number in range(count):
                one = exchange(f"{QUESTION} {number}", user=f"person {number % 3}")
                await answer(here, one)
                await asyncio.sleep(0.01)  # the listener hears of the end in the loop's next turn
                ids.append(one.id)
            await here.learning.flush()
            for id in ids:
                row = await here.store.decisions.find(id)
                assert row is not None
                known = {name: row.private[name] for name in row.private if name not in ("parts", "counted")}
                rows.append(DecisionRow(row.id, row.tenant, row.user, row.key_id, row.time, row.target, 1.0, known))
            await here.store.decisions.change(rows)
            await here.learning.close()
            await here.store.decisions.save_state(Learner().state())
    return rows


@asynccontextmanager
async def worker(home: Path, number: int) -> AsyncIterator[tuple[SharedLearning, Store]]:
    settings = load_settings(environment={}, home=home, cloud={"base_url": "http://127.0.0.1:9/v1"})
    store = open_store(settings)
    crew = Crew(Post(number, 2, f"worker {number}", b"secret"))
    try:
        yield SharedLearning(store, settings.routing, settings.remotes, crew), store
    finally:
        await store.close()


async def test_news_of_both_count_once_whoever_dies(tmp_path: Path) -> None:
    rows = await decided(tmp_path, 6)
    news: list[tuple[str, dict[str, Any]]] = [(row.id, {"failed": False, "tokens": 40}) for row in rows]
    news += [(row.id, {"rating": 1 if at % 3 else -1}) for at, row in enumerate(rows)]
    news += [(rows[0].id, {"rating": 1})]  # another opinion, later
    async with worker(tmp_path, 1) as (one, here), worker(tmp_path, 2) as (two, there):
        for at, each in enumerate(news[:8]):
            await (here if at % 2 else there).news.add([each])
        assert await here.leases.take(JOBS, "worker 1", 8, datetime.now(UTC))
        await one._learn()
        for at, each in enumerate(news[8:]):
            await (here if at % 2 else there).news.add([each])
        batch = await here.news.next(100)
        one.learner.update(outcome_of(rows[0].id, "x", rows[0].private, Parts(rating=-1)))  # it dies while it learns
        await there.leases.gone("worker 1")
        assert await there.leases.take(JOBS, "worker 2", 8, datetime.now(UTC))
        await two._learn()
        assert batch and await there.news.next(100) == []
        state = await there.decisions.state()
    alone = alone_of(rows, news)
    assert state is not None
    learnt = Learner.restore(state)
    for row in rows:
        x, target = row.private["x"], row.private["answered"]
        assert learnt.belief(target, x, 0.5).mean == alone.belief(target, x, 0.5).mean
    assert learnt.numbers()["heard"] == alone.numbers()["heard"] > 0


def alone_of(rows: list[DecisionRow], news: list[tuple[str, dict[str, Any]]]) -> Learner:
    """A learner that hears the same in one process."""
    learner, known = Learner(), {row.id: row for row in rows}
    for id, parts in news:
        row = known[id]
        outcome = outcome_of(id, row.key_id or row.user, row.private, Parts.of(parts))
        counted = learner.update(outcome)
        row.private.update(parts=outcome.parts.known(), counted=list(counted) if counted is not None else None)
    return learner


async def test_a_rating_that_comes_before_its_decision_waits(tmp_path: Path) -> None:
    (row,) = await decided(tmp_path, 1)
    async with worker(tmp_path, 1) as (one, store):
        await store.news.add([("ex_not_yet", {"rating": 1}), (row.id, {"rating": 1})])
        assert await store.leases.take(JOBS, "worker 1", 8, datetime.now(UTC))
        for _ in range(8):
            await one._learn()
        found = await store.decisions.find(row.id)
        assert found is not None and found.private["parts"]["rating"] == 1
        assert await store.news.next(10) == []  # given up in the end


async def test_a_forgotten_key_is_dropped_by_who_learns(tmp_path: Path) -> None:
    rows = await decided(tmp_path, 3)
    async with worker(tmp_path, 1) as (one, here), worker(tmp_path, 2) as (two, there):
        assert await here.leases.take(JOBS, "worker 1", 8, datetime.now(UTC))
        await there.news.add([(row.id, {"rating": 1}) for row in rows])
        await one._learn()
        digest = one.learner.digest(rows[0].user)
        assert digest in one.learner.numbers()["own"]
        await there.news.add([("", {"forget": [digest]})])
        await one._learn()
        assert digest not in one.learner.numbers()["own"]
        await two._take()
        assert digest not in two.learner.numbers()["own"] and two.learner.numbers()["own"]
