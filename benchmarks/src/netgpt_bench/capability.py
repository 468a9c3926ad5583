"""`netgpt bench capability`: what models can do by kind of task, measured twice with other questions; do the two agree?

Each model on the box is asked the same questions as any other. Two measurements of one kind are held against one
another by Fisher's exact test (5 %): of twenty kinds, one at most lies outside by chance. A run that is stopped goes
on where it was when it is given the same `state` folder.
"""

from __future__ import annotations

import resource
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from netgpt.app.measuring import asker, engine_of
from netgpt.capability.measure import MeasureLimits, Measuring
from netgpt.capability.profile import Profile, Tally, differ, of_weights
from netgpt.errors import NetGPTError
from netgpt.judgement import TASK_KINDS
from netgpt.models.download import file_sha256, write_whole
from netgpt_bench.harness import Progress

SEEDS: Final = (1, 2)


async def run(
    weights: Sequence[Path], *, rounds: int, minutes: float, state: Path | None = None, threads: int = 0,
    progress: Progress = lambda _: None,
) -> dict[str, Any]:  # fmt: skip
    """The tables: what was right by model and kind, and what it cost. `minutes`: for one measurement at most.

    Raises ModelUnavailable: an engine does not start.
    """
    kinds: list[dict[str, Any]] = []
    costs: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        folder = state or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        for path in weights:
            sha256 = file_sha256(path)
            measured = [
                await _measured(path, sha256, seed, rounds, minutes, folder, threads, costs, progress) for seed in SEEDS
            ]
            kinds += compared(path.stem, measured[0], measured[1])
    outside = Counter(row["model"] for row in kinds if row["outside"])
    return {
        "by kind": kinds,
        "runs": costs,
        "measured twice": [
            {"model": path.stem, "kinds": len(TASK_KINDS), "outside the interval": outside[path.stem]}
            for path in weights
        ],
    }


def compared(name: str, one: Profile, other: Profile) -> list[dict[str, Any]]:
    """A row for each kind: both measurements, whether chance does not explain their distance, and both together."""
    rows = []
    for kind in TASK_KINDS:
        first, second = (each.kinds.get(kind, Tally()) for each in (one, other))
        both = first.plus(second)
        low, high = both.interval
        rows.append(
            {
                "model": name, "kind": kind, "first": f"{first.right}/{first.asked}",
                "second": f"{second.right}/{second.asked}", "outside": differ(first, second),
                "right": round(both.share, 3), "low": round(low, 3), "high": round(high, 3),
            }
        )  # fmt: skip
    return rows


async def _measured(
    path: Path, sha256: str, seed: int, rounds: int, minutes: float, folder: Path, threads: int,
    costs: list[dict[str, Any]], progress: Progress,
) -> Profile:  # fmt: skip
    """One measurement, or the rest of it."""
    file = folder / f"{sha256[:16]}-{seed}.json"
    profile = _kept(file) or Profile(subject=of_weights(sha256), name=path.stem)
    began, before = time.monotonic(), _child_cpu_s()
    if profile.rounds.get(seed, 0) < rounds:
        async with engine_of(path, threads, folder / "engine.log") as model:

            def save(now: Profile) -> None:
                write_whole(file, now.model_dump_json(), NetGPTError)
                progress(f"{path.stem}, questions of seed {seed}: {now.asked}")

            limits = MeasureLimits(rounds=rounds, seconds=60 * minutes, answer_s=600)
            profile = await Measuring(asker(model), profile, seed, save, limits).run()
    costs.append(
        {
            "model": path.stem, "seed": seed, "questions": profile.asked, "all seconds": round(profile.seconds),
            "this run's seconds": round(time.monotonic() - began), "CPU seconds": round(_child_cpu_s() - before),
        }
    )  # fmt: skip
    return profile


def _kept(file: Path) -> Profile | None:
    """What an earlier run left. Raises ValueError: another program wrote it."""
    return Profile.model_validate_json(file.read_bytes()) if file.is_file() else None


def _child_cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
