"""What is PostgreSQL's own: its faults, its triggers, and how processes learn of one another's changes."""

from __future__ import annotations

import asyncio
import random
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import postgres
import pytest
from postgres import by_hand
from store.test_ledger import ADMIN_HASH, TABLE, fill, some_writes
from store.test_rotate import assert_all_there, key_ids, plant

psycopg = pytest.importorskip("psycopg", reason=postgres.WHY_NOT)

from sqlalchemy import BigInteger, Boolean, Column, Float, LargeBinary, MetaData, Table, Text

from netgpt.errors import NetGPTError, SettingsError, StoreError
from netgpt.store.encryption import Sealer
from netgpt.store.entries import row_text, values_in
from netgpt.store.ledger import tail, whole
from netgpt.store.postgres import MARK_AGE_S, PostgresDatabase, name_of
from netgpt.store.postgres_words import PostgresWords
from netgpt.store.receipts import NewReceipt
from netgpt.store.rotation import sealed_tables
from netgpt.store.schema import KeyRow, metadata
from netgpt.store.store import Store
from netgpt.types import Fact, Person, Role

pytestmark = pytest.mark.skipif(not postgres.is_there(), reason=postgres.WHY_NOT)
ADA = Person("local", "ada")
NOW = datetime.now(UTC)


@pytest.fixture
def url() -> Iterator[str]:
    url = postgres.server().new()
    yield url
    postgres.server().drop(url)


@pytest.fixture
async def store(url: str, sealer: Sealer) -> AsyncIterator[Store]:
    store = Store.open(url, sealer, busy_timeout_s=0.5)
    yield store
    await store.close()


def key(id: str = "key_1") -> KeyRow:
    return KeyRow(id, id * 9, "local", Role.USER, None, "a name", NOW)


async def comes_true(look: Any, within_s: float) -> bool:
    until = time.monotonic() + within_s
    while not await look():
        if time.monotonic() > until:
            return False
        await asyncio.sleep(0.01)
    return True


async def test_a_change_by_another_process_counts_within_the_bound(store: Store, url: str, sealer: Sealer) -> None:
    other = Store.open(url, sealer)
    await store.add_key(key())

    async def is_known() -> bool:
        found = await other.key_by_hash("key_1" * 9)
        return found is not None and found.revoked is None

    assert await comes_true(is_known, MARK_AGE_S + 1)
    assert all([await is_known() for _ in range(5)])
    await store.revoke_key("key_1")
    mine = await store.key_by_hash("key_1" * 9)
    assert mine is not None and mine.revoked is not None  # its own change counts at once

    async def is_revoked() -> bool:
        return not await is_known()

    assert await comes_true(is_revoked, MARK_AGE_S + 1)
    await other.close()


async def test_what_was_read_serves_while_the_mark_is_known(store: Store) -> None:
    await store.add_key(key())

    async def is_cached() -> bool:
        await store.key_by_hash("key_1" * 9)
        return bool(store._transactions.cache._values)

    assert await comes_true(is_cached, 5)


async def test_a_server_that_starts_again_is_found_again(store: Store, make_row: Any) -> None:
    await store.save_exchange(make_row(id="ex_before"))
    postgres.server().stop()
    try:
        for work in (store.save_exchange(make_row(id="ex_lost")), store.exchange("ex_before")):
            with pytest.raises(StoreError) as caught:
                await work
            assert caught.value.code == "store_unreachable" and caught.value.retry_after is not None
    finally:
        postgres.server().start()
    await store.save_exchange(make_row(id="ex_after"))
    assert await store.exchange("ex_before") is not None and await store.exchange("ex_lost") is None
    assert (await store.sealing.check()).faults == ()


async def test_a_connection_that_broke_while_nobody_used_it_costs_no_request(store: Store, make_row: Any) -> None:
    await store.save_exchange(make_row(id="ex_1"))
    await asyncio.gather(*(store.exchange("ex_1") for _ in range(8)))
    postgres.server().stop()
    postgres.server().start()
    await store.save_exchange(make_row(id="ex_2"))
    found = await asyncio.gather(*(store.exchange("ex_2") for _ in range(8)))
    assert all(found)


