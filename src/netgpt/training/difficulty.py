"""From labelled rows to the model's file: an expert a kind, a gate between them, curves to chances, and the card."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import blake2b, sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from netgpt import word_pieces
from netgpt.errors import RequestError
from netgpt.routing.difficulty import EMBEDDING, NAMES, Array, Embedder, Expert, Gate, Scale, features_of, nearness
from netgpt.training.difficulty_data import LICENCES, Labelled

# --- Fitting the gate (which kind of request is this?) and the curve from expected gain to a chance.

_STEPS, _RATE, _INERTIA, _DECAY = 600, 50.0, 0.9, 1e-5


def fit_gate(kinds: Sequence[Array]) -> Gate:
    """A softmax regression over the traits of each kind's rows, by full gradient steps; every kind counts alike."""
    outside = np.vstack(kinds)
    scale = Scale.learnt(outside)
    rows = scale.of(outside).astype(np.float64)
    kind = np.repeat(np.arange(len(kinds)), [len(of_kind) for of_kind in kinds])
    truth = np.eye(len(kinds))[kind]
    share = np.array([1 / (len(kinds) * len(of_kind)) for of_kind in kinds])[kind][:, None]
    weights, bias = np.zeros((rows.shape[1], len(kinds))), np.zeros(len(kinds))
    pace, drift = np.zeros_like(weights), np.zeros_like(bias)
    for _ in range(_STEPS):
        told = rows @ weights + bias
        told = np.exp(told - told.max(axis=1, keepdims=True))
        wrong = (told / told.sum(axis=1, keepdims=True) - truth) * share
        pace = _INERTIA * pace - _RATE * (rows.T @ wrong + _DECAY * weights)
        drift = _INERTIA * drift - wrong.sum(axis=0)
        weights, bias = weights + pace, bias + drift
    return Gate(scale.mean, scale.spread, weights.astype(np.float32), bias.astype(np.float32))


def fit_curve(gain: NDArray[np.float64], ok: NDArray[np.float64]) -> NDArray[np.float64]:
    """(a, b) of chance = sigmoid(a - b gain) by Newton's steps (Platt 1999). b stays positive: order is kept."""
    design = np.stack([np.ones_like(gain), -gain], axis=1)
    found = np.array([1.0, 1.0])
    for _ in range(50):
        chance = 1 / (1 + np.exp(-np.clip(design @ found, -30, 30)))
        bend = (design * (chance * (1 - chance))[:, None]).T @ design + 1e-3 * np.eye(2)
        found = found + np.linalg.solve(bend, design.T @ (ok - chance) - 1e-3 * found)
    return np.array([found[0], max(found[1], 1e-3)])


# --- What a router is worth: the gap between a weak and a strong model that it recovers, and what that costs.
#
# RouteLLM (arXiv 2406.18665): sending a share c of the requests to the strong model, those first that the router
# ranks hardest, recovers PGR(c) = (score at c - weak) / (strong - weak). APGR is the mean of PGR over all c, here
# the exact area at every request rather than at ten levels; CPT(x) is the smallest c with PGR(c) >= x.

Floats = NDArray[np.floating]


def recovered(hardness: Floats, gain: Floats) -> NDArray[np.float64]:
    """PGR when 0, 1, ... n requests go to the strong model, hardest first: (n + 1,).

    Requests of the same hardness share the gain of their group, so that no order of ties flatters. `gain` is the strong
    model's score less the weak one's. Raises ValueError when there is no gap to recover.
    """
    if gain.sum() <= 0:
        raise ValueError("the strong model is not better on these rows: there is no gap to recover")
    _, group = np.unique(-np.asarray(hardness, dtype=np.float64), return_inverse=True)
    shared = np.bincount(group, weights=gain) / np.bincount(group)
    ordered = shared[np.sort(group)]
    return np.concatenate([[0.0], np.cumsum(ordered)]) / float(gain.sum())


def apgr(hardness: Floats, gain: Floats) -> float:
    """The mean of the recovered gap over all shares of strong calls; 0.5 for a random router."""
    curve = recovered(hardness, gain)
    return float((curve[:-1] + curve[1:]).mean() / 2)


def cpt(hardness: Floats, gain: Floats, level: float) -> float:
    """The smallest share of strong calls, in percent, that recovers `level` (0 to 1) of the gap."""
    curve = recovered(hardness, gain)
    reached = np.flatnonzero(curve >= level - 1e-12)
    return 100.0 * float(reached[0]) / len(gain)


# --- Fitting an expert: kernel ridge regression on landmarks (Nystroem), with the weight of its penalty chosen inside.
#
# Williams and Seeger (2001) for the landmarks. All is closed form and seeded: the same rows give the same expert.

_JITTER = 1e-4


@dataclass(frozen=True)
class Rows:
    """Labelled requests of one kind: features as `features_of` gives them, and what the large model gained."""

    outside: Array
    vectors: Array
    gain: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.gain)

    def at(self, places: NDArray[np.intp]) -> Rows:
        """Only these rows."""
        return Rows(self.outside[places], self.vectors[places], self.gain[places])


@dataclass(frozen=True)
class KernelShape:
    """What is chosen, not learnt: width of the kernel, penalty, axes and landmarks."""

    gamma: float = 0.5
    penalty: float = 3.0
    axes: int = 160
    landmarks: int = 600
    words: bool = True
    """Look at word vectors, not at traits alone."""


GAMMAS = (0.1, 0.3, 1.0)
PENALTIES = (1.0, 3.0, 10.0)


