"""Exceptions in the store: by tenant, sealed, with when and by whom."""

from pathlib import Path

import pytest

from netgpt.errors import RequestError
from netgpt.store.encryption import KeyFile, Sealer
from netgpt.store.people import MOST
from netgpt.store.store import Store


def opened(path: Path) -> Store:
    file = KeyFile(path / "key")
    if not (path / "key").exists():
        file.make()
    return Store.open(path / "store.db", Sealer(file))


async def test_each_tenant_has_its_own_and_the_file_shows_none(tmp_path: Path) -> None:
    store = opened(tmp_path)
    entry = await store.exceptions.add("mill", "bluefalcon", "key_1")
    assert await store.exceptions.add("mill", "bluefalcon", "key_2") == entry
    assert entry.by == "key_1"
    assert await store.exceptions.words("mill") == frozenset({"bluefalcon"})
    assert await store.exceptions.words("other") == frozenset()
    assert not await store.exceptions.remove("other", "bluefalcon")
    await store.close()
    assert all(b"bluefalcon" not in file.read_bytes() for file in tmp_path.iterdir())
    assert (tmp_path / "store.db").stat().st_mode & 0o077 == 0
    store = opened(tmp_path)
    assert [each.word for each in await store.exceptions.of_tenant("mill")] == ["bluefalcon"]
    assert await store.exceptions.remove("mill", "bluefalcon")
    assert await store.exceptions.words("mill") == frozenset()
    assert not (await store.sealing.check()).faults
    await store.close()
    assert "bluefalcon" not in repr(entry)


async def test_there_are_not_endlessly_many(tmp_path: Path) -> None:
    store = opened(tmp_path)
    for number in range(3):
        await store.exceptions.add("mill", f"word{number}", "x")
    many = [{"word": f"w{n}", "added": "", "by": ""} for n in range(MOST)]
    assert len(many) == MOST
    for entry in many[: MOST - 3]:
        await store.exceptions.add("mill", entry["word"], "x")
    with pytest.raises(RequestError, match=str(MOST)):
        await store.exceptions.add("mill", "onemore", "x")
    await store.close()
