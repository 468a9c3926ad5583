"""Broken at random, in short: the real gateway loses nothing, and the benchmark sees what it should."""

from __future__ import annotations

import pytest
from netgpt_bench import chaos
from netgpt_bench.chaos import END, Told
from netgpt_bench.harness import LabRequest

from netgpt.errors import RequestError

pytestmark = pytest.mark.slow


async def test_a_killed_gateway_and_a_full_disk_lose_nothing() -> None:
    found = await chaos.run(seconds=8, callers=6, seed=3, faults=["gateway killed", "disk full"])
    assert found["answered whole"] > 5 and found["receipts"] == "verify"
    bad = ("hung", "lost", "twice", "false ends", "own words not put back", "mixed up", "leaked")
    assert {name: found[name] for name in bad} == dict.fromkeys(bad, 0)
    assert {row["fault"] for row in found["rows"]} <= {"gateway killed", "disk full"} and found["rows"]


def told(number: int, says: str, exchange: str, email: str = "ada@mill.example") -> Told:
    body = f'data: {{"choices": [{{"delta": {{"content": "{says}"}}}}]}}\n\ndata: [DONE]\n\n'
    head = f"http/1.1 200 ok\r\nx-netgpt-exchange: {exchange}"
    one = LabRequest("", status=200, done=True, seconds=0.1, head=head, body=body.encode())
    return Told(number, {"EMAIL": [email]}, one)


def test_what_is_wrong_is_counted() -> None:
    asked = [
        told(1, f"for ada@mill.example. {END}", "x1"),
        told(2, f"for ada@mill.example. {END}", "x1", "bob@mill.example"),
        told(3, "for cem@mill.example", "x3", "cem@mill.example"),
    ]
    found = chaos._counts(asked, {"x1": "complete"}, b"POST /v1 ... cem@mill.example, ...")
    wanted = {"lost": 1, "twice": 1, "false ends": 1, "own words not put back": 1, "mixed up": 1, "leaked": 1}
    assert {name: found[name] for name in wanted} == wanted


async def test_a_fault_that_is_none_is_named() -> None:
    with pytest.raises(RequestError, match='no fault "rain"; there are gateway killed'):
        await chaos.run(seconds=1, callers=1, seed=1, faults=["rain"])
