"""Fitting an expert: kernel ridge regression on landmarks (Nystroem), with the weight of its penalty chosen inside.

Williams and Seeger (2001) for the landmarks. All is closed form and seeded: the same rows give the same expert.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from netgpt.grading.measure import apgr
from netgpt.routing.experts import EMBEDDING, Array, Expert, Scale, nearness

__all__ = ["KernelShape", "Rows", "choose", "fit"]

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
