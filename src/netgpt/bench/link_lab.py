"""One trace in the link lab: the ways side by side, each over its own link, under the same stream of requests.

As a process of its own (`python -m netgpt.bench.link_lab`) it takes several traces at once: one JSON line in, one out.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import tempfile
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from netgpt.bench.child import end_with_parent
from netgpt.bench.link import ShapedLink
from netgpt.bench.link_data import read_folder
from netgpt.bench.link_made import STEPS, made_traces
from netgpt.bench.link_models import CLOUD, PacedServer
from netgpt.bench.link_trace import Trace
from netgpt.bench.link_ways import EDGE_ONLY, WAYS, LinkReply, LinkWay, open_way
from netgpt.bench.link_work import KINDS, TimedRequest, arrivals
from netgpt.bench.report import percentile

__all__ = ["TraceJob", "all_traces", "main", "run_trace"]

LOOK_S = 0.05


@dataclass(frozen=True, slots=True)
class TraceJob:
    """Which part of which trace to run, and how: JSON-ready."""

    family: str
    name: str
    start_s: float
    seconds: float
    rate: float
    """Requests a second and way."""
    seed: int
    kinds: tuple[str, ...] = tuple(KINDS)
    ways: tuple[str, ...] = WAYS


def all_traces(data: Path | None, seconds: float, seed: int) -> list[Trace]:
    """Recorded ones where there is a folder, then the made ones and the steps. Raises RequestError."""
    return [*(read_folder(data) if data else ()), *made_traces(seconds, seed), STEPS]


async def run_trace(trace: Trace, job: TraceJob) -> dict[str, Any]:
    """What became of every request by way, and the trace's rate each second. JSON-ready."""
    part = trace.part(job.start_s, job.seconds)
    asked = arrivals(job.seconds, job.rate, job.seed, job.kinds)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="netgpt-link-")))
        cloud = await stack.enter_async_context(PacedServer("cloud", CLOUD))
        first, ways, links = part.points[0], [], []
        for name in job.ways:
            link = None
            if name != EDGE_ONLY:
                link = await stack.enter_async_context(ShapedLink(cloud.port, first.up, down=first.down, seed=job.seed))
                links.append(link)
            ways.append(await stack.enter_async_context(open_way(name, folder / name, link)))
        for link in links:
            link.follow(part)
        lag = asyncio.create_task(_lag(job.seconds))
        told = await asyncio.gather(*(_asked(way, asked) for way in ways))
    shown = [one.down.rate_mbit if one.open else 0.0 for one in map(part.at, range(int(part.length_s)))]
    return {
        "job": asdict(job),
        "rates": shown,
        "lag_ms": round(1000 * percentile(await lag, 0.99), 1),
        "ways": {way.name: [one.as_row() for one in rows] for way, rows in zip(ways, told, strict=True)},
    }


async def _asked(way: LinkWay, requests: Sequence[TimedRequest]) -> list[LinkReply]:
    """Send each at its time, whatever became of the others."""
    clock = asyncio.get_running_loop().time
    began = clock()
    async with asyncio.TaskGroup() as group:
        tasks = []
        for asked in requests:
            await asyncio.sleep(max(0.0, began + asked.at_s - clock()))
            tasks.append(group.create_task(way.ask(asked)))
    return [task.result() for task in tasks]


async def _lag(seconds: float) -> list[float]:
    """How late this process wakes up, in seconds, twenty times a second: what the machine adds to every figure."""
    clock = asyncio.get_running_loop().time
    lags = []
    for _ in range(int(seconds / LOOK_S)):
        due = clock() + LOOK_S
        await asyncio.sleep(LOOK_S)
        lags.append(clock() - due)
    return lags


async def _all(jobs: Sequence[TraceJob], data: Path | None, at_once: int, longest_s: float) -> list[dict[str, Any]]:
    found = {(trace.family, trace.name): trace for trace in all_traces(data, longest_s, jobs[0].seed)}
    free = asyncio.Semaphore(at_once)

    async def one(job: TraceJob) -> dict[str, Any]:
        async with free:
            return await run_trace(found[job.family, job.name], job)

    return await asyncio.gather(*(one(job) for job in jobs))


def main() -> None:
    """Run the jobs asked for and tell."""
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints must not stand before the line
    logging.disable(logging.ERROR)  # a link that is cut is no news here
    with os.fdopen(os.dup(0), "r", encoding="utf-8") as given:
        asked = json.loads(given.readline())
        end_with_parent()
        jobs = [TraceJob(**{**job, "kinds": tuple(job["kinds"]), "ways": tuple(job["ways"])}) for job in asked["jobs"]]
        data = Path(asked["data"]) if asked["data"] else None
        told = asyncio.run(_all(jobs, data, asked["at_once"], asked["longest_s"]))
    answer.write(json.dumps(told) + "\n")
    answer.flush()


if __name__ == "__main__":
    main()
