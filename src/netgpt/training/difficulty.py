"""Trains the model of difficulty from labelled rows: an expert a kind, a softmax gate, calibration curves, the card.

An expert is a kernel ridge regression on landmarks (Nystroem; Williams and Seeger, 2001). All is closed form and
seeded: the same rows give the same file. `netgpt.routing.difficulty` runs what is trained here.
"""

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

Floats = NDArray[np.floating]
Progress = Callable[[str, int, int], None]
"""Part, steps done, steps in all."""
FEWEST = 50
"""Rows below which nothing useful is learnt."""
GAMMAS = (0.1, 0.3, 1.0)
PENALTIES = (1.0, 3.0, 10.0)
_FOLDS = 5
_JITTER = 1e-4
_STEPS, _RATE, _MOMENTUM, _DECAY = 600, 50.0, 0.9, 1e-5
_HALVED = (".axes", ".landmarks")
"""Large arrays whose digits beyond half precision change no ranking."""


def fit_gate(kinds: Sequence[Array]) -> Gate:
    """Which kind of request a text is: a softmax regression over its traits, by gradient descent; kinds weigh alike."""
    outside = np.vstack(kinds)
    scale = Scale.learnt(outside)
    rows = scale.of(outside).astype(np.float64)
    kind = np.repeat(np.arange(len(kinds)), [len(of_kind) for of_kind in kinds])
    truth = np.eye(len(kinds))[kind]
    share = np.array([1 / (len(kinds) * len(of_kind)) for of_kind in kinds])[kind][:, None]
    weights, bias = np.zeros((rows.shape[1], len(kinds))), np.zeros(len(kinds))
    velocity, bias_velocity = np.zeros_like(weights), np.zeros_like(bias)
    for _ in range(_STEPS):
        logits = rows @ weights + bias
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        error = (odds / odds.sum(axis=1, keepdims=True) - truth) * share
        velocity = _MOMENTUM * velocity - _RATE * (rows.T @ error + _DECAY * weights)
        bias_velocity = _MOMENTUM * bias_velocity - error.sum(axis=0)
        weights, bias = weights + velocity, bias + bias_velocity
    return Gate(scale.mean, scale.spread, weights.astype(np.float32), bias.astype(np.float32))


def fit_curve(gain: NDArray[np.float64], ok: NDArray[np.float64]) -> NDArray[np.float64]:
    """(a, b) of chance = sigmoid(a - b gain) by Newton's method (Platt, 1999). b stays positive: order is kept."""
    design = np.stack([np.ones_like(gain), -gain], axis=1)
    found = np.array([1.0, 1.0])
    for _ in range(50):
        chance = 1 / (1 + np.exp(-np.clip(design @ found, -30, 30)))
        hessian = (design * (chance * (1 - chance))[:, None]).T @ design + 1e-3 * np.eye(2)
        found = found + np.linalg.solve(hessian, design.T @ (ok - chance) - 1e-3 * found)
    return np.array([found[0], max(found[1], 1e-3)])


def recovered(hardness: Floats, gain: Floats) -> NDArray[np.float64]:
    """The performance gap recovered (PGR) when 0, 1, ... n requests go to the strong model, hardest first: (n + 1,).

    RouteLLM (arXiv 2406.18665): sending a share c of the requests to the strong model recovers PGR(c) = (score at c -
    weak) / (strong - weak). `gain`: the strong model's score less the weak one's. Requests of the same hardness share
    the gain of their group, so that the order of ties changes nothing. Raises ValueError when there is no gap.
    """
    if gain.sum() <= 0:
        raise ValueError("the strong model is not better on these rows: there is no gap to recover")
    _, group = np.unique(-np.asarray(hardness, dtype=np.float64), return_inverse=True)
    shared = np.bincount(group, weights=gain) / np.bincount(group)
    ordered = shared[np.sort(group)]
    return np.concatenate([[0.0], np.cumsum(ordered)]) / float(gain.sum())


def apgr(hardness: Floats, gain: Floats) -> float:
    """The mean of PGR over all shares of strong calls, exact at every request; 0.5 for a random router."""
    curve = recovered(hardness, gain)
    return float((curve[:-1] + curve[1:]).mean() / 2)


def cpt(hardness: Floats, gain: Floats, level: float) -> float:
    """The smallest share of strong calls, in percent, that recovers `level` (0 to 1) of the gap."""
    curve = recovered(hardness, gain)
    reached = np.flatnonzero(curve >= level - 1e-12)
    return 100.0 * float(reached[0]) / len(gain)


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
    """Hyperparameters: width of the kernel, ridge penalty, numbers of axes and landmarks."""

    gamma: float = 0.5
    penalty: float = 3.0
    axes: int = 160
    landmarks: int = 600
    words: bool = True
    """Use word vectors, not traits alone."""


