"""The facade on real files: round trips, order, isolation between persons, retention, permissions."""

from __future__ import annotations

import asyncio
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netgpt.errors import NotFound, RequestError, StoreError
from netgpt.store.encryption import Sealer
from netgpt.store.keys import hash_key, new_key
from netgpt.store.schema import ExchangeRecord, KeyRow, NewExample, PlaceRow
from netgpt.store.store import Store
from netgpt.types import Fact, Label, Person, Role

ADA, BOB = Person("local", "ada"), Person("local", "bob")
OTHER_ADA = Person("elsewhere", "ada")

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
moments = st.datetimes(timezones=st.just(UTC), min_value=datetime(1970, 1, 1), max_value=datetime(2200, 1, 1))
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)
amounts = st.integers(0, 2**31 - 1)
rows = st.builds(
    ExchangeRecord,
    id=st.text("abcdef_0123456789", min_size=1, max_size=30),
    tenant=words,
    user=words,
    key_id=st.none() | words,
    received=moments,
    status=words,
    model=words,
    route=words,
    reason=words,
    prompt_tokens=amounts,
    completion_tokens=amounts,
    estimated=st.booleans(),
    cost=st.floats(0, 1e9),
    timings=st.dictionaries(words, st.floats(0, 1e9), max_size=5),
    private=st.none() | st.dictionaries(st.text(max_size=10), json_values, max_size=5),
)
facts = st.builds(
    Fact,
    text=st.text(max_size=60),
    kind=st.text(max_size=10),
    label=st.sampled_from(Label),
    source=st.text(max_size=10),
    precision=st.text(max_size=10),
    expires=st.none() | moments,
)


@settings(max_examples=25, deadline=None)
@given(saved=st.lists(rows, max_size=6, unique_by=lambda row: row.id))
def test_an_exchange_comes_back_as_it_was(
    tmp_path_factory: pytest.TempPathFactory, saved: list[ExchangeRecord]
) -> None:
    async def check() -> None:
        store = Store.open(tmp_path_factory.mktemp("rows") / "x.db", Sealer.new())
        await asyncio.gather(*(store.save_exchange(row) for row in saved))
        for row in saved:
            assert await store.exchange(row.id) == row
        newest_first = sorted(saved, key=lambda row: (row.received, row.id), reverse=True)
        assert await store.exchanges(None, 10) == newest_first
        await store.close()

    asyncio.run(check())


@settings(max_examples=25, deadline=None)
@given(given_facts=st.lists(facts, max_size=5), data=st.binary(max_size=2000), user=words, conversation=st.text())
def test_facts_and_maps_come_back_after_reopening(
    tmp_path_factory: pytest.TempPathFactory, given_facts: list[Fact], data: bytes, user: str, conversation: str
) -> None:
    async def check() -> None:
        path, sealer, person = tmp_path_factory.mktemp("facts") / "x.db", Sealer.new(), Person("t", user)
        store = Store.open(path, sealer)
        ids = [await store.add_fact(person, fact) for fact in given_facts]
        await store.save_map(person, conversation, b"older")
        await store.save_map(person, conversation, data)
        await store.close()
        store = Store.open(path, sealer)
        assert await store.facts(person) == list(zip(ids, given_facts, strict=True))
        assert await store.load_map(person, conversation) == data
        assert await store.load_map(person, conversation + "x") is None
        await store.close()

    asyncio.run(check())


async def test_no_person_sees_anothers_rows(store: Store, make_row: Any) -> None:
    everyone = (ADA, BOB, OTHER_ADA)
    for person in everyone:
        for _ in range(3):
            await store.save_exchange(make_row(tenant=person.tenant, user=person.user))
        await store.add_fact(person, Fact(f"The user is {person}", "note"))
        await store.set_profile(person, "off" if person is ADA else "rewrite")
        await store.save_map(person, "talk", repr(person).encode())
    for person in everyone:
        assert {row.person for row in await store.exchanges(person, 100)} == {person}
        assert [fact.text for _, fact in await store.facts(person)] == [f"The user is {person}"]
        assert await store.load_map(person, "talk") == repr(person).encode()
    assert await store.profile_mode(ADA) == "off"
    assert await store.profile_mode(OTHER_ADA) == "rewrite"
    assert len(await store.exchanges(None, 100)) == 9
    fact_of_bob = (await store.facts(BOB))[0][0]
    assert not await store.remove_fact(ADA, fact_of_bob)
    assert await store.people("local") == ["ada", "bob"]


