"""The work behind `netgpt adapters evaluate`: find what to judge by, judge, write it into the card."""

from __future__ import annotations

from pathlib import Path

from netgpt.adapters.card import State
from netgpt.adapters.registry import Entry
from netgpt.cli.common import console, print_table, run
from netgpt.cli.training_progress import JudgingBar
from netgpt.errors import RequestError
from netgpt.examples.example import Example, split
from netgpt.examples.jsonl import read_examples
from netgpt.gate.on_engine import gate_on_engine
from netgpt.gate.verdict import Verdict
from netgpt.parts.opening import open_registry
from netgpt.settings import Settings
from netgpt.store.from_settings import open_store

__all__ = ["judge", "show_verdict"]

HELD_OUT = 0.1
"""Of the kept examples, where the card does not tell the share."""


def judge(settings: Settings, id: str, file: Path | None, *, quiet: bool) -> tuple[Entry, Verdict]:
    """Judge one adapter and keep the verdict in its card. Raises NetGPTError with the cure."""
    registry = open_registry(settings)
    entry = registry.resolve(id)
    learnt, held = _from_file(file) if file is not None else run(_kept(settings, entry))
    with JudgingBar(quiet) as bar:
        verdict = run(gate_on_engine(settings, registry, entry, held, training=learnt, progress=bar.told))
    if not entry.shipped:
        entry = registry.set_metrics(entry.id, {"gate": verdict.as_json()})
    if not verdict.passed and entry.state is State.CANDIDATE:
        entry = registry.reject(entry.id, ", ".join(verdict.failing))
    return entry, verdict


def show_verdict(entry: Entry, verdict: Verdict) -> None:
    """For people: passed or not, why not, and the marks beside those of what it was measured against."""
    scores = {who: verdict.scores.get(who) or {} for who in ("candidate", "against")}
    rows: list[tuple[object, ...]] = [("verdict", "passed" if verdict.passed else "failed", "")]
    rows += [("failed", reason, "") for reason in verdict.reasons]
    rows += [
        (part, *(_mark(scores[who], part) for who in scores))
        for part in ("overall", *sorted(scores["candidate"].get("slices") or {}))
    ]
    print_table(("what", entry.id, "against"), rows)
    if verdict.passed and entry.state is State.CANDIDATE:
        console.print(f"Make it active with `netgpt adapters promote {entry.id}`.", markup=False, soft_wrap=True)


def _mark(scores: dict[str, object], part: str) -> str:
    found = scores.get("overall") if part == "overall" else (scores.get("slices") or {}).get(part)  # type: ignore[attr-defined]
    if not isinstance(found, dict):
        return "-"
    return ", ".join(f"{key} {value}" for key, value in found.items() if isinstance(value, int | float))


def _from_file(file: Path) -> tuple[list[Example], list[Example]]:
    return [], list(read_examples(file))


async def _kept(settings: Settings, entry: Entry) -> tuple[list[Example], list[Example]]:
    """(learnt, held out) of the examples that are kept for the adapter. Raises RequestError: there are none."""
    store = open_store(settings)
    try:
        kept = await store.learning.of_adapter(entry.id)
    finally:
        await store.close()
    if not kept:
        raise RequestError(f"no examples are kept for {entry.id}; give some with --examples FILE.jsonl")
    share = entry.card.recipe.get("held_out", HELD_OUT)
    return split([Example.from_row(each.row) for each in kept], share if isinstance(share, float) else HELD_OUT)