@dataclass(frozen=True)
class Projection:
    """Rows on their principal axes: what experts of any width share."""

    scale: Scale
    axes: Array
    centre: Array
    placed: Array

    @classmethod
    def of(cls, rows: Rows, shape: KernelShape) -> Projection:
        """Scale and axes of these rows."""
        scale = Scale.learnt(rows.outside)
        vectors = rows.vectors if shape.words else np.zeros_like(rows.vectors)
        features = np.hstack([scale.of(rows.outside), EMBEDDING * vectors])
        axes = _principal_axes(features, shape.axes)
        centre = _float32(features.mean(axis=0) @ axes)
        return cls(scale, axes, centre, features @ axes - centre)


def fit(
    rows: Rows, shape: KernelShape, seed: int, penalties: Sequence[float] = (), projection: Projection | None = None
) -> list[Expert]:
    """One expert for each penalty (default: the shape's own). They share all work but the last step."""
    projection = projection or Projection.of(rows, shape)
    placed = projection.placed
    drawn = np.random.default_rng(seed).permutation(len(rows))[: shape.landmarks]
    landmarks = placed[np.sort(drawn)]
    near = nearness(landmarks, landmarks, shape.gamma).astype(np.float64)
    values, vectors = np.linalg.eigh(near + _JITTER * np.eye(len(near)))
    whitening = vectors / np.sqrt(np.maximum(values, _JITTER))
    features = nearness(placed, landmarks, shape.gamma).astype(np.float64) @ whitening
    mean, level = features.mean(axis=0), float(rows.gain.mean())
    centred = features - mean
    values, vectors = np.linalg.eigh(centred.T @ centred)
    target = vectors.T @ (centred.T @ (rows.gain - level))
    scale, experts = projection.scale, []
    for penalty in penalties or (shape.penalty,):
        slopes = vectors @ (target / (np.maximum(values, 0) + penalty))
        learnt = map(_float32, (landmarks, whitening @ slopes, np.array([shape.gamma, level - mean @ slopes])))
        experts.append(Expert(scale.mean, scale.spread, projection.axes, projection.centre, *learnt))
    return experts


def choose(rows: Rows, seed: int, folds: int = _FOLDS, shape: KernelShape | None = None) -> KernelShape:
    """The width and penalty that rank best by cross-validation within these rows."""
    shape = shape or KernelShape()
    place = np.random.default_rng(seed).permutation(len(rows)) % folds
    gains = {gamma: np.zeros((len(PENALTIES), len(rows))) for gamma in GAMMAS}
    for fold in range(folds):
        left, out = rows.at(np.flatnonzero(place != fold)), np.flatnonzero(place == fold)
        projection = Projection.of(left, shape)
        for gamma in GAMMAS:
            for number, expert in enumerate(fit(left, replace(shape, gamma=gamma), seed, PENALTIES, projection)):
                gains[gamma][number, out] = expert.gain(rows.outside[out], rows.vectors[out])
    found = {
        (gamma, penalty): apgr(hardness, rows.gain)
        for gamma in GAMMAS
        for penalty, hardness in zip(PENALTIES, gains[gamma], strict=True)
    }
    gamma, penalty = max(found, key=lambda key: found[key])
    return replace(shape, gamma=gamma, penalty=penalty)


def _principal_axes(features: Array, count: int) -> Array:
    """The directions of most variance: (features, axes), from whichever square matrix is the smaller."""
    centred = (features - features.mean(axis=0)).astype(np.float64)
    few = len(centred) < centred.shape[1]
    values, vectors = np.linalg.eigh(centred @ centred.T if few else centred.T @ centred)
    best = np.argsort(-values)[:count]
    best = best[values[best] > _JITTER]
    return _float32(centred.T @ vectors[:, best] / np.sqrt(values[best]) if few else vectors[:, best])


def _float32(array: Floats) -> Array:
    return np.ascontiguousarray(array, dtype=np.float32)


@dataclass(frozen=True)
class TrainedDifficulty:
    """The content of the file and of its card."""

    arrays: Mapping[str, Array]
    card: Mapping[str, Any]


