"""From labelled rows to the model's file: an expert a kind, a gate between them, curves to chances, and the card."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import blake2b
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netgpt.errors import RequestError
from netgpt.grading.gate import fit_curve, fit_gate
from netgpt.grading.kernel import KernelShape, Rows, choose, fit
from netgpt.grading.measure import apgr
from netgpt.grading.sets import LICENCES, Labelled
from netgpt.routing.difficulty import Embedder
from netgpt.routing.experts import Array, Expert, features_of
from netgpt.routing.traits import NAMES

__all__ = ["FEWEST", "Learnt", "TrainedDifficulty", "assembled", "learn", "make", "prepared"]

FEWEST = 50
"""Rows below which nothing worth having is learnt."""
_FOLDS = 5
Told = Callable[[str, int, int], None]
"""Part, steps done, steps in all."""


@dataclass(frozen=True)
class TrainedDifficulty:
    """What goes into the file and its card."""

    arrays: Mapping[str, Array]
    card: Mapping[str, Any]


@dataclass(frozen=True)
class Learnt:
    """One kind of request, learnt."""

    kind: str
    expert: Expert
    curve: NDArray[np.float64]
    outside: Array
    told: Mapping[str, Any]


def prepared(labelled: Labelled, embed: Embedder) -> Rows:
    """The rows with their features read."""
    return Rows(*features_of(labelled.prompts, embed), labelled.gain)


def left_out(rows: Rows, shape: KernelShape, seed: int) -> NDArray[np.float64]:
    """Each row's expected gain by an expert that did not see it: five folds."""
    place = np.random.default_rng(seed).permutation(len(rows)) % _FOLDS
    told = np.zeros(len(rows))
    for fold in range(_FOLDS):
        out = np.flatnonzero(place == fold)
        [expert] = fit(rows.at(np.flatnonzero(place != fold)), shape, seed)
        told[out] = expert.gain(rows.outside[out], rows.vectors[out])
    return told


def learn(kind: str, labelled: Labelled, rows: Rows, seed: int) -> Learnt:
    """Choose, judge and train one expert. Raises RequestError when the rows are too few, or teach nothing."""
    _check(labelled)
    shape = choose(rows, seed)
    gain = left_out(rows, shape, seed + 1)
    [expert] = fit(rows, shape, seed)
    curve = fit_curve(gain, labelled.ok)
    return Learnt(kind, expert, curve, rows.outside, _told_of(labelled, gain, curve, shape))


def assembled(learnt: Sequence[Learnt], seed: int) -> TrainedDifficulty:
    """The experts with a gate between them."""
    arrays = dict(fit_gate([one.outside for one in learnt]).arrays())
    for one in learnt:
        arrays |= one.expert.arrays(one.kind) | {f"{one.kind}.chance": one.curve.astype(np.float32)}
    return TrainedDifficulty(arrays, _card({one.kind: one.told for one in learnt}, seed))


def make(sets: Mapping[str, Labelled], embed: Embedder, seed: int, told: Told) -> TrainedDifficulty:
    """Train on all of these rows. Raises RequestError when there are too few, or they teach nothing."""
    learnt = []
    for number, (kind, labelled) in enumerate(sets.items()):
        told(f"{kind}: reading {len(labelled.prompts)} rows", 2 * number, 2 * len(sets))
        rows = prepared(labelled, embed)
        told(f"{kind}: choosing, judging, training", 2 * number + 1, 2 * len(sets))
        learnt.append(learn(kind, labelled, rows, seed))
    made = assembled(learnt, seed)
    told("done", 2 * len(sets), 2 * len(sets))
    return made


def _told_of(
    labelled: Labelled, gain: NDArray[np.float64], curve: NDArray[np.float64], shape: KernelShape
) -> dict[str, Any]:
    """What the card says of one kind; figures are of rows left out of the training that judged them."""
    judged = ~labelled.assumed
    chance = 1 / (1 + np.exp(-(curve[0] - curve[1] * gain)))
    texts = blake2b("\0".join(labelled.prompts).encode("utf-8", "replace"), digest_size=16).hexdigest()
    return {
        "rows": int(judged.sum()),
        "rows assumed easy": int(labelled.assumed.sum()),
        "texts": texts,
        "mean gain": round(float(labelled.gain[judged].mean()), 4),
        "shape": asdict(shape),
        "left out": {
            "APGR": round(apgr(gain[judged], labelled.gain[judged]), 3),
            "mean chance": round(float(chance[judged].mean()), 3),
            "did as well": round(float(labelled.ok[judged].mean()), 3),
        },
    }


def _card(learnt: Mapping[str, Any], seed: int) -> dict[str, Any]:
    return {
        "what": "the chance that a small model's answer does as well as a large one's, from the text alone",
        "labels": "all labelled rows of each kind below; figures are cross-validated: each row by a model without it",
        "kinds": {kind: {"licence": LICENCES.get(kind, "your own"), **told} for kind, told in learnt.items()},
        "not covered": "conversations, other languages than English, pictures, tools: nothing was labelled for them",
        "word vectors": f"wordllama {version('wordllama')}, MIT, not part of the file",
        "seed": seed,
        "versions": {name: version(name) for name in ("numpy", "safetensors", "tokenizers")},
        "traits": list(NAMES),
    }


def _check(labelled: Labelled) -> None:
    if len(labelled.prompts) < FEWEST:
        raise RequestError(f"{len(labelled.prompts)} labelled rows are too few: give {FEWEST} or more")
    if labelled.gain.sum() <= 0:
        raise RequestError(
            "the large model is nowhere better in these rows, so there is nothing to learn: label 1 means that the "
            "small model's answer did, 0 that it did not"
        )
