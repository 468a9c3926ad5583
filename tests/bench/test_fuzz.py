"""What reads the words of others is tried with inputs changed at random: a slice of `netgpt bench fuzz`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from netgpt_bench.fuzz import Target, fuzz
from netgpt_bench.fuzz_targets import Reads, line
from serving import Served

RUNS = {"vault": 40, "restorer": 60, "policy": 60, "body": 400, "events": 300, "answers": 200}
"""Of the slow ones; the others have 600."""


@pytest.fixture(scope="module")
def reads() -> Iterator[Reads]:
    made = Reads()
    yield made
    made.close()


@pytest.mark.parametrize("name", Reads.NAMES)
def test_nothing_is_found(reads: Reads, name: str) -> None:
    found = fuzz(reads.targets()[name], seed=7, runs=RUNS.get(name, 600))
    assert not found.found
    assert found.lines > 15 and len(found.outcomes) > 1


@pytest.mark.slow
def test_nothing_is_found_on_the_line(tmp_path: Path) -> None:
    with Served(tmp_path / "home") as box:
        found = fuzz(line(int(box.url.rpartition(":")[2])), seed=7, runs=150)
        assert not found.found
        assert box.get("/healthz").status_code == 200
        assert "Traceback" not in box.log()


def broken(data: bytes) -> str:
    """Fails where two high bytes stand together."""
    import netgpt.types as types

    assert b"\xff\xff" not in data, "two high bytes"
    return types.display_name("edge" if data.isascii() else "cloud")


def test_what_is_broken_is_found_and_told_once() -> None:
    target = Target("broken", (b"good",), broken)
    found = fuzz(target, seed=1, runs=400)
    faults = [fault for fault in found.found if "two high bytes" in fault]
    assert len(faults) == 1 and faults[0].startswith("AssertionError")
    assert b"\xff\xff" in found.found[faults[0]]
    assert found.outcomes["the box"] > 10


def test_the_same_seed_tries_the_same_inputs() -> None:
    seen: list[list[bytes]] = []
    for _ in range(2):
        tried: list[bytes] = []
        fuzz(Target("kept", (b'{"a": [1]}',), tried.append, tree=True), seed=3, runs=80)
        seen.append(tried)
    assert seen[0] == seen[1] and len(set(seen[0])) > 40