async def test_a_write_that_another_holds_up_is_refused_in_time(store: Store, url: str, make_row: Any) -> None:
    with psycopg.connect(url) as other:
        other.execute("LOCK TABLE exchanges IN ACCESS EXCLUSIVE MODE")
        with pytest.raises(StoreError) as caught:
            await store.save_exchange(make_row())
        assert caught.value.code == "store_locked" and caught.value.retry_after
    await store.save_exchange(make_row())


async def test_a_server_without_a_connection_left_says_so(url: str, sealer: Sealer) -> None:
    with closing(psycopg.connect(url)) as owner:
        name = owner.info.dbname
    postgres.server().sql("CREATE ROLE narrow LOGIN CONNECTION LIMIT 0")
    postgres.server().sql(f"GRANT ALL ON DATABASE {name} TO narrow")
    with pytest.raises(StoreError) as caught:
        Store.open(url.replace("netgpt@", "narrow@"), sealer)
    assert caught.value.code == "store_connections"


async def test_a_standby_is_told(store: Store, url: str, sealer: Sealer, make_row: Any) -> None:
    await store.close()
    with closing(psycopg.connect(url, autocommit=True)) as owner:
        owner.execute(f"ALTER DATABASE {owner.info.dbname} SET default_transaction_read_only = on")
    read_only = Store.open(url, sealer)
    with pytest.raises(StoreError) as caught:
        await read_only.save_exchange(make_row())
    assert caught.value.code == "store_readonly"
    await read_only.close()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (("/test_", "/no_such_"), "store_unopened"),
        (("netgpt@", "nobody_here@"), "store_unopened"),
        (("host=", "host=/nowhere"), "store_unreachable"),
    ],
)
def test_an_address_without_a_server_or_database_says_what_to_do(
    url: str, sealer: Sealer, change: tuple[str, str], code: str
) -> None:
    with pytest.raises(StoreError) as caught:
        Store.open(url.replace(*change), sealer)
    assert caught.value.code == code


@pytest.mark.parametrize("word", ["mysql://a:hunter2@h/d", "hunter2", "postgresql://a:hunter2@h"])
def test_another_address_is_refused_and_never_shown(word: str, sealer: Sealer) -> None:
    with pytest.raises(SettingsError) as caught:
        Store.open(word, sealer)
    assert "hunter2" not in caught.value.message


def test_no_message_holds_a_password() -> None:
    url = "postgresql://box:hunter2@db.example:5433/store?sslmode=require&sslpassword=hunter3&password=hunter4"
    assert name_of(url) == "postgresql://db.example:5433/store"
    database = PostgresDatabase(url)
    error = database.error(psycopg.OperationalError("password hunter2 failed for box"))
    assert isinstance(error, NetGPTError) and "hunter" not in error.message + repr(database) + repr(error)


async def test_triggers_that_somebody_changed_stop_the_writer_and_are_made_anew(
    store: Store, url: str, sealer: Sealer, caplog: pytest.LogCaptureFixture
) -> None:
    await store.add_fact(ADA, Fact("is vegetarian", "diet"))
    await store.close()
    for change in (
        "DROP TRIGGER netgpt_touch_facts_update ON facts",
        "ALTER TABLE keys DISABLE TRIGGER netgpt_touch_keys_insert",
        "CREATE OR REPLACE FUNCTION netgpt_touch_keys() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'",
    ):
        running = Store.open(url, sealer)
        with by_hand(url) as execute:
            execute(change)
        with pytest.raises(StoreError, match="triggers"):
            await running.add_key(key())
        await running.close()
        again = Store.open(url, sealer)
        assert "made anew" in caplog.text
        caplog.clear()
        assert (await again.sealing.check()).faults == () and await again.keys() == []
        await again.close()


