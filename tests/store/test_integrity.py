"""Looking a database over: what was changed is named by table and id; copies open."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from postgres import by_hand

from netgpt.errors import RequestError
from netgpt.store.schema import NewExample
from netgpt.store.store import Store
from netgpt.types import Fact, Person

ADA, BOB = Person("local", "ada-the-person"), Person("local", "bob-the-person")
TAMPERINGS = {
    "a changed byte": "UPDATE exchanges SET private = private || x'00' WHERE id = 'ex_000001'",
    "a value of another row": (
        "UPDATE exchanges SET private = (SELECT private FROM exchanges WHERE id = 'ex_000002') WHERE id = 'ex_000001'"
    ),
    "another tenant": "UPDATE exchanges SET tenant = 'other' WHERE id = 'ex_000001'",
    "another person": (
        "UPDATE exchanges SET user = (SELECT user FROM exchanges WHERE id = 'ex_000003') WHERE id = 'ex_000001'"
    ),
    "a person in clear": "UPDATE exchanges SET user = 'ada-the-person' WHERE id = 'ex_000001'",
    "a foreign key id": "UPDATE exchanges SET private = x'02DEADBEEF' || substr(private, 6) WHERE id = 'ex_000001'",
}


async def plant(store: Store, make_row: Any) -> None:
    for person in (ADA, ADA, BOB):
        await store.save_exchange(make_row(user=person.user, private={"t": "private words"}))
    await store.add_fact(ADA, Fact("has private words", "note"))
    await store.save_map(ADA, "talk", b"private words")
    await store.learning.keep([NewExample(ADA, "1", {"answer": "private words"})])


async def test_a_sound_database_has_no_faults(store: Store, make_row: Any) -> None:
    await plant(store, make_row)
    seen: list[tuple[int, int]] = []
    found = await store.sealing.check(lambda done, of: seen.append((done, of)))
    assert found.faults == () and found.rows >= 6 and seen[-1][0] == found.rows


@pytest.mark.parametrize("how", TAMPERINGS)
async def test_a_changed_row_is_named_without_its_content(
    store: Store, place: Path | str, make_row: Any, how: str
) -> None:
    await plant(store, make_row)
    with by_hand(place) as execute:
        assert execute(TAMPERINGS[how]).rowcount == 1
    found = await store.sealing.check()
    assert [(fault.table, fault.id) for fault in found.faults] == [("exchanges", "ex_000001")]
    text = json.dumps([asdict(fault) for fault in found.faults])
    assert "private words" not in text and "the-person" not in text


async def test_a_changed_mark_is_named(store: Store, place: Path | str) -> None:
    with by_hand(place) as execute:
        execute("UPDATE marks SET value = zeroblob(60) WHERE name = 'sealed-with'")
    assert [(fault.table, fault.id) for fault in (await store.sealing.check()).faults] == [("marks", "sealed-with")]


async def test_figures(store: Store, make_row: Any) -> None:
    await plant(store, make_row)
    known = await store.sealing.info()
    tables = {table.name: table for table in known.tables}
    assert known.name == store.name and known.bytes > 0 and known.key_kind == "memory"
    assert tables["exchanges"].rows == 3 and tables["exchanges"].sealed_by == {known.key_ids[0]: 3}
    assert tables["exchanges"].oldest is not None and tables["exchanges"].oldest.tzinfo is not None
    assert tables["places"].rows == 0 and tables["places"].oldest is None


@pytest.mark.file
async def test_a_backup_is_whole_private_and_opens(store: Store, sealer: Any, make_row: Any, tmp_path: Path) -> None:
    await plant(store, make_row)
    copy = tmp_path / "backup" / "copy.db"
    with pytest.raises(RequestError, match="cannot be made"):
        await store.sealing.backup(copy)
    copy.parent.mkdir()
    size = await store.sealing.backup(copy)
    assert size == copy.stat().st_size and copy.stat().st_mode & 0o777 == 0o600
    assert list(copy.parent.iterdir()) == [copy] and b"private words" not in copy.read_bytes()
    with pytest.raises(RequestError, match="exists already"):
        await store.sealing.backup(copy)
    again = Store.open(copy, sealer)
    assert len(await again.exchanges(ADA, 10)) == 2 and (await again.sealing.check()).faults == ()
    await again.close()
