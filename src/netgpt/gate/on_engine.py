"""The gate on a real engine of its own: candidate and active adapter resident side by side, beside the serving one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

from netgpt.adapters.registry import Entry, Registry
from netgpt.errors import RequestError, SettingsError
from netgpt.examples.example import Example
from netgpt.examples.planted import Canary, canaries_of
from netgpt.gate.candidate import AskFor, Trial, judge_candidate
from netgpt.gate.evaluate import Ask, EvaluationLimits, Progress
from netgpt.gate.sentinels import load_sentinels
from netgpt.gate.verdict import Rules, Verdict
from netgpt.models.answers import join_chunks
from netgpt.models.catalog import Catalog
from netgpt.models.engine import Engine
from netgpt.models.openai import EdgeModel
from netgpt.models.swap import Adapter, SwappingEngine
from netgpt.settings import Settings

__all__ = ["canaries_in", "gate_on_engine", "resident_asks"]

SLOTS = 4


async def gate_on_engine(
    settings: Settings,
    registry: Registry,
    candidate: Entry,
    examples: Sequence[Example],
    *,
    training: Sequence[Example] = (),
    rules: Rules | None = None,
    limits: EvaluationLimits | None = None,
    progress: Progress = lambda part, done, whole: None,
) -> Verdict:
    """Start an engine, judge the candidate against the active version of its name (the base when none), end it.

    `examples`: held out; `training`: what the candidate learnt, for the search for recited words. The canaries are
    made again from the card's recipe. Raises SettingsError (the edge model is another server), ModelUnavailable (the
    engine does not start), ModelError.
    """
    if settings.edge.base_url is not None:
        raise SettingsError("adapters are judged on the built-in engine; [edge] base_url names another server")
    active = registry.active(candidate.card.name)
    if active is not None and active.id == candidate.id:
        active = None
    entries = [candidate] if active is None else [candidate, active]
    loss = candidate.card.metrics.get("held_out_loss")
    trial = Trial(
        candidate.id,
        None if active is None else active.id,
        candidate.card.scope,
        examples,
        load_sentinels(),
        canaries_in(candidate.card.recipe),
        training,
        loss if isinstance(loss, float) else None,
    )
    weights = Catalog(settings.models_dir).resolve(settings.edge.model)
    async with resident_asks(
        weights,
        {entry.id: entry.path for entry in entries},
        log_path=settings.home / "gate-engine.log",
        context_tokens=settings.edge.context_tokens,
        threads=settings.edge.threads,
    ) as ask_for:
        return await judge_candidate(ask_for, trial, rules=rules, limits=limits, progress=progress)


@asynccontextmanager
async def resident_asks(
    weights: Path,
    adapters: Mapping[str, Path],
    *,
    log_path: Path,
    context_tokens: int = 2048,
    slots: int = SLOTS,
    threads: int = 0,
    timeout_s: float = 120.0,
) -> AsyncIterator[AskFor]:
    """An engine with these adapters (id: file) for as long as the block lasts, and the door to each of them.

    Raises ModelUnavailable when it does not start, RequestError when it cannot load an adapter.
    """
    engine = SwappingEngine(
        partial(Engine, weights, context_tokens=context_tokens, slots=slots, threads=threads, log_path=log_path)
    )
    await engine.set_adapters([Adapter(id, path) for id, path in adapters.items()])
    model = EdgeModel(
        weights.stem, engine.endpoint, weights.stem, timeout_s=timeout_s, default_max_tokens=256, leases=engine.lease
    )
    try:
        await engine.start()
        for id, why in engine.refused.items():
            raise RequestError(f"the adapter {id} cannot be judged: {why}")
        yield lambda ids: _ask(model, ids)
    finally:
        await model.close()
        await engine.stop(drain_s=0.0)


def canaries_in(recipe: Mapping[str, Any]) -> tuple[Canary, ...]:
    """The canaries that a card's recipe tells of: `{"canaries": {"seed": 7, "count": 4}}`; none when it does not."""
    told = recipe.get("canaries")
    if not isinstance(told, Mapping):
        return ()
    seed, count = told.get("seed"), told.get("count")
    return canaries_of(seed, count) if isinstance(seed, int) and isinstance(count, int) else ()


def _ask(model: EdgeModel, ids: Sequence[str]) -> Ask:
    async def ask(body: Mapping[str, Any]) -> dict[str, Any]:
        return join_chunks([chunk async for chunk in model.chat(body, adapters=ids)])

    return ask