def test_a_row_has_the_spelling_that_it_has_in_python(url: str) -> None:
    values: dict[str, Any] = {
        "id": "ä|'", "user": None, "cost": 0.1 + 0.2, "received": -5, "partial": True, "private": b"x" * 40,
        "propensity": 1e300, "latitude": -1e300, "longitude": -0.7, "tokens": 2**62, "mac_of": b"\x00\xff",
    }  # fmt: skip
    kinds: dict[type, Any] = {float: Float(53), bytes: LargeBinary(), bool: Boolean(), str: Text()}
    plain = [tail(value) if name == "private" else value for name, value in values.items()]
    plain = [whole(value) if isinstance(value, float) else value for value in plain]
    database = PostgresDatabase(url)
    columns = [Column(name, kinds.get(type(value), BigInteger())) for name, value in values.items()]
    table = Table("t", MetaData(), *columns)
    with database.writing.begin() as connection:
        table.create(connection)
        connection.execute(table.insert(), [values])
        spelled = connection.exec_driver_sql(f"SELECT {row_text(PostgresWords(), table, 't')} FROM t").scalar_one()
    database.release()
    assert values_in(spelled) == plain


async def test_one_key_change_at_a_time(store: Store, url: str) -> None:
    database = PostgresDatabase(url)
    with database.alone("rotate"), pytest.raises(StoreError) as caught, database.alone("rotate"):
        pass
    assert caught.value.code == "store_busy"
    with database.alone("rotate"):
        pass


async def test_writers_on_one_database_keep_one_chain(store: Store, url: str, sealer: Sealer, make_row: Any) -> None:
    """Writes of three processes at once, refused ones among them."""
    others = [Store.open(url, sealer) for _ in range(2)]
    work: list[Any] = []
    for number in range(60):
        one = [store, *others][number % 3]
        work.append(one.receipts.add(NewReceipt("cloud.example", "m", b"bytes", ADA, None)))
        work.append(one.save_exchange(make_row(id=f"ex_{number // 2}")))
    done = await asyncio.gather(*work, return_exceptions=True)
    refused = [each for each in done if isinstance(each, BaseException)]
    assert len(refused) == 30 and all(isinstance(each, StoreError) and each.code == "conflict" for each in refused)
    report = await others[0].receipts.verify()
    assert report.whole and report.receipts == 60, report.faults
    assert (await store.sealing.check()).faults == ()
    for one in others:
        await one.close()


async def test_every_change_by_hand_is_named(store: Store, url: str) -> None:
    await fill(store)
    with psycopg.connect(url) as owner:
        owner.execute("CREATE SCHEMA kept")
        for table in metadata.sorted_tables:
            owner.execute(f"CREATE TABLE kept.{table.name} AS TABLE {table.name}")
    for change, (statement, (name, id)) in TABLE.items():
        with by_hand(url) as execute:
            execute(statement, (ADMIN_HASH,) if "?" in statement else ())
        faults = [(fault.table, fault.id) for fault in (await store.sealing.check()).faults]
        assert any(found == name and row.startswith(id) for found, row in faults), (change, faults)
        with psycopg.connect(url) as owner:
            for each in ("ledger", next(word for word in statement.split() if word in metadata.tables)):
                owner.execute(f"TRUNCATE {each}")
                owner.execute(f"INSERT INTO {each} SELECT * FROM kept.{each}")
    assert (await store.sealing.check()).faults == ()


async def test_rows_put_back_from_an_older_copy_grant_nothing(store: Store, url: str) -> None:
    await fill(store)
    await store.add_key(key())
    with psycopg.connect(url) as owner:
        owner.execute("CREATE SCHEMA kept")
        for name in ("keys", "ledger", "marks"):
            owner.execute(f"CREATE TABLE kept.{name} AS TABLE {name}")
    await store.revoke_key("key_1")
    await store.rate_exchange("ex_2", 1)
    with psycopg.connect(url) as owner:
        for name, where in (("keys", "id = 'key_1'"), ("ledger", "name = 'keys'"), ("marks", "name = 'ledger'")):
            owner.execute(f"DELETE FROM {name} WHERE {where}")
            owner.execute(f"INSERT INTO {name} SELECT * FROM kept.{name} WHERE {where}")
    await store.rate_exchange("ex_1", -1)  # whatever is written afterwards does not make it right
    with pytest.raises(StoreError, match="store check"):
        await store.key_by_hash("key_1" * 9)
    assert (await store.sealing.check()).faults


