"""Trains an expert of difficulty from labelled rows: a kernel machine, its calibration curve, the card.

A kernel ridge regression on landmarks (Nystroem; Williams and Seeger, 2001). All is closed form and seeded: the same
rows give the same file. `netgpt.routing.difficulty` runs what is trained here. And the figures of merit: APGR, CPT.
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
from netgpt.routing.difficulty import OWN
from netgpt.routing.expert import EMBEDDING, NAMES, Array, Embedder, Expert, Scale, features_of, nearness
from netgpt.training.difficulty_data import Labelled

Floats = NDArray[np.floating]
Progress = Callable[[str, int, int], None]
"""Part, steps done, steps in all."""
FEWEST = 50
"""Rows below which nothing useful is learnt."""
GAMMAS = (0.1, 0.3, 1.0)
PENALTIES = (1.0, 3.0, 10.0)
_FOLDS = 5
_JITTER = 1e-4
_HALVED = (".axes", ".landmarks")
"""Large arrays whose digits beyond half precision change no ranking."""


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


def train(labelled: Labelled, embed: Embedder, seed: int, progress: Progress) -> TrainedDifficulty:
    """Choose, judge and train an expert on all of these rows. Raises RequestError: too few, or they teach nothing."""
    if len(labelled.prompts) < FEWEST:
        raise RequestError(f"{len(labelled.prompts)} labelled rows are too few: give {FEWEST} or more")
    if labelled.gain.sum() <= 0:
        raise RequestError(
            "the large model is nowhere better in these rows, so there is nothing to learn: label 1 means that the "
            "small model's answer did, 0 that it did not"
        )
    progress(f"reading {len(labelled.prompts)} rows", 0, 2)
    rows = prepared(labelled, embed)
    progress("choosing, judging, training", 1, 2)
    shape = choose(rows, seed)
    gain = left_out(rows, shape, seed + 1)
    [expert] = fit(rows, shape, seed)
    curve = fit_curve(gain, labelled.ok)
    progress("done", 2, 2)
    arrays = expert.arrays(OWN) | {f"{OWN}.chance": curve.astype(np.float32)}
    return TrainedDifficulty(arrays, _card(labelled, gain, curve, shape, seed))


def _card(labelled: Labelled, gain: Floats, curve: Floats, shape: KernelShape, seed: int) -> dict[str, Any]:
    """Its figures are cross-validated: each row by an expert without it."""
    chance = 1 / (1 + np.exp(-(curve[0] - curve[1] * gain)))
    texts = blake2b("\0".join(labelled.prompts).encode("utf-8", "replace"), digest_size=16).hexdigest()
    own = {
        "rows": len(labelled.prompts),
        "texts": texts,
        "mean gain": round(float(labelled.gain.mean()), 4),
        "shape": asdict(shape),
        "left out": {
            "APGR": round(apgr(gain, labelled.gain), 3),
            "mean chance": round(float(chance.mean()), 3),
            "did as well": round(float(labelled.ok.mean()), 3),
        },
        "licence": "your own",
    }
    return {
        "what": "the chance that a small model's answer does as well as a large one's, from the text alone",
        "labels": "all rows that were given; figures are cross-validated: each row by an expert without it",
        "kinds": {OWN: own},
        "not covered": "requests unlike these; conversations, pictures, tools: nothing was labelled for them",
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
