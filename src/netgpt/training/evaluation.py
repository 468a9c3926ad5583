"""The evaluation of a candidate: it becomes active only when it is better, breaks nothing else, and leaks nothing.

Deterministic: greedy answers, seeded draws, the same examples in every run. This module asks the questions, on an
engine of its own; the rules that accept or refuse are in `verdict.py`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

from netgpt.adapters.card import State
from netgpt.adapters.registry import Entry, Registry
from netgpt.errors import ContextTooLong, RequestError, SettingsError
from netgpt.models.catalog import Catalog
from netgpt.models.client import EdgeModel
from netgpt.models.engine import Engine
from netgpt.models.hot_swap import Adapter, SwappingEngine
from netgpt.models.stream import join_chunks
from netgpt.settings import Settings
from netgpt.store.store import Store
from netgpt.training.canaries import ORIGIN, Canary, canaries_of
from netgpt.training.example import Example, split
from netgpt.training.leaks import (
    Answered,
    CanaryFinding,
    RareText,
    RegressionCase,
    load_regression_set,
    longest_memorization,
    probe_canary,
)
from netgpt.training.scoring import Ask, EvaluationLimits, Progress, answer_text, evaluate_all, gather
from netgpt.training.verdict import (
    CategoryCount,
    Rules,
    Verdict,
    check_canaries,
    check_held_out,
    check_isolation,
    check_memorization,
    check_regression_set,
)

AskFor = Callable[[Sequence[str]], Ask]
"""A function that asks the model with these adapters, by their ids; `()`: the base model alone."""

BASE = "the base model"
SLOTS = 4
HELD_OUT = 0.1
"""Share of the kept examples that is held out, where the card does not name it."""
OPENINGS = 8
"""So many people's sentences are begun for the model, to see whether it continues them."""
OPENING_WORDS = 4
ISOLATION_TOKENS = 32
_LONG_PREFIX = (
    "You are the assistant of a small public library. The library opens at nine in the morning and closes at six in "
    "the evening, on Saturdays at one. Members may borrow ten books for four weeks. Films are lent for a week. "
    "The reading room is quiet, and the café beside it is not. Answer in one or two plain sentences."
)
_ISOLATION_QUESTIONS = (
    "When does the library open?", "How many books may I borrow?", "Is there a place to drink coffee?",
)  # fmt: skip


@dataclass(frozen=True)
class Trial:
    """What a candidate is judged on.

    `examples`: held out from training, with trusted labels. `training`: what it learnt, to recognize its words.
    `scope`: a "task" adapter answers its own requests alone, so general ones are only reported; a "user" adapter may
    say its own person's words. `held_out_loss`: the trainer's figure, kept beside ours.
    """

    candidate: str
    active: str | None = None
    scope: Literal["task", "site", "user"] = "site"
    examples: Sequence[Example] = field(default=(), repr=False)
    regression_set: Sequence[RegressionCase] = field(default=(), repr=False)
    canaries: Sequence[Canary] = field(default=(), repr=False)
    training: Sequence[Example] = field(default=(), repr=False)
    held_out_loss: float | None = None


async def evaluate_candidate(
    ask_for: AskFor,
    trial: Trial,
    *,
    rules: Rules | None = None,
    limits: EvaluationLimits | None = None,
    progress: Progress = lambda part, done, whole: None,
) -> Verdict:
    """Ask everything and judge. Raises ModelError when the model fails: nothing is promoted without its answers."""
    rules, limits, begun = rules or Rules(), limits or EvaluationLimits(), time.monotonic()
    candidate, base = ask_for((trial.candidate,)), ask_for(())
    verdict = await _isolation(candidate, base, progress)
    verdict += await _canaries(candidate, trial, rules, limits, progress)
    counts, answers = await _regression_set(candidate, base, trial, limits, progress)
    verdict += check_regression_set(counts, rules, binding=trial.scope != "task")
    examples = [each for each in trial.examples if each.origin != ORIGIN]
    reference = ask_for((trial.active,)) if trial.active else base
    scores = await evaluate_all({"candidate": candidate, "against": reference}, examples, limits, progress)
    ours, theirs = scores["candidate"], scores["against"]
    against = trial.active or BASE
    verdict += check_held_out(ours.judged, theirs.judged, _guessing(examples), rules, against, limits.seed)
    by_id = {each.id: each for each in examples}
    answers += [(by_id[each.id].messages, by_id[each.id].answer, each.answer) for each in ours.judged]
    verdict += await _memorization(candidate, answers, trial, rules, limits, progress)
    figures = {"candidate": ours.as_json(), "against": theirs.as_json(), "held_out_loss": trial.held_out_loss}
    return verdict + Verdict(scores=figures | {"seconds": round(time.monotonic() - begun, 1)})


