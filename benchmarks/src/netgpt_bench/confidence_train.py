"""Fits the judge of answers: a logistic model on what is known of answers whose truth a rule tells.

What a check settles takes no part in the fit. The prior of a model at a kind comes from other questions than those it
is used for, as in use. The fit pulls towards "believe the prior, and nothing else", so that what is known of few kinds
of tasks moves little.
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from netgpt.confidence import features
from netgpt.confidence.checks import examined
from netgpt.confidence.judge import BUNDLED, CARD, FORM, JudgeWeights, LogisticWeights
from netgpt.judgement import TokenStats

PULL: Final = 60.0
"""Strength of the pull of the weights towards 0."""
_SLOPE_PULL: Final = 5.0
_SMALLEST_SCALE: Final = 0.05
_PRIOR_QUESTIONS: Final = 35
"""As many as the shipped profile asked of each kind."""
_PARTS: Final = 5
_PRIOR_WEIGHT: Final = 4.0
"""So many questions count for the model's mean over all kinds."""
_UNMEASURED: Final = 0.25
"""This quantile of the priors stands for one that was never measured."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """One answer: whose, of which kind, to what, with its figures, and whether it does."""

    model: str
    kind: str
    body: Mapping[str, Any]
    answer: str
    stats: TokenStats | None
    does: bool
    facts: tuple[str, ...] = ()
    source: str = ""


def priors(samples: Sequence[Sample], seed: int = 7) -> list[float]:
    """For each sample how often its model does at its kind, by the other samples of the same source: those of the
    other four of five parts, `_PRIOR_QUESTIONS` at most."""
    random, rows = np.random.default_rng(seed), defaultdict[tuple[str, ...], list[int]](list)
    for index, sample in enumerate(samples):
        rows[sample.model, sample.kind, sample.source].append(index)
    means = {model: float(np.mean([one.does for one in samples if one.model == model])) for model, *_ in rows}
    found = [0.0] * len(samples)
    for (model, *_), indices in rows.items():
        mixed = [int(one) for one in random.permutation(indices)]
        for part in range(_PARTS):
            counted = [samples[one].does for at, one in enumerate(mixed) if at % _PARTS != part][:_PRIOR_QUESTIONS]
            chance = (sum(counted) + _PRIOR_WEIGHT * means[model]) / (len(counted) + _PRIOR_WEIGHT)
            for one in mixed[part::_PARTS]:
                found[one] = chance
    return found


@dataclass(frozen=True)
class Examined:
    """What the checks and the tokens say of samples, a row each."""

    does: Array
    settled: Array  # 1: right, -1: wrong, 0: not settled
    told: Array
    seen: Array


def examine(samples: Sequence[Sample]) -> Examined:
    """Check every sample. A row of `told` is NaN where the model told nothing."""
    counts = [one.stats.count if one.stats else None for one in samples]
    checked = [
        examined(one.body, one.answer, kind=one.kind, facts=one.facts, tokens=count, whole=True)
        for one, count in zip(samples, counts, strict=True)
    ]
    stats = [features.usable(one.stats) for one in samples]
    nothing = [np.nan] * len(features.TOLD)
    return Examined(
        np.array([one.does for one in samples], np.float64),
        np.array([found.settled * (1.0 if found.right else -1.0) for found in checked]),
        np.array([features.of_stats(own, f.claims) if own else nothing for own, f in zip(stats, checked, strict=True)]),
        np.array([features.of_findings(found) for found in checked]),
    )


def fit(rows: Examined, known: Sequence[float], which: NDArray[np.bool_] | None = None) -> JudgeWeights:
    """The judge that these samples teach. `known`: their priors; `which`: those that are learnt from."""
    wanted = np.ones(len(rows.does), bool) if which is None else which
    logits = np.array([features.logit(one) for one in known])
    weighed = wanted & (rows.settled == 0)
    has = weighed & ~np.isnan(rows.told).any(axis=1)
    right, wrong = (rows.does[wanted & (rows.settled == sign)] for sign in (1, -1))
    return JudgeWeights(
        _logistic(features.TOLD + features.SEEN, np.hstack([rows.told, rows.seen])[has], rows.does[has], logits[has]),
        _logistic(features.SEEN, rows.seen[weighed], rows.does[weighed], logits[weighed]),
        right=float((right.sum() + 9) / (len(right) + 10)),
        wrong=float((wrong.sum() + 0.5) / (len(wrong) + 10)),
        unmeasured=float(np.quantile(np.array(known)[wanted], _UNMEASURED)),
    )


def _logistic(names: tuple[str, ...], rows: Array, does: Array, logits: Array) -> LogisticWeights:
    """Newton's method; the slope of the prior's logit is pulled towards 1, all else but the offset towards 0."""
    mean, scale = rows.mean(axis=0), rows.std(axis=0) + _SMALLEST_SCALE
    design = np.column_stack([(rows - mean) / scale, np.ones(len(rows)), logits])
    pull = np.diag([PULL] * len(names) + [1e-6, _SLOPE_PULL])
    aim = np.array([0.0] * (len(names) + 1) + [1.0])
    beta = aim.copy()
    for _ in range(60):
        chance = 1 / (1 + np.exp(-design @ beta))
        slope = design.T @ (chance - does) + pull @ (beta - aim)
        step = np.linalg.solve((design.T * (chance * (1 - chance))) @ design + pull, slope)
        beta -= step
        if float(abs(step).max()) < 1e-8:
            break
    *weight, offset, of_prior = (float(one) for one in beta)
    return LogisticWeights(names, tuple(mean.tolist()), tuple(scale.tolist()), tuple(weight), offset, of_prior)


def write(weights: JudgeWeights, folder: Path, card: Mapping[str, Any]) -> None:
    """Write weights and card, as the package has them."""
    arrays = {"chances": np.array([weights.right, weights.wrong, weights.unmeasured], np.float32)}
    for name, model in (("told", weights.told), ("untold", weights.untold)):
        for part in ("mean", "scale", "weight"):
            arrays[f"{name}.{part}"] = np.array(getattr(model, part), np.float32)
        arrays[f"{name}.rest"] = np.array([model.offset, model.slope], np.float32)
    data = save(arrays, {"form": FORM})
    folder.joinpath(BUNDLED).write_bytes(data)
    full = {**card, "sha256": hashlib.sha256(data).hexdigest()}
    folder.joinpath(CARD).write_text(json.dumps(full, indent=1) + "\n", encoding="utf-8")
