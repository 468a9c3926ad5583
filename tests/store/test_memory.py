from pathlib import Path

from netgpt.store.encryption import Sealer
from netgpt.store.keys import new_key
from netgpt.store.schema import KeyRow
from netgpt.store.store import Store
from netgpt.types import Fact, Person, Role

ADA = Person("local", "ada")


def key() -> KeyRow:
    from datetime import UTC, datetime

    made = new_key()
    return KeyRow(made.id, made.hash, "local", Role.USER, None, "test", datetime.now(UTC))


async def test_a_change_in_another_process_counts_at_the_next_question(tmp_path: Path) -> None:
    sealer = Sealer.new()
    here = Store.open(tmp_path / "netgpt.db", sealer)
    there = Store.open(tmp_path / "netgpt.db", sealer)  # its own connections, as another process has
    row = key()
    assert await here.has_keys() is False
    await there.add_key(row)
    assert await here.has_keys() is True
    known = await here.key_by_hash(row.hash)
    assert known is not None and known.revoked is None
    await there.revoke_key(row.id)
    known = await here.key_by_hash(row.hash)
    assert known is not None and known.revoked is not None
    assert await here.facts(ADA) == []
    await there.add_fact(ADA, Fact("The user sails", "hobby"))
    assert [fact.text for _, fact in await here.facts(ADA)] == ["The user sails"]
    await there.set_profile(ADA, "off")
    assert await here.profile_mode(ADA) == "off"
    await here.close()
    await there.close()


async def test_forgetting_reaches_what_is_remembered(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "netgpt.db", Sealer.new())
    await store.save_map(ADA, "talk", b"map")
    assert await store.load_map(ADA, "talk") == b"map"
    await store.forget(ADA)
    assert await store.load_map(ADA, "talk") is None
    await store.close()


async def test_what_is_remembered_cannot_be_changed_by_its_reader(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "netgpt.db", Sealer.new())
    await store.add_fact(ADA, Fact("The user sails", "hobby"))
    (await store.facts(ADA)).clear()
    assert len(await store.facts(ADA)) == 1
    await store.close()
