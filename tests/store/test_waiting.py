"""Requests that wait: claimed once, gone once, whatever dies in between."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from postgres import by_hand

from netgpt.errors import NotFound, RateLimited, RequestError, StoreError
from netgpt.store.encryption import Sealer
from netgpt.store.queue import QueueLimits
from netgpt.store.receipts import NewReceipt
from netgpt.store.store import Store
from netgpt.types import Person

SENDER = Path(__file__).with_name("sender.py")
ADA, BOB = Person("north", "ada"), Person("north", "bob")
BOUNDS = QueueLimits(100, 1_000_000, timedelta(hours=1))
PAYLOAD: dict[str, Any] = {"request": {"body": {}}, "caller": {}}


def now(after_s: float = 0) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=after_s)


async def park(store: Store, person: Person = ADA, bounds: QueueLimits = BOUNDS, at: datetime | None = None) -> str:
    return (await store.waiting.park(person, None, PAYLOAD, bounds, at or now())).id


def receipt(person: Person = ADA) -> NewReceipt:
    return NewReceipt("far.example", "m", b"{}", person, None)


async def test_one_at_a_time_of_a_person_in_their_order(store: Store) -> None:
    first, second, other = await park(store), await park(store, at=now(0.01)), await park(store, BOB, at=now(0.02))
    claims = [await store.waiting.claim(f"ex_{n}", now(1)) for n in range(3)]
    assert [claim and claim[0].id for claim in claims] == [first, other, None]
    assert claims[0] is not None and await store.waiting.put_back(claims[0][1], now(60))
    assert await store.waiting.claim("ex_3", now(1)) is None, "the second waits for the first of its person"
    later = await store.waiting.claim("ex_4", now(61))
    assert later is not None and later[0].id == first and later[0].tries == 1
    await store.waiting.end(later[1], "failed", {"error": {}}, now(99))
    last = await store.waiting.claim("ex_5", now(61))
    assert last is not None and last[0].id == second


async def test_it_departs_once_and_with_its_receipt(store: Store) -> None:
    await park(store)
    claimed = await store.waiting.claim("ex_1", now())
    assert claimed is not None
    await store.receipts.add(receipt(), first=store.waiting.departing(claimed[1]))
    with pytest.raises(StoreError) as error:
        await store.receipts.add(receipt(), first=store.waiting.departing(claimed[1]))
    assert error.value.code == "not_sent_again"
    assert len(await store.receipts.page(None)) == 1, "what does not depart has no receipt"
    assert not await store.waiting.put_back(claimed[1], now())


async def test_a_sender_that_was_taken_for_dead_cannot_send(store: Store) -> None:
    id = await park(store)
    claimed = await store.waiting.claim("ex_1", now())
    assert claimed is not None
    assert await store.waiting.recover(now(-1), now()) == 0, "it was seen just now"
    assert await store.waiting.recover(now(1), now()) == 1
    again = await store.waiting.claim("ex_2", now(1))
    assert again is not None and again[0].id == id
    with pytest.raises(StoreError):
        await store.receipts.add(receipt(), first=store.waiting.departing(claimed[1]))
    await store.receipts.add(receipt(), first=store.waiting.departing(again[1]))


async def test_what_left_and_was_not_answered_is_unknown(store: Store) -> None:
    id = await park(store)
    claimed = await store.waiting.claim("ex_1", now())
    assert claimed is not None
    await store.receipts.add(receipt(), first=store.waiting.departing(claimed[1]))
    assert await store.waiting.recover(now(1), now()) == 0
    row = await store.waiting.find(id)
    assert row is not None and row.state == "unknown" and "not sent again" in str(row.private)
    assert await store.waiting.end(claimed[1], "answered", {"answer": {"a": 1}}, now(9)), "its sender lived after all"
    row = await store.waiting.find(id)
    assert row is not None and row.state == "answered" and row.private and row.private["answer"] == {"a": 1}


async def test_forgotten_while_it_is_being_sent(store: Store) -> None:
    await park(store)
    claimed = await store.waiting.claim("ex_1", now())
    assert claimed is not None and (await store.forget(ADA))["waiting"] == 1
    with pytest.raises(StoreError):
        await store.receipts.add(receipt(), first=store.waiting.departing(claimed[1]))
    assert not await store.waiting.end(claimed[1], "answered", {"answer": {}}, now(9))


async def test_bounds_and_time(store: Store) -> None:
    few = QueueLimits(2, 1_000_000, timedelta(hours=1))
    for _ in range(2):
        await park(store, bounds=few)
    with pytest.raises(RateLimited):
        await park(store, bounds=few)
    with pytest.raises(RateLimited):
        await park(store, BOB, QueueLimits(9, 10, timedelta(hours=1)))
    gone = await store.delete_expired(now(2 * 3_600), 30, 30)
    assert gone["waiting"] == 0 and {row.state for row in await store.waiting.page(ADA)} == {"expired"}
    assert (await store.delete_expired(now(8 * 86_400), 30, 30))["waiting"] == 2


async def test_cancelling(store: Store) -> None:
    id = await park(store)
    with pytest.raises(NotFound):
        await store.waiting.cancel(id, BOB)
    await store.waiting.claim("ex_1", now())
    with pytest.raises(RequestError, match="being sent") as error:
        await store.waiting.cancel(id, ADA)
    assert error.value.status == 409
    await store.waiting.recover(now(1), now())
    await store.waiting.cancel(id)
    assert await store.waiting.find(id) is None


@pytest.mark.slow
async def test_killed_at_random_moments_nothing_is_sent_twice(tmp_path: Path) -> None:
    dice, sent = random.Random(7), tmp_path / "sent.txt"
    store = Store.open(tmp_path / "netgpt.db", Sealer.from_file(tmp_path / "secret.key"))
    ids = [await park(store, Person("north", f"u{n % 20}"), at=now(n * 1e-3 - 1)) for n in range(120)]
    for _ in range(5):
        before = len(sent.read_text().splitlines()) if sent.exists() else 0
        senders = [subprocess.Popen([sys.executable, str(SENDER), str(tmp_path)]) for _ in range(2)]
        until = time.monotonic() + 30
        while not (sent.exists() and len(sent.read_text().splitlines()) > before) and time.monotonic() < until:
            await asyncio.sleep(0.005)
        await asyncio.sleep(dice.uniform(0.0, 0.08))
        for sender in senders:
            sender.kill()
            sender.wait(60)
        await store.waiting.recover(now(1), now())
    left = Counter(sent.read_text().splitlines())
    states = {row.id: row.state for row in await store.waiting.page(None)}
    states |= {row.id: row.state for n in range(20) for row in await store.waiting.of_person(Person("north", f"u{n}"))}
    assert set(left) <= set(ids) and set(left.values()) == {1}, "each left once"
    assert len(left) >= 5
    for id, state in states.items():
        assert state in ("waiting", "answered", "unknown")
        assert (state == "waiting") or state == "unknown" or id in left
        assert state != "waiting" or id not in left, "what left does not wait any more"
    await store.close()


async def test_one_that_is_tried_in_vain_does_not_keep_others_waiting(store: Store) -> None:
    stuck, other = await park(store), await park(store, BOB, at=now(0.01))
    claimed = await store.waiting.claim("ex_1", now(1))
    assert claimed is not None and claimed[0].id == stuck
    await store.waiting.put_back(claimed[1], now(2))
    both_due = await store.waiting.claim("ex_2", now(3))
    assert both_due is not None and both_due[0].id == other


async def test_one_that_is_given_up_holds_up_nobody(store: Store) -> None:
    await park(store, bounds=QueueLimits(100, 1_000_000, timedelta(seconds=1)))
    second = await park(store, at=now(0.01))
    claimed = await store.waiting.claim("ex_1", now(60))
    assert claimed is not None and claimed[0].id == second


async def test_one_that_was_changed_by_hand_holds_up_nobody(store: Store, place: Path | str) -> None:
    damaged, whole = await park(store), await park(store, BOB, at=now(0.01))
    with by_hand(place) as execute:
        execute("UPDATE waiting SET private = zeroblob(60) WHERE id = ?", (damaged,))
    claimed = await store.waiting.claim("ex_1", now(1))
    assert claimed is not None and claimed[0].id == whole
    assert await store.waiting.claim("ex_2", now(1)) is None
