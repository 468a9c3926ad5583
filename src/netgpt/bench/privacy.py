"""`netgpt bench privacy`: this project's detector and Presidio's, side by side, in one run.

Quality on public sets read by path, false alarms on everyday requests, milliseconds, growth over a conversation, and
memory over many texts. What the shipped model saw in training is told beside the figures.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from netgpt.bench import privacy_scores as scores
from netgpt.bench import privacy_sets as sets
from netgpt.bench import privacy_speed as speed
from netgpt.bench.privacy_card import what_it_saw
from netgpt.bench.privacy_memory import over_many
from netgpt.bench.privacy_ways import Ours, Presidio, PrivacyWay
from netgpt.errors import NotFound, RequestError

__all__ = ["PARTS", "run"]

Tell = Callable[[str], None]
Rows = list[dict[str, Any]]
Tables = dict[str, Rows]
SIZES: Final = (1_000, 10_000)


@dataclass(frozen=True, slots=True)
class PrivacyPlan:
    """What to measure, and how much of it."""

    data: Path
    sample: int
    """Rows of each set; 0: all."""
    texts: int
    """Texts of the memory part."""
    seed: int


async def run(
    data: Path, *, sample: int, texts: int, only: Sequence[str], seed: int, presidio: bool, progress: Tell
) -> dict[str, Any]:
    """The tables by part. A set that is not there is skipped, and named. Raises RequestError, ModelUnavailable."""
    parts = _chosen(only)
    ways: list[PrivacyWay] = [Ours(), Presidio()] if presidio else [Ours()]
    for way in ways:
        way.load()
    plan = PrivacyPlan(data, sample, texts, seed)
    tables: Tables = {}
    skipped: dict[str, str] = {}
    for part in parts:
        progress(part)
        try:
            tables.update(await PARTS[part](ways, plan))
        except NotFound as error:
            skipped[part] = error.message
            progress(f"skipped: {error.message}")
    picked = {"everyday rows": sets.PICKED} if "everyday" in tables else {}
    return {"tables": tables, "skipped": skipped, "model": what_it_saw(), **picked, "seed": seed}


def _chosen(only: Sequence[str]) -> list[str]:
    unknown = [name for name in only if name not in PARTS]
    if unknown:
        raise RequestError(f"--only {unknown[0]}: not a part; there are {', '.join(PARTS)}", param="only")
    return [name for name in PARTS if not only or name in only]


async def _pupa(ways: Sequence[PrivacyWay], plan: PrivacyPlan) -> Tables:
    queries = sets.pupa(plan.data, plan.sample, plan.seed)
    return {"pupa": [{"way": way.name, **scores.hidden_units(way, queries)} for way in ways]}


async def _presidio(ways: Sequence[PrivacyWay], plan: PrivacyPlan) -> Tables:
    rows = sets.synthetic(plan.data, plan.sample, plan.seed)
    told = {way.name: scores.tokens(way, rows) for way in ways}
    recalls = {name: figures.pop("recall by type") for name, figures in told.items()}
    kinds = list(next(iter(recalls.values())))
    return {
        "presidio": [{"way": name, **figures} for name, figures in told.items()],
        "types": [{"type": kind, **{name: recall[kind] for name, recall in recalls.items()}} for kind in kinds],
    }


async def _wnut(ways: Sequence[PrivacyWay], plan: PrivacyPlan) -> Tables:
    rows = sets.wnut(plan.data, plan.sample, plan.seed)
    told = [
        {"way": way.name, "written": written, **scores.entities(way, rows, lower=written != "as it is")}
        for written in ("as it is", "in lower case")
        for way in ways
    ]
    return {"wnut": told}


async def _everyday(ways: Sequence[PrivacyWay], plan: PrivacyPlan) -> Tables:
    texts = sets.everyday(plan.data, plan.sample, plan.seed)
    return {"everyday": [{"way": way.name, **scores.touched(way, texts)} for way in ways]}


async def _speed(ways: Sequence[PrivacyWay], plan: PrivacyPlan) -> Tables:
    rows: Rows = []
    for size in SIZES:
        samples = max(5, 60_000 // size)
        rows += speed.new_texts(ways, size, samples, plan.seed)
        rows.append(speed.patterns_alone(size, samples, plan.seed))
    return {"speed": rows}


async def _turns(ways: Sequence[PrivacyWay], plan: PrivacyPlan) -> Tables:
    return {"turns": [{"way": ways[0].name, **await speed.conversation(50, plan.seed)}]}


async def _memory(ways: Sequence[PrivacyWay], plan: PrivacyPlan) -> Tables:
    return {"memory": [{"way": ways[0].name, **await over_many(plan.texts, plan.seed)}]}


PARTS: Final[dict[str, Callable[[Sequence[PrivacyWay], PrivacyPlan], Awaitable[Tables]]]] = {
    "pupa": _pupa,
    "presidio": _presidio,
    "wnut": _wnut,
    "everyday": _everyday,
    "speed": _speed,
    "turns": _turns,
    "memory": _memory,
}
"""Name on the command line -> its measure."""
