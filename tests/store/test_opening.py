"""Forgetting: no trace of a person is left in the files."""

from __future__ import annotations

import random
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from netgpt.errors import StoreError
from netgpt.store.schema import KeyRow, NewExample
from netgpt.store.store import Store
from netgpt.types import Fact, Person, Role

ADA, BOB = Person("local", "ada-lovelace-1815"), Person("local", "bob")


async def plant(store: Store, make_row: Any, person: Person, rounds: int) -> None:
    dice = random.Random(3)
    for number in range(rounds):
        for who in (person, Person("local", f"crowd-{dice.randrange(500)}")):
            size = dice.randrange(1, 3000)
            await store.save_exchange(
                make_row(tenant=who.tenant, user=who.user, reason=f"planted for {who.user}", private={"t": "x" * size})
            )
            await store.save_map(who, f"talk {number}", b"y" * size)
            await store.add_fact(who, Fact(f"The user is {who.user}", "note"))
    await store.set_profile(person, "off")


async def test_nothing_of_the_forgotten_is_left_in_the_files(store: Store, files: Any, make_row: Any) -> None:
    await plant(store, make_row, ADA, 80)
    await plant(store, make_row, BOB, 5)
    await store.learning.set_consent(ADA, "training", True)
    await store.learning.keep([NewExample(ADA, f"{n}", {"answer": "z" * n}) for n in range(3)], adapter="site@1")
    await store.add_key(KeyRow("key_1", "h", ADA.tenant, Role.USER, ADA.user, f"{ADA.user}'s", datetime.now(UTC)))
    assert b"ada-lovelace-1815" in b"".join(files().values())
    counts = await store.forget(ADA)
    learnt = {"examples": 3, "consents": 1, "waiting": 0, "decisions": 0, "proposals": 0, "readings": 0, "reports": 0}
    assert counts == {"exchanges": 80, "maps": 80, "facts": 80, "profiles": 1, "keys": 1, "receipts": 0, **learnt}
    for name, content in files().items():  # while the store is still open
        assert b"ada-lovelace" not in content, name
    assert (await store.exchanges(ADA, 10), await store.facts(ADA), await store.profile_mode(ADA)) == ([], [], None)
    assert len(await store.exchanges(BOB, 100)) == 5
    assert await store.load_map(BOB, "talk 4") is not None
    assert (await store.forget(ADA))["exchanges"] == 0


async def test_a_reader_that_blocks_scrubbing_is_named(database: Path, sealer: Any, files: Any, make_row: Any) -> None:
    store = Store.open(database, sealer, busy_timeout_s=0.2)
    await plant(store, make_row, ADA, 3)
    reader = sqlite3.connect(database, isolation_level=None)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM exchanges").fetchone()
    with pytest.raises(StoreError, match="Forget once more") as error:
        await store.forget(ADA)
    assert error.value.code == "store_not_scrubbed"
    assert await store.exchanges(ADA, 10) == []
    reader.close()
    await store.forget(ADA)
    assert all(b"ada-lovelace" not in content for content in files().values())
    await store.close()


async def test_a_backup_by_copy_opens(store: Store, sealer: Any, tmp_path: Path, files: Any, make_row: Any) -> None:
    await store.save_exchange(make_row(id="ex_1"))
    (tmp_path / "backup").mkdir()
    for name, content in files().items():
        (tmp_path / "backup" / name).write_bytes(content)
    backup = Store.open(tmp_path / "backup" / "netgpt.db", sealer)
    assert await backup.exchange("ex_1") is not None
    await backup.close()
