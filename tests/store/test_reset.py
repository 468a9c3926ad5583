"""Starting over after a lost key: what was not sealed stays, the old file lies aside, nothing is half done."""

from __future__ import annotations

import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from netgpt.errors import StoreError
from netgpt.store.encryption import Sealer
from netgpt.store.learning import DecisionRow
from netgpt.store.maintenance import reset_sealed
from netgpt.store.schema import KeyRow, PlaceRow
from netgpt.store.store import Store
from netgpt.types import Fact, Person, Role

ADA = Person("local", "ada")


async def plant(database: Path, sealer: Sealer, make_row: Any) -> None:
    store = Store.open(database, sealer)
    for user in ("ada", "ada", "bob"):
        row = make_row(user=user, private={"t": "words"})
        await store.save_exchange(row)
    await store.decisions.save([DecisionRow(row.id, "local", "bob", None, row.received, "edge", 1.0, {"x": [1]})])
    await store.add_fact(ADA, Fact("is lost", "note"))
    await store.save_map(ADA, "talk", b"lost")
    now = datetime.now(UTC)
    await store.add_key(KeyRow("key_all", "h1", "local", Role.ADMIN, None, "operator", now))
    await store.add_key(KeyRow("key_ada", "h2", "local", Role.USER, "ada", "hers", now))
    await store.replace_places("file", [PlaceRow("p", "file", "Fountain", "water", 1.0, 2.0, "a fountain")])
    await store.close()


async def test_what_was_not_sealed_stays(database: Path, sealer: Sealer, make_row: Any) -> None:
    await plant(database, sealer, make_row)
    before = database.read_bytes()
    done = reset_sealed(database)
    assert done.aside.read_bytes() == before and done.aside.stat().st_mode & 0o777 == 0o600
    assert (done.kept["exchanges"], done.kept["keys"], done.kept["places"]) == (3, 2, 1)
    assert (done.left["facts"], done.left["maps"], done.left["texts of exchanges"]) == (1, 1, 3)
    assert (done.left["decisions"], done.keys_revoked) == (1, 1)
    with pytest.raises(StoreError, match="no secrets"):  # so does a database whose secrets somebody took away
        Store.open(database, Sealer.new())
    store = Store.open(database, Sealer.new(), after_reset=True)
    rows = await store.exchanges(None, 10)
    assert [row.private for row in rows] == [None] * 3 and sum(row.cost for row in rows) == 0.75
    assert len({row.user for row in rows}) == 2 and all(row.user.startswith("lost-") for row in rows)
    keys = {key.id: key for key in await store.keys()}
    assert keys["key_all"].revoked is None and keys["key_ada"].revoked is not None and keys["key_ada"].user is None
    assert [place.name for place in await store.places()] == ["Fountain"]
    assert await store.facts(ADA) == [] and await store.load_map(ADA, "talk") is None
    await store.save_exchange(make_row(id="ex_new", private={"t": "new words"}))
    assert (await store.sealing.check()).faults == ()
    await store.close()
    old = Store.open(done.aside, sealer)  # the key was found after all
    assert [fact.text for _, fact in await old.facts(ADA)] == ["is lost"]
    await old.close()


async def test_an_open_database_is_not_reset(store: Store, database: Path) -> None:
    with pytest.raises(StoreError, match="has it open"):
        reset_sealed(database)
    assert list(database.parent.glob("*.lost-*")) == []


def test_without_a_database_there_is_nothing_to_reset(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no database"):
        reset_sealed(tmp_path / "netgpt.db")
    assert list(tmp_path.glob("*lost*")) == []


def test_a_damaged_file_is_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "netgpt.db"
    path.write_bytes(b"this is no database" * 100)
    with pytest.raises(StoreError):
        reset_sealed(path)
    assert path.read_bytes().startswith(b"this is") and [p.name for p in tmp_path.glob("*lost*")] == []


async def test_the_moved_file_is_closed_cleanly(database: Path, sealer: Sealer, make_row: Any) -> None:
    await plant(database, sealer, make_row)
    done = reset_sealed(database)
    with sqlite3.connect(done.aside) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    assert sorted(path.name for path in database.parent.iterdir() if path.suffix not in (".db-open",)) == sorted(
        [database.name, done.aside.name]
    )
