"""`netgpt bench link`: adaptive against edge-only, cloud-only and a fixed threshold over links that change.

Runs the traces in processes of `link_lab`, and makes tables and bars of what became of each request.
"""

from __future__ import annotations

import asyncio
import random
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

from netgpt.routing.router import TRIAL
from netgpt_bench.harness import Progress, result_of
from netgpt_bench.link_emulator import Trace
from netgpt_bench.link_lab import ADAPTIVE, ALL_KINDS, CLOUD_ONLY, TraceJob, all_traces
from netgpt_bench.link_traces import MADE, STEPS
from netgpt_bench.report import percentile, yes_or_no

FLAP_S = 30.0
"""A change of target that is taken back within so many seconds is a flap."""
IN_A_ROW = 3
Row = Mapping[str, Any]


def family_rows(results: Sequence[Row]) -> list[dict[str, Any]]:
    """One row a family of traces and way."""
    families = sorted({result["job"]["family"] for result in results})
    of = {family: [result for result in results if result["job"]["family"] == family] for family in families}
    return [row for family, group in of.items() for row in _way_rows(family, group)]


def total_rows(results: Sequence[Row]) -> list[dict[str, Any]]:
    """One row a way over all traces."""
    return _way_rows("all", results)


def _way_rows(family: str, results: Sequence[Row]) -> list[dict[str, Any]]:
    rows = []
    for way in results[0]["ways"]:
        replies = [one for result in results for one in result["ways"][way]]
        minutes = sum(result["job"]["seconds"] for result in results) / 60
        counted = [flaps(result["ways"][way]) for result in results]
        back = [taken_back(result["ways"][way]) for result in results]
        summed = sum(len(_there_and_back(one)) for result in results for one in _changes(result["ways"][way]))
        took = [one["took_s"] for one in replies if one["outcome"] == "whole"]
        rows.append(
            {
                "family": family,
                "way": way,
                "traces": len(results),
                "requests": len(replies),
                "answered": _share(one["outcome"] in ("whole", "partial") for one in replies),
                "whole": _share(one["outcome"] == "whole" for one in replies),
                "hung": sum(one["outcome"] == "hung" for one in replies),
                "late": _share(one["late"] for one in replies),
                "quality": round(statistics.mean(map(_quality, replies)), 3),
                "in time": round(statistics.mean(0.0 if one["late"] else _quality(one) for one in replies), 3),
                "to cloud": _share(one["chosen"] == "cloud" for one in replies),
                "median s": round(statistics.median(took), 2) if took else None,
                "p95 s": round(percentile(took, 0.95), 2) if took else None,
                "trials": sum(one["rule"].startswith(TRIAL) for one in replies),
                "flaps a minute": round(sum(counted) / minutes, 3),
                "worst trace": _worst(counted, results),
                "all kinds": round(summed / minutes, 3),
                "taken back": round(sum(back) / minutes, 3),
                "worst back": _worst(back, results),
            }
        )
    return rows


def _worst(counted: Sequence[int], results: Sequence[Row]) -> float:
    """Of one trace, a minute."""
    rates = [60 * count / float(result["job"]["seconds"]) for count, result in zip(counted, results, strict=True)]
    return round(max(rates), 2)


def flaps(replies: Sequence[Row]) -> int:
    """Flaps of the kind of request that has most: when a link changes, all kinds may have reason to."""
    return max((len(_there_and_back(changes)) for changes in _changes(replies)), default=0)


def taken_back(replies: Sequence[Row]) -> int:
    """Changes of target that were taken back within `FLAP_S`, of the kind of request that has most.

    Of there, back and there again these are the first two, where only one is a flap.
    """
    return max((sum(b - a <= FLAP_S for a, b in pairwise(changes)) for changes in _changes(replies)), default=0)


def _changes(replies: Sequence[Row]) -> list[list[float]]:
    """When the target changed, for each kind of request; draws and trials of the gateway do not count."""
    found = []
    for kind in sorted({one["kind"] for one in replies}):
        chosen = [one for one in replies if one["kind"] == kind and one["chosen"] and not one["drawn"]]
        found.append([after["at_s"] for before, after in pairwise(chosen) if before["chosen"] != after["chosen"]])
    return found


def _there_and_back(changes: Sequence[float]) -> list[float]:
    """When a flap began: one there-and-back within `FLAP_S`. Each change is part of one flap at most."""
    found: list[float] = []
    last = None
    for at_s in changes:
        if last is not None and at_s - last <= FLAP_S:
            found.append(last)
            last = None
        else:
            last = at_s
    return found


