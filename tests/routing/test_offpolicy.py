"""Off-policy estimates: they find the truth where the records hold it, and say so where they do not."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from netgpt.errors import RequestError
from netgpt.routing.replay import (
    AS_RECORDED,
    RecordedDecision,
    Sample,
    as_private,
    estimate,
    policy_choices,
    read_record,
    replay,
)
from netgpt.routing.reward import Parts
from netgpt.routing.scoring import Weights
from netgpt.types import Decision, Expected

QUALITY = Weights(quality=1.0, cost=0.0, latency=0.0, energy=0.0, privacy=0.0)
TRUTH = {"edge": 0.4, "cloud": 0.8}


def expected(p_edge: float = 0.6, p_cloud: float = 0.7) -> tuple[Expected, ...]:
    return (
        Expected("edge", "edge", p_edge, 1.0, 0.0, 10.0, 0.0, p_edge, None, 0.6),
        Expected("cloud", "cloud", p_cloud, 2.0, 0.001, 0.0, 0.5, p_cloud, None, 0.7),
    )


def recorded(number: int, seed: int, explore: float = 0.2) -> list[RecordedDecision]:
    """The edge is thought better and mostly used; the cloud is better in truth."""
    rng = random.Random(seed)
    records = []
    for _ in range(number):
        tried = rng.random() < explore
        target = "cloud" if tried else "edge"
        rating = 1 if rng.random() < TRUTH[target] else -1
        propensity = 1.0 if explore == 0 else explore if tried else 1 - explore
        records.append(RecordedDecision(target, propensity, expected(0.7, 0.6), Parts(rating=rating)))
    return records


@pytest.mark.slow
def test_the_truth_lies_within_the_intervals() -> None:
    hits = {"ips": 0, "snips": 0, "dr": 0}
    for seed in range(12):
        ways = {row.policy: row for row in replay(recorded(600, seed), QUALITY)}
        cloud = ways["always cloud"].quality
        for kind in hits:
            interval = getattr(cloud, kind)
            hits[kind] += interval.low <= TRUTH["cloud"] <= interval.high
        assert ways["always edge"].quality.dr is not None
    assert min(hits.values()) >= 9  # of 12 intervals of 95 %


def test_nobody_can_tell_without_exploration() -> None:
    ways = {row.policy: row for row in replay(recorded(600, 1, explore=0.0), QUALITY)}
    assert ways[AS_RECORDED].worth.can_tell
    assert not ways["always cloud"].worth.can_tell and ways["always cloud"].worth.effective == 0
    assert ways["always cloud"].cloud_share == 1.0 and ways["always cloud"].cost == pytest.approx(1.0)


def test_few_tries_are_not_enough() -> None:
    ways = {row.policy: row for row in replay(recorded(600, 1, explore=0.01), QUALITY)}
    assert not ways["always cloud"].worth.can_tell


def test_the_share_of_the_cloud_is_bounded_and_goes_to_those_who_gain_most() -> None:
    records = [RecordedDecision("edge", 0.9, expected(0.5, 0.5 + gain / 100), Parts()) for gain in range(1, 41)]
    targets = policy_choices(records, QUALITY, 0.25)
    assert targets.count("cloud") == 10 and set(targets[-10:]) == {"cloud"}
    assert policy_choices(records, QUALITY).count("cloud") == 40


def test_the_doubly_robust_estimate_needs_only_one_of_two_truths() -> None:
    """Wrong predictions with right chances, and the other way round."""
    rng = random.Random(3)
    wrong = []
    for _ in range(4000):
        tried = rng.random() < 0.3
        good = float(rng.random() < (0.8 if tried else 0.4))
        wrong.append(Sample(good, 0.3 if tried else 0.7, float(tried), 0.1, 0.1))
    dr = estimate(wrong).dr
    assert dr is not None and abs(dr.value - 0.8) < 0.05
    assert estimate(wrong) == estimate(wrong)


def test_a_record_survives_being_kept() -> None:
    decision = Decision(
        "edge", "because", "best", target="edge", expected=expected(), propensity=0.98, features=(0.1, 0.2)
    )
    private = json.loads(json.dumps(as_private(decision, "edge") | {"parts": {"rating": -1}}))
    record = read_record("edge", 0.98, private)
    assert record is not None and record.expected == expected() and record.parts.rating == -1
    assert read_record("edge", 0.98, private | {"expected": private["expected"][:1]}) is None
    malformed: list[dict[str, Any]] = [{}, {"expected": 3}, {"expected": [{}]}]
    for broken in malformed:
        with pytest.raises(RequestError):
            read_record("edge", 0.98, broken)
    with pytest.raises(RequestError):
        read_record("edge", 0.0, private)
