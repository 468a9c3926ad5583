"""What a policy would have done with recorded traffic, and what that would have been worth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from netgpt.errors import RequestError
from netgpt.routing.objective import Weights, value_of
from netgpt.routing.offpolicy import OffPolicyEstimate, Sample, estimate
from netgpt.routing.recorded import expected_of
from netgpt.routing.reward import Parts
from netgpt.types import Expected

__all__ = ["AS_RECORDED", "RecordedDecision", "Replayed", "policy_choices", "read_record", "replay"]

AS_RECORDED = "as recorded"


@dataclass(frozen=True, slots=True)
class RecordedDecision:
    """One recorded decision, as far as the replay reads it."""

    arm: str
    propensity: float
    expected: tuple[Expected, ...]
    """The arms that no constraint ruled out."""
    parts: Parts

    @property
    def is_explored(self) -> bool:
        """Every candidate had a chance to be drawn: only such a record says something of what was not done."""
        return self.propensity < 1.0

    @property
    def chosen(self) -> Expected:
        return next(one for one in self.expected if one.arm == self.arm)


@dataclass(frozen=True, slots=True)
class Replayed:
    """One policy over all records."""

    policy: str
    arms: Mapping[str, float]
    """Share of the requests that each arm would have got."""
    cloud_share: float
    cost: float
    """Money expected for 1,000 requests."""
    changed: float
    """Share of the requests that would have gone elsewhere than they did."""
    worth: OffPolicyEstimate
    """The objective, for a request."""
    quality: OffPolicyEstimate
    """The share of answers that do."""


def read_record(arm: str, propensity: float, private: Mapping[str, Any]) -> RecordedDecision | None:
    """A record from what was kept; None where there was nothing to choose. Raises RequestError: it is malformed."""
    try:
        expected = tuple(expected_of(private))
        record = RecordedDecision(str(arm), float(propensity), expected, Parts.of(private.get("parts", {})))
        if not 0.0 < record.propensity <= 1.0:
            raise ValueError
        return record if len(expected) > 1 and any(one.arm == arm for one in expected) else None
    except (KeyError, TypeError, ValueError, AttributeError):
        raise RequestError("a recorded decision needs arm, propensity (0 to 1) and expected", param="jsonl") from None


def policy_choices(
    records: Sequence[RecordedDecision], weights: Weights, max_cloud_share: float | None = None
) -> list[str]:
    """The arm that these weights choose for each record.

    `max_cloud_share`: at most this share goes to a cloud, those that gain most by it; the others get their best
    candidate on the box, where there is one.
    """
    chosen: list[str] = []
    gains: list[tuple[float, int, str]] = []
    for number, record in enumerate(records):
        best = max(record.expected, key=lambda one: value_of(one, weights))
        chosen.append(best.arm)
        here = [one for one in record.expected if one.route != "cloud"]
        if best.route == "cloud" and here:
            other = max(here, key=lambda one: value_of(one, weights))
            gains.append((value_of(best, weights) - value_of(other, weights), number, other.arm))
    if max_cloud_share is not None:
        sent = sum(_route(record, arm) == "cloud" for record, arm in zip(records, chosen, strict=True))
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
    """The records as they were, the policy of these weights, and each arm for everything (else its best candidate)."""
    best = policy_choices(records, weights)
    ways = {AS_RECORDED: [record.arm for record in records], name: policy_choices(records, weights, max_cloud_share)}
    for arm in sorted({one.arm for record in records for one in record.expected}):
        ways[f"always {arm}"] = [
            arm if any(one.arm == arm for one in record.expected) else other
            for record, other in zip(records, best, strict=True)
        ]
    return [_replayed(policy, records, arms, weights) for policy, arms in ways.items()]


def _replayed(policy: str, records: Sequence[RecordedDecision], arms: Sequence[str], weights: Weights) -> Replayed:
    count = max(len(records), 1)
    pairs = list(zip(records, arms, strict=True))
    on_policy = policy == AS_RECORDED
    judged = [(r, a) for r, a in pairs if r.parts.rating in (-1, 1) and (r.is_explored or on_policy)]
    return Replayed(
        policy,
        {arm: number / count for arm, number in Counter(arms).most_common()},
        sum(_route(record, arm) == "cloud" for record, arm in pairs) / count,
        1000 * sum(_of(record, arm).cost for record, arm in pairs) / count,
        sum(record.arm != arm for record, arm in pairs) / count,
        estimate([_sample(r, a, weights, on_policy) for r, a in judged]),
        estimate([_sample(r, a, _QUALITY, on_policy) for r, a in judged]),
    )


_QUALITY = Weights(quality=1.0, cost=0.0, latency=0.0, energy=0.0, privacy=0.0)


def _sample(record: RecordedDecision, arm: str, weights: Weights, on_policy: bool) -> Sample:
    done, parts = record.chosen, record.parts
    happened = replace(
        done,
        p_ok=1.0 if parts.rating == 1 else 0.0,
        latency_s=parts.latency_s if parts.latency_s is not None else done.latency_s,
        cost=parts.cost if parts.cost is not None else done.cost,
    )
    propensity = 1.0 if on_policy else record.propensity
    return Sample(
        reward=value_of(happened, weights),
        propensity=propensity,
        target=float(arm == record.arm),
        predicted=value_of(done, weights),
        predicted_target=value_of(_of(record, arm), weights),
    )


def _of(record: RecordedDecision, arm: str) -> Expected:
    return next(one for one in record.expected if one.arm == arm)


def _route(record: RecordedDecision, arm: str) -> str:
    return _of(record, arm).route
