"""Changing the key: while others write, after any kill, and without a trace of the old one."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from netgpt.errors import RequestError, StoreError
from netgpt.store.encryption import GivenKeys, KeyFile, Sealer, encoded_key, fresh_key
from netgpt.store.rotation import sealed_tables, user_tables
from netgpt.store.schema import NewExample, UserId, metadata
from netgpt.store.store import Store
from netgpt.types import Fact, Person

ADA, BOB = Person("local", "ada"), Person("acme", "bob")
SAVER = Path(__file__).with_name("saver.py")
ROTATOR = (
    "import asyncio, sys; from pathlib import Path; from netgpt.store.encryption import Sealer\n"
    "from netgpt.store.store import Store\n"
    "async def main(home):\n"
    "    store = Store.open(home / 'netgpt.db', Sealer.from_file(home / 'secret.key', create=False))\n"
    "    await store.sealing.rotate(lambda done, of: print(done, of, flush=True))\n"
    "    await store.close()\n"
    "asyncio.run(main(Path(sys.argv[1])))"
)


def opened(home: Path) -> Store:
    return Store.open(home / "netgpt.db", Sealer.from_file(home / "secret.key"))


def key_ids(home: Path) -> tuple[str, ...]:
    return Sealer.from_file(home / "secret.key", create=False).key_ids


async def plant(store: Store, make_row: Any, rows: int = 5) -> None:
    for person in (ADA, BOB):
        for _ in range(rows):
            await store.save_exchange(make_row(tenant=person.tenant, user=person.user, private={"t": person.user}))
        await store.add_fact(person, Fact(f"likes the number of {person.user}", "note"))
        await store.save_map(person, "talk", f"map of {person.user}".encode())
        await store.set_profile(person, "off")
    await store.learning.keep([NewExample(ADA, "1", {"answer": "a"}), NewExample(None, "2", {"answer": "n"})])


async def assert_all_there(store: Store, rows: int = 5) -> None:
    for person in (ADA, BOB):
        exchanges = await store.exchanges(person, 1000)
        assert [row.private for row in exchanges] == [{"t": person.user}] * rows
        assert {row.person for row in exchanges} == {person}
        assert [fact.text for _, fact in await store.facts(person)] == [f"likes the number of {person.user}"]
        assert await store.load_map(person, "talk") == f"map of {person.user}".encode()
        assert await store.profile_mode(person) == "off"
        assert await store.people(person.tenant) == [person.user]
    assert [kept.row for kept in await store.learning.of_person(ADA)] == [{"answer": "a"}]


def sealed_values(path: Path) -> list[bytes]:
    connection = sqlite3.connect(path)
    found = [
        row[0]
        for table in sealed_tables()
        for row in connection.execute(f"SELECT private FROM {table} WHERE private IS NOT NULL")
    ]
    sealed = "SELECT value FROM marks WHERE name NOT IN ('generation', 'ledger')"
    found += [row[0] for row in connection.execute(sealed)]
    connection.close()
    return found


async def test_everything_is_sealed_anew_and_found_again(tmp_path: Path, make_row: Any) -> None:
    store = opened(tmp_path)
    await plant(store, make_row)
    (old,) = key_ids(tmp_path)
    tokens = {token for (token,) in sqlite3.connect(store.path).execute("SELECT user FROM exchanges")}
    seen: list[tuple[int, int]] = []
    done = await store.sealing.rotate(lambda now, of: seen.append((now, of)))
    (new,) = key_ids(tmp_path)
    assert new != old and done.key_id == new and done.old_keys_removed and done.sealed == seen[-1][1] == 16
    await assert_all_there(store)
    await store.close()
    content = store.path.read_bytes()
    assert {value[:5] for value in sealed_values(store.path)} == {b"\x02" + bytes.fromhex(new)}
    assert b"\x02" + bytes.fromhex(old) not in content
    assert all(token.encode() not in content for token in tokens) and len(tokens) == 2
    again = opened(tmp_path)  # with the new key alone
    await assert_all_there(again)
    await again.save_map(ADA, "talk", b"newer")
    assert await again.load_map(ADA, "talk") == b"newer"
    assert (await again.sealing.check()).faults == ()
    await again.close()


async def test_another_process_goes_on_with_the_new_key(tmp_path: Path, make_row: Any) -> None:
    """Two stores on one file: what the second writes after the change is sealed with the new key, and all is read."""
    changing, other = opened(tmp_path), opened(tmp_path)
    await plant(changing, make_row)
    await assert_all_there(other)
    await changing.sealing.rotate()
    await assert_all_there(other)
    await other.save_exchange(make_row(id="ex_after", user="ada", private={"t": "ada"}))
    assert len(await changing.exchanges(ADA, 100)) == 6
    new = b"\x02" + bytes.fromhex(key_ids(tmp_path)[0])
    assert {value[:5] for value in sealed_values(other.path)} == {new}
    await changing.close()
    await other.close()


@pytest.mark.slow
async def test_a_change_survives_kills_beside_a_busy_writer(tmp_path: Path, make_row: Any) -> None:
    store = opened(tmp_path)
    await plant(store, make_row, rows=1500)
    (first,) = key_ids(tmp_path)
    log = (tmp_path / "log.txt").open("w")
    saver = subprocess.Popen([sys.executable, str(SAVER), str(tmp_path)], stdout=log)
    dice = random.Random(5)
    try:
        while not (tmp_path / "log.txt").stat().st_size:
            time.sleep(0.02)
        for _ in range(3):
            rotator = subprocess.Popen([sys.executable, "-c", ROTATOR, str(tmp_path)], stdout=subprocess.PIPE)
            assert rotator.stdout is not None
            for _ in range(dice.randrange(1, 5)):
                rotator.stdout.readline()
            rotator.kill()
            rotator.wait()
            rotator.stdout.close()
        assert saver.poll() is None
        for left in reversed(
            range(20)
        ):  # a writer without a pause may keep the file busy: then the message says what helps
            try:
                done = await store.sealing.rotate()
                break
            except StoreError as error:
                assert left and "run `netgpt store rotate` again" in error.message
    finally:
        saver.kill()
        saver.wait()
        log.close()
    assert done.old_keys_removed and key_ids(tmp_path) == (done.key_id,) and done.key_id != first
    assert {value[:5] for value in sealed_values(store.path)} == {b"\x02" + bytes.fromhex(done.key_id)}
    saved = (tmp_path / "log.txt").read_text().split()
    assert len(saved) > 20 and (await store.sealing.check()).faults == ()
    row = await store.exchange(saved[-1])
    assert row is not None and row.user == "ada" and row.private is not None
    await store.close()


async def test_keys_of_the_environment_are_changed_by_their_owner(tmp_path: Path, make_row: Any) -> None:
    old, new = fresh_key(), fresh_key()
    store = Store.open(tmp_path / "netgpt.db", Sealer(old, "the key"))
    await plant(store, make_row)
    with pytest.raises(RequestError, match="netgpt store new-key"):
        await store.sealing.rotate()
    await store.close()
    both = GivenKeys.from_text(f"{encoded_key(new)} {encoded_key(old)}", "NETGPT_STORE__KEY")
    store = Store.open(tmp_path / "netgpt.db", Sealer(both))
    done = await store.sealing.rotate()
    assert not done.old_keys_removed and done.damaged == ()
    await store.close()
    store = Store.open(tmp_path / "netgpt.db", Sealer(new, "the key"))
    await assert_all_there(store)
    await store.close()
    with pytest.raises(StoreError, match="sealed with another key") as error:
        Store.open(tmp_path / "netgpt.db", Sealer(old, "the key"))
    assert error.value.code == "wrong_key" and "reset-sealed" in error.value.message


async def test_damaged_rows_keep_the_old_key_until_they_are_given_up(tmp_path: Path, make_row: Any) -> None:
    store = opened(tmp_path)
    await plant(store, make_row)
    with sqlite3.connect(store.path) as connection:
        connection.execute("UPDATE exchanges SET private = x'02' || zeroblob(60) WHERE id = 'ex_000001'")
        connection.execute("UPDATE facts SET tenant = 'other' WHERE tenant = 'acme'")
    connection.close()
    done = await store.sealing.rotate()
    assert [(fault.table, fault.id) for fault in done.damaged if fault.table == "exchanges"] == [
        ("exchanges", "ex_000001")
    ]
    assert {fault.table for fault in done.damaged} == {"exchanges", "facts"}
    assert not done.old_keys_removed and len(key_ids(tmp_path)) == 2
    done = await store.sealing.rotate(drop_damaged=True)
    assert done.dropped == 2 and done.old_keys_removed and len(key_ids(tmp_path)) == 1
    assert await store.exchange("ex_000001") is None  # its figures may be another's, too
    assert (await store.sealing.check()).faults == ()
    await store.close()


async def test_only_one_change_at_a_time(tmp_path: Path, make_row: Any) -> None:
    one, two = opened(tmp_path), opened(tmp_path)
    await plant(one, make_row)
    results = await asyncio.gather(one.sealing.rotate(), two.sealing.rotate(), return_exceptions=True)
    refused = [result for result in results if isinstance(result, StoreError)]
    assert len(refused) <= 1 and all("being changed already" in error.message for error in refused)
    assert len(key_ids(tmp_path)) == 1
    await assert_all_there(two)
    await one.close()
    await two.close()


def test_a_key_file_that_cannot_be_written_changes_nothing(tmp_path: Path) -> None:
    file = KeyFile(tmp_path / "keys" / "secret.key")
    file.make()
    before = file.path.read_bytes()
    (tmp_path / "keys" / "secret.key").unlink()
    (tmp_path / "keys" / "secret.key").mkdir()
    with pytest.raises(StoreError, match="Nothing was changed"):
        file.write((fresh_key(),))
    assert before and not [name for name in (tmp_path / "keys").iterdir() if name.name.startswith(".")]


def test_every_sealed_column_and_every_person_is_known() -> None:
    """A table added later is changed and checked too, or this fails."""
    assert set(sealed_tables()) == {
        "decisions",
        "exchanges",
        "examples",
        "fact_vectors",
        "facts",
        "maps",
        "proposals",
        "readings",
        "receipts",
        "reports",
        "waiting",
    }
    for table in metadata.sorted_tables:
        if "user" in table.c:
            assert isinstance(table.c.user.type, UserId), table.name
            assert table.name in user_tables()
