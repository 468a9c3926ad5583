"""What a router is worth: the gap between a weak and a strong model that it recovers, and what that costs.

RouteLLM (arXiv 2406.18665): sending a share c of the requests to the strong model, those first that the router ranks
hardest, recovers PGR(c) = (score at c - weak) / (strong - weak). APGR is the mean of PGR over all c, here the exact
area at every request rather than at ten levels; CPT(x) is the smallest c with PGR(c) >= x.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Floats", "apgr", "cpt", "recovered"]

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
