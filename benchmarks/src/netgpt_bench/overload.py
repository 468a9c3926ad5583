"""`netgpt bench overload`: a multiple of what the edge can do, for a while: who is answered, how fast, who is refused.

The edge is a scripted server that works on a known number of answers at once. One key asks for nearly all of the load,
ten others for a little each. A real gateway process over real HTTP; callers ask by the clock, answered or not.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from netgpt_bench.harness import Counting, LabRequest, Process, Progress, ask, gateway, make_keys
from netgpt_bench.report import percentile

MODEST = tuple(f"modest {n}" for n in range(10))
MODEST_SHARE = 0.4
"""Of the capacity, all modest keys together: a fair gateway can answer all of it."""
Asked = Mapping[str, Sequence[LabRequest]]
"""Requests by the name of the key."""


async def run(
    *, slots: int, service_s: float, times: float, seconds: float, unloaded_s: float, seed: int,
    progress: Progress = lambda _: None,
) -> dict[str, Any]:  # fmt: skip
    """`times` the capacity of `slots` answers of `service_s` each, for `seconds`, after `unloaded_s` of little."""
    capacity = slots / service_s
    edge = Counting(slots=slots, service_s=service_s, reply="the edge says so")
    with tempfile.TemporaryDirectory() as folder, edge:
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
    return {
        **_figures(quiet, loaded, capacity * seconds),
        "memory_mb_by_quarter": [round(memory, 1) for memory, _ in process.quarters()],
        "answers_after_it": alive.done,
        "seed": seed,
    }


async def _load(
    port: int, keys: Mapping[str, str], rates: Mapping[str, float], seconds: float, dice: random.Random
) -> Asked:
    asked: dict[str, list[LabRequest]] = {name: [] for name in rates}

    async def one(name: str, number: int) -> None:
        asked[name].append(await ask(port, f"{name} {number}", key=keys[name], stream=False, model="netgpt/edge"))

    async def caller(group: asyncio.TaskGroup, name: str, rate: float) -> None:
        for number in range(round(rate * seconds)):
            await asyncio.sleep(dice.expovariate(rate))
            group.create_task(one(name, number))

    async with asyncio.TaskGroup() as group:
        for name, rate in rates.items():
            group.create_task(caller(group, name, rate))
    return asked


def _figures(quiet: Asked, loaded: Asked, capacity: float) -> dict[str, Any]:
    """`capacity`: answers that the edge could give meanwhile."""
    everybody = [one for asked in loaded.values() for one in asked]
    rows = [
        _row("unloaded", [one for asked in quiet.values() for one in asked]),
        _row("all, overloaded", everybody),
        _row("greedy key", loaded["greedy"]),
        _row("ten modest keys", [one for name in MODEST for one in loaded[name]]),
    ]
    usual, busy = rows[0]["p95_s"], rows[1]["p95_s"]
    refused = [one.retry_after is not None for one in everybody if one.status in (429, 503)]
    return {
        "rows": rows,
        "p95_ratio": round(busy / usual, 2) if usual and busy else None,
        "worst_modest_key": round(min(_answered(loaded[name]) for name in MODEST), 3),
        "refused_with_retry_after": round(sum(refused) / len(refused), 3) if refused else None,
        "other_endings": sum(one.status not in (200, 429, 503) for one in everybody),
        "use_of_capacity": round(sum(one.done for one in everybody) / capacity, 2),
    }


def _answered(asked: Sequence[LabRequest]) -> float:
    return sum(one.done for one in asked) / len(asked) if asked else 0.0


def _row(who: str, asked: Sequence[LabRequest]) -> dict[str, Any]:
    times = [one.seconds for one in asked if one.done]
    return {
        "who": who,
        "asked": len(asked),
        "answered": round(_answered(asked), 3),
        "refused_429": sum(one.status == 429 for one in asked),
        "refused_503": sum(one.status == 503 for one in asked),
        "p50_s": _quantile(times, 0.5),
        "p95_s": _quantile(times, 0.95),
        "refused_p95_s": _quantile([one.seconds for one in asked if one.status in (429, 503)], 0.95),
    }


def _quantile(seconds: Sequence[float], share: float) -> float | None:
    return round(percentile(seconds, share), 3) if seconds else None