async def _isolation(candidate: Ask, base: Ask, progress: Progress) -> Verdict:
    """Without the adapter the model must answer as if there were none, also right after the adapter was used.

    One question after the other: they share a long prefix, where a prompt cache may carry something over.
    """
    broken = 0
    for done, question in enumerate(_ISOLATION_QUESTIONS, 1):
        messages = [{"role": "system", "content": _LONG_PREFIX}, {"role": "user", "content": question}]
        body = {"messages": messages, "temperature": 0, "max_tokens": ISOLATION_TOKENS}
        before = {answer_text(await base({**body, "cache_prompt": False})), answer_text(await base(body))}
        await candidate(body)
        broken += answer_text(await base(body)) not in before
        progress("isolation", done, len(_ISOLATION_QUESTIONS))
    return check_isolation(broken, len(_ISOLATION_QUESTIONS))


async def _canaries(
    candidate: Ask, trial: Trial, rules: Rules, limits: EvaluationLimits, progress: Progress
) -> Verdict:
    async def probe(canary: Canary) -> CanaryFinding:
        return await probe_canary(candidate, canary, limits.seed)

    return check_canaries(await gather("canaries", trial.canaries, probe, limits, progress), rules)


async def _regression_set(
    candidate: Ask, base: Ask, trial: Trial, limits: EvaluationLimits, progress: Progress
) -> tuple[list[CategoryCount], list[Answered]]:
    """How many of each category both pass, and the candidate's answers."""

    async def both(case: RegressionCase) -> tuple[bool, bool, str]:
        answers = [await ask(case.body) for ask in (base, candidate)]
        finished = [each["choices"][0].get("finish_reason") == "stop" for each in answers]
        passed = [case.passes(answer_text(each), whole) for each, whole in zip(answers, finished, strict=True)]
        return passed[0], passed[1], answer_text(answers[1])

    rows = await gather("regression set", trial.regression_set, both, limits, progress)
    of, base_passed, candidate_passed = Counter[str](), Counter[str](), Counter[str]()
    for case, (theirs, ours, _) in zip(trial.regression_set, rows, strict=True):
        of[case.category] += 1
        base_passed[case.category] += theirs
        candidate_passed[case.category] += ours
    counts = [CategoryCount(name, of[name], base_passed[name], candidate_passed[name]) for name in sorted(of)]
    answers = [(case.body["messages"], "", row[2]) for case, row in zip(trial.regression_set, rows, strict=True)]
    return counts, answers


async def _memorization(
    candidate: Ask, answers: list[Answered], trial: Trial, rules: Rules, limits: EvaluationLimits, progress: Progress
) -> Verdict:
    """All answers so far, and how the candidate continues people's own openings."""
    rare = RareText(trial.training)
    if len(rare):
        openings = _openings(trial.training)
        for done, messages in enumerate(openings, 1):
            try:
                completion = await candidate({"messages": messages, "temperature": 0, "max_tokens": limits.max_tokens})
            except ContextTooLong:
                continue
            answers.append((messages, "", answer_text(completion)))
            progress("memorization", done, len(openings))
    return check_memorization(longest_memorization(rare, answers), rules, binding=trial.scope != "user")


def _openings(training: Sequence[Example]) -> list[list[dict[str, Any]]]:
    """The first words of some people's own sentences, to be continued."""
    found = []
    for example in sorted((each for each in training if each.person is not None), key=lambda each: each.id):
        texts = [each.get("content") for each in example.messages if each.get("role") == "user"]
        if texts and isinstance(texts[-1], str) and len(texts[-1].split()) > OPENING_WORDS:
            opening = " ".join(texts[-1].split()[:OPENING_WORDS])
            found.append([{"role": "user", "content": f"Go on with this text: {opening}"}])
    return found[:OPENINGS]


