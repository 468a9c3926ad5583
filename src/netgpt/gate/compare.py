"""Compares two adapters on the same examples: is the difference more than chance? Seeded; no bell curve is assumed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

__all__ = ["Comparison", "Figure", "compare", "figure_of"]

DRAWS = 2000
"""Random draws of a test or interval. The smallest p-value it can give is 1 / (DRAWS + 1)."""
EXACT_PAIRS = 10
"""Up to so many differing pairs, all 2^n signs are tried and nothing is drawn."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A mean of marks with its 95 % interval."""

    mean: float
    low: float
    high: float
    count: int

    def as_json(self) -> dict[str, float | int]:
        return {
            "mean": round(self.mean, 4),
            "low": round(self.low, 4),
            "high": round(self.high, 4),
            "count": self.count,
        }


@dataclass(frozen=True, slots=True)
class Comparison:
    """`difference`: mean of (ours - theirs) over the pairs; `p_better`: how likely chance alone would give so good a
    difference; `p_worse`: so bad a one."""

    difference: float
    low: float
    high: float
    p_better: float
    p_worse: float
    count: int

    def as_json(self) -> dict[str, float | int]:
        return {
            "difference": round(self.difference, 4),
            "low": round(self.low, 4),
            "high": round(self.high, 4),
            "p_better": round(self.p_better, 5),
            "p_worse": round(self.p_worse, 5),
            "count": self.count,
        }


def figure_of(marks: Sequence[float], seed: int = 7) -> Figure:
    """The mean of marks in [0, 1]: Wilson's interval when all are 0 or 1, else the bootstrap's percentiles."""
    if not marks:
        return Figure(0.0, 0.0, 1.0, 0)
    values = np.asarray(marks, dtype=float)
    mean = float(values.mean())
    if np.isin(values, (0.0, 1.0)).all():
        low, high = _wilson(int(values.sum()), len(values))
    else:
        low, high = _bootstrap(values, seed)
    return Figure(mean, low, high, len(values))


def compare(ours: Sequence[float], theirs: Sequence[float], seed: int = 7) -> Comparison:
    """Paired comparison of marks of the same examples in the same order.

    The test is Fisher's sign-flip test of the differences: under "no difference", each difference might as well have
    the other sign. The interval is the bootstrap's. Raises ValueError when the two are not of the same length.
    """
    if len(ours) != len(theirs):
        raise ValueError("a paired comparison needs both marks of each example")
    if not ours:
        return Comparison(0.0, -1.0, 1.0, 1.0, 1.0, 0)
    differences = np.asarray(ours, dtype=float) - np.asarray(theirs, dtype=float)
    low, high = _bootstrap(differences, seed)
    return Comparison(
        float(differences.mean()), low, high,
        _sign_flip_p(differences, seed), _sign_flip_p(-differences, seed), len(differences),
    )  # fmt: skip


def _wilson(right: int, count: int, z: float = 1.96) -> tuple[float, float]:
    share, whole = right / count, 1 + z * z / count
    middle = (share + z * z / (2 * count)) / whole
    half = z / whole * math.sqrt(share * (1 - share) / count + z * z / (4 * count * count))
    return max(0.0, middle - half), min(1.0, middle + half)


def _bootstrap(values: np.ndarray, seed: int) -> tuple[float, float]:
    draws = np.random.default_rng(seed).integers(0, len(values), (DRAWS, len(values)))
    low, high = np.quantile(values[draws].mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


def _sign_flip_p(differences: np.ndarray, seed: int) -> float:
    """The share of sign patterns whose sum is at least as great as the one seen."""
    moved = differences[differences != 0]
    if not len(moved):
        return 1.0
    seen = moved.sum() - 1e-9
    if len(moved) <= EXACT_PAIRS:
        bits = np.arange(2 ** len(moved))[:, None] >> np.arange(len(moved)) & 1
        return float((((2 * bits - 1) * np.abs(moved)).sum(axis=1) >= seen).mean())
    signs = np.random.default_rng(seed).integers(0, 2, (DRAWS, len(moved))) * 2 - 1
    return float(((signs * np.abs(moved)).sum(axis=1) >= seen).sum() + 1) / (DRAWS + 1)
