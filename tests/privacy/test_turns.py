"""SharedTurns at the detector: keys in turn, two processes, and what happens to texts that take too long."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import pytest
from patience import unhurried, until

from netgpt.errors import DetectorError
from netgpt.privacy.detector_pools import LONG, DetectorPools, cost
from netgpt.privacy.process import DetectorProcess
from netgpt.privacy.turns import ASKED_BY, SharedTurns
from netgpt.types import Span

CHILD = """
import json, os, sys, time
print('{"ready": true}', flush=True)
for line in sys.stdin:
    request = json.loads(line)
    text = request["texts"][0]
    if text.startswith("hang"): time.sleep(600)
    if text.startswith("slow"): time.sleep(0.2)
    spans = [[[0, 1, "EMAIL", str(os.getpid()), 1.0]] for _ in request["texts"]]
    print(json.dumps({"id": request["id"], "spans": spans}), flush=True)
"""


D = TypeVar("D", DetectorPools, DetectorProcess)


async def had(turns: SharedTurns, key: str, order: list[str]) -> None:
    ASKED_BY.set(key)
    with await turns.enter(60):
        order.append(key)
        await asyncio.sleep(0)


async def test_who_was_served_least_is_next() -> None:
    turns, order = SharedTurns("it"), list[str]()
    first = await turns.enter(1)
    crowd = [asyncio.create_task(had(turns, "crowd", order)) for _ in range(20)]
    await asyncio.sleep(0.01)
    modest = [asyncio.create_task(had(turns, "modest", order)) for _ in range(2)]
    await asyncio.sleep(0.01)
    first.leave()
    first.leave()  # twice does no harm
    await asyncio.gather(*crowd, *modest)
    assert "modest" in order[:3] and order.count("crowd") == 20
    with await turns.enter(0):
        pass  # free again


async def test_a_crowd_gives_its_last_place_to_another_key() -> None:
    turns, order = SharedTurns("it", waiting=4), list[str]()
    first = await turns.enter(1)
    crowd = [asyncio.create_task(had(turns, "crowd", order)) for _ in range(5)]
    await asyncio.sleep(0.01)
    modest = asyncio.create_task(had(turns, "modest", order))
    await asyncio.sleep(0.01)
    first.leave()
    ended = await asyncio.gather(*crowd, modest, return_exceptions=True)
    refused = [error for error in ended if isinstance(error, DetectorError)]
    assert len(refused) == 2 and all("too many requests wait" in error.message for error in refused)
    assert order.count("modest") == 1 and order.count("crowd") == 3


async def test_who_waits_too_long_or_goes_leaves_the_turn_to_others() -> None:
    turns, order = SharedTurns("it"), list[str]()
    first = await turns.enter(1)
    with pytest.raises(DetectorError, match="it is busy"):
        await turns.enter(0.01)
    gone = asyncio.create_task(had(turns, "gone", order))
    stays = asyncio.create_task(had(turns, "stays", order))
    await asyncio.sleep(0.01)
    first.leave()  # the turn is given to the first at this moment
    gone.cancel()
    await asyncio.gather(gone, stays, return_exceptions=True)
    assert order == ["stays"]


@pytest.fixture
def made(tmp_path: Path) -> Callable[[], DetectorProcess]:
    script = tmp_path / "child.py"
    script.write_text(CHILD)
    return lambda: DetectorProcess(command=[sys.executable, str(script)], timeout_s=1.0)


@asynccontextmanager
async def started(detector: D) -> AsyncIterator[D]:
    await detector.start()
    try:
        yield detector
    finally:
        await detector.close()


async def asked(detector: DetectorPools | DetectorProcess, text: str, key: str = "") -> str:
    """Which process answered."""
    ASKED_BY.set(key)
    [[span]] = await detector.detect([text])
    assert isinstance(span, Span)
    return span.rule


async def test_what_is_long_has_a_process_of_its_own_while_it_is_needed(made: Callable[[], DetectorProcess]) -> None:
    async def attempt() -> None:
        async with started(DetectorPools(made, idle_s=0.3)) as pools:
            short = await asked(pools, "short")
            assert not pools.long.is_started
            long = await asked(pools, "x" * LONG)
            first, second = (os.getpriority(os.PRIO_PROCESS, int(pid)) for pid in (short, long))
            assert second > first or second == 19  # it does not take the cores of the others
            assert long != short and await asked(pools, "short") == short
            await until(lambda: not pools.long.is_started)
            assert await asked(pools, "x" * LONG) not in (short, long)

    await unhurried(attempt)
    assert cost(["ab"] * 1_000) > LONG and cost(["ab\n\n" * 800]) > LONG  # many pieces take long, too


async def test_short_texts_are_read_while_a_long_one_hangs(made: Callable[[], DetectorProcess]) -> None:
    async def attempt() -> None:
        async with started(DetectorPools(made, idle_s=0.3)) as pools:
            await asked(pools, "x" * LONG)
            hangs = asyncio.create_task(asked(pools, "hang" + "x" * LONG, "greedy"))
            for _ in range(20):
                await asked(pools, "short", "modest")
            assert not hangs.done()
            with pytest.raises(DetectorError, match="took longer than"):
                await hangs

    await unhurried(attempt)


async def test_a_pool_that_was_not_started_says_so(made: Callable[[], DetectorProcess]) -> None:
    with pytest.raises(DetectorError, match="not running"):
        await DetectorPools(made).detect(["x" * LONG])


async def test_nobody_is_refused_for_another_keys_text_that_took_too_long(made: Callable[[], DetectorProcess]) -> None:
    async def attempt() -> None:
        async with started(made()) as process:
            for number in range(4):  # with a delay that grows, the last would wait for seconds
                with pytest.raises(DetectorError, match="took longer than"):
                    await asked(process, f"hang {number}", "greedy")
                assert await asked(process, "hello", "modest")  # it waits for the next child
            assert process.restarts == 4
            with pytest.raises(DetectorError, match=r"these texts \(6 characters\) took"):
                await asked(process, "hang 3", "greedy")
            assert process.restarts == 4 and await asked(process, "hello 2", "greedy")
            with pytest.raises(DetectorError, match="took longer than"):  # another key's word is not taken for it
                await asked(process, "hang 3", "modest")

    await unhurried(attempt)


async def test_who_hangs_up_has_used_its_own_turn(made: Callable[[], DetectorProcess]) -> None:
    async def attempt() -> None:
        async with started(made()) as process:
            gone = [asyncio.create_task(asked(process, f"slow {number}", "greedy")) for number in range(3)]
            await asyncio.sleep(0.05)
            for task in gone:
                task.cancel()
            await asyncio.gather(*gone, return_exceptions=True)
            assert await asked(process, "hello", "modest")
            assert process.restarts == 0

    await unhurried(attempt)