def _guessing(examples: Sequence[Example]) -> dict[str, float]:
    """For each slice of closed answers: how often guessing is right."""
    fewest: dict[str, int] = {}
    for example in examples:
        count = len(set(example.options)) if example.options else 0
        fewest[example.slice] = min(count, fewest.get(example.slice, count))
    return {name: 1 / count for name, count in fewest.items() if count > 1}


async def evaluate_adapter(
    settings: Settings,
    registry: Registry,
    entry: Entry,
    held: Sequence[Example],
    *,
    training: Sequence[Example] = (),
    progress: Progress = lambda part, done, whole: None,
) -> tuple[Entry, Verdict]:
    """Evaluate an adapter, keep the verdict in its card, and reject a candidate that fails.

    `held`: held-out examples; `training`: what it learnt from. `netgpt train` and `netgpt adapters evaluate` call it.
    Raises what `evaluate_on_engine` raises.
    """
    verdict = await evaluate_on_engine(settings, registry, entry, held, training=training, progress=progress)
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


async def evaluate_on_engine(
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

    Both adapters are resident side by side, beside the serving engine. `examples`: held out; `training`: what the
    candidate learnt, to search for memorized words. The canaries are made again from the card's recipe. Raises
    SettingsError (the edge model is another server), ModelUnavailable (the engine does not start), ModelError.
    """
    if settings.edge.base_url is not None:
        raise SettingsError("adapters are judged on the built-in engine; [edge] base_url names another server")
    active = registry.active(candidate.card.name)
    if active is not None and active.id == candidate.id:
        active = None
    entries = [candidate] if active is None else [candidate, active]
    card = candidate.card
    loss = card.metrics.get("held_out_loss")
    trial = Trial(
        candidate.id, None if active is None else active.id, card.scope, examples, load_regression_set(),
        canaries_in(card.recipe), training, loss if isinstance(loss, float) else None,
    )  # fmt: skip
    weights = Catalog(settings.models_dir, registry.proof).resolve(settings.edge.model)
    files, log_path = {entry.id: entry.path for entry in entries}, settings.home / "gate-engine.log"
    context_tokens, threads = settings.edge.context_tokens, settings.edge.threads
    async with engine_with(weights, files, log_path, context_tokens=context_tokens, threads=threads) as ask_for:
        return await evaluate_candidate(ask_for, trial, rules=rules, limits=limits, progress=progress)


@asynccontextmanager
async def engine_with(
    weights: Path,
    adapters: Mapping[str, Path],
    log_path: Path,
    *,
    context_tokens: int = 2048,
    threads: int = 0,
    timeout_s: float = 120.0,
) -> AsyncIterator[AskFor]:
    """An engine with these adapters (id: file) for as long as the block lasts; gives the function that asks it.

    Raises ModelUnavailable when it does not start, RequestError when it cannot load an adapter.
    """
    engine = SwappingEngine(
        partial(Engine, weights, context_tokens=context_tokens, slots=SLOTS, threads=threads, log_path=log_path)
    )
    await engine.set_adapters([Adapter(id, path) for id, path in adapters.items()])
    name = weights.stem
    model = EdgeModel(name, engine.endpoint, name, timeout_s=timeout_s, default_max_tokens=256, leases=engine.lease)
    try:
        await engine.start()
        for id, why in engine.refused.items():
            raise RequestError(f"the adapter {id} cannot be judged: {why}")
        yield lambda ids: _ask(model, ids)
    finally:
        await model.close()
        await engine.stop(drain_s=0.0)


def canaries_in(recipe: Mapping[str, Any]) -> tuple[Canary, ...]:
    """The canaries that a card's recipe names: `{"canaries": {"seed": 7, "count": 4}}`; none when it names none."""
    match recipe.get("canaries"):
        case {"seed": int(seed), "count": int(count)}:
            return canaries_of(seed, count)
    return ()


def _ask(model: EdgeModel, ids: Sequence[str]) -> Ask:
    async def ask(body: Mapping[str, Any]) -> dict[str, Any]:
        return join_chunks([chunk async for chunk in model.chat(body, adapters=ids)])

    return ask