async def test_another_persons_exchange_is_no_place_to_list_from(store: Store, make_row: Any) -> None:
    await store.save_exchange(make_row(id="ex_bob", user="bob"))
    with pytest.raises(NotFound) as error:
        await store.exchanges(ADA, 10, before="ex_bob")
    assert error.value.param == "before"


async def test_pages_hold_every_row_once_also_within_one_moment(store: Store, make_row: Any) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    for number in range(25):
        await store.save_exchange(make_row(received=start + timedelta(seconds=number // 6)))
    seen: list[ExchangeRecord] = []
    while page := await store.exchanges(ADA, 7, before=seen[-1].id if seen else None):
        seen += page
    assert [row.id for row in seen] == [row.id for row in await store.exchanges(ADA, 1000)]
    assert len({row.id for row in seen}) == 25
    assert seen == sorted(seen, key=lambda row: (row.received, row.id), reverse=True)


@pytest.mark.parametrize("limit", [0, -1, 1001])
async def test_a_page_has_a_sane_size(store: Store, limit: int) -> None:
    with pytest.raises(RequestError, match="limit"):
        await store.exchanges(ADA, limit)


async def test_an_id_is_never_overwritten(store: Store, make_row: Any) -> None:
    await store.save_exchange(make_row(id="ex_1", reason="first"))
    with pytest.raises(StoreError, match="already") as error:
        await store.save_exchange(make_row(id="ex_1", reason="second"))
    assert error.value.code == "conflict"
    row = await store.exchange("ex_1")
    assert row is not None and row.reason == "first"


async def test_what_cannot_be_kept_is_a_store_error(store: Store, make_row: Any) -> None:
    for row in (
        make_row(private={"set": {1}}),
        make_row(user="\ud800"),
        make_row(received=datetime(2026, 1, 1)),
        make_row(prompt_tokens=2**70),
    ):
        with pytest.raises(StoreError):
            await store.save_exchange(row)
    with pytest.raises(StoreError):
        await store.facts(Person("local", "\ud800"))
    await store.save_exchange(make_row())
    assert len(await store.exchanges(None, 10)) == 1


async def test_retention_deletes_by_class(store: Store, make_row: Any) -> None:
    now = datetime.now(UTC)
    await store.save_exchange(make_row(id="ex_old", received=now - timedelta(days=31)))
    await store.save_exchange(make_row(id="ex_new", received=now - timedelta(days=29)))
    await store.save_map(ADA, "talk", b"map")
    await store.add_fact(ADA, Fact("The user is in a hurry", "note", expires=now + timedelta(days=1)))
    await store.add_fact(ADA, Fact("The user is vegetarian", "diet"))
    await store.learning.keep([NewExample(ADA, "1", {}), NewExample(None, "1", {})], adapter="site@1")
    gone = await store.delete_expired(now, 30, 30, 1)
    assert gone == {
        "exchanges": 1,
        "maps": 0,
        "facts": 0,
        "examples": 0,
        "receipts": 0,
        "waiting": 0,
        "decisions": 0,
        "proposals": 0,
    }
    assert await store.exchange("ex_old") is None
    later = now + timedelta(days=2)
    gone = await store.delete_expired(later, 300, 1, 1)
    assert gone == {
        "exchanges": 0,
        "maps": 1,
        "facts": 1,
        "examples": 2,
        "receipts": 0,
        "waiting": 0,
        "decisions": 0,
        "proposals": 0,
    }
    assert await store.learning.of_adapter("site@1") == []
    assert await store.load_map(ADA, "talk") is None
    assert [fact.kind for _, fact in await store.facts(ADA)] == ["diet"]


async def test_a_conversation_that_goes_on_keeps_its_map(store: Store, database: Path) -> None:
    for name in ("alive", "idle"):
        await store.save_map(ADA, name, name.encode())
    clock = sqlite3.connect(database)
    clock.execute("UPDATE maps SET used = used - 7200000000")  # two hours ago
    clock.commit()
    clock.close()
    assert await store.load_map(ADA, "alive") == b"alive"
    assert (await store.delete_expired(datetime.now(UTC), 30, maps_days=1 / 24))["maps"] == 1
    assert await store.load_map(ADA, "alive") == b"alive"
    assert await store.load_map(ADA, "idle") is None


async def test_keys_live_until_revoked(store: Store) -> None:
    now = datetime.now(UTC)
    assert not await store.has_keys()
    id, secret, hash = new_key()
    row = KeyRow(id, hash, "local", Role.OPERATOR, "ada", "laptop", now, now + timedelta(days=1))
    await store.add_key(row)
    assert await store.has_keys()
    assert await store.key_by_hash(hash_key(secret)) == row
    assert row.usable(now) and not row.usable(now + timedelta(days=1))
    assert await store.key_by_hash(hash_key(secret + "x")) is None
    assert await store.revoke_key(id)
    assert not await store.revoke_key(id)
    assert await store.has_keys()  # revoking the last key closes the box, it does not open it to everyone
    (kept,) = await store.keys()
    assert kept.revoked is not None and not kept.usable(now)
    assert secret not in repr(row) and hash not in repr(row)


async def test_profile_mode_is_set_and_taken_back(store: Store) -> None:
    assert await store.profile_mode(ADA) is None
    await store.set_profile(ADA, "off")
    await store.set_profile(ADA, "rewrite")
    assert await store.profile_mode(ADA) == "rewrite"
    await store.set_profile(ADA, None)
    assert await store.profile_mode(ADA) is None
    with pytest.raises(RequestError, match="select, rewrite, off"):
        await store.set_profile(ADA, "always")


async def test_places_are_replaced_by_source(store: Store) -> None:
    def place(id: str, source: str) -> PlaceRow:
        return PlaceRow(id, source, "Café Ö", "cafe", 52.2053, 0.1218, "Café Ö serves tea", ("tea", "cheap"))

    await store.replace_places("a", [place("1", "a"), place("2", "a")])
    await store.replace_places("b", [place("1", "b")])
    await store.replace_places("a", [place("3", "a")])
    assert await store.places() == [place("3", "a"), place("1", "b")]
    with pytest.raises(RequestError, match="ids must differ"):
        await store.replace_places("a", [place("4", "a"), place("4", "a")])
    with pytest.raises(RequestError, match="another source"):
        await store.replace_places("a", [place("4", "b")])
    assert [row.id for row in await store.places()] == ["3", "1"]
    assert await store.remove_places("a") == 1
    assert await store.remove_places("a") == 0
    await store.replace_places("b", [])
    assert await store.places() == []


async def test_files_are_private(store: Store, database: Path, make_row: Any) -> None:
    await store.save_exchange(make_row())
    names = {path.name: path.stat().st_mode & 0o777 for path in database.parent.iterdir()}
    assert {"netgpt.db", "netgpt.db-wal", "netgpt.db-shm"} <= names.keys()
    assert set(names.values()) == {0o600}
    assert database.parent.stat().st_mode & 0o777 == 0o700


async def test_an_open_file_is_closed_to_others(database: Path, sealer: Sealer) -> None:
    await Store.open(database, sealer).close()
    database.chmod(0o644)
    await Store.open(database, sealer).close()
    assert database.stat().st_mode & 0o777 == 0o600


async def test_a_closed_store_says_so(database: Path, sealer: Sealer, make_row: Any) -> None:
    store = Store.open(database, sealer)
    await store.close()
    await store.close()
    with pytest.raises(StoreError, match="closed"):
        await store.save_exchange(make_row())
    with pytest.raises(StoreError, match="closed"):
        await store.keys()


async def test_repr_shows_no_content(make_row: Any, store: Store) -> None:
    row = make_row(user="ada@example.org", private={"answer": "the secret word"})
    assert "secret" not in repr(row) and "ada" not in repr(row)
    assert "ex_" in repr(row)
    assert repr(store) == f"<Store {store.name}>"
