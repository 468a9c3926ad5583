"""`netgpt bench link`: adaptive against edge-only, cloud-only and a fixed threshold over recorded and made links."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from netgpt.bench.child import result_of
from netgpt.bench.link_lab import TraceJob, all_traces
from netgpt.bench.link_made import MADE, STEPS
from netgpt.bench.link_report import bars, family_rows, follow_rows, total_rows
from netgpt.bench.link_trace import Trace
from netgpt.bench.link_ways import ADAPTIVE

__all__ = ["LinkPlan", "run"]

Progress = Callable[[str], None]
FOLLOW_RATE = 3.0
"""Requests a second while the link changes in steps."""
LAG_MS = 60.0
"""A process that is woken up later than this now and then disturbs what it measures."""
NOT_SHOWN = (
    "a real cloud and a real edge: both are servers of known speed, and quality is a table, the same for every way",
    "the kernel's own signals: TCP's round trip and retransmissions are loopback's here, since the link is shaped in "
    "user space",
    "delay, loss and rates up where a file does not tell them: assumed by family (bench/link_data.py)",
    "whole traces: each is run for its liveliest part",
)


@dataclass(frozen=True, slots=True)
class LinkPlan:
    """How much is run."""

    seconds: float = 60.0
    """Of each trace."""
    per_family: int = 2
    """Traces of each family; 0: all."""
    rate: float = 2.0
    """Requests a second and way."""
    follows: int = 2
    """Runs of the scripted link."""
    workers: int = 2
    """Processes."""
    at_once: int = 3
    """Traces that each process runs side by side."""


async def run(data: Path | None, plan: LinkPlan, *, seed: int, progress: Progress) -> dict[str, Any]:
    """Run all and sum up; "results" holds every request, for plots. Raises RequestError and ModelUnavailable."""
    traces = [one for one in all_traces(data, plan.seconds, seed) if one is not STEPS]
    jobs = [_job(trace, plan, seed + number) for number, trace in enumerate(_chosen(traces, plan.per_family, seed))]
    follows = [_follow(seed + number) for number in range(plan.follows)]
    results = await _run_jobs([*follows, *jobs], data, plan, progress)
    lab, steps = results[len(follows) :], results[: len(follows)]
    total, follow = total_rows(lab), follow_rows(steps)
    return {
        "tables": {"families": family_rows(lab), "total": total, "follow": follow},
        "shows": bars(total, follow),
        "traces": len(jobs),
        "disturbed": _disturbed(results),
        "seconds a trace": plan.seconds,
        "requests a second": plan.rate,
        "seed": seed,
        "data": "recorded and made" if data else "made only: no recorded links were given",
        "not_shown": list(NOT_SHOWN),
        "results": results,
    }


def _disturbed(results: Sequence[dict[str, Any]]) -> str:
    """Of how many traces the figures are this machine's rather than the link's: said, not left out."""
    late = [one["lag_ms"] for one in results if one["lag_ms"] > LAG_MS]
    if not late:
        return f"no trace: 99 of 100 wake-ups came within {LAG_MS:g} ms"
    return f"{len(late)} of {len(results)} traces: wake-ups came up to {max(late):.0f} ms late (the 99th percentile)"


def _chosen(traces: Sequence[Trace], per_family: int, seed: int) -> list[Trace]:
    """At most so many of each family, drawn by the seed; the made ones all."""
    chosen: list[Trace] = []
    for family, group in groupby(sorted(traces, key=lambda one: one.family), lambda one: one.family):
        found = list(group)
        whole = not per_family or family == MADE or len(found) <= per_family
        chosen += found if whole else random.Random(seed).sample(found, per_family)
    return chosen


def _job(trace: Trace, plan: LinkPlan, seed: int) -> TraceJob:
    start = trace.liveliest(plan.seconds)
    return TraceJob(trace.family, trace.name, start, min(plan.seconds, trace.length_s), plan.rate, seed)


def _follow(seed: int) -> TraceJob:
    return TraceJob(STEPS.family, STEPS.name, 0.0, STEPS.length_s, FOLLOW_RATE, seed, ("note",), (ADAPTIVE,))


async def _run_jobs(
    jobs: Sequence[TraceJob], data: Path | None, plan: LinkPlan, progress: Progress
) -> list[dict[str, Any]]:
    """Batches of jobs, each in a process of its own, `plan.workers` of them at a time; results in order."""
    batches = [jobs[first : first + plan.at_once] for first in range(0, len(jobs), plan.at_once)]
    free, done = asyncio.Semaphore(plan.workers), 0

    async def batch(mine: Sequence[TraceJob]) -> list[dict[str, Any]]:
        nonlocal done
        asked = {"jobs": [asdict(job) for job in mine], "data": str(data) if data else None,
                 "at_once": plan.at_once, "longest_s": plan.seconds}  # fmt: skip
        async with free:
            told: Any = await result_of("the link lab", "netgpt.bench.link_lab", asked=asked)
        done += len(mine)
        progress(f"{done} of {len(jobs)} traces")
        return list(told)

    return [result for told in await asyncio.gather(*map(batch, batches)) for result in told]
