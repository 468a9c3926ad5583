"""Fitting the gate (which kind of request is this?) and the curve from expected gain to a chance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from netgpt.routing.experts import Array, Gate, Scale

__all__ = ["fit_curve", "fit_gate"]

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
