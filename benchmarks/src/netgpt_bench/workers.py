"""`netgpt bench workers`: one process and several at one address, in front of a cloud that answers at once.

What a core costs is told by CPU milliseconds a request: load generator, cloud and gateway share the cores, so requests
a second grow with workers only where cores are free for them.
"""

from __future__ import annotations

import os
import statistics
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from netgpt_bench.harness import LoadResult, LoadTarget, Progress, drive, fake_cloud, gateway, until_ready
from netgpt_bench.overhead import question

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_READY_S = 120.0


@dataclass
class _Row:
    """One number of workers: where it is asked, and what was measured."""

    workers: int
    process: int
    target: LoadTarget
    single: list[LoadResult] = field(default_factory=list)
    crowd: list[LoadResult] = field(default_factory=list)
    cpu_s: float = 0.0
    asked: int = 0


async def run(
    *, workers: Sequence[int], requests: int, connections: int, rounds: int, progress: Progress
) -> dict[str, Any]:
    """Measure each number of workers, interleaved in rounds. Returns `{"rows": [...], ...}`; times in milliseconds."""
    async with AsyncExitStack() as stack:
        cloud = await stack.enter_async_context(fake_cloud())
        url = f"http://127.0.0.1:{cloud}/v1"
        rows = []
        for count in workers:
            progress(f"starting {count} workers")
            home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="netgpt-bench-")))
            settings = {
                "NETGPT_CLOUD__BASE_URL": url, "NETGPT_EDGE__BASE_URL": url, "NETGPT_COMPLETION__MODE": "off",
                "NETGPT_LOG_LEVEL": "error", "NETGPT_PRIVACY__NAMES": "false", "NETGPT_SERVER__WORKERS": str(count),
            }  # fmt: skip
            port, process = await stack.enter_async_context(gateway(home, settings))
            wanted = ("detector", "workers") if count > 1 else ("detector",)
            await until_ready(f"{count} workers", f"http://127.0.0.1:{port}", _READY_S, wanted)
            rows.append(_Row(count, process, question(port)))
        for row in rows:
            await drive(row.target, connections=4 * row.workers, requests=200)
        for number in range(rounds):
            for row in rows:
                progress(f"round {number + 1} of {rounds}: {row.workers} workers")
                row.single.append(await drive(row.target, connections=1, requests=requests))
                before = sum(cpu_s(each) for each in tree(row.process))
                row.crowd.append(await drive(row.target, connections=connections, requests=requests))
                row.cpu_s += sum(cpu_s(each) for each in tree(row.process)) - before
                row.asked += requests
        table = [_shown(row) for row in rows]
    return {
        "rows": table,
        "connections": connections,
        "samples": requests * rounds,
        "cores": os.cpu_count(),
        "load": [round(each, 1) for each in os.getloadavg()],
        "not_shown": "cores of their own for the workers: generator, cloud and gateway share those there are; then "
        "CPU ms a request is what compares, not requests a second",
    }


def _shown(row: _Row) -> dict[str, Any]:
    memory = {each: pss_mb(each) for each in tree(row.process)}
    return {
        "workers": row.workers,
        "p50_ms": round(statistics.median(run.at(0.5) for run in row.single), 2),
        "crowd_p50_ms": round(statistics.median(run.at(0.5) for run in row.crowd), 2),
        "crowd_p99_ms": round(statistics.median(run.at(0.99) for run in row.crowd), 2),
        "per_second": round(statistics.median(run.per_second for run in row.crowd)),
        "cpu_ms_a_request": round(row.cpu_s * 1000 / row.asked, 2),
        "processes": len(memory),
        "memory_mb": round(sum(memory.values())),
    }


def tree(pid: int) -> Iterator[int]:
    """A process and all below it."""
    yield pid
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return
    for child in children:
        yield from tree(int(child))


def cpu_s(pid: int) -> float:
    """CPU seconds of a process so far; 0: it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) * _TICK_S


def pss_mb(pid: int) -> float:
    """Memory of a process, what it shares with others counted in parts."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
