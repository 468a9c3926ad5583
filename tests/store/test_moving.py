"""A store that moves from its file into PostgreSQL is the same store there."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import postgres
import pytest
from postgres import by_hand

psycopg = pytest.importorskip("psycopg", reason=postgres.WHY_NOT)

from netgpt.errors import RequestError, StoreError
from netgpt.store.encryption import Sealer
from netgpt.store.learning import DecisionRow
from netgpt.store.moving import move
from netgpt.store.queue import QueueLimits
from netgpt.store.receipts import NewReceipt
from netgpt.store.schema import KeyRow, NewExample, PlaceRow
from netgpt.store.store import Store
from netgpt.types import Fact, Person, Role

pytestmark = pytest.mark.skipif(not postgres.is_there(), reason=postgres.WHY_NOT)
ADA, BOB = Person("local", "ada"), Person("acme", "bob's ü")
NOW = datetime.now(UTC)
BATCH = 20
ROWS = 2 * BATCH + 10


@pytest.fixture
def target() -> Iterator[str]:
    url = postgres.server().new()
    yield url
    postgres.server().drop(url)


async def fill(store: Store, make_row: Any, rows: int = 30) -> None:
    """Something in every table."""
    await store.add_key(KeyRow("key_1", "h" * 64, "local", Role.USER, "ada", "a name", NOW, scopes=("chat",)))
    for at in range(0, rows, 500):
        some = [make_row(key_id="key_1", user=("ada", "eve")[n % 2], cost=0.1 * n) for n in range(min(500, rows - at))]
        await asyncio.gather(*(store.save_exchange(row) for row in some))
    for person in (ADA, BOB):
        id = await store.add_fact(person, Fact("likes π", "note", expires=NOW + timedelta(days=1)))
        await store.vectors.save(person, "m", {id: b"vectors"})
        await store.set_profile(person, "off")
        await store.save_map(person, "talk", b"a map")
        await store.consents.say(person, "training", True)
        await store.receipts.add(NewReceipt("cloud.example", "m", b"bytes", person, "ex_000001"))
        await store.waiting.park(person, None, {"request": {}}, QueueLimits(9, 9_999, timedelta(days=1)), NOW)
    await store.learning.keep([NewExample(ADA, "1", {"a": 1}), NewExample(None, "2", {})], adapter="s@1", chosen=True)
    await store.replace_places("file", [PlaceRow("p", "file", "Fountain", "water", 1.5, -2.25, "", ("a",))])
    await store.decisions.save([DecisionRow("ex_000001", "local", "ada", None, NOW, "edge", 0.3, {"x": [1]})])
    await store.forget(Person("acme", "nobody"))


async def told(store: Store) -> dict[str, Any]:
    """What a store tells by all its doors."""
    report = await store.receipts.verify()
    return {
        "exchanges": [asdict(row) for row in await store.exchanges(None, 1000)],
        "receipts": [asdict(row.record) for row in await store.receipts.of_person(ADA)],
        "head": str(await store.receipts.head()),
        "chain": (report.whole, report.receipts, report.erased),
        "faults": (await store.sealing.check()).faults,
        "keys": [asdict(row) for row in await store.keys()],
        "use": await store.limits.all_use(NOW),
        "facts": [await store.facts(person) for person in (ADA, BOB)],
        "maps": [await store.load_map(person, "talk") for person in (ADA, BOB)],
        "consents": await store.consents.of(ADA),
        "examples": [asdict(row) for row in await store.learning.of_person(ADA)],
        "waiting": [asdict(row) for row in await store.waiting.of_person(BOB)],
        "places": await store.places(),
        "decisions": [asdict(row) for row in await store.decisions.of_person(ADA)],
        "rows": {table.name: table.rows for table in (await store.sealing.info()).tables},
    }


async def test_everything_is_as_it_was(database: Path, sealer: Sealer, target: str, make_row: Any) -> None:
    store = Store.open(database, sealer)
    await fill(store, make_row)
    before = await told(store)
    await store.close()
    seen: list[tuple[int, int]] = []
    done = move(database, target, lambda now, of: seen.append((now, of)))
    assert seen[-1] == (sum(done.rows.values()),) * 2 and not done.resumed
    moved = Store.open(target, sealer)
    after = await told(moved)
    for name, value in before.items():
        assert after[name] == value, name
    assert before["chain"][0] and before["faults"] == ()
    # and it goes on: numbers follow, the chain and the ledger hold
    await moved.consents.say(ADA, "training", False)
    await moved.receipts.add(NewReceipt("cloud.example", "m", b"bytes", ADA, None))
    await moved.save_exchange(make_row(id="ex_new", key_id="key_1"))
    assert (await moved.sealing.check()).faults == () and (await moved.receipts.verify()).whole
    await moved.close()
    again = Store.open(database, sealer)  # the file was left as it is
    assert await told(again) == before
    await again.close()


async def test_what_is_sealed_stays_so_and_nobody_stands_in_clear(
    database: Path, sealer: Sealer, target: str, make_row: Any
) -> None:
    store = Store.open(database, sealer)
    await store.save_exchange(make_row(user="zaphod@heart.example", private={"t": "planted words"}))
    await store.close()
    move(database, target)
    with psycopg.connect(target) as thief:
        row = thief.execute('SELECT "user", private FROM exchanges').fetchone()
        assert row is not None and row[0].startswith("~") and b"planted" not in row[1]
    with pytest.raises(StoreError, match="another key"):
        Store.open(target, Sealer.new())


async def test_a_cut_move_goes_on_and_until_then_nobody_opens_the_target(
    database: Path, sealer: Sealer, target: str, make_row: Any
) -> None:
    store = Store.open(database, sealer)
    await fill(store, make_row, ROWS)
    before = await told(store)
    await store.close()

    def cut(done: int, of: int) -> None:
        if done > BATCH:
            raise StoreError("cut")

    with pytest.raises(StoreError, match="cut"):
        move(database, target, cut, batch=BATCH)
    with pytest.raises(StoreError, match="store move"):
        Store.open(target, sealer)
    seen: list[int] = []
    done = move(database, target, lambda now, of: seen.append(now), batch=BATCH)
    assert done.resumed and seen[-1] < sum(done.rows.values())  # not from the beginning
    moved = Store.open(target, sealer)
    assert await told(moved) == before
    await moved.close()


async def test_one_that_goes_on_after_the_box_did_begins_anew(
    database: Path, sealer: Sealer, target: str, make_row: Any
) -> None:
    store = Store.open(database, sealer)
    await fill(store, make_row)
    await store.close()

    def cut(done: int, of: int) -> None:
        raise StoreError("cut")

    with pytest.raises(StoreError, match="cut"):
        move(database, target, cut, batch=BATCH)
    store = Store.open(database, sealer)
    await store.rate_exchange("ex_000001", 1)
    before = await told(store)
    await store.close()
    assert not move(database, target).resumed
    moved = Store.open(target, sealer)
    assert await told(moved) == before
    await moved.close()


@pytest.mark.slow
async def test_a_killed_move_goes_on(database: Path, sealer: Sealer, target: str, make_row: Any) -> None:
    store = Store.open(database, sealer)
    await fill(store, make_row, ROWS)
    before = await told(store)
    await store.close()
    script = (
        "import sys; from pathlib import Path; from netgpt.store.moving import move\n"
        "move(Path(sys.argv[1]), sys.argv[2], lambda *_: (print(flush=True), sys.stdin.readline()), batch=20)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, database, target], stdout=subprocess.PIPE, stdin=subprocess.PIPE,
        env=dict(os.environ),
    ) as running:  # fmt: skip
        assert running.stdout is not None and running.stdout.readline()
        running.kill()
    assert move(database, target).resumed
    moved = Store.open(target, sealer)
    assert await told(moved) == before
    await moved.close()


async def test_another_store_there_is_left_alone(database: Path, sealer: Sealer, target: str, make_row: Any) -> None:
    other = Store.open(target, sealer)
    await other.save_exchange(make_row(id="ex_there"))
    await other.close()
    await Store.open(database, sealer).close()
    with pytest.raises(RequestError, match="holds a store already"):
        move(database, target)
    other = Store.open(target, sealer)
    assert await other.exchange("ex_there") is not None
    await other.close()


async def test_a_file_in_use_or_missing_is_not_moved(
    database: Path, sealer: Sealer, target: str, tmp_path: Path
) -> None:
    store = Store.open(database, sealer)
    with pytest.raises(StoreError, match="Stop it first") as caught:
        move(database, target)
    assert caught.value.code == "store_busy"
    await store.close()
    with pytest.raises(StoreError, match="nothing to move"):
        move(tmp_path / "none.db", target)


async def test_a_row_that_cannot_be_kept_there_is_named(
    database: Path, sealer: Sealer, target: str, make_row: Any
) -> None:
    store = Store.open(database, sealer)
    await store.save_exchange(make_row(id="ex_odd"))
    await store.close()
    with by_hand(database) as execute:
        execute("UPDATE exchanges SET model = 'a' || char(0) || 'b'")
    with pytest.raises(StoreError, match=r"exchanges 1 holds the character NUL"):
        move(database, target)
