"""What is believed of one arm: how far its answers do better or worse than was thought of it beforehand.

A Bayesian linear model of the difference between what happened (1: the answer did, 0: it did not) and the prior, over
the features of the request; old observations fade (discounted least squares, as in D-LinUCB, Russac et al. 2019).
Where nothing was seen it says nothing, with its full uncertainty, and so it does again where all has faded.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

__all__ = ["Belief", "Evidence", "phi_of"]

Vector = NDArray[np.float64]

NOISE: Final = 0.2
"""Variance of one answer doing or not around its chance: 0.25 at one half, less at the ends."""
LIMIT: Final = 3.0
"""Features are cut to this: no odd request may pull a model about by its size."""
MOST_FEATURES: Final = 16
SIZE: Final = MOST_FEATURES + 1


@dataclass(frozen=True, slots=True)
class Belief:
    """The chance that an arm's answer will do, 0 to 1, and the standard deviation of what is thought of that chance."""

    mean: float
    sd: float


def phi_of(x: Sequence[float]) -> Vector:
    """A leading 1 and 16 features: cut to +-3; what is missing or not a number is 0, further ones are left out."""
    phi = np.zeros(SIZE)
    few = x[:MOST_FEATURES]
    phi[1 : len(few) + 1] = few
    if not math.isfinite(phi.sum()):
        phi = np.nan_to_num(phi, nan=0.0)
    np.maximum(np.minimum(phi, LIMIT, out=phi), -LIMIT, out=phi)
    phi[0] = 1.0
    return phi


class Evidence:
    """Faded sums of what was seen, and the ridge regression that reads them."""

    def __init__(self, *, level_sd: float = 0.2, slope_sd: float = 1.0) -> None:
        """`level_sd`: how far off a prior may be over all requests; `slope_sd`: from one kind of request to another."""
        self._prior = np.full(SIZE, NOISE / slope_sd**2 * MOST_FEATURES)
        self._prior[0] = NOISE / level_sd**2
        self._seen = np.zeros((SIZE, SIZE))
        self._sum = np.zeros(SIZE)
        self._read: tuple[Vector, Vector] | None = None

    @property
    def weight(self) -> float:
        """How many observations' worth is still remembered."""
        return float(self._seen[0, 0])

    def shift(self, phi: Vector) -> tuple[float, float]:
        """(difference from the prior, standard deviation) for a request."""
        mean, inverse = self._solved()
        return float(phi.dot(mean)), math.sqrt(NOISE * float(phi.dot(inverse.dot(phi))))

    def add(self, phi: Vector, difference: float, weight: float) -> None:
        """Count an observation: `difference` from the prior, with `weight` (1: a whole one)."""
        self._seen += weight * np.outer(phi, phi)
        self._sum += weight * difference * phi
        self._read = None

    def correct(self, phi: Vector, moment: float, weight: float) -> None:
        """Change one that was counted: `moment` is the change of weight times difference; `weight` grows or stays."""
        self._seen += max(weight, 0.0) * np.outer(phi, phi)
        self._sum += moment * phi
        self._read = None

    def fade(self, share: float) -> None:
        """Keep this share of all that was seen."""
        self._seen *= share
        self._sum *= share
        self._read = None

    def _solved(self) -> tuple[Vector, Vector]:
        if self._read is None:
            inverse: Vector = np.linalg.inv(np.diag(self._prior) + self._seen).astype(np.float64)
            self._read = (inverse @ self._sum, inverse)
        return self._read

    def numbers(self) -> dict[str, Any]:
        """All that was seen, for JSON; exact."""
        return {"seen": self._seen[_LOWER].tolist(), "sum": self._sum.tolist()}

    @classmethod
    def of_numbers(cls, numbers: Mapping[str, Any], **widths: float) -> Self:
        """Raises ValueError, TypeError or KeyError for what `numbers` did not write."""
        one = cls(**widths)
        seen, total = np.array(numbers["seen"], dtype=np.float64), np.array(numbers["sum"], dtype=np.float64)
        if seen.shape != _LOWER[0].shape or total.shape != (SIZE,):
            raise ValueError("the sums do not fit the number of features")
        if not (np.isfinite(seen).all() and np.isfinite(total).all()):
            raise ValueError("a sum is not a number")
        one._seen[_LOWER] = seen
        one._seen = one._seen + one._seen.T - np.diag(np.diag(one._seen))
        one._sum = total
        return one


_LOWER: Final = np.tril_indices(SIZE)
