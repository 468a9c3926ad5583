"""record: one row an exchange, however it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any, cast

import pytest
from boxes import exchange, fill, run

from netgpt.exchange import Exchange
from netgpt.outbound import Outcome
from netgpt.stages.record import Record
from netgpt.store.schema import ExchangeRecord
from netgpt.store.store import Store
from netgpt.types import Chunk, Decision, Person, Usage


class SlowStore:
    """Keeps rows in a list, and takes its time for each."""

    def __init__(self) -> None:
        self.rows: list[ExchangeRecord] = []
        self.go_on = asyncio.Event()

    async def save_exchange(self, row: ExchangeRecord) -> None:
        self.rows.append(row)
        await self.go_on.wait()


async def two_chunks() -> AsyncIterator[Chunk]:
    yield {"choices": [{"index": 0, "delta": {"content": "hello"}}]}
    yield {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


def answered() -> Exchange:
    one = exchange("hi")
    outcome = Outcome(Decision("edge", "short", "short"), "scripted", usage=Usage(1, 1))
    fill(one, person=Person("local", "ada"), restored=two_chunks(), outcome=outcome)
    return one


@pytest.mark.parametrize(("read", "status"), [(1, "cancelled"), (2, "complete")])
async def test_a_caller_that_leaves_makes_one_row(read: int, status: str) -> None:
    store = SlowStore()
    record = Record(cast(Store, store), {}, keep_text=True)
    one = answered()
    await run(record, one)

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


async def two_choices() -> AsyncIterator[Chunk]:
    for index, text in ((0, "a"), (1, "b")):
        yield {"choices": [{"index": index, "delta": {"content": text}}]}
    yield {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    yield {"choices": [{"index": 1, "delta": {"content": "c"}}]}
    yield {"choices": [{"index": 1, "delta": {}, "finish_reason": "stop"}]}
    yield {"choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 3, "total_tokens": 4}}


async def test_one_choice_that_has_ended_does_not_hold_the_others() -> None:
    store = SlowStore()
    record = Record(cast(Store, store), {}, keep_text=True)
    one = answered()
    fill(one, restored=two_choices())
    await run(record, one)
    seen: list[Chunk] = []

    async def reads() -> None:
        async for chunk in one.chunks:
            seen.append(chunk)

    task = asyncio.create_task(reads())
    await asyncio.sleep(0.05)
    assert [chunk["choices"][0]["delta"] for chunk in seen] == [{"content": "a"}, {"content": "b"}, {"content": "c"}]
    store.go_on.set()
    await task
    assert [bool(chunk["choices"] and chunk["choices"][0].get("finish_reason")) for chunk in seen[3:]] == [
        True, True, False
    ]  # fmt: skip


async def test_a_chunk_of_several_choices_is_not_overtaken() -> None:
    async def mixed() -> AsyncIterator[Chunk]:
        yield {"choices": []}
        yield {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}, {"index": 1, "delta": {"content": "x"}}]}
        yield {"choices": [{"index": 1, "delta": {"content": "y"}, "finish_reason": "stop"}]}

    store = SlowStore()
    store.go_on.set()
    record = Record(cast(Store, store), {}, keep_text=True)
    one = answered()
    fill(one, restored=mixed())
    await run(record, one)
    chunks = [chunk async for chunk in one.chunks]
    assert [len(chunk["choices"]) for chunk in chunks] == [0, 2, 1]
    assert store.rows[0].private is not None
    assert [choice["message"]["content"] for choice in store.rows[0].private["answer"]["choices"]] == [None, "xy"]


async def test_one_row_that_cannot_be_written_does_not_keep_the_others_waiting() -> None:
    class Broken(SlowStore):
        async def save_exchange(self, row: ExchangeRecord) -> None:
            if not self.rows:
                self.rows.append(row)
                raise RuntimeError("unforeseen")
            await super().save_exchange(row)

    store = Broken()
    record = Record(cast(Store, store), {}, keep_text=True)
    for _ in range(2):
        one = answered()
        await run(record, one)
        chunks: Any = one.chunks
        await anext(chunks)
        await chunks.aclose()
    store.go_on.set()
    await record.close()
    assert len(store.rows) == 2
