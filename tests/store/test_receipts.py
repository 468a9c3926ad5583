"""Receipts in a real database: chained under a crowd, found when tampered with, erased without breaking the chain."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from postgres import by_hand

from netgpt.errors import StoreError
from netgpt.store.chain import Head
from netgpt.store.encryption import Sealer
from netgpt.store.receipts import NewReceipt
from netgpt.store.store import Store
from netgpt.types import Person

ADA, BOB, TWIN = Person("local", "ada"), Person("local", "bob"), Person("acme", "ada")
PLANTED = "the quick brown fox of ada"


def new(person: Person | None = ADA, number: int = 0, **more: Any) -> NewReceipt:
    content = json.dumps({"messages": [{"role": "user", "content": f"{PLANTED} {number}"}]}).encode()
    exchange = f"ex_{person.user if person else 'box'}_{number}"
    account = {"rule": "masked", "hidden": [{"kind": "EMAIL", "placeholder": "[EMAIL_1]", "count": 1}]}
    return NewReceipt("cloud.example", "far", content, person, exchange, account, **more)


async def write(store: Store, count: int = 6) -> None:
    for number in range(count):
        await store.receipts.add(new((ADA, BOB, None)[number % 3], number))


def tamper(place: Path | str, *statements: str) -> None:
    """As somebody would who can write the file and has no key."""
    with by_hand(place) as execute:
        for statement in statements:
            execute(statement)


async def test_a_receipt_tells_where_to_when_and_the_exact_bytes(store: Store) -> None:
    before = datetime.now(UTC)
    await store.receipts.add(new(ADA, 7))
    row = await store.receipts.find("ex_ada_7")
    assert row is not None and row.record.account is not None
    link = row.record.link
    assert (link.seq, link.destination, link.model, link.tenant) == (1, "cloud.example", "far", "local")
    assert before <= link.time <= datetime.now(UTC)
    assert row.record.content is not None and PLANTED in row.record.content
    assert len(row.record.content.encode()) == link.size
    assert row.record.account["hidden"][0]["kind"] == "EMAIL" and row.record.user == "ada"
    for which in (row.record.id, "1"):
        assert (await store.receipts.find(which)) == row
    assert await store.receipts.find("rc_none") is None and await store.receipts.find("2") is None


async def test_nothing_ever_left(store: Store) -> None:
    assert await store.receipts.head() is None
    assert (await store.receipts.verify()).whole
    assert await store.receipts.page(None) == []


async def test_pages_are_of_one_person_or_one_tenant_and_show_no_text(store: Store) -> None:
    for number in range(3):
        for person in (ADA, BOB, TWIN):
            await store.receipts.add(new(person, number))
    mine = await store.receipts.page(ADA, 2)
    assert [row.record.link.seq for row in mine] == [7, 4]
    rest = await store.receipts.page(ADA, 2, mine[-1].record.id)
    assert [row.record.link.seq for row in rest] == [1]
    assert all(row.record.content is None and row.record.account is None for row in [*mine, *rest])
    assert {row.record.user for row in await store.receipts.page(None, tenant="acme")} == {"ada"}
    assert len(await store.receipts.page(None)) == 9


async def test_texts_and_persons_are_sealed(store: Store, files: Callable[[], dict[str, bytes]]) -> None:
    await write(store)
    for name, content in files().items():
        assert b"quick brown" not in content and b"[EMAIL_1]" not in content, name


async def test_without_texts_the_digest_is_kept(store: Store) -> None:
    await store.receipts.add(new(ADA, keep_text=False))
    row = await store.receipts.find("1")
    assert row is not None and row.record.content is None and row.record.account is not None
    assert len(row.record.account["sha256"]) == 64 and (await store.receipts.verify()).whole


async def test_the_chain_holds_under_a_crowd_and_over_two_processes(place: Path | str, sealer: Sealer) -> None:
    one, other = Store.open(place, sealer), Store.open(place, sealer)
    await asyncio.gather(
        *(store.receipts.add(new(ADA, number)) for number in range(100) for store in (one, other)),
        *(one.set_profile(BOB, "off") for _ in range(20)),
    )
    report = await one.receipts.verify()
    assert report.whole and report.receipts == 200, report.faults
    assert str(await one.receipts.head()) == str(await other.receipts.head())
    await one.close()
    await other.close()


async def test_verify_holds_while_others_write(store: Store) -> None:
    await write(store, 50)
    done = asyncio.Event()

    async def go_on() -> None:
        number = 1000
        while not done.is_set():
            await store.receipts.add(new(BOB, number := number + 1))

    writing = asyncio.create_task(go_on())
    for _ in range(5):
        report = await store.receipts.verify()
        assert report.whole, report.faults
    done.set()
    await writing


TAMPERED = {
    "destination": ("UPDATE receipts SET destination = 'elsewhere.example' WHERE seq = 3", 3, "changed"),
    "time": ("UPDATE receipts SET time = time + 1 WHERE seq = 3", 3, "changed"),
    "size": ("UPDATE receipts SET size = 5 WHERE seq = 3", 3, "changed"),
    "hash": ("UPDATE receipts SET hash = zeroblob(32) WHERE seq = 3", 3, "changed"),
    "tag": ("UPDATE receipts SET tag = zeroblob(32) WHERE seq = 3", 3, "not written by this box"),
    "another person": ("UPDATE receipts SET user = (SELECT user FROM receipts WHERE seq = 1) WHERE seq = 2",
                       2, "person"),
    "no person": ("UPDATE receipts SET user = NULL WHERE seq = 2", 2, "person"),
    "nonsense person": ("UPDATE receipts SET user = 'eve' WHERE seq = 2", 2, "does not open"),
    "sealed part": ("UPDATE receipts SET private = zeroblob(99) WHERE seq = 3", 3, "does not open"),
    "sealed part of another": (
        "UPDATE receipts SET private = (SELECT private FROM receipts WHERE seq = 1) WHERE seq = 4", 4, "does not open"
    ),
    "content taken": ("UPDATE receipts SET private = NULL, user = NULL, exchange = NULL WHERE seq = 3", 3, "erased"),
    "dropped": ("DELETE FROM receipts WHERE seq = 3", 3, "missing"),
    "cut off": ("DELETE FROM receipts WHERE seq > 4", 5, "cut off"),
    "head taken": ("DELETE FROM marks WHERE name = 'receipts'", 7, "taken away"),
}  # fmt: skip


@pytest.mark.parametrize("how", TAMPERED)
async def test_what_somebody_does_to_the_file_is_named(store: Store, place: Path | str, how: str) -> None:
    await write(store)
    statement, seq, word = TAMPERED[how]
    tamper(place, statement)
    report = await store.receipts.verify()
    named = [fault for fault in report.faults if fault.seq == seq]
    assert named and any(word in fault.what for fault in named), report.faults


async def test_two_that_change_places_are_named(store: Store, place: Path | str) -> None:
    await write(store)
    tamper(
        place,
        "UPDATE receipts SET seq = 99 WHERE seq = 2",
        "UPDATE receipts SET seq = 2 WHERE seq = 4",
        "UPDATE receipts SET seq = 4 WHERE seq = 99",
    )
    report = await store.receipts.verify()
    assert {2, 4} <= {fault.seq for fault in report.faults}


async def test_a_lost_end_is_recorded_for_ever(store: Store, place: Path | str) -> None:
    """Who cuts receipts off and takes the head away gets no clean chain: the next receipt tells of it."""
    await write(store)
    tamper(place, "DELETE FROM receipts WHERE seq > 4", "DELETE FROM marks WHERE name = 'receipts'")
    await write(store, 2)
    report = await store.receipts.verify()
    assert [(fault.seq, "lost here" in fault.what) for fault in report.faults] == [(5, True)]


async def test_all_receipts_taken_away_with_their_marks_are_missed(store: Store, place: Path | str) -> None:
    """An empty chain has its mark from the first opening on, and its key is needed for everything else."""
    await write(store)
    assert (await store.receipts.verify()).whole
    tamper(place, "DELETE FROM receipts", "DELETE FROM marks WHERE name LIKE 'receipts%'")
    report = await store.receipts.verify()
    assert any(fault.seq == 1 and "taken away" in fault.what for fault in report.faults)
    await write(store, 1)
    assert "lost here" in (await store.receipts.verify()).faults[0].what


async def test_a_cut_is_found_by_the_next_receipt_too(store: Store, place: Path | str) -> None:
    await write(store)
    tamper(place, "DELETE FROM receipts WHERE seq > 4")
    await write(store, 1)
    report = await store.receipts.verify()
    assert report.faults[0].seq == 5 and "5 to 6 are missing" in report.faults[0].what


async def test_a_row_put_in_ahead_keeps_everything_here(store: Store, place: Path | str) -> None:
    await write(store)
    columns = "id, kind, time, destination, model, size, commitment, previous, hash, tag"
    tamper(
        place,
        f"INSERT INTO receipts (seq, {columns}) SELECT 7, 'rc_x', {columns[4:]} FROM receipts WHERE seq = 6",
    )
    with pytest.raises(StoreError, match="Nothing was sent") as error:
        await store.receipts.add(new())
    assert error.value.code == "receipts_changed"
    report = await store.receipts.verify()
    assert any("put in" in fault.what for fault in report.faults)


async def test_an_old_copy_is_found_by_the_head_noted_elsewhere(database: Path, sealer: Sealer, tmp_path: Path) -> None:
    store = Store.open(database, sealer)
    await write(store, 3)
    await store.close()
    copy = database.read_bytes()
    store = Store.open(database, sealer)
    await write(store, 3)
    noted = await store.receipts.head()
    assert noted is not None
    await store.close()
    database.write_bytes(copy)
    store = Store.open(database, sealer)
    assert (await store.receipts.verify()).whole  # nothing inside can tell
    report = await store.receipts.verify([noted])
    assert "noted elsewhere" in report.faults[0].what
    await store.close()


async def test_forgetting_erases_and_the_chain_says_so(
    store: Store, files: Callable[[], dict[str, bytes]], database: Path
) -> None:
    await write(store)
    removed = await store.forget(ADA)
    assert removed["receipts"] == 2
    report = await store.receipts.verify()
    assert report.whole and report.erased == 2, report.faults
    assert await store.receipts.of_person(ADA) == [] and len(await store.receipts.of_person(BOB)) == 2
    row = await store.receipts.find("1")
    assert row is not None and row.erased is not None and row.reason == "the person was forgotten"
    assert row.record.content is None and row.record.user is None and row.record.exchange is None
    assert (await store.forget(ADA))["receipts"] == 0
    assert (await store.receipts.verify()).receipts == 7


async def test_retention_erases_contents_and_keeps_the_chain(store: Store) -> None:
    await write(store)
    counts = await store.delete_expired(datetime.now(UTC), 30, 30, 365, 90)
    assert counts["receipts"] == 0
    counts = await store.delete_expired(datetime.now(UTC) + timedelta(days=91), 30, 30, 365, 90)
    assert counts["receipts"] == 6
    report = await store.receipts.verify()
    assert report.whole and report.erased == 6
    row = await store.receipts.find("6")
    assert row is not None and row.reason == "kept for 90 days (store.keep_receipts_days)"
    again = await store.delete_expired(datetime.now(UTC) + timedelta(days=91), 30, 30, 365, 90)
    assert again["receipts"] == 0


async def test_a_full_disk_writes_no_receipt(database: Path, sealer: Sealer) -> None:
    store = Store.open(database, sealer, min_free_bytes=1 << 60)
    with pytest.raises(StoreError) as error:
        await store.receipts.add(new())
    assert error.value.code == "store_full" and await store.receipts.head() is None
    await store.close()


async def test_a_rolled_back_neighbour_leaves_the_chain_whole(store: Store) -> None:
    """A failing write of the same group, and one that fails after its receipt was added."""

    def fails(connection: Any) -> None:
        store.receipts._add(connection, new(BOB, 99))
        raise StoreError("no")

    async def failing() -> None:
        with pytest.raises(StoreError):
            await store._submit(fails)

    await asyncio.gather(*(failing() if n % 3 else store.receipts.add(new(ADA, n)) for n in range(30)))
    report = await store.receipts.verify()
    assert report.whole and report.receipts == 10, report.faults
    assert await store.receipts.find("ex_bob_99") is None
    assert isinstance(await store.receipts.head(), Head)