async def test_whatever_the_box_writes_is_never_taken_for_tampering(store: Store, url: str, sealer: Sealer) -> None:
    await fill(store)
    dice, other = random.Random(7), Store.open(url, sealer)
    for number in range(8):
        await some_writes([store, other], dice, number)
        assert (await dice.choice([store, other]).sealing.check()).faults == ()
        assert (await store.receipts.verify()).whole
    await other.close()


async def test_a_change_of_keys_reaches_every_row_and_every_process(url: str, tmp_path: Path, make_row: Any) -> None:
    changing, other = (Store.open(url, Sealer.from_file(tmp_path / "secret.key")) for _ in range(2))
    (old,) = key_ids(tmp_path)
    await plant(changing, make_row)
    await assert_all_there(other)
    with psycopg.connect(url) as owner:
        before = owner.execute('SELECT DISTINCT "user" FROM exchanges').fetchall()
    done = await changing.sealing.rotate()
    assert done.old_keys_removed and done.damaged == () and key_ids(tmp_path) != (old,)
    await assert_all_there(other)
    await other.save_exchange(make_row(id="ex_after", user="ada", private={"t": "ada"}))
    assert len(await changing.exchanges(ADA, 100)) == 6
    assert (await other.sealing.check()).faults == () and (await changing.receipts.verify()).whole
    prefix = b"\x02" + bytes.fromhex(done.key_id)
    with psycopg.connect(url) as owner:
        for name in sealed_tables():
            found = owner.execute(f"SELECT DISTINCT substr(private, 1, 5) FROM {name} WHERE private IS NOT NULL")
            assert {bytes(row[0]) for row in found} <= {prefix}, name
        after = owner.execute('SELECT DISTINCT "user" FROM exchanges').fetchall()
    assert len(before) == len(after) == 2 and not set(before) & set(after)
    await changing.close()
    await other.close()


async def test_a_killed_process_holds_up_nobody_and_loses_nothing_confirmed(url: str, tmp_path: Path) -> None:
    """Killed in the middle of its writes: its turn ends with it."""
    key = tmp_path / "secret.key"
    await Store.open(url, Sealer.from_file(key)).close()
    with subprocess.Popen([sys.executable, "-c", SAVER, url, str(key)], stdout=subprocess.PIPE) as saver:
        assert saver.stdout is not None
        said = [saver.stdout.readline() for _ in range(20)]
        saver.kill()
        said += saver.stdout.readlines()
    store = Store.open(url, Sealer.from_file(key))
    confirmed = [line.decode().strip() for line in said if line.endswith(b"\n")]
    assert len(confirmed) >= 20
    for id in confirmed:
        assert await store.exchange(id) is not None
    assert (await store.sealing.check()).faults == () and (await store.receipts.verify()).whole
    await store.close()


SAVER = f"""
import asyncio, sys
from dataclasses import replace
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
from store.test_ledger import exchange
from netgpt.store.encryption import Sealer
from netgpt.store.receipts import NewReceipt
from netgpt.store.store import Store
async def main():
    store, number = Store.open(sys.argv[1], Sealer.from_file(Path(sys.argv[2]))), 0
    async def one(id):
        await store.receipts.add(NewReceipt("cloud.example", "m", b"bytes", None, id))
        await store.save_exchange(exchange(id))
        print(id, flush=True)
    while True:
        number += 1
        await asyncio.gather(*(one(f"ex_{{number}}_{{at}}") for at in range(5)))
asyncio.run(main())
"""
