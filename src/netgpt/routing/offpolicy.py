"""What another policy would have earned, judged by records of one that now and then drew another arm than its best.

Inverse propensity scoring (Horvitz and Thompson 1952), its self-normalised form (Swaminathan and Joachims 2015) and the
doubly robust estimate (Dudik, Langford and Li 2011), each with a bootstrapped 95 % interval. Where the records do not
hold what is needed, the answer is that nobody can tell.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["LEAST_EFFECTIVE", "Interval", "OffPolicyEstimate", "Sample", "estimate"]

Grid = NDArray[np.float64]

LEAST_EFFECTIVE: Final = 30.0
"""With fewer records' worth of evidence no figure is given."""
ROUNDS: Final = 1_000
"""Of the bootstrap, in which every record counts a Poisson number of times (Chamandy et al. 2012)."""
PAGE: Final = 50
"""Rounds drawn at once: a bound on memory."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One record, seen by one target policy."""

    reward: float
    propensity: float
    """The chance with which the arm of the record was drawn."""
    target: float
    """The chance with which the target policy draws the same arm."""
    predicted: float
    """What the arm of the record was expected to earn."""
    predicted_target: float
    """What the target policy's arms were expected to earn, by its chances."""


@dataclass(frozen=True, slots=True)
class Interval:
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class OffPolicyEstimate:
    """What the target policy would have earned a request; the intervals are None where nobody can tell."""

    records: int
    effective: float
    """Kish's effective sample size: as many even records would tell as much."""
    ips: Interval | None
    snips: Interval | None
    dr: Interval | None

    @property
    def can_tell(self) -> bool:
        return self.dr is not None


def estimate(samples: Sequence[Sample], seed: int = 0) -> OffPolicyEstimate:
    """Estimate from records; the same seed gives the same intervals."""
    if not samples:
        return OffPolicyEstimate(0, 0.0, None, None, None)
    table = np.array([[s.reward, s.target / s.propensity, s.predicted, s.predicted_target] for s in samples])
    weights = table[:, 1]
    squares = float((weights**2).sum())
    effective = float(weights.sum()) ** 2 / squares if squares else 0.0
    if effective < LEAST_EFFECTIVE:
        return OffPolicyEstimate(len(samples), effective, None, None, None)
    columns = _columns(table)
    rng = np.random.default_rng(seed)
    rounds = (rng.poisson(1.0, (PAGE, len(table))) for _ in range(ROUNDS // PAGE))
    again = np.concatenate([_three(page @ columns) for page in rounds])
    low, high = np.quantile(again, (0.025, 0.975), axis=0)
    values = _three(columns.sum(axis=0, keepdims=True))[0]
    ips, snips, dr = (Interval(float(v), float(a), float(b)) for v, a, b in zip(values, low, high, strict=True))
    return OffPolicyEstimate(len(samples), effective, ips, snips, dr)


def _columns(table: Grid) -> Grid:
    """What the three estimates sum up, record by record."""
    reward, weight, predicted, predicted_target = table.T
    robust = predicted_target + weight * (reward - predicted)
    return np.stack([weight * reward, weight, robust, np.ones(len(table))], axis=1)


def _three(sums: Grid) -> Grid:
    """IPS, self-normalised IPS and doubly robust, from sums of the columns: (rounds, 3)."""
    weighted, weight, robust, count = sums.T
    count = np.maximum(count, 1.0)
    return np.stack([weighted / count, weighted / np.where(weight > 0, weight, 1.0), robust / count], axis=1)
