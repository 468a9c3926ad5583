"""Sealing: bound to its place, a plain error for a wrong key, nothing readable in the files."""

from __future__ import annotations

import json
import pickle
import sqlite3
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netgpt.errors import StoreError
from netgpt.store.encryption import Sealer, place_of
from netgpt.store.store import Store
from netgpt.types import Fact, Person

ADA = Person("local", "ada")
SEALER = Sealer.new()


@given(st.binary(max_size=500), st.binary(max_size=50), st.binary(max_size=50))
def test_opens_in_its_own_place_only(data: bytes, place: bytes, other: bytes) -> None:
    sealed = SEALER.seal(data, place)
    assert SEALER.open(sealed, place) == data
    assert SEALER.seal(data, place) != sealed
    if other != place:
        with pytest.raises(StoreError) as error:
            SEALER.open(sealed, other)
        assert error.value.code == "wrong_key"


@given(st.lists(st.text(max_size=5), max_size=4), st.lists(st.text(max_size=5), max_size=4))
def test_two_places_are_never_written_alike(one: list[str], two: list[str]) -> None:
    assert (place_of(*one) == place_of(*two)) == (one == two)
    assert (SEALER.digest(*one) == SEALER.digest(*two)) == (one == two)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_changed_bit_is_noticed(position: int, change: int) -> None:
    sealed = bytearray(SEALER.seal(b"something private", b"place"))
    sealed[position % len(sealed)] ^= change
    with pytest.raises(StoreError):
        SEALER.open(bytes(sealed), b"place")


@pytest.mark.parametrize("sealed", [b"", b"\x01", b"\x01" + b"x" * 12, b"plain text that was never sealed"])
def test_what_was_never_sealed_does_not_open(sealed: bytes) -> None:
    with pytest.raises(StoreError, match="wrong key"):
        SEALER.open(sealed, b"place")


def test_the_key_file_is_private_and_kept(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "secret.key"
    sealed = Sealer.from_file(path).seal(b"words", b"")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert list(path.parent.iterdir()) == [path]
    path.chmod(0o644)
    assert Sealer.from_file(path).open(sealed, b"") == b"words"
    assert path.stat().st_mode & 0o777 == 0o600


def test_processes_that_start_together_get_one_key(tmp_path: Path) -> None:
    path, sealers, start = tmp_path / "secret.key", list[Sealer](), threading.Barrier(8)

    def make() -> None:
        start.wait()
        sealers.append(Sealer.from_file(path))

    threads = [threading.Thread(target=make) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({sealer.key_ids for sealer in sealers}) == 1
    assert len(sealers) == 8


@pytest.mark.parametrize("content", [b"", b"short", b"\xff\xfe", b"A" * 44])
def test_a_key_file_that_is_none_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "secret.key"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=str(path)):
        Sealer.from_file(path)
    assert path.read_bytes() == content


def test_a_missing_key_of_an_existing_database_is_not_replaced(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="key of the sealed database is missing") as error:
        Sealer.from_file(tmp_path / "secret.key", create=False)
    assert error.value.code == "store_key_missing"
    assert list(tmp_path.glob("*.key")) == []


def test_the_key_shows_nowhere(tmp_path: Path) -> None:
    sealer = Sealer.from_file(tmp_path / "secret.key")
    assert repr(sealer) == f"<Sealer with {tmp_path / 'secret.key'}>"
    with pytest.raises(TypeError):
        pickle.dumps(sealer)


async def test_a_wrong_key_is_found_at_the_start(database: Path, make_row: Any) -> None:
    right = Sealer.new()
    store = Store.open(database, right)
    await store.save_exchange(make_row())
    await store.close()
    with pytest.raises(StoreError, match="the database was sealed with another key") as error:
        Store.open(database, Sealer.new())
    assert error.value.code == "wrong_key" and str(database) in error.value.message
    store = Store.open(database, right)
    assert len(await store.exchanges(None, 10)) == 1
    await store.close()


async def test_texts_stand_nowhere_in_the_files(store: Store, files: Any, make_row: Any) -> None:
    planted = "Zaphod Beeblebrox, 42 Heart of Gold Street, caf\u00e9"
    kind = "planted-kind"
    await store.save_exchange(make_row(private={"answer": planted}))
    await store.add_fact(ADA, Fact(planted, kind, source="planted-source"))
    await store.save_map(ADA, "planted conversation", planted.encode())
    content = b"".join(files().values())
    assert b"smollm2-135m" in content  # the search does find what is there
    for text in ("Zaphod", "Beeblebrox", "Heart of Gold", kind, "planted-source", "planted conversation"):
        for form in (text.encode(), text.encode("utf-16-le"), json.dumps(text)[1:-1].encode()):
            assert form not in content


async def test_a_row_moved_to_another_person_does_not_open(store: Store, database: Path, make_row: Any) -> None:
    await store.save_exchange(make_row(id="ex_1", user="ada", private={"answer": "words of ada"}))
    await store.save_exchange(make_row(id="ex_2", user="mallory", private={"answer": "words of mallory"}))
    thief = sqlite3.connect(database)
    thief.execute("UPDATE exchanges SET user = (SELECT user FROM exchanges WHERE id = 'ex_2') WHERE id = 'ex_1'")
    thief.commit()
    thief.close()
    with pytest.raises(StoreError, match="wrong key"):
        await store.exchanges(Person("local", "mallory"), 10)
