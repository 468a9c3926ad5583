"""The policy changes back and forth while many ask: each request is treated, receipted and told by one of the two."""

from __future__ import annotations

import asyncio
from pathlib import Path

import orjson
from doors import door

from netgpt.testing.server import FaultyCloud

ADA = "ada@mill.example"
MASKED = """
@id("masked")
permit (principal, action == Action::"disclose", resource) when { context.precision == "placeholder" };
@id("public")
permit (principal, action == Action::"disclose", resource) when { resource.label == "public" };
"""
NOTHING = """
@id("nothing-leaves")
forbid (principal, action == Action::"disclose", resource);
"""
ASKED, CALLERS = 12, 6


async def test_every_request_is_accounted_for_by_the_rules_it_met(tmp_path: Path) -> None:
    rules = tmp_path / "own.cedar"
    rules.write_text(MASKED)
    flips, done = 0, asyncio.Event()
    with FaultyCloud() as cloud:
        async with door(tmp_path / "home", cloud, policy={"set": str(rules)}) as here:
            loaded = here.gateway.rules

            async def flip() -> None:
                nonlocal flips
                while not done.is_set():
                    flips += 1
                    rules.write_text((MASKED, NOTHING)[flips % 2] + f"// {flips}\n")
                    await asyncio.to_thread(loaded.look)
                    await asyncio.sleep(0.01)

            async def ask(caller: int) -> list[str]:
                ids = []
                for number in range(ASKED):
                    text = f"caller {caller} question {number}: write to {ADA}"
                    answer = await here.chat(text=text, fields={"model": "netgpt/cloud"})
                    assert answer.status_code == 200, answer.text
                    ids.append(answer.headers["x-netgpt-exchange"])
                return ids

            flipping = asyncio.create_task(flip())
            ids = [id for each in await asyncio.gather(*map(ask, range(CALLERS))) for id in each]
            done.set()
            await flipping
            kept = [(await here.get(f"/v1/exchanges/{id}")).json() for id in ids]
            receipts = (await here.get("/v1/receipts?limit=100")).json()["data"]
        bodies = [orjson.loads(request.body) for request in cloud.received]
    left = [one for one in kept if one["outbound"] is not None]
    stayed = [one for one in kept if one["outbound"] is None]
    assert len(left) + len(stayed) == ASKED * CALLERS and left and stayed and flips > 4
    assert len(bodies) == len(left) == len(receipts)
    assert {one["id"] for one in left} == {receipt["exchange"] for receipt in receipts}
    assert ADA not in str(bodies) and all("[EMAIL_1]" in str(body) for body in bodies)
    by_rules: dict[str, set[bool]] = {}
    for one in kept:
        by_rules.setdefault(one["policy"], set()).add(one["outbound"] is not None)
    assert len(by_rules) > 1 and all(len(ways) == 1 for ways in by_rules.values()), "one set of rules, one treatment"
    assert all(one["route"] == "edge" and one["kept_because"] for one in stayed)
