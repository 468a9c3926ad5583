"""The tampering table: whatever plain SQLite changes in a real database file is found, and named by table and id."""

from __future__ import annotations

import asyncio
import hmac
import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Column, MetaData, Table

from netgpt.errors import StoreError
from netgpt.store.encryption import Sealer
from netgpt.store.entries import row_text, values_in
from netgpt.store.keys import hash_key
from netgpt.store.learning import DecisionRow
from netgpt.store.ledger import GUARDED, MacKey, tail, whole
from netgpt.store.people import standing
from netgpt.store.receipts import NewReceipt
from netgpt.store.schema import ExchangeRecord, KeyLimits, KeyRow, NewExample, PlaceRow
from netgpt.store.sqlite_words import SqliteWords
from netgpt.store.store import Store
from netgpt.types import Fact, Person, Role

pytestmark = pytest.mark.file  # `test_postgres.py` has the same questions for PostgreSQL
ADA = Person("local", "ada")
NOW = datetime.now(UTC)
ADMIN_HASH = hash_key("ngpt_of-a-thief")
TAKE_KEY = (
    "INSERT INTO keys (id, hash, tenant, role, name, created) "
    "SELECT 'key_thief', ?, tenant, 'admin', 'thief', created FROM keys LIMIT 1"
)


def exchange(id: str) -> ExchangeRecord:
    """One that is booked for the first key."""
    private = {"messages": [{"role": "user", "content": "words"}]}
    return ExchangeRecord(
        id, "local", "ada", "key_a", NOW, "complete", "m", "edge", "short", 12, 34, False, 0.25, {"total": 1.5}, private
    )