@dataclass(frozen=True)
class Ground:
    """Rows on the axes along which they differ most: what experts of any width share."""

    scale: Scale
    axes: Array
    centre: Array
    placed: Array

    @classmethod
    def of(cls, rows: Rows, shape: KernelShape) -> Ground:
        """Scale and axes of these rows."""
        scale = Scale.learnt(rows.outside)
        vectors = rows.vectors if shape.words else np.zeros_like(rows.vectors)
        features = np.hstack([scale.of(rows.outside), EMBEDDING * vectors])
        axes = _axes(features, shape.axes)
        centre = _small(features.mean(axis=0) @ axes)
        return cls(scale, axes, centre, features @ axes - centre)


def fit(
    rows: Rows, shape: KernelShape, seed: int, penalties: Sequence[float] = (), ground: Ground | None = None
) -> list[Expert]:
    """One expert for each penalty (default: the shape's own). They share all work but the last step."""
    ground = ground or Ground.of(rows, shape)
    placed = ground.placed
    drawn = np.random.default_rng(seed).permutation(len(rows))[: shape.landmarks]
    landmarks = placed[np.sort(drawn)]
    unfolded = _unfolding(landmarks, shape.gamma)
    seen = nearness(placed, landmarks, shape.gamma).astype(np.float64) @ unfolded
    middle, level = seen.mean(axis=0), float(rows.gain.mean())
    values, turns = np.linalg.eigh((seen - middle).T @ (seen - middle))
    pulled = turns.T @ ((seen - middle).T @ (rows.gain - level))
    experts = []
    for penalty in penalties or (shape.penalty,):
        slopes = turns @ (pulled / (np.maximum(values, 0) + penalty))
        curve = np.array([shape.gamma, level - middle @ slopes])
        experts.append(
            Expert(
                ground.scale.mean,
                ground.scale.spread,
                ground.axes,
                ground.centre,
                *map(_small, (landmarks, unfolded @ slopes, curve)),
            )
        )
    return experts


def choose(rows: Rows, seed: int, folds: int = 5, shape: KernelShape | None = None) -> KernelShape:
    """The width and penalty that rank best on rows left out, by cross-validation within these rows alone."""
    shape = shape or KernelShape()
    place = np.random.default_rng(seed).permutation(len(rows)) % folds
    told = {gamma: np.zeros((len(PENALTIES), len(rows))) for gamma in GAMMAS}
    for fold in range(folds):
        left, out = rows.at(np.flatnonzero(place != fold)), np.flatnonzero(place == fold)
        ground = Ground.of(left, shape)
        for gamma in GAMMAS:
            for number, expert in enumerate(fit(left, replace(shape, gamma=gamma), seed, PENALTIES, ground)):
                told[gamma][number, out] = expert.gain(rows.outside[out], rows.vectors[out])
    found = {
        (gamma, penalty): apgr(hardness, rows.gain)
        for gamma in GAMMAS
        for penalty, hardness in zip(PENALTIES, told[gamma], strict=True)
    }
    gamma, penalty = max(found, key=lambda key: found[key])
    return replace(shape, gamma=gamma, penalty=penalty)


def _axes(features: Array, count: int) -> Array:
    """The directions in which the rows differ most: (features, axes), from whichever square matrix is the smaller."""
    apart = (features - features.mean(axis=0)).astype(np.float64)
    few = len(apart) < apart.shape[1]
    values, turns = np.linalg.eigh(apart @ apart.T if few else apart.T @ apart)
    best = np.argsort(-values)[:count]
    best = best[values[best] > _JITTER]
    axes = apart.T @ turns[:, best] / np.sqrt(values[best]) if few else turns[:, best]
    return _small(axes)


def _unfolding(landmarks: Array, gamma: float) -> NDArray[np.float64]:
    near = nearness(landmarks, landmarks, gamma).astype(np.float64)
    values, turns = np.linalg.eigh(near + _JITTER * np.eye(len(near)))
    unfolded: NDArray[np.float64] = turns / np.sqrt(np.maximum(values, _JITTER))
    return unfolded


def _small(array: NDArray[np.floating]) -> Array:
    return np.ascontiguousarray(array, dtype=np.float32)


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
        "word vectors": f"wordllama {word_pieces.VERSION}, MIT, not part of the file",
        "seed": seed,
        "versions": {name: version(name) for name in ("numpy", "safetensors")},
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


# --- Writing the model of difficulty: weights, and the card beside them.

_HALVED = (".axes", ".landmarks")
"""Large arrays whose digits beyond half precision change no ranking."""


def ship(made: TrainedDifficulty, path: Path) -> dict[str, Any]:
    """Write `path` (.safetensors) and its card (.json); returns the card. Raises RequestError: it cannot be written."""
    if path.suffix != ".safetensors":
        raise RequestError(
            f"{path}: name the file with the ending .safetensors; its card is written beside it as .json"
        )
    arrays = {
        name: np.ascontiguousarray(array, dtype=np.float16 if name.endswith(_HALVED) else np.float32)
        for name, array in sorted(made.arrays.items())
    }
    content = save(arrays)
    card = {**made.card, "bytes": len(content), "sha256": sha256(content).hexdigest()}
    told = json.dumps(card, indent=1, ensure_ascii=False) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for target, data in ((path, content), (path.with_suffix(".json"), told.encode())):
            beside = target.with_name(target.name + ".new")
            beside.write_bytes(data)
            beside.replace(target)
    except OSError as error:
        raise RequestError(f"{path}: cannot be written: {error.strerror}") from None
    return card
