"""`netgpt bench completion`: how well the facts are chosen, and what the edge model invents when it rewrites.

Requests are people's own (CLINC150, SLURP, SNIPS, development parts, read by path); what each needs follows from its
intent label (`completion_truth.py`); the seven facts to choose from are generated. Only rows that the recipe of the
adapter reserves are asked: 15 % of each file, by a digest of the words, which no training and no cut has seen. They
are of the same origin as the training rows; `--adapter` with one trained on one data set shows the fall-off on others.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from netgpt.bench.completion_cases import CompletionCase, load_cases
from netgpt.bench.report import percentile
from netgpt.completion.judge import answer_text
from netgpt.completion.rewrite import check, invented, rewriting
from netgpt.completion.select import Ask, Selector
from netgpt.embedding import StaticEmbedder
from netgpt.errors import ModelError
from netgpt.examples.complete_recipe import DATASETS

__all__ = ["Tally", "run"]

Choose = Callable[[CompletionCase], Awaitable[Sequence[int]]]
NEAREST = 3
"""Facts given by nearness alone."""
PATIENCE_S = 60.0
"""With the edge model: a figure should not depend on how busy the machine is."""


@dataclass
class Tally:
    """Counts of one way of choosing: facts rightly and wrongly given, missed; requests given a wrong one; times."""

    right: int = 0
    wrong: int = 0
    missed: int = 0
    requests: int = 0
    spoiled: int = 0
    milliseconds: list[float] = field(default_factory=list)

    def add(self, chosen: frozenset[int], needed: frozenset[int]) -> None:
        self.right += len(chosen & needed)
        self.wrong += len(chosen - needed)
        self.missed += len(needed - chosen)
        self.requests += 1
        self.spoiled += bool(chosen - needed)

    def figures(self) -> dict[str, Any]:
        """Precision and recall over all facts (None of nothing), share of requests wrongly given a fact."""
        given, due = self.right + self.wrong, self.right + self.missed
        return {
            "precision": self.right / given if given else None,
            "recall": self.right / due if due else None,
            "requests wrongly given": self.spoiled / self.requests if self.requests else None,
        }


async def run(
    data: Path,
    *,
    ask: Ask | None,
    trained: Ask | None = None,
    sample: int = 300,
    max_facts: int = 6,
    seed: int = 7,
    progress: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Measure every way; the edge model's only with `ask`, the adapter's only with `trained` (the adapter is on).

    Raises RequestError when the data is not there.

    Returns `{"rows": [...], ...}`; shares from 0 to 1, times in milliseconds.
    """
    cases = load_cases(data, sample, seed)
    rows = []
    for name, choose in _ways(ask, trained, max_facts).items():
        progress(f"{name}: {len(cases)} requests")
        rows.append({"way": name, **await _measure(choose, cases)})
    if ask is not None:
        progress(f"edge model, rewrite: {len(cases)} requests")
        rows.append({"way": "edge model, rewrite", **await _measure_rewrite(ask, cases, max_facts)})
    return {
        "rows": rows,
        "samples": len(cases),
        "seed": seed,
        "facts offered": len(cases[0].facts),
        "facts given at most": max_facts,
        "needed nothing": round(sum(not case.needed for case in cases) / len(cases), 2),
        "drawn from": "only those that the recipe reserves: 15 % of each development file, seen by no training",
    }


def _ways(ask: Ask | None, trained: Ask | None, max_facts: int) -> dict[str, Choose]:
    embed = StaticEmbedder()
    embed.load()

    async def nothing(case: CompletionCase) -> Sequence[int]:
        return ()

    async def everything(case: CompletionCase) -> Sequence[int]:
        return range(len(case.facts))

    async def nearest(case: CompletionCase) -> Sequence[int]:
        vectors = embed([case.request, *(fact.text for fact in case.facts)])
        return [int(index) for index in (vectors[1:] @ vectors[0]).argsort()[::-1][:NEAREST]]

    ways: dict[str, Choose] = {"nothing": nothing, "all facts": everything, f"embedding top-{NEAREST}": nearest}
    ways["topics by embedding"] = _selecting(Selector(None, embed, max_facts))
    selector = Selector(ask, embed, max_facts, judge_s=PATIENCE_S)
    if ask is not None:
        ways["edge model, untrained"] = _selecting(selector)
    if trained is not None:
        ways["edge model, adapter"] = _selecting(selector, trained)
        ways["adapter, facts as plain text"] = _selecting(selector, trained, plain=True)
    return ways


def _selecting(selector: Selector, trained: Ask | None = None, *, plain: bool = False) -> Choose:
    """`plain`: without the facts' kinds, as somebody else's profile gives them."""

    async def choose(case: CompletionCase) -> Sequence[int]:
        facts = [replace(fact, kind="other") for fact in case.facts] if plain else case.facts
        return (await selector.select(case.request, facts, trained)).chosen

    return choose


async def _measure(choose: Choose, cases: Sequence[CompletionCase]) -> dict[str, Any]:
    whole, parts = Tally(), {dataset: Tally() for dataset in DATASETS}
    await choose(cases[0])  # what is read on first use is not a request's time
    for case in cases:
        started = time.perf_counter()
        chosen = frozenset(await choose(case))
        whole.milliseconds.append((time.perf_counter() - started) * 1000)
        for tally in (whole, parts[case.dataset]):
            tally.add(chosen, case.needed)
    return {
        **whole.figures(),
        **{f"{name} P/R": _pair(tally.figures()) for name, tally in parts.items()},
        "invented raw": 0.0,  # a selection writes nothing of its own
        "invented checked": 0.0,
        "ms p50": percentile(whole.milliseconds, 0.5),
        "ms p95": percentile(whole.milliseconds, 0.95),
    }


async def _measure_rewrite(ask: Ask, cases: Sequence[CompletionCase], max_facts: int) -> dict[str, Any]:
    """Rewrite each request with the facts that it needs: shares with something invented, before and after the check."""
    raw = passed = after = asked = 0
    times: list[float] = []
    for case in cases:
        facts = [case.facts[index] for index in sorted(case.needed)][:max_facts]
        if not facts:
            continue
        asked += 1
        started = time.perf_counter()
        try:
            text = " ".join(answer_text(await ask(rewriting(case.request, facts))).split())
        except ModelError:
            text = ""
        times.append((time.perf_counter() - started) * 1000)
        foreign = bool(invented(text, case.request, facts))
        accepted = check(text, case.request, facts) is None
        raw, passed, after = raw + foreign, passed + accepted, after + (accepted and foreign)
    return {
        "invented raw": raw / asked if asked else None,
        "invented checked": after / passed if passed else 0.0,
        "accepted": passed / asked if asked else None,
        "ms p50": percentile(times, 0.5),
        "ms p95": percentile(times, 0.95),
    }


def _pair(figures: dict[str, Any]) -> str:
    return "/".join("-" if figures[name] is None else f"{figures[name]:.2f}" for name in ("precision", "recall"))