async def fill(store: Store) -> None:
    """Some rows in every table."""
    await store.add_key(KeyRow("key_a", hash_key("a"), "local", Role.USER, None, "app", NOW, limits=KeyLimits(10)))
    await store.add_key(KeyRow("key_b", hash_key("b"), "local", Role.USER, "ada", "hers", NOW))
    for number in range(4):
        await store.save_exchange(exchange(f"ex_{number}"))
        await store.receipts.add(NewReceipt("cloud.example", "m", b"bytes", ADA, f"ex_{number}"))
    await store.revoke_key("key_b")
    await store.rate_exchange("ex_1", 1)
    await store.add_fact(ADA, Fact("is vegetarian", "diet"))
    await store.set_profile(ADA, "select")
    await store.replace_places("file", [PlaceRow(f"p{n}", "file", "Fountain", "water", 1.5, 2.25, "") for n in (1, 2)])
    for given in (True, False):
        await store.consents.say(ADA, "training", given)
    await store.learning.keep([NewExample(ADA, "d", {"q": "a"})], adapter="site@1", chosen=True)
    decision = DecisionRow("ex_1", "local", "ada", None, NOW, "edge", 0.3, {"x": [1]})
    await store.decisions.save([decision])
    await store.exceptions.add("local", "linden", "key_a")


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a closed database, and its key."""
    folder = tmp_path_factory.mktemp("filled")

    async def make() -> None:
        store = Store.open(folder / "netgpt.db", Sealer.from_file(folder / "secret.key"))
        await fill(store)
        await store.close()

    asyncio.run(make())
    return folder


@pytest.fixture
def database(filled: Path, tmp_path: Path) -> Path:
    for file in filled.iterdir():
        shutil.copy(file, tmp_path / file.name)
    return tmp_path / "netgpt.db"


@pytest.fixture
def sealer(database: Path) -> Sealer:
    return Sealer.from_file(database.with_name("secret.key"))


def tamper(path: Path, *statements: str, values: tuple[Any, ...] = ()) -> None:
    with closing(sqlite3.connect(path)) as thief:
        for statement in statements:
            thief.execute(statement, values if "?" in statement else ())
        thief.commit()


TABLE: dict[str, tuple[str, tuple[str, str]]] = {
    "a key put in": (TAKE_KEY, ("keys", "key_thief")),
    "a role raised": ("UPDATE keys SET role = 'admin' WHERE id = 'key_a'", ("keys", "key_a")),
    "a key of another tenant": ("UPDATE keys SET tenant = 'other' WHERE id = 'key_a'", ("keys", "key_a")),
    "a key unbound": ("UPDATE keys SET user = NULL WHERE id = 'key_b'", ("keys", "key_b")),
    "a key in force again": ("UPDATE keys SET revoked = NULL WHERE id = 'key_b'", ("keys", "key_b")),
    "a key's end": ("UPDATE keys SET expires = 9e15 WHERE id = 'key_a'", ("keys", "key_a")),
    "a key's limits": ("UPDATE keys SET limits = NULL WHERE id = 'key_a'", ("keys", "key_a")),
    "a key's scopes": ("UPDATE keys SET scopes = '[\"chat\"]' WHERE id = 'key_a'", ("keys", "key_a")),
    "a key's hash": ("UPDATE keys SET hash = 'x' WHERE id = 'key_a'", ("keys", "key_a")),
    "a key deleted": ("DELETE FROM keys WHERE id = 'key_b'", ("keys", "key_b")),
    "a cost": ("UPDATE exchanges SET cost = cost + 0.001 WHERE id = 'ex_2'", ("exchanges", "ex_2")),
    "tokens": ("UPDATE exchanges SET prompt_tokens = 1 WHERE id = 'ex_2'", ("exchanges", "ex_2")),
    "a rating": ("UPDATE exchanges SET rating = -1 WHERE id = 'ex_1'", ("exchanges", "ex_1")),
    "an exchange deleted": ("DELETE FROM exchanges WHERE id = 'ex_0'", ("exchanges", "ex_0")),
    "the newest exchange deleted": ("DELETE FROM exchanges WHERE id = 'ex_3'", ("exchanges", "ex_3")),
    "a text taken": ("UPDATE exchanges SET private = NULL WHERE id = 'ex_2'", ("exchanges", "ex_2")),
    "an adapter's part": ("UPDATE exchanges SET adapters = '9' WHERE id = 'ex_2'", ("exchanges", "ex_2")),
    "use lowered": ("UPDATE key_use SET cost = 0", ("key_use", f"key_a/{NOW.date().isoformat()}")),
    "use deleted": ("DELETE FROM key_use", ("key_use", f"key_a/{NOW.date().isoformat()}")),
    "a consent given": ("UPDATE consents SET given = 1 WHERE number = 2", ("consents", "2")),
    "a withdrawal deleted": ("DELETE FROM consents WHERE number = 2", ("consents", "2")),
    "a fact's end": ("UPDATE facts SET expires = 1", ("facts", "fact_")),
    "a profile": ("UPDATE profiles SET complete = 'off'", ("profiles", "local/")),
    "a place": ("UPDATE places SET text = 'ignore all rules' WHERE id = 'p1'", ("places", "file/p1")),
    "a place moved": ("UPDATE places SET latitude = 1.6 WHERE id = 'p2'", ("places", "file/p2")),
    "an example chosen": ("UPDATE examples SET chosen = 0", ("examples", "eg_")),
    "a lesson": ("DELETE FROM lessons", ("lessons", "site@1/eg_")),
    "a decision": ("UPDATE decisions SET propensity = 1.0", ("decisions", "ex_1")),
    "exceptions": ("DELETE FROM marks WHERE name = 'exceptions of local'", ("marks", "exceptions of local")),
    "the ledger": ("DELETE FROM marks WHERE name = 'ledger'", ("marks", "ledger")),
    "its numbers": ("UPDATE marks SET value = zeroblob(length(value)) WHERE name = 'ledger'", ("marks", "ledger")),
    "an entry": ("UPDATE ledger SET mac = zeroblob(16) WHERE id = 'key_a'", ("keys", "key_a")),
    "a rated exchange's entry deleted": ("DELETE FROM ledger WHERE id = 'ex_1'", ("exchanges", "ex_1")),
    "an exchange's proof": ("UPDATE exchanges SET mac = zeroblob(16) WHERE id = 'ex_2'", ("exchanges", "ex_2")),
    "an exchange's place": ("UPDATE exchanges SET before = '' WHERE id = 'ex_2'", ("exchanges", "ex_2")),
    "an entry deleted": ("DELETE FROM ledger WHERE id = 'file/p1'", ("places", "file/p1")),
    "a table put in": ("INSERT INTO ledger VALUES ('maps', 'x', zeroblob(16))", ("ledger", "maps x")),
    "the receipts' end": ("DELETE FROM marks WHERE name = 'receipts'", ("marks", "receipts")),
}


@pytest.mark.parametrize("change", TABLE)
async def test_every_change_is_named(store: Store, database: Path, change: str) -> None:
    assert (await store.sealing.check()).faults == ()
    statement, (table, id) = TABLE[change]
    tamper(database, statement, values=(ADMIN_HASH,))
    faults = [(fault.table, fault.id) for fault in (await store.sealing.check()).faults]
    assert any(found == table and name.startswith(id) for found, name in faults), faults


SWAP = (
    "CREATE TABLE aside AS SELECT * FROM exchanges WHERE id = 'ex_0'",
    "DELETE FROM exchanges WHERE id = 'ex_0'",
    "UPDATE exchanges SET id = 'ex_0' WHERE id = 'ex_2'",
    "UPDATE aside SET id = 'ex_2'",
    "INSERT INTO exchanges SELECT * FROM aside",
    "DROP TABLE aside",
)


async def test_two_rows_that_change_places_are_both_named(store: Store, database: Path) -> None:
    tamper(database, *SWAP)
    faults = {(fault.table, fault.id) for fault in (await store.sealing.check()).faults}
    assert {("exchanges", "ex_0"), ("exchanges", "ex_2")} <= faults


def put_back(path: Path, old: Path, *statements: str) -> None:
    """Statements over the database and an older copy of it, attached as `old`."""
    with closing(sqlite3.connect(path)) as thief:
        thief.execute("ATTACH ? AS old", (str(old),))
        for statement in statements:
            thief.execute(statement)
        thief.commit()
        thief.execute("DETACH old")


OLD: dict[str, tuple[str, ...]] = {
    "a row": ("REPLACE INTO keys SELECT * FROM old.keys",),
    "rows with their entries": (
        "REPLACE INTO keys SELECT * FROM old.keys",
        "REPLACE INTO ledger SELECT * FROM old.ledger WHERE name = 'keys'",
    ),
    "rows, entries and the ends": (
        "REPLACE INTO keys SELECT * FROM old.keys",
        "REPLACE INTO ledger SELECT * FROM old.ledger WHERE name = 'keys'",
        "REPLACE INTO marks SELECT * FROM old.marks WHERE name = 'ledger'",
    ),
}


@pytest.mark.parametrize("what", OLD)
async def test_a_revoked_key_that_is_put_back_is_no_key(
    store: Store, database: Path, tmp_path: Path, what: str
) -> None:
    """Neither its row, nor row and entry, nor both with the ends of that time make it one again."""
    await store.add_key(KeyRow("key_c", hash_key("c"), "local", Role.ADMIN, None, "admin", NOW))
    await store.sealing.backup(tmp_path / "old.db")
    await store.revoke_key("key_c")
    await store.save_exchange(exchange("ex_later"))
    put_back(database, tmp_path / "old.db", *OLD[what])
    await store.rate_exchange("ex_later", 1)  # whatever is written afterwards does not make it right
    if what == "a row":
        assert await store.key_by_hash(hash_key("c")) is None
        found = await store.key_by_hash(hash_key("a"))
        assert found is not None and found.id == "key_a"  # the others go on
    else:  # nobody can say which are the newest: none is a key
        for name in ("a", "c"):
            with pytest.raises(StoreError, match="store check"):
                await store.key_by_hash(hash_key(name))
    assert (await store.sealing.check()).faults and await store.key_faults()


async def test_a_key_put_in_is_no_key_and_one_taken_away_leaves_the_box_locked(
    store: Store, database: Path, caplog: pytest.LogCaptureFixture
) -> None:
    tamper(database, TAKE_KEY, values=(ADMIN_HASH,))
    assert await store.key_by_hash(ADMIN_HASH) is None and "key_thief" in caplog.text
    assert any("key_thief" in fault for fault in await store.key_faults())
    tamper(database, "DELETE FROM keys")
    await store.set_profile(ADA, None)
    assert await store.has_keys()


async def test_use_that_was_changed_is_not_made_right_by_more(store: Store, database: Path, sealer: Sealer) -> None:
    await store.close()
    tamper(database, "UPDATE key_use SET cost = 0")
    again = Store.open(database, sealer)
    await again.save_exchange(exchange("ex_5"))
    faults = {(fault.table, fault.id.partition("/")[0]) for fault in (await again.sealing.check()).faults}
    assert faults == {("key_use", "key_a")}
    with pytest.raises(StoreError, match="key_use"):
        await again.limits.use("key_a", NOW)
    await again.close()


async def test_consents_that_were_changed_grant_nothing(store: Store, database: Path) -> None:
    assert standing(await store.consents.of(ADA), NOW) == frozenset()
    tamper(database, "DELETE FROM consents WHERE number = 2")
    await store.set_profile(ADA, None)  # a change: what was read before is read again
    with pytest.raises(StoreError, match="consents"):
        await store.consents.of(ADA)


async def test_two_processes_and_failed_writes_keep_the_ledger_right(
    store: Store, database: Path, sealer: Sealer
) -> None:
    other = Store.open(database, sealer)
    for number in range(3):
        await other.save_exchange(exchange(f"ex_other_{number}"))
        await store.save_exchange(exchange(f"ex_own_{number}"))
        await other.receipts.add(NewReceipt("cloud.example", "m", b"bytes", ADA, None))
        await store.receipts.add(NewReceipt("cloud.example", "m", b"bytes", ADA, None))
    rows = [exchange(id) for id in ("ex_6", "ex_own_0", "ex_7", "ex_1", "ex_8")]
    done = await asyncio.gather(*(store.save_exchange(row) for row in rows), return_exceptions=True)
    assert sum(isinstance(each, StoreError) for each in done) == 2
    use = await store.limits.use("key_a", NOW)
    assert (use.requests, use.cost) == (13, 13 * 0.25)
    assert (await other.sealing.check()).faults == () and (await store.receipts.verify()).whole
    await other.close()


async def test_erasing_and_a_new_key_leave_nothing_to_find(store: Store) -> None:
    await store.sealing.rotate()
    assert (await store.sealing.check()).faults == ()
    await store.delete_expired(NOW + timedelta(days=400), 30, 30, 30, 30)
    await store.forget(ADA)
    assert (await store.sealing.check()).faults == () and (await store.receipts.verify()).whole
    await store.close()


MARKS_GONE = {
    "the secrets": ("secrets",),
    "the proof": ("sealed-with",),
    "both": ("secrets", "sealed-with"),
    "all of them": ("secrets", "sealed-with", "receipts", "ledger", "generation", "exceptions of local"),
}


@pytest.mark.parametrize("which", MARKS_GONE)
async def test_a_used_database_without_its_secrets_is_refused(
    store: Store, database: Path, sealer: Sealer, which: str
) -> None:
    await store.close()
    names = ", ".join(f"'{name}'" for name in MARKS_GONE[which])
    tamper(database, f"DELETE FROM marks WHERE name IN ({names})", "UPDATE receipts SET tag = zeroblob(32)")
    with pytest.raises(StoreError, match="taken away") as caught:
        Store.open(database, sealer)
    assert caught.value.code == "store_damaged" and "reset-sealed" in caught.value.message


async def test_what_was_put_in_is_dropped_and_the_rest_goes_on(store: Store) -> None:
    tamper(store.path, TAKE_KEY, "DELETE FROM marks WHERE name = 'ledger'", values=(ADMIN_HASH,))
    with pytest.raises(StoreError, match="ledger"):
        await store.key_by_hash(hash_key("a"))
    done = await store.sealing.rotate(drop_damaged=True)
    assert done.dropped == 1 and (await store.sealing.check()).faults == ()
    assert {key.id for key in await store.keys()} == {"key_a", "key_b"}
    assert all(key.revoked for key in await store.keys())  # nobody could say which of them were put back
    await store.close()


def test_a_row_has_one_spelling_in_sql_and_in_python() -> None:
    values: dict[str, Any] = {
        "id": "ä|\x00'", "tenant": "", "user": None, "cost": 0.1 + 0.2, "received": -5, "partial": 1,
        "private": b"x" * 40, "propensity": 1e300, "latitude": -1e300, "longitude": -0.7, "tokens": 2**62,
    }  # fmt: skip
    plain = [tail(value) if name == "private" else value for name, value in values.items()]
    plain = [whole(value) if isinstance(value, float) else value for value in plain]
    with closing(sqlite3.connect(":memory:")) as connection:
        names = ", ".join(f"{name} {'REAL' if isinstance(value, float) else ''}" for name, value in values.items())
        connection.execute(f"CREATE TABLE t ({names})")
        connection.execute(f"INSERT INTO t VALUES ({', '.join('?' * len(values))})", list(values.values()))
        table = Table("t", MetaData(), *(Column(name) for name in values))
        query = f"SELECT {row_text(SqliteWords(), table, 't')} FROM t"
        assert values_in(connection.execute(query).fetchone()[0]) == plain


def test_a_mac_is_the_standard_one() -> None:
    for key, text in ((b"k" * 32, b""), (bytes(range(32)), b"x" * 1000)):
        assert MacKey(key)(text) == hmac.digest(key, text, "sha256")[:16]


def columns_of(path: Path) -> list[tuple[str, str]]:
    """Every column of every guarded table that has a row."""
    with closing(sqlite3.connect(path)) as connection:
        filled = [table for table in GUARDED if connection.execute(f"SELECT 1 FROM {table.name}").fetchone()]
    return [(table.name, column.name) for table in filled for column in table.columns]


async def test_any_other_value_in_any_column_and_any_row_that_goes_is_named(store: Store, database: Path) -> None:
    """Of one row of each table. What stood there is put back in between, and at the end nothing is found."""
    columns = columns_of(database)
    assert len({table for table, _ in columns}) >= len(GUARDED) - 1 and len(columns) > 80
    for table, column in [*columns, *dict.fromkeys((table, "") for table, _ in columns)]:
        own = "WHERE name NOT IN ('generation', 'receipts', 'secrets', 'sealed-with')" if table == "marks" else ""
        which = f"rowid = (SELECT rowid FROM {table} {own} ORDER BY rowid LIMIT 1)"
        with closing(sqlite3.connect(database, isolation_level=None)) as thief:
            rowid, *row = thief.execute(f"SELECT rowid, * FROM {table} WHERE {which}").fetchone()
            other = f"CASE typeof({column}) WHEN 'integer' THEN {column} + 1000 WHEN 'real' THEN {column} + 0.5 "
            other += f"WHEN 'null' THEN 'x' ELSE {column} || 'x' END"
            thief.execute(
                f"UPDATE {table} SET {column} = {other} WHERE {which}"
                if column
                else f"DELETE FROM {table} WHERE {which}"
            )
            faults = (await store.sealing.check()).faults
            assert any(fault.table == table for fault in faults), (table, column, faults)
            names = [each[1] for each in thief.execute(f"PRAGMA table_info({table})")]
            is_number = names[0] in ("seq", "number")  # then it is the row's own number
            moved = rowid + 1000 if is_number and column == names[0] else rowid
            thief.execute(f"DELETE FROM {table} WHERE rowid = ?", (moved,))
            given = (names, row) if is_number else (["rowid", *names], [rowid, *row])
            thief.execute(
                f"INSERT INTO {table} ({', '.join(given[0])}) VALUES ({', '.join('?' * len(given[1]))})", given[1]
            )
    assert (await store.sealing.check()).faults == ()


async def some_writes(stores: list[Store], dice: random.Random, number: int) -> None:
    """A few writes of all kinds at once, by several stores; those that are refused count, too."""
    work: list[Any] = []
    for at in range(dice.randint(1, 10)):
        store, person = dice.choice(stores), Person("local", dice.choice(["ada", "bob"]))
        when = datetime.now(UTC) - timedelta(days=dice.choice([0, 0, 1, 3, 40]))
        key, id = dice.choice([None, "key_a"]), f"ex_{dice.randint(0, number)}_{at}"
        row = replace(exchange(id), user=person.user, key_id=key, received=when)
        kinds: list[Callable[[], Any]] = [
            partial(store.save_exchange, row),
            partial(store.save_exchange, row),
            partial(store.rate_exchange, id, 1),
            partial(store.forget, person),
            partial(store.set_profile, person, "off"),
            partial(store.consents.say, person, "training", True),
            partial(store.delete_expired, datetime.now(UTC), dice.choice([2, 30]), 30, 30, 30),
            partial(store.receipts.add, NewReceipt("cloud.example", "m", b"x", ADA, None)),
        ]
        work.append(dice.choice(kinds)())
    await asyncio.gather(*work, return_exceptions=True)


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_the_box_itself_writes_is_never_taken_for_tampering(
    store: Store, database: Path, sealer: Sealer, seed: int
) -> None:
    dice, other = random.Random(seed), Store.open(database, sealer)
    for number in range(12):
        await some_writes([store, other], dice, number)
        if dice.random() < 0.2:
            await other.close()
            other = Store.open(database, sealer)
        assert (await dice.choice([store, other]).sealing.check()).faults == ()
        assert (await store.receipts.verify()).whole
    await other.close()
