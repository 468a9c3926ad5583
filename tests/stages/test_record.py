"""record: one row an exchange, however it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from boxes import exchange

from netgpt.exchange import Exchange
from netgpt.settings import Cloud
from netgpt.stages.record import Record
from netgpt.store.rows import ExchangeRow
from netgpt.store.store import Store
from netgpt.types import Chunk, Decision, Person, Usage


class SlowStore:
    """Keeps rows in a list, and takes its time for each."""

    def __init__(self) -> None:
        self.rows: list[ExchangeRow] = []
        self.go_on = asyncio.Event()

    async def save_exchange(self, row: ExchangeRow) -> None:
        self.rows.append(row)
        await self.go_on.wait()


async def two_chunks() -> AsyncIterator[Chunk]:
    yield {"choices": [{"index": 0, "delta": {"content": "hello"}}]}
    yield {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


def answered() -> Exchange:
    one = exchange("hi")
    one.person, one.restored, one.sent = Person("local", "ada"), two_chunks(), None
    one.answered_by, one.model_name = Decision("edge", "short", "short"), "scripted"
    one.usage = Usage(1, 1)
    return one


@pytest.mark.parametrize(("read", "status"), [(1, "cancelled"), (2, "complete")])
async def test_a_caller_that_leaves_makes_one_row(read: int, status: str) -> None:
    store = SlowStore()
    record = Record(cast(Store, store), Cloud(), keep_text=True)
    one = answered()
    await record(one)

    async def reads() -> None:
        chunks: Any = one.chunks
        await anext(chunks)
        if read == 1:
            await chunks.aclose()
        else:
            await anext(chunks)  # waits for the commit

    task = asyncio.create_task(reads())
    await asyncio.sleep(0.05)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    store.go_on.set()
    await record.close()
    assert [row.status for row in store.rows] == [status]
