"""What a policy would have done with recorded traffic, and what that would have been worth.

Off-policy estimates by inverse propensity scoring (Horvitz and Thompson 1952), its self-normalised form (Swaminathan
and Joachims 2015) and the doubly robust estimate (Dudik, Langford and Li 2011), each with a bootstrapped 95 % interval.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from netgpt.errors import RequestError
from netgpt.routing.reward import Counted, DecisionOutcome, Parts
from netgpt.routing.scoring import Weights, value_of
from netgpt.types import Decision, Expected

Grid = NDArray[np.float64]

LEAST_EFFECTIVE: Final = 30.0  # with fewer records' worth of evidence no figure is given
ROUNDS: Final = 1_000  # of the bootstrap, in which every record counts a Poisson number of times (Chamandy et al. 2012)
PAGE: Final = 50  # rounds drawn at once: a bound on memory


@dataclass(frozen=True, slots=True)
class Sample:
    """One record, seen by one target policy."""

    reward: float
    propensity: float  # the chance with which the target of the record was drawn
    target: float  # the chance with which the target policy draws the same target
    predicted: float  # what the target of the record was expected to earn
    predicted_target: float  # what the target policy's targets were expected to earn, by its chances


@dataclass(frozen=True, slots=True)
class Interval:
    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class OffPolicyEstimate:
    """What the target policy would have earned a request; the intervals are None where nobody can tell."""

    records: int
    effective: float  # kish's effective sample size: as many even records would tell as much
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


def as_private(decision: Decision, answered: str) -> dict[str, Any]:
    """Numbers and names of targets; no text. `answered`: the target that answered in the end."""
    return {
        "x": [round(value, 5) for value in decision.features],
        "weights": decision.weights,
        "rule": decision.rule,
        "answered": answered,
        "expected": [
            {
                "arm": one.target, "route": one.route, "p_ok": one.p_ok, "latency_s": one.latency_s, "cost": one.cost,
                "energy_j": one.energy_j, "exposure": one.exposure, "value": one.value,
                "open": one.ruled_out is None, "prior": one.prior,
            }
            for one in decision.expected
        ],
    }  # fmt: skip


def expected_of(private: Mapping[str, Any], *, only_open: bool = True) -> list[Expected]:
    """What each target was expected to give; `only_open`: without those that a constraint ruled out."""
    return [
        Expected(
            one["arm"], one["route"], one["p_ok"], one["latency_s"], one["cost"], one["energy_j"], one["exposure"],
            one["value"], None if one["open"] else "ruled out", one["prior"],
        )
        for one in private["expected"]
        if one["open"] or not only_open
    ]  # fmt: skip


def outcome_of(id: str, key: str, private: Mapping[str, Any], news: Parts) -> DecisionOutcome:
    """What to tell the learner of a kept decision, now that `news` is known."""
    answered = private["answered"]
    expected = {one["arm"]: one for one in private["expected"]}.get(answered, {})
    prior = expected.get("prior")
    counted = private.get("counted")
    return DecisionOutcome(
        decision=id,
        target=answered,
        x=tuple(private["x"]),
        key=key,
        prior=prior if prior is not None else expected.get("p_ok", 0.5),
        parts=Parts.of(private.get("parts", {})).with_(news),
        before=Counted(*counted) if counted is not None else None,
    )


AS_RECORDED = "as recorded"


@dataclass(frozen=True, slots=True)
class RecordedDecision:
    """One recorded decision, as far as the replay reads it."""

    target: str
    propensity: float
    expected: tuple[Expected, ...]  # the targets that no constraint ruled out
    parts: Parts

    @property
    def is_explored(self) -> bool:
        """Every candidate had a chance to be drawn: only such a record says something of what was not done."""
        return self.propensity < 1.0

    def of(self, target: str) -> Expected:
        return next(one for one in self.expected if one.target == target)


@dataclass(frozen=True, slots=True)
class Replayed:
    """One policy over all records."""

    policy: str
    targets: Mapping[str, float]  # share of the requests that each target would have got
    cloud_share: float
    cost: float  # money expected for 1,000 requests
    changed: float  # share of the requests that would have gone elsewhere than they did
    worth: OffPolicyEstimate  # the objective, for a request
    quality: OffPolicyEstimate  # the share of answers that do


def read_record(target: str, propensity: float, private: Mapping[str, Any]) -> RecordedDecision | None:
    """A record from what was kept; None where there was nothing to choose. Raises RequestError: it is malformed."""
    try:
        expected = tuple(expected_of(private))
        record = RecordedDecision(str(target), float(propensity), expected, Parts.of(private.get("parts", {})))
        if not 0.0 < record.propensity <= 1.0:
            raise ValueError
        return record if len(expected) > 1 and any(one.target == target for one in expected) else None
    except (KeyError, TypeError, ValueError, AttributeError):
        raise RequestError("a recorded decision needs arm, propensity (0 to 1) and expected", param="jsonl") from None


def policy_choices(
    records: Sequence[RecordedDecision], weights: Weights, max_cloud_share: float | None = None
) -> list[str]:
    """The target that these weights choose for each record.

    `max_cloud_share`: at most this share goes to a cloud, those that gain most by it; the others get their best
    candidate on the box, where there is one.
    """
    chosen: list[str] = []
    gains: list[tuple[float, int, str]] = []
    for number, record in enumerate(records):
        best = max(record.expected, key=lambda one: value_of(one, weights))
        chosen.append(best.target)
        here = [one for one in record.expected if one.route != "cloud"]
        if best.route == "cloud" and here:
            other = max(here, key=lambda one: value_of(one, weights))
            gains.append((value_of(best, weights) - value_of(other, weights), number, other.target))
    if max_cloud_share is not None:
        sent = sum(record.of(target).route == "cloud" for record, target in zip(records, chosen, strict=True))
        too_many = max(0, sent - int(max_cloud_share * len(records)))
        for _, number, instead in sorted(gains)[:too_many]:
            chosen[number] = instead
    return chosen


def replay(
    records: Sequence[RecordedDecision],
    weights: Weights,
    *,
    max_cloud_share: float | None = None,
    name: str = "this policy",
) -> list[Replayed]:
    """The records as they were, the policy of these weights, and each target for all (else its best candidate)."""
    best = policy_choices(records, weights)
    ways = {AS_RECORDED: [record.target for record in records], name: policy_choices(records, weights, max_cloud_share)}
    for target in sorted({one.target for record in records for one in record.expected}):
        ways[f"always {target}"] = [
            target if any(one.target == target for one in record.expected) else other
            for record, other in zip(records, best, strict=True)
        ]
    return [_replayed(policy, records, targets, weights) for policy, targets in ways.items()]


def _replayed(policy: str, records: Sequence[RecordedDecision], targets: Sequence[str], weights: Weights) -> Replayed:
    count = max(len(records), 1)
    pairs = list(zip(records, targets, strict=True))
    on_policy = policy == AS_RECORDED
    judged = [(r, a) for r, a in pairs if r.parts.rating in (-1, 1) and (r.is_explored or on_policy)]
    return Replayed(
        policy,
        {target: number / count for target, number in Counter(targets).most_common()},
        sum(record.of(target).route == "cloud" for record, target in pairs) / count,
        1000 * sum(record.of(target).cost for record, target in pairs) / count,
        sum(record.target != target for record, target in pairs) / count,
        estimate([_sample(r, a, weights, on_policy) for r, a in judged]),
        estimate([_sample(r, a, _QUALITY, on_policy) for r, a in judged]),
    )


_QUALITY = Weights(quality=1.0, cost=0.0, latency=0.0, energy=0.0, privacy=0.0)


def _sample(record: RecordedDecision, target: str, weights: Weights, on_policy: bool) -> Sample:
    done, parts = record.of(record.target), record.parts
    happened = replace(
        done,
        p_ok=1.0 if parts.rating == 1 else 0.0,
        latency_s=parts.latency_s if parts.latency_s is not None else done.latency_s,
        cost=parts.cost if parts.cost is not None else done.cost,
    )
    return Sample(
        reward=value_of(happened, weights),
        propensity=1.0 if on_policy else record.propensity,
        target=float(target == record.target),
        predicted=value_of(done, weights),
        predicted_target=value_of(record.of(target), weights),
    )
