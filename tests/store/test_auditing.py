"""Exports of the chain: checked without the database, with and without the box's key."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from netgpt.errors import RequestError
from netgpt.store.audit import check_file, public_key, write_file
from netgpt.store.receipts import NewReceipt
from netgpt.store.store import Store
from netgpt.types import Person

ADA, BOB = Person("local", "ada"), Person("local", "bob")


async def write(store: Store, count: int = 6) -> None:
    for number in range(count):
        content = json.dumps({"messages": [f"the quick brown fox {number}"]}).encode()
        person = (ADA, BOB, None)[number % 3]
        await store.receipts.add(
            NewReceipt("cloud.example", "far", content, person, f"ex_{number}", {"rule": "masked"})
        )


def exported(store: Store, accounts: bool = True) -> Any:
    lines: list[str] = []

    def written(records: Any, key: bytes | None) -> tuple[list[str], bytes]:
        write_file(records, key, lines.append, accounts=accounts)
        return lines, key or b""

    return store.receipts.with_records(written)


@pytest.mark.parametrize("accounts", [True, False])
async def test_an_export_is_checked_without_the_database(store: Store, accounts: bool) -> None:
    await write(store)
    await store.forget(BOB)
    lines, key = await exported(store, accounts)
    head = await store.receipts.head()
    for with_key in (None, key):
        found = check_file(lines, with_key, noted=head, trusted=public_key(key))
        assert found.checked.whole and found.checked.receipts == 7, found.checked.faults
    assert ("quick brown" in "".join(lines)) == accounts and "bob" not in "".join(lines)
    other = check_file(lines, None, noted=None, trusted="00" * 32)
    assert "another key" in other.checked.faults[0].what


async def test_a_changed_export_is_found(store: Store) -> None:
    await write(store, 12)
    lines, _ = await exported(store)
    dice = random.Random(7)
    for number in range(60):
        broken = list(lines)
        place = dice.randrange(1, len(lines) - 1)
        kind = number % 5
        if kind == 0:
            del broken[place]
        elif kind == 1:
            broken.insert(place, broken[dice.randrange(1, place + 1)])
        elif kind == 2:
            other = place % (len(lines) - 2) + 1
            broken[place], broken[other] = broken[other], broken[place]
        elif kind == 3:
            broken[place] = broken[place].replace("quick brown", "quick green").replace("cloud.example", "c.example")
        else:
            broken = broken[:place]
        assert not check_file(broken, None, noted=None, trusted=None).checked.whole, (kind, place)
    forged = json.loads(lines[-1])
    forged["signature"] = "00" * 64
    found = check_file([*lines[:-1], json.dumps(forged)], None, noted=None, trusted=None)
    assert "false" in found.checked.faults[0].what


@pytest.mark.parametrize("lines", [[], ["{}"], ["nonsense"], ['{"format": "netgpt receipts", "version": 1}', "[]"],
                                   ['{"format": "netgpt receipts", "version": 1}', '{"seq": 1}'],
                                   ['{"format": "netgpt receipts", "version": 1}', '{"head": 5}']])  # fmt: skip
def test_what_is_no_export_is_refused(lines: list[str]) -> None:
    with pytest.raises(RequestError):
        check_file(lines, None, noted=None, trusted=None)
