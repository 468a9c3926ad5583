"""A wrong key costs the same steps as a right one, whatever it looks like: counted, no clock is looked at.

Every call within NetGPT's own code, and the calls that could tell a key apart (digests, comparisons, statements), is
counted in all threads from a request's arrival until it is known whose key it is.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from doors import Door, door

import netgpt
from netgpt.store.keys import PREFIX, hash_key
from netgpt.types import Role

OURS = str(Path(netgpt.__file__).parent)
TELLING = frozenset({"openssl_sha256", "compare_digest", "execute", "fetchone", "fetchall", "__eq__"})
"""Functions of C that work on a key or look it up."""
PARTS = ("store/keys.py", "store/entries.py", "store/ledger.py", "store/writer.py", "web/auth.py")


class Steps:
    """Calls while it is on: of ours by function, of C's by name."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.on = False

    def event(self, frame: FrameType, what: str, argument: Any) -> None:
        if not self.on or threading.current_thread().name == "netgpt-store-writer":  # it brings the ledger up to date
            return
        file = frame.f_code.co_filename
        if what == "call" and file.startswith(OURS) and file.endswith(PARTS):
            self.counts[f"{file.removeprefix(OURS)}:{frame.f_code.co_name}"] += 1
        elif what == "c_call" and argument.__name__ in TELLING and file.startswith(OURS):
            self.counts[argument.__name__] += 1


@contextmanager
def watching() -> Iterator[Steps]:
    """Threads that begin from now on are watched too: the store's readers begin with the first read."""
    steps = Steps()
    threading.setprofile(steps.event)
    sys.setprofile(steps.event)
    try:
        yield steps
    finally:
        sys.setprofile(None)
        threading.setprofile(None)


@pytest.fixture
async def watched(tmp_path: Path) -> AsyncIterator[tuple[Door, Steps, str]]:
    with watching() as steps:
        async with door(tmp_path) as here:
            _, secret = await here.make_key(role=Role.USER, user=None)
            yield here, steps, secret


TRIES = 6
"""Each of the store's threads reads the ends of the ledger anew once: the least of some tries is the key's own."""


async def counted(here: Door, steps: Steps, work: Callable[[], Awaitable[object]]) -> Counter[str]:
    """The steps of a piece of work that no cache answers."""
    seen = []
    for _ in range(TRIES):
        await here.gateway.store.revoke_key("nobody's")  # whatever was remembered of keys is forgotten
        steps.counts.clear()
        steps.on = True
        await work()
        steps.on = False
        seen.append(Counter(steps.counts))
    return min(seen, key=Counter.total)


def wrong_keys(right: str) -> dict[str, str]:
    """Keys that share more or less with the right one."""
    return {
        "the last letter": right[:-1] + ("A" if right[-1] != "A" else "B"),
        "the first letter of the secret": PREFIX + ("A" if right[5] != "A" else "B") + right[6:],
        "the prefix alone": PREFIX,
        "half of it": right[: len(right) // 2],
        "one letter more": right + "A",
        "another case": right.swapcase(),
        "no prefix": right.removeprefix(PREFIX),
        "nothing in common": "x" * len(right),
        "one letter": "x",
        "very long": right * 180,
        "long and other": "z" * 8_900,
    }


async def test_a_wrong_key_is_looked_up_like_a_right_one(watched: tuple[Door, Steps, str]) -> None:
    here, steps, right = watched
    find = here.gateway.store.key_by_hash
    good = await counted(here, steps, lambda: find(hash_key(right)))
    assert await find(hash_key(right)) is not None
    assert good["openssl_sha256"] and good["compare_digest"] and good["execute"] >= 3, "the counter sees them"
    for name in ("_read", "mac", "__call__", "values_in", "_value"):  # of a row that was found: its MAC, its values
        good = Counter({step: count for step, count in good.items() if not step.endswith(f":{name}")})
    for what, wrong in wrong_keys(right).items():
        bad = await counted(here, steps, partial(find, hash_key(wrong)))
        assert bad - good == Counter() and sum((good - bad).values()) <= ROW, (what, bad - good, good - bad)
        assert {name: bad[name] for name in TELLING - {"openssl_sha256"}} == {
            name: good[name] for name in TELLING - {"openssl_sha256"}
        }, what


ROW = 12
"""Calls that check the row that was found: nobody who has not the key comes so far."""


async def test_all_wrong_keys_cost_the_same_at_the_door(watched: tuple[Door, Steps, str]) -> None:
    here, steps, right = watched
    seen: dict[str, Counter[str]] = {}
    for number, (what, wrong) in enumerate(wrong_keys(right).items(), 1):
        ask = partial(here.get, "/v1/models", key=wrong, address=f"10.0.{number}.1")
        refused = await ask()
        assert refused.status_code == 401 and refused.json()["error"]["message"] == "this key is not known here"
        seen[what] = await counted(here, steps, ask)
    first = next(iter(seen.values()))
    assert first["openssl_sha256"] == 1
    assert {what: counts - first | first - counts for what, counts in seen.items() if counts != first} == {}