def follow_rows(results: Sequence[Row]) -> list[dict[str, Any]]:
    """For each change of the scripted link: seconds until the decisions follow, over the runs.

    A decision follows when it chooses the cloud over a good link and the edge over a bad one or none; they follow from
    the first of `IN_A_ROW` that do. A request that tries later whether the link is better counts as a trial. Where
    they never follow, the whole step counts.
    """
    rows = []
    times = [*(point.at_s for point in STEPS.points), STEPS.length_s]
    for number, name in enumerate(("good to bad", "bad to cut", "cut to good"), 1):
        begin, end = times[number], times[number + 1]
        wanted = "cloud" if name.endswith("good") else "edge"
        inside = [_inside(result["ways"][ADAPTIVE], begin, end) for result in results]
        took = [_followed(replies, begin, end, wanted) for replies in inside]
        trials = sum(
            one["chosen"] != wanted and one["at_s"] - begin > after
            for result, after in zip(results, took, strict=True)
            for one in result["ways"][ADAPTIVE]
            if begin <= one["at_s"] < end and (not one["drawn"] or one["rule"].startswith(TRIAL))
        )
        rows.append({"change": name, "runs": len(took), "median s": round(statistics.median(took), 2),
                     "worst s": round(max(took), 2), "requests": sum(map(len, inside)), "trials": trials,
                     "late": sum(one["late"] for replies in inside for one in replies)})  # fmt: skip
    return rows


def _inside(replies: Sequence[Row], begin: float, end: float) -> list[Row]:
    """Requests of one step; what the explorer drew is no fault."""
    return [one for one in replies if begin <= one["at_s"] < end and not one["drawn"]]


def _followed(inside: Sequence[Row], begin: float, end: float, wanted: str) -> float:
    row = 0
    for place, one in enumerate(inside):
        row = row + 1 if one["chosen"] == wanted else 0
        if row == IN_A_ROW:
            first = place - IN_A_ROW + 1
            return float(inside[first]["at_s"] - begin) if first else 0.0
    return end - begin


def bars(total: Sequence[Row], follow: Sequence[Row]) -> dict[str, Any]:
    """What the lab has to show, and whether it does."""
    of = {row["way"]: row for row in total}
    mine, cloud = of[ADAPTIVE], of[CLOUD_ONLY]
    slowest = max((row["worst s"] for row in follow), default=None)
    return {
        "answered or honestly partial (>= 0.99)": yes_or_no(mine["answered"], mine["answered"] >= 0.99),
        "late, beside half of cloud-only's": yes_or_no(
            f"{mine['late']} of {cloud['late'] / 2:.4f}", mine["late"] <= cloud["late"] / 2
        ),
        "flaps a minute, worst trace (<= 1)": yes_or_no(mine["worst trace"], mine["worst trace"] <= 1),
        "seconds to follow (<= 3)": yes_or_no(slowest, slowest is not None and slowest <= 3),
    }


def _quality(one: Row) -> float:
    """The chance that it did: of a part, by how much of it came."""
    if one["outcome"] not in ("whole", "partial"):
        return 0.0
    kind = ALL_KINDS[one["kind"]]
    share = 1.0 if one["outcome"] == "whole" else min(1.0, one["tokens"] / kind.answer_tokens)
    return share * kind.quality["edge" if one["answered"] == "edge" else "cloud"]


def _share(found: Iterable[bool]) -> float:
    values = list(found)
    return round(sum(values) / len(values), 4) if values else 0.0


FOLLOW_RATE = 3.0
"""Requests a second while the link changes in steps."""
LAG_MS = 60.0
"""A process that is woken up later than this now and then disturbs what it measures."""
NOT_SHOWN = (
    "a real cloud and a real edge: both are servers of known speed, and quality is a table, the same for every way",
    "the kernel's own signals: TCP's round trip and retransmissions are loopback's here, since the link is shaped in "
    "user space",
    "delay, loss and rates up where a file does not record them: assumed by family (netgpt_bench/link_traces.py)",
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
            results: Any = await result_of("the link lab", "netgpt_bench.link_lab", asked=asked)
        done += len(mine)
        progress(f"{done} of {len(jobs)} traces")
        return list(results)

    return [result for results in await asyncio.gather(*map(batch, batches)) for result in results]