@dataclass(frozen=True)
class Learnt:
    """One kind of request after training; `card`: its entry of the card."""

    kind: str
    expert: Expert
    curve: NDArray[np.float64]
    outside: Array
    card: Mapping[str, Any]


def prepared(labelled: Labelled, embed: Embedder) -> Rows:
    """The rows with their features."""
    return Rows(*features_of(labelled.prompts, embed), labelled.gain)


def left_out(rows: Rows, shape: KernelShape, seed: int) -> NDArray[np.float64]:
    """Each row's expected gain by an expert that did not see it: five folds."""
    place = np.random.default_rng(seed).permutation(len(rows)) % _FOLDS
    gains = np.zeros(len(rows))
    for fold in range(_FOLDS):
        out = np.flatnonzero(place == fold)
        [expert] = fit(rows.at(np.flatnonzero(place != fold)), shape, seed)
        gains[out] = expert.gain(rows.outside[out], rows.vectors[out])
    return gains


def learn(kind: str, labelled: Labelled, rows: Rows, seed: int) -> Learnt:
    """Choose, judge and train one expert. Raises RequestError when the rows are too few, or teach nothing."""
    if len(labelled.prompts) < FEWEST:
        raise RequestError(f"{len(labelled.prompts)} labelled rows are too few: give {FEWEST} or more")
    if labelled.gain.sum() <= 0:
        raise RequestError(
            "the large model is nowhere better in these rows, so there is nothing to learn: label 1 means that the "
            "small model's answer did, 0 that it did not"
        )
    shape = choose(rows, seed)
    gain = left_out(rows, shape, seed + 1)
    [expert] = fit(rows, shape, seed)
    curve = fit_curve(gain, labelled.ok)
    return Learnt(kind, expert, curve, rows.outside, _kind_card(labelled, gain, curve, shape))


def assembled(learnt: Sequence[Learnt], seed: int) -> TrainedDifficulty:
    """The experts with a gate between them."""
    arrays = dict(fit_gate([one.outside for one in learnt]).arrays())
    for one in learnt:
        arrays |= one.expert.arrays(one.kind) | {f"{one.kind}.chance": one.curve.astype(np.float32)}
    return TrainedDifficulty(arrays, _card({one.kind: one.card for one in learnt}, seed))


def train(sets: Mapping[str, Labelled], embed: Embedder, seed: int, progress: Progress) -> TrainedDifficulty:
    """Train on all of these rows. Raises RequestError when there are too few, or they teach nothing."""
    learnt = []
    for number, (kind, labelled) in enumerate(sets.items()):
        progress(f"{kind}: reading {len(labelled.prompts)} rows", 2 * number, 2 * len(sets))
        rows = prepared(labelled, embed)
        progress(f"{kind}: choosing, judging, training", 2 * number + 1, 2 * len(sets))
        learnt.append(learn(kind, labelled, rows, seed))
    trained = assembled(learnt, seed)
    progress("done", 2 * len(sets), 2 * len(sets))
    return trained


def _kind_card(labelled: Labelled, gain: Floats, curve: Floats, shape: KernelShape) -> dict[str, Any]:
    """The card's entry of one kind; its figures are cross-validated."""
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
        "kinds": {kind: {"licence": LICENCES.get(kind, "your own"), **card} for kind, card in learnt.items()},
        "not covered": "conversations, other languages than English, pictures, tools: nothing was labelled for them",
        "word vectors": f"wordllama {word_pieces.VERSION}, MIT, not part of the file",
        "seed": seed,
        "versions": {name: version(name) for name in ("numpy", "safetensors")},
        "traits": list(NAMES),
    }


def export(trained: TrainedDifficulty, path: Path) -> dict[str, Any]:
    """Write `path` (.safetensors) and its card (.json); returns the card. Raises RequestError: it cannot be written."""
    if path.suffix != ".safetensors":
        raise RequestError(f"{path}: the name must end in .safetensors; the card is written beside it as .json")
    arrays = {
        name: np.ascontiguousarray(array, dtype=np.float16 if name.endswith(_HALVED) else np.float32)
        for name, array in sorted(trained.arrays.items())
    }
    content = save(arrays)
    card = {**trained.card, "bytes": len(content), "sha256": sha256(content).hexdigest()}
    text = json.dumps(card, indent=1, ensure_ascii=False) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for target, data in ((path, content), (path.with_suffix(".json"), text.encode())):
            beside = target.with_name(target.name + ".new")
            beside.write_bytes(data)
            beside.replace(target)
    except OSError as error:
        raise RequestError(f"{path}: cannot be written: {error.strerror}") from None
    return card
