"""Judge an adapter and keep the verdict in its card: what `netgpt train` and `netgpt adapters evaluate` call."""

from __future__ import annotations

from collections.abc import Sequence

from netgpt.adapters.card import State
from netgpt.adapters.registry import Entry, Registry
from netgpt.errors import RequestError
from netgpt.examples.example import Example, split
from netgpt.gate.evaluate import Progress
from netgpt.gate.on_engine import gate_on_engine
from netgpt.gate.verdict import Verdict
from netgpt.settings import Settings
from netgpt.store.store import Store

__all__ = ["judge_adapter", "kept_examples"]

HELD_OUT = 0.1
"""Share of the kept examples that is held out, where the card does not tell it."""


async def judge_adapter(
    settings: Settings,
    registry: Registry,
    entry: Entry,
    held: Sequence[Example],
    *,
    training: Sequence[Example] = (),
    progress: Progress = lambda part, done, whole: None,
) -> tuple[Entry, Verdict]:
    """The gate on an engine of its own; a candidate that fails is rejected. Raises what `gate_on_engine` raises.

    `held`: examples to judge by; `training`: what it learnt from.
    """
    verdict = await gate_on_engine(settings, registry, entry, held, training=training, progress=progress)
    if not entry.shipped:
        entry = registry.set_metrics(entry.id, {"gate": verdict.as_json()})
    if not verdict.passed and entry.state is State.CANDIDATE:
        entry = registry.reject(entry.id, ", ".join(verdict.failing))
    return entry, verdict


async def kept_examples(store: Store, entry: Entry) -> tuple[list[Example], list[Example]]:
    """(learnt, held out) of the examples that are kept for an adapter. Raises RequestError: there are none."""
    kept = await store.learning.of_adapter(entry.id)
    if not kept:
        raise RequestError(f"no examples are kept for {entry.id}; give some with --examples FILE.jsonl")
    share = entry.card.recipe.get("held_out", HELD_OUT)
    return split([Example.from_row(each.row) for each in kept], share if isinstance(share, float) else HELD_OUT)
