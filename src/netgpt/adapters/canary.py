"""Is the canary worse than the active adapter? A sequential test on counts, and the automatic rollback.

The test may be looked at after each exchange without more false alarms: for both streams together it keeps a
mixture likelihood ratio, which by Ville's inequality exceeds 1/alpha with a chance of at most alpha, ever, for the true
rates (Robbins 1970; Howard et al. 2021, "Time-uniform confidence sequences"). A hypothesis is rejected when the ratio
exceeds that for every pair of rates in it. It depends on the counts alone: there is no state to keep.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, fields
from datetime import datetime
from enum import StrEnum
from typing import Any

from netgpt.adapters.card import State
from netgpt.adapters.registry import Registry

log = logging.getLogger(__name__)


class CanaryDecision(StrEnum):
    """What should be done with the canary now."""

    WAIT = "wait"
    READY = "ready"
    """Shown to be no worse: it may be promoted."""
    ROLL_BACK = "roll back"


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What became of the exchanges that one version answered, or of those that no version of its name did."""

    exchanges: int = 0
    failed: int = 0
    disliked: int = 0
    slow: int = 0
    """First word later than twice the usual time of the active one."""
    dislikers: int = 0
    """How many people disliked an answer."""

    def __post_init__(self) -> None:
        counts = [getattr(self, each.name) for each in fields(self)]
        if min(counts) < 0 or max(counts) > self.exchanges or self.dislikers > self.disliked:
            raise ValueError("no count may be negative or exceed the number of exchanges")


@dataclass(frozen=True)
class Bounds:
    """When is enough known. `alpha` is shared by the three tests and holds for the canary's whole life."""

    alpha: float = 0.01
    """The chance that an equally good canary is ever rolled back: at most this."""
    fewest: int = 12
    """Exchanges of the canary before anything is said."""
    tolerance: float = 0.05
    """Rates (0 to 1) that differ by less are the same for the owner."""
    ready_alpha: float = 0.05
    """The chance that a canary which is worse by `tolerance` is ever called ready."""
    ready_fewest: int = 100
    dislikers: int = 2
    """One person alone cannot have an adapter rolled back."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A decision and the sentence for it."""

    decision: CanaryDecision
    reason: str


_KINDS = {"failed": "failed", "disliked": "were disliked", "slow": "were slow"}


def decide(canary: Outcomes, active: Outcomes, bounds: Bounds | None = None) -> Finding:
    """Wait, ready or roll back. Pure; may be called after each exchange."""
    bounds = bounds or Bounds()
    if canary.exchanges < bounds.fewest:
        return Finding(CanaryDecision.WAIT, f"{canary.exchanges} of {bounds.fewest} exchanges before anything is said")
    for kind, words in _KINDS.items():
        if kind == "disliked" and canary.dislikers < bounds.dislikers:
            continue
        ours, theirs = getattr(canary, kind), getattr(active, kind)
        worse = evidence(ours, canary.exchanges, theirs, active.exchanges)
        if worse >= math.log(len(_KINDS) / bounds.alpha):
            seen = f"{ours} of {canary.exchanges} answers {words}; {theirs} of {active.exchanges}"
            return Finding(CanaryDecision.ROLL_BACK, f"{seen} with the version that is active")
    if canary.exchanges >= bounds.ready_fewest and all(_no_worse(kind, canary, active, bounds) for kind in _KINDS):
        no_worse = f"{canary.exchanges} exchanges, no kind of fault more often by {bounds.tolerance:g}"
        return Finding(CanaryDecision.READY, no_worse)
    return Finding(CanaryDecision.WAIT, f"{canary.exchanges} exchanges show nothing clear yet")


def evidence(ours: int, of_ours: int, theirs: int, of_theirs: int, shift: float = 0.0) -> float:
    """ln of the evidence against "our rate is at most their rate + `shift`". Compare with ln(1/alpha).

    0 when what was seen fits that. Else the least ratio over all pairs of rates in the hypothesis lies on its edge,
    between the two rates seen.
    """
    mine = ours / of_ours if of_ours else 0.5
    other = theirs / of_theirs if of_theirs else 0.5
    if not of_ours or not of_theirs or mine <= other + shift:
        return 0.0
    rate = _likeliest_edge(ours, of_ours, theirs, of_theirs, shift)
    return max(0.0, _mixture(ours, of_ours, rate + shift) + _mixture(theirs, of_theirs, rate))


def _likeliest_edge(ours: int, of_ours: int, theirs: int, of_theirs: int, shift: float) -> float:
    """Their rate on the edge "ours = theirs + shift" that fits best: where the slope of the likelihood turns."""
    low, high = max(0.0, -shift, theirs / of_theirs), min(1.0, 1.0 - shift, ours / of_ours - shift)
    for _ in range(60):
        rate = (low + high) / 2
        if _slope(ours, of_ours, rate + shift) + _slope(theirs, of_theirs, rate) > 0:
            low = rate
        else:
            high = rate
    return (low + high) / 2


def _slope(count: int, of: int, rate: float) -> float:
    """Of the log likelihood in the rate."""
    rate = min(1 - 1e-12, max(1e-12, rate))
    return count / rate - (of - count) / (1 - rate)


def _no_worse(kind: str, canary: Outcomes, active: Outcomes, bounds: Bounds) -> bool:
    """Whether "more often by `tolerance`" is rejected: the same test with the two swapped."""
    ours, theirs = getattr(canary, kind), getattr(active, kind)
    against = evidence(theirs, active.exchanges, ours, canary.exchanges, -bounds.tolerance)
    return against >= math.log(1 / bounds.ready_alpha)


def _mixture(count: int, of: int, rate: float) -> float:
    """ln of the likelihood under a Beta(1/2, 1/2) mixture of rates against the likelihood under `rate`."""
    rate = min(1.0, max(0.0, rate))
    mixed = _log_beta(count + 0.5, of - count + 0.5) - _log_beta(0.5, 0.5)
    return mixed - _times_log(count, rate) - _times_log(of - count, 1 - rate)


def _log_beta(a: float, b: float) -> float:
    return math.lgamma(a) + math.lgamma(b) - math.lgamma(a + b)


def _times_log(count: int, chance: float) -> float:
    if count == 0:
        return 0.0
    return count * math.log(chance) if chance > 0 else -math.inf


CountOutcomes = Callable[[str, str | None, datetime], Awaitable[dict[str, Any]]]
"""(canary's id, active id or None, since when) -> {"canary": {...}, "active": {...}}: `Store.outcomes`."""


async def watch_canaries(registry: Registry, count: CountOutcomes) -> dict[str, Finding]:
    """Compare every canary with the active version once; reject the worse ones. By id. Raises StoreError."""
    entries = await asyncio.to_thread(registry.list)
    active = {entry.card.name: entry.id for entry in entries if entry.state is State.ACTIVE}
    found = {}
    for entry in entries:
        if entry.state is not State.CANARY:
            continue
        counts = await count(entry.id, active.get(entry.card.name), entry.card.created)
        finding = found[entry.id] = decide(Outcomes(**counts["canary"]), Outcomes(**counts["active"]))
        if finding.decision is CanaryDecision.ROLL_BACK:
            await asyncio.to_thread(registry.reject, entry.id, f"taken back as canary: {finding.reason}")
            log.warning("adapters: the canary %s was taken back: %s", entry.id, finding.reason)
    return found
