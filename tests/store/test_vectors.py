"""Vectors of facts in the store: sealed like the facts, gone with them, nobody else's, and of one model only."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from netgpt.store.encryption import Sealer
from netgpt.store.store import Store
from netgpt.types import Fact, Person

ADA, BOB = Person("local", "ada"), Person("local", "bob")
MODEL, OTHER = "a" * 64, "b" * 64
DATA = b"half floats, as private as the fact"
SOON = timedelta(hours=1)


async def planted(
    store: Store, person: Person = ADA, text: str = "is vegetarian", expires: datetime | None = None
) -> str:
    """A fact with vectors."""
    id = await store.add_fact(person, Fact(text, "diet", source="profile", expires=expires))
    assert await store.vectors.save(person, MODEL, {id: DATA}) == 1
    return id


def change(path: Path, sql: str, *values: object) -> None:
    with sqlite3.connect(path) as connection:
        connection.execute(sql, values)
    connection.close()


def count(path: Path) -> int:
    connection = sqlite3.connect(path)
    (rows,) = connection.execute("SELECT count(*) FROM fact_vectors").fetchone()
    connection.close()
    return int(rows)


async def test_they_are_found_by_person_and_model_and_sealed(
    store: Store, files: Callable[[], dict[str, bytes]], database: Path, sealer: Sealer
) -> None:
    id = await planted(store)
    assert await store.vectors.of_person(ADA, MODEL) == {id: DATA}
    assert await store.vectors.of_person(BOB, MODEL) == {} == await store.vectors.of_person(ADA, OTHER)
    assert not any(DATA in content for content in files().values())
    await store.close()
    again = Store.open(database, sealer)
    assert await again.vectors.of_person(ADA, MODEL) == {id: DATA}
    assert (await again.sealing.check()).faults == ()
    await again.close()


async def test_another_model_replaces_them(store: Store) -> None:
    id = await planted(store)
    assert await store.vectors.missing(MODEL, 10) == {}
    assert await store.vectors.missing(OTHER, 10) == {ADA: [id]}
    await store.vectors.save(ADA, OTHER, {id: b"new"})
    assert await store.vectors.of_person(ADA, OTHER) == {id: b"new"}
    assert await store.vectors.missing(MODEL, 10) == {ADA: [id]}


async def test_what_is_missing_is_told_by_person_within_a_limit(store: Store) -> None:
    now = datetime.now(UTC)
    ids = [await store.add_fact(ADA, Fact(f"fact {number}", "note")) for number in range(3)]
    bobs = await store.add_fact(BOB, Fact("is vegan", "diet", expires=now + SOON))
    await store.add_fact(BOB, Fact("is over", "diet", expires=now - SOON))
    everything = await store.vectors.missing(MODEL, 10)
    assert sorted(everything[ADA]) == sorted(ids) and everything[BOB] == [bobs] and len(everything) == 2
    assert sum(map(len, (await store.vectors.missing(MODEL, 2)).values())) == 2
    assert await store.vectors.missing(MODEL, 10, {ADA}) == {BOB: [bobs]}


async def test_they_go_with_the_fact_and_with_the_person(store: Store, database: Path) -> None:
    first, second = await planted(store), await planted(store, text="has a dog")
    bobs = await planted(store, BOB, "is over", expires=datetime.now(UTC) + SOON)
    assert await store.remove_fact(BOB, first) is False and count(database) == 3  # it is not his
    await store.remove_fact(ADA, first)
    assert await store.vectors.of_person(ADA, MODEL) == {second: DATA}
    await store.delete_expired(datetime.now(UTC) + 2 * SOON, 30, 30)
    assert await store.vectors.of_person(BOB, MODEL) == {} and bobs and count(database) == 1
    assert "fact_vectors" not in await store.forget(ADA)
    assert count(database) == 0


async def test_none_are_kept_of_a_fact_that_is_gone_or_anothers(store: Store, database: Path) -> None:
    id = await store.add_fact(ADA, Fact("is vegan", "diet"))
    assert await store.vectors.save(BOB, MODEL, {id: DATA}) == 0
    await store.forget(ADA)
    assert await store.vectors.save(ADA, MODEL, {id: DATA}) == 0 and count(database) == 0


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE fact_vectors SET private = zeroblob(80)",
        f"UPDATE fact_vectors SET model = '{OTHER}'",
        "UPDATE fact_vectors SET id = 'fact_0000000000000000'",
    ],
)
async def test_a_row_that_was_changed_by_hand_counts_for_nothing(store: Store, database: Path, sql: str) -> None:
    await planted(store)
    change(database, sql)
    assert await store.vectors.of_person(ADA, MODEL) == {} == await store.vectors.of_person(ADA, OTHER)


async def test_the_key_is_changed_under_them(tmp_path: Path) -> None:
    sealer = Sealer.from_file(tmp_path / "secret.key")
    store = Store.open(tmp_path / "netgpt.db", sealer)
    id = await planted(store)
    await store.sealing.rotate()
    assert await store.vectors.of_person(ADA, MODEL) == {id: DATA}
    await store.close()
    again = Store.open(tmp_path / "netgpt.db", Sealer.from_file(tmp_path / "secret.key"))
    assert await again.vectors.of_person(ADA, MODEL) == {id: DATA}
    change(again.path, "DELETE FROM facts")
    await again.sealing.rotate(drop_damaged=True)
    assert count(again.path) == 0
    await again.close()
