"""`netgpt bench overload`: a multiple of what the edge can do, for a while: who is answered, how fast, who is refused.

The edge is a scripted server that works on a known number of answers at once. One key asks for nearly all of the load,
ten others for a little each. A real gateway process over real HTTP; callers ask by the clock, answered or not.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from netgpt_bench.harness import Counting, LabRequest, Process, ask, gateway, make_keys, quantile

MODEST = tuple(f"modest {n}" for n in range(10))
MODEST_SHARE = 0.4
"""Of the capacity, all modest keys together: a box that is fair can answer all of it."""


async def run(
    *,
    slots: int,
    service_s: float,
    times: float,
    seconds: float,
    unloaded_s: float,
    seed: int,
    progress: Callable[[str], None] = lambda _t: None,
) -> dict[str, Any]:
    """`times` the capacity of `slots` answers of `service_s` each, for `seconds`, after `unloaded_s` of little."""
    capacity = slots / service_s
    with (
        tempfile.TemporaryDirectory() as folder,
        Counting(slots=slots, service_s=service_s, reply="the edge says so") as edge,
    ):
        keys = await make_keys(Path(folder), ("greedy", *MODEST))
        settings = {"NETGPT_EDGE__BASE_URL": edge.base_url, "NETGPT_COMPLETION__MODE": "off"}
        async with gateway(Path(folder), settings) as (port, pid):
            process, dice = Process(pid), random.Random(seed)
            watch = asyncio.create_task(process.watch(1.0))
            progress("unloaded")
            quiet = await _load(port, keys, dict.fromkeys(MODEST, 0.03 * capacity), unloaded_s, dice)
            progress(f"{times:g} times the capacity")
            modest = MODEST_SHARE * capacity / len(MODEST)
            rates = {"greedy": (times - MODEST_SHARE) * capacity} | dict.fromkeys(MODEST, modest)
            loaded = await _load(port, keys, rates, seconds, dice)
            alive = await ask(port, "still there?", key=keys[MODEST[0]], stream=False, model="netgpt/edge")
            watch.cancel()
            return _result(quiet, loaded, process, alive, capacity, seconds) | {"seed": seed}


async def _load(
    port: int, keys: Mapping[str, str], rates: Mapping[str, float], seconds: float, dice: random.Random
) -> dict[str, list[LabRequest]]:
    told: dict[str, list[LabRequest]] = {name: [] for name in rates}

    async def one(name: str, number: int) -> None:
        told[name].append(await ask(port, f"{name} {number}", key=keys[name], stream=False, model="netgpt/edge"))

    async def caller(group: asyncio.TaskGroup, name: str, rate: float) -> None:
        for number in range(round(rate * seconds)):
            await asyncio.sleep(dice.expovariate(rate))
            group.create_task(one(name, number))

    async with asyncio.TaskGroup() as group:
        for name, rate in rates.items():
            group.create_task(caller(group, name, rate))
    return told


def _result(
    quiet: dict[str, list[LabRequest]],
    loaded: dict[str, list[LabRequest]],
    process: Process,
    alive: LabRequest,
    capacity: float,
    seconds: float,
) -> dict[str, Any]:
    before = [one for asked in quiet.values() for one in asked]
    everybody = [one for asked in loaded.values() for one in asked]
    modest = [one for name in MODEST for one in loaded[name]]
    rows = [
        _row("unloaded", before),
        _row("all, overloaded", everybody),
        _row("greedy key", loaded["greedy"]),
        _row("ten modest keys", modest),
    ]
    usual, busy = rows[0]["p95_s"], rows[1]["p95_s"]
    refused = [one for one in everybody if one.status in (429, 503)]
    return {
        "rows": rows,
        "p95_ratio": round(busy / usual, 2) if usual and busy else None,
        "worst_modest_key": round(min(_share(loaded[name]) for name in MODEST), 3),
        "refused_with_retry_after": round(sum(r.retry_after is not None for r in refused) / len(refused), 3)
        if refused
        else None,
        "other_endings": sum(one.status not in (200, 429, 503) for one in everybody),
        "use_of_capacity": round(sum(one.done for one in everybody) / (capacity * seconds), 2),
        "memory_mb_by_quarter": [round(memory, 1) for memory, _ in process.quarters()],
        "answers_after_it": alive.done,
    }


def _share(asked: list[LabRequest]) -> float:
    return sum(one.done for one in asked) / len(asked) if asked else 0.0


def _row(who: str, asked: list[LabRequest]) -> dict[str, Any]:
    times = [one.seconds for one in asked if one.done]
    p50, p95 = quantile(times, 0.5), quantile(times, 0.95)
    return {
        "who": who,
        "asked": len(asked),
        "answered": round(_share(asked), 3),
        "refused_429": sum(one.status == 429 for one in asked),
        "refused_503": sum(one.status == 503 for one in asked),
        "p50_s": p50 and round(p50, 3),
        "p95_s": p95 and round(p95, 3),
        "refused_p95_s": quantile([round(one.seconds, 3) for one in asked if one.status in (429, 503)], 0.95),
    }
