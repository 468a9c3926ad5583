"""`netgpt bench soak`: many requests, some hung up, against a real gateway process: does anything pile up?"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from pathlib import Path
from typing import Any

from netgpt_bench.harness import Counting, HangUp, LabRequest, Process, Progress, ask, gateway
from netgpt_bench.report import percentile

SETTLE_S = 1.5
"""An abandoned call must have ended by then."""


async def run(
    *, requests: int, hangups: float, connections: int, seed: int, progress: Progress = lambda _: None
) -> dict[str, Any]:
    """`hangups`: share of callers that leave, half of them before the first word. Returns rows, one a quarter."""
    with tempfile.TemporaryDirectory() as folder, Counting(delay_s=0.012, chunk_size=12) as cloud:
        settings = {
            "NETGPT_CLOUD__BASE_URL": cloud.base_url,
            "NETGPT_CLOUD__TRUSTED": "true",
            "NETGPT_EDGE__BASE_URL": cloud.base_url,
            "NETGPT_COMPLETION__MODE": "off",
        }
        async with gateway(Path(folder), settings) as (port, pid):
            await ask(port, "warm up")
            process = Process(pid)
            watch = asyncio.create_task(process.watch(1.0))
            began = time.monotonic()
            asked = await _ask_all(port, requests, hangups, connections, random.Random(seed), progress)
            took = time.monotonic() - began
            await asyncio.sleep(SETTLE_S)
            watch.cancel()
            figures = {"files_after": process.now()[1], "requests_per_s": round(len(asked) / took, 1), "seed": seed}
            return {**_figures(asked, cloud, process), **figures}


async def _ask_all(
    port: int, requests: int, hangups: float, connections: int, dice: random.Random, progress: Progress
) -> list[LabRequest]:
    asked: list[LabRequest] = []
    plan = iter([(n, dice.random() < hangups, dice.random(), dice.random()) for n in range(requests)])

    async def caller() -> None:
        for n, leaves, early, when in plan:
            text = f"request {n:06d} with a few more words"
            asked.append(await ask(port, text, hang_up=_leaving(leaves, early, when)))
            if len(asked) % 5_000 == 0:
                progress(f"{len(asked)} of {requests}")

    await asyncio.gather(*(caller() for _ in range(connections)))
    return asked


def _leaving(leaves: bool, early: float, when: float) -> HangUp:
    """Who leaves does so before the first word (after up to 20 ms) or in the middle of the answer."""
    if not leaves:
        return lambda _chunks, _s: False
    if early < 0.5:
        return lambda chunks, seconds: chunks == 0 and seconds >= 0.02 * when
    return lambda chunks, _s: chunks >= 1 + int(2 * when)


def _figures(asked: list[LabRequest], cloud: Counting, process: Process) -> dict[str, Any]:
    gone = [one for one in asked if one.hung_up]
    stayed = [one for one in asked if not one.hung_up]
    late = [max(0.0, cloud.ended.get(one.text, one.ended) - one.ended) for one in gone] or [0.0]
    return {
        "rows": [
            {"quarter": n, "memory_mb": round(memory, 1), "open_files": files}
            for n, (memory, files) in enumerate(process.quarters(), 1)
        ],
        "requests": len(asked),
        "hung_up": len(gone),
        "hung_up_before_the_first_word": sum(one.first_s is None for one in gone),
        "answered_whole": sum(one.done for one in stayed),
        "refused": sum(one.status in (429, 503) for one in stayed),
        "not_answered_whole": sum(not one.done and one.status not in (429, 503) for one in stayed),
        "still_open_at_the_cloud": cloud.open_requests,
        "cancelled_within_ms_p99": round(1000 * percentile(late, 0.99), 1),
        "cancelled_within_ms_most": round(1000 * max(late), 1),
    }
