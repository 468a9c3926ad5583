"""One writer: groups, neighbours, callers that go away, order, a full queue."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, text

from netgpt.errors import StoreError
from netgpt.store.database import Database, FreeDisk, raw
from netgpt.store.writer import Writer


@pytest.fixture
def house(database: Path) -> Database:
    house = Database(database, busy_timeout_s=0.2)
    house.prepare()
    house.opened()
    with house.writing.begin() as connection:
        connection.execute(text("CREATE TABLE numbers (number INTEGER PRIMARY KEY)"))
    return house


@pytest.fixture
def writer(house: Database) -> Iterator[Writer]:
    writer = Writer(house, FreeDisk(house.path, 0), max_waiting=50)
    yield writer
    writer.close()


def add(number: int) -> Callable[[Connection], int]:
    def write(connection: Connection) -> int:
        connection.execute(text("INSERT INTO numbers VALUES (:number)"), {"number": number})
        return number

    return write


def numbers(path: Path) -> list[int]:
    """What another connection sees: committed rows only."""
    connection = sqlite3.connect(path)
    try:
        return [row[0] for row in connection.execute("SELECT number FROM numbers ORDER BY number")]
    finally:
        connection.close()


def hold(writer: Writer) -> threading.Event:
    """Keep the writer busy until the event is set, so that writes gather behind it."""
    done, release = writer.groups, threading.Event()
    threading.Thread(target=lambda: asyncio.run(writer.submit(lambda _: release.wait(60)))).start()
    while writer.groups == done:
        time.sleep(0.001)
    return release


async def test_a_write_is_committed_when_it_returns(writer: Writer, house: Database) -> None:
    for number in range(5):
        assert await writer.submit(add(number)) == number
        assert numbers(house.path)[-1] == number


async def test_waiting_writes_share_one_transaction(writer: Writer, house: Database) -> None:
    release = hold(writer)
    waiting = [asyncio.create_task(writer.submit(add(number))) for number in range(40)]
    await asyncio.sleep(0.05)
    assert numbers(house.path) == []
    release.set()
    assert await asyncio.gather(*waiting) == list(range(40))
    assert numbers(house.path) == list(range(40))
    assert writer.groups == 2


async def test_a_failing_write_leaves_its_neighbours_alone(writer: Writer, house: Database) -> None:
    def half_then_fail(connection: Connection) -> None:
        add(100)(connection)
        raise KeyError("a fault of the program")

    await writer.submit(add(3))
    release = hold(writer)
    works = [add(1), add(2), add(3), half_then_fail, add(4)]
    waiting = [asyncio.create_task(writer.submit(work)) for work in works]
    await asyncio.sleep(0.05)
    release.set()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert [r for r in results if not isinstance(r, BaseException)] == [1, 2, 4]
    assert isinstance(results[2], StoreError) and results[2].code == "conflict"
    assert isinstance(results[3], StoreError) and isinstance(results[3].__cause__, KeyError)
    assert numbers(house.path) == [1, 2, 3, 4]


async def test_a_failing_write_that_is_alone_leaves_nothing_and_the_next_goes_on(
    writer: Writer, house: Database
) -> None:
    def half_then_fail(connection: Connection) -> None:
        add(100)(connection)
        raise KeyError("a fault of the program")

    await writer.submit(add(1))
    for work in (half_then_fail, add(1)):
        with pytest.raises(StoreError):
            await writer.submit(work)
        assert numbers(house.path) == [1]
    assert await writer.submit(add(2)) == 2
    assert numbers(house.path) == [1, 2]


async def test_a_group_that_the_database_rolls_back_is_lost_for_all_and_reported_to_all(
    writer: Writer, house: Database
) -> None:
    def roll_back_everything(connection: Connection) -> None:
        raw(connection).rollback()  # as SQLite does by itself when the disk is full at a bad moment
        raise sqlite3.OperationalError("database or disk is full")

    release = hold(writer)
    waiting = [asyncio.create_task(writer.submit(work)) for work in (add(1), roll_back_everything, add(2))]
    await asyncio.sleep(0.05)
    release.set()
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(result, StoreError) for result in results)
    assert numbers(house.path) == []
    assert await writer.submit(add(5)) == 5
    assert numbers(house.path) == [5]


async def test_a_caller_that_goes_away_does_not_undo_its_write(writer: Writer, house: Database) -> None:
    release = hold(writer)
    task = asyncio.create_task(writer.submit(add(7)))
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    release.set()
    await writer.submit(add(8))
    assert numbers(house.path) == [7, 8]


async def test_a_full_queue_refuses_at_once(writer: Writer, house: Database) -> None:
    release = hold(writer)
    waiting = [asyncio.create_task(writer.submit(add(number))) for number in range(50)]
    await asyncio.sleep(0.02)
    with pytest.raises(StoreError, match="50 writes wait already") as error:
        await writer.submit(add(51))
    assert error.value.retry_after is not None
    release.set()
    await asyncio.gather(*waiting)
    assert await writer.submit(add(51)) == 51


async def test_closing_finishes_what_waits(house: Database) -> None:
    writer = Writer(house, FreeDisk(house.path, 0))
    waiting = [asyncio.create_task(writer.submit(add(number))) for number in range(20)]
    await asyncio.sleep(0)
    await asyncio.to_thread(writer.close)
    assert await asyncio.gather(*waiting) == list(range(20))
    assert numbers(house.path) == list(range(20))
    with pytest.raises(StoreError, match="closed"):
        await writer.submit(add(99))


async def test_the_event_loop_runs_on_while_the_disk_works(writer: Writer) -> None:
    ticked = threading.Event()
    task = asyncio.create_task(writer.submit(lambda _: ticked.wait(60)))
    for _ in range(20):
        await asyncio.sleep(0.001)
    assert not task.done()
    ticked.set()
    assert await task is True


async def test_the_disk_is_looked_at_only_when_room_is_needed(house: Database) -> None:
    writer = Writer(house, FreeDisk(house.path, 1 << 60))
    with pytest.raises(StoreError, match=r"store\.min_free_bytes") as error:
        await writer.submit(add(1))
    assert error.value.code == "store_full"
    assert await writer.submit(add(2), needs_room=False) == 2
    await asyncio.to_thread(writer.close)
