"""What one key may say for all: who is no part of the crowd changes nothing, not even who is listened to."""

from __future__ import annotations

import random

from netgpt.routing.trust import TrustWeights

NOW = 1_000_000.0


def crowded(keys: int = 5, each: int = 30) -> TrustWeights:
    """Keys that differ from the belief by chance alone."""
    trust_weights, rng = TrustWeights(), random.Random(3)
    for number in range(keys * each):
        key = f"k{number % keys}"
        trust_weights.observe(key, rng.uniform(-0.4, 0.4), NOW)
        trust_weights.count(key, 1.0, NOW)
    return trust_weights


def test_who_is_no_part_of_the_crowd_does_not_make_it_older() -> None:
    trust_weights = crowded()
    for _ in range(20):
        trust = trust_weights.observe("liar", -0.9, NOW)
    assert trust == 0.0 and trust_weights.is_odd("liar")
    trust_weights.passed("k1", 0.0)
    before = trust_weights.numbers()["clock"]
    for _ in range(300):
        trust_weights.observe("liar", -0.9, NOW)
        trust_weights.passed("liar", 0.0)
    assert trust_weights.numbers()["clock"] == before
    trust_weights.passed("k2", 0.0)
    assert trust_weights.numbers()["clock"] == before + 0.5


def test_many_who_all_say_something_else_outlive_a_crowd_that_went_silent() -> None:
    trust_weights, trusts = crowded(), []
    for number in range(1_500):
        key = f"new{number % 5}"
        trusts.append(trust_weights.observe(key, -0.6, NOW))
        trust_weights.passed(key, 0.0)
    assert trusts[200] == 0.0 and trusts[-1] != 0.0


def test_an_earlier_state_is_read() -> None:
    numbers = crowded().numbers()
    del numbers["last_odd"]
    assert TrustWeights.of_numbers(numbers).numbers() == crowded().numbers()


def test_who_was_found_odd_elsewhere_is_not_compared_with_here() -> None:
    """On a target that is bad anyway, a liar sounds like everybody."""
    trust_weights = crowded()
    for _ in range(30):
        trust_weights.observe("liar", 0.0, NOW, odd=True)
    assert trust_weights.is_odd("liar") and not trust_weights.is_odd("k1")
    trust_weights.observe("liar", 0.0, NOW)
    assert not trust_weights.is_odd("liar")
