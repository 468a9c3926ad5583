"""Two answers side by side: who wins, who is ended, what is raised."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
from virtual_time import in_virtual_time

from netgpt.errors import ModelUnavailable, StoreError
from netgpt.generation.fallback import Opened, Race, opened, race
from netgpt.types import Chunk


class Runner:
    """Begins after `s` seconds, or fails then."""

    def __init__(self, s: float, error: Exception | None = None) -> None:
        self.s, self.error = s, error
        self.asked = self.closed = False

    async def __call__(self) -> Opened:
        self.asked = True
        return await opened(self._chunks(), time.monotonic() + 60)

    async def _chunks(self) -> AsyncIterator[Chunk]:
        try:
            await asyncio.sleep(self.s)
            if self.error is not None:
                raise self.error
            yield {"choices": [{"index": 0, "delta": {"content": "word"}}]}
            await asyncio.sleep(30)
        finally:
            self.closed = True


async def raced(first: Runner, second: Runner, late_s: float = 0.05, may: bool = True) -> Race:
    return await race(first, second, late_s, lambda: may)


DOWN = ModelUnavailable("down")


@in_virtual_time
async def test_the_first_in_time_runs_alone() -> None:
    first, second = Runner(0.01), Runner(0)
    end = await raced(first, second)
    assert end.winner == 0 and not end.started and not second.asked and not first.closed


@in_virtual_time
async def test_the_one_that_begins_first_wins_and_the_other_is_closed() -> None:
    first, second = Runner(5), Runner(0)
    end = await raced(first, second)
    assert end.winner == 1 and end.started and first.closed and not second.closed
    first, second = Runner(0.1), Runner(5)
    end = await raced(first, second)
    assert end.winner == 0 and second.closed and not first.closed


@in_virtual_time
async def test_both_that_begin_at_once_leave_one() -> None:
    first, second = Runner(0.05), Runner(0)
    end = await raced(first, second, 0.04999)
    assert (end.winner is not None and (first, second)[1 - end.winner].closed) or not end.started


@in_virtual_time
async def test_without_leave_there_is_no_second() -> None:
    first, second = Runner(0.1), Runner(0)
    assert (await raced(first, second, may=False)).winner == 0 and not second.asked


@in_virtual_time
async def test_failures_leave_it_to_the_other() -> None:
    assert (await raced(Runner(0.1, DOWN), Runner(0.2))).winner == 1
    assert (await raced(Runner(0.2), Runner(0, DOWN))).winner == 0
    end = await raced(Runner(0.1, DOWN), Runner(0, DOWN))
    assert end.winner is None and set(end.errors) == {0, 1}
    end = await raced(Runner(0, DOWN), Runner(0))
    assert end.winner is None and not end.started, "who is next is for the caller to say"


@in_virtual_time
async def test_what_is_not_expected_ends_both() -> None:
    first, second = Runner(5), Runner(0, StoreError("full"))
    with pytest.raises(StoreError):
        await raced(first, second)
    assert first.closed and second.closed


@in_virtual_time
async def test_a_caller_that_leaves_ends_both() -> None:
    first, second = Runner(5), Runner(5)
    task = asyncio.create_task(raced(first, second))
    while not second.asked:
        await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert first.closed and second.closed


@in_virtual_time
async def test_one_that_begins_in_the_moment_of_such_an_error_is_closed_too() -> None:
    first, now = Runner(0), asyncio.Event()

    async def begins() -> Opened:
        await now.wait()
        return await first()

    async def fails() -> Opened:
        now.set()
        while not first.asked:
            await asyncio.sleep(0)
        raise StoreError("full")

    with pytest.raises(StoreError):
        await race(begins, fails, 0.01, lambda: True)
    assert first.asked and first.closed
