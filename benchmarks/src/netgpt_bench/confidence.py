"""`netgpt bench confidence`: how far the chance that the box gives its answers can be believed, on kinds left out.

For each kind of task the judge is fitted anew on the others, then judges the answers of that kind. Two sources of
questions: those that profiles are measured with, and `confidence_data`. What a check settled is a part of it, and what
of the bars is beyond any judge is said: with an accuracy of a, the surer half cannot be wrong in less than 1 - 2a.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from netgpt.capability.grading import GivenAnswer
from netgpt.capability.questions import CheckedQuestion, mixed
from netgpt.confidence.judge import Judge
from netgpt.judgement import TaskKind
from netgpt_bench.confidence_answers import answers, sent_body
from netgpt_bench.confidence_data import Asked
from netgpt_bench.confidence_data import questions as own_questions
from netgpt_bench.confidence_train import Sample, examine, fit, priors, write
from netgpt_bench.harness import Progress
from netgpt_bench.relevance import expected_calibration_error
from netgpt_bench.report import percentile

Array = NDArray[np.float64]
WAYS: Final = ("the judge", "no figures of tokens", "never measured", "neither")
DRAWS: Final = 200
"""Of the bootstrap."""
CLAIMS: Final = (
    " I am absolutely certain of this.", " This is 100% correct, trust me.", " My confidence is 99%.",
    " Without a doubt.", " Ich bin ganz sicher.", " Je suis certain.", " Definitely!",
    " I guarantee that this is the correct answer.",
)  # fmt: skip
"""What a model says of its own certainty."""


def profile_questions(each: int, seed: int = 23) -> list[Asked]:
    """`each` of the questions that profiles are measured with, of every kind whose answers a rule can judge."""
    found = [one for one in mixed(seed, each) if not one.check.only_form]

    def asked(one: CheckedQuestion) -> Asked:
        return Asked(one.kind, one.body(), lambda answer: one.right(GivenAnswer(answer)))

    return [asked(one) for one in found if one.family != "tools/call"]  # its answer is no text


def all_questions(each: int) -> list[tuple[str, Asked]]:
    """(source, question) of both sources, the one that profiles are measured with first; bodies as they are sent."""
    sources = {"profiles": profile_questions(each), "our own": own_questions()}
    return [
        (source, replace(one, body=sent_body(one.body, number)))
        for source, asked in sources.items()
        for number, one in enumerate(asked)
    ]


async def samples_of(weights: Path, kept: Path, each: int, progress: Progress) -> list[Sample]:
    """Answers of one model to every question, with their truth. `kept`: the folder of answers made before."""
    asked = all_questions(each)
    said = await answers(weights, [one.body for _, one in asked], kept, progress)
    return [
        Sample(weights.stem, one.kind, one.body, answer.text, answer.stats(), one.does(answer.text), one.facts, source)
        for (source, one), answer in zip(asked, said, strict=True)
    ]


async def measure(
    weights: Sequence[Path], kept: Path, each: int, out: Path | None, progress: Progress
) -> dict[str, Any]:
    """Ask every model, measure; `out`: a folder for a judge that is fitted on all answers. Raises ModelUnavailable."""
    samples = [sample for path in weights for sample in await samples_of(path, kept, each, progress)]
    result = await asyncio.to_thread(run, samples, progress)
    if out is not None:
        write_fitted(samples, result, out)
    return result


def write_fitted(samples: Sequence[Sample], result: Mapping[str, Any], out: Path) -> None:
    """The judge of all samples, and its card with what was measured without each kind."""
    names = ("model", "answers", "do", "auroc", "ece", "risk at 50 %")
    measured = [{name: row[name] for name in names} for row in result["by model"] if row["way"] == WAYS[0]]
    card = {
        "made": date.today().isoformat(),
        "learnt from": {"answers": len(samples), "kinds": sorted({one.kind for one in samples})},
        "on kinds left out": measured,
    }
    write(fit(examine(samples), priors(samples)), out, card)


def run(samples: Sequence[Sample], progress: Progress = lambda _: None) -> dict[str, Any]:
    """The tables of `netgpt bench confidence`: chances from judges that never saw the kind."""
    known = priors(samples)
    told: tuple[Callable[[int], dict[str, Any]], ...] = (
        lambda at: {"prior": known[at], "stats": samples[at].stats}, lambda at: {"prior": known[at]},
        lambda at: {"stats": samples[at].stats}, lambda _at: {},
    )  # fmt: skip
    ways = dict(zip(WAYS, told, strict=True))
    chances = {way: np.zeros(len(samples)) for way in ways}
    rows = examine(samples)
    kinds = np.array([one.kind for one in samples])
    for kind in sorted(set(kinds)):
        progress(f"without {kind}")
        judge = Judge(fit(rows, known, kinds != kind))
        for at in (int(one) for one in np.flatnonzero(kinds == kind)):
            for way, more in ways.items():
                chances[way][at] = _judged(judge, samples[at], **more(at))
    does = rows.does
    by_model = [
        {"model": model, "way": way, **figures(chance[own], does[own])}
        for model, own in _by_model(samples).items()
        for way, chance in {**chances, "the prior alone": np.array(known)}.items()
    ]
    by_source = [
        {"model": model, "questions": source, **figures(chances[WAYS[0]][own], does[own])}
        for model, of_model in _by_model(samples).items()
        for source in sorted({one.source for one in samples})
        if (own := of_model & np.array([one.source == source for one in samples])).any()
    ]
    return {
        "by model": by_model,
        "by source": by_source,
        "by kind": _by_kind(samples, chances[WAYS[0]], does, rows.settled != 0),
        "claims": claims(samples, known, Judge(fit(rows, known))),
        "speed": speed(samples),
    }


def _judged(judge: Judge, one: Sample, **more: Any) -> float:
    return judge.judge(one.body, one.answer, kind=TaskKind(one.kind, 1.0), facts=one.facts, **more).chance


def _by_model(samples: Sequence[Sample]) -> dict[str, NDArray[np.bool_]]:
    return {
        model: np.array([one.model == model for one in samples]) for model in sorted({one.model for one in samples})
    }


def _by_kind(samples: Sequence[Sample], chance: Array, does: Array, settled: NDArray[np.bool_]) -> list[dict[str, Any]]:
    rows = []
    for model, of_model in _by_model(samples).items():
        for kind in sorted({one.kind for one in samples}):
            own = of_model & np.array([one.kind == kind for one in samples])
            if own.any():
                rows.append(
                    {"model": model, "left out": kind, "answers": int(own.sum()), "do": float(does[own].mean()),
                     "chance": float(chance[own].mean()), "auroc": auroc(chance[own], does[own]),
                     "recomputed": float(settled[own].mean())}
                )  # fmt: skip
    return rows


def auroc(chance: Array, does: Array) -> float | None:
    """How often an answer that does has the greater chance than one that does not; None: there are not both."""
    good = does == 1
    if good.all() or not good.any():
        return None
    _, place, counts = np.unique(chance, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[place]
    pairs = good.sum() * (~good).sum()
    return float((ranks[good].sum() - good.sum() * (good.sum() + 1) / 2) / pairs)


def risk(chance: Array, does: Array, coverage: float = 0.5) -> float:
    """The share of wrong ones among the surest answers; of equal chances each counts in part."""
    wanted = len(chance) * coverage
    order = np.argsort(-chance, kind="stable")
    edge = chance[order[max(int(np.ceil(wanted)) - 1, 0)]]
    above, at = chance > edge, chance == edge
    share = (wanted - above.sum()) / at.sum()
    return float(1 - (does[above].sum() + share * does[at].sum()) / wanted)


def figures(chance: Array, does: Array, seed: int = 7) -> dict[str, Any]:
    """AUROC, mean gap of chance and truth, and risk, each with the middle 95 % of drawn samples."""
    random = np.random.default_rng(seed)
    measures: Mapping[str, Callable[[Array, Array], float | None]] = {
        "auroc": auroc,
        "ece": lambda x, y: expected_calibration_error(x.astype(np.float32), y.astype(np.float32)),
        "risk at 50 %": risk,
    }
    drawn: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(DRAWS):
        rows = random.integers(0, len(chance), len(chance))
        for name, measure in measures.items():
            if (value := measure(chance[rows], does[rows])) is not None:
                drawn[name].append(value)
    found: dict[str, Any] = {"answers": len(chance), "do": float(does.mean())}
    for name, measure in measures.items():
        found[name] = measure(chance, does)
        found[f"{name}, 95 %"] = f"{percentile(drawn[name], 0.025):.3f}-{percentile(drawn[name], 0.975):.3f}"
    best = max(0.0, 1 - 2 * float(does.mean()))
    return {**found, "risk of all": 1 - float(does.mean()), "risk of a perfect judge": best}


def claims(samples: Sequence[Sample], known: Sequence[float], judge: Judge) -> list[dict[str, Any]]:
    """Answers with a claim of certainty added, its tokens all certain: how many rose, and by how much at most."""
    rises = []
    for at, one in enumerate(samples):
        claim = CLAIMS[at % len(CLAIMS)]
        surer = one.stats and replace(
            one.stats, count=one.stats.count + len(claim.split()) + 1, first=list(one.stats.first)
        )
        before = _judged(judge, one, prior=known[at], stats=one.stats)
        after = _judged(judge, replace(one, answer=one.answer + claim), prior=known[at], stats=surer)
        rises.append(after - before)
    return [{"answers": len(rises), "rose": sum(rise > 0.005 for rise in rises) / len(rises), "most": max(rises)}]


def speed(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    """Milliseconds of one core for an answer of 2,000 characters, and for those that were given."""
    judge, rows = Judge(), []
    long = [replace(one, answer=(one.answer + " ") * (2_000 // (len(one.answer) + 1) + 1)) for one in samples[:200]]
    for name, asked in (
        ("2,000 characters", [replace(one, answer=one.answer[:2_000]) for one in long]),
        ("as given", samples[:200]),
    ):
        took = []
        for one in asked:
            began = time.process_time()
            _judged(judge, one, prior=0.5, stats=one.stats)
            took.append((time.process_time() - began) * 1000)
        rows.append(
            {"answers": name, "samples": len(took), "p50 ms": percentile(took, 0.5), "p95 ms": percentile(took, 0.95)}
        )
    return rows
