"""What one key may say for all: who is no part of the crowd changes nothing, not even who is listened to."""

from __future__ import annotations

import random

from netgpt.routing.trust import Voices

NOW = 1_000_000.0


def crowded(keys: int = 5, each: int = 30) -> Voices:
    """Keys that differ from the belief by chance alone."""
    voices, rng = Voices(), random.Random(3)
    for number in range(keys * each):
        key = f"k{number % keys}"
        voices.hear(key, rng.uniform(-0.4, 0.4), NOW)
        voices.count(key, 1.0, NOW)
    return voices


def test_who_is_no_part_of_the_crowd_does_not_make_it_older() -> None:
    voices = crowded()
    for _ in range(20):
        trust = voices.hear("liar", -0.9, NOW)
    assert trust == 0.0 and voices.is_odd("liar")
    voices.passed("k1", 0.0)
    before = voices.numbers()["clock"]
    for _ in range(300):
        voices.hear("liar", -0.9, NOW)
        voices.passed("liar", 0.0)
    assert voices.numbers()["clock"] == before
    voices.passed("k2", 0.0)
    assert voices.numbers()["clock"] == before + 0.5


def test_many_who_all_say_something_else_outlive_a_crowd_that_went_silent() -> None:
    voices, trusts = crowded(), []
    for number in range(1_500):
        key = f"new{number % 5}"
        trusts.append(voices.hear(key, -0.6, NOW))
        voices.passed(key, 0.0)
    assert trusts[200] == 0.0 and trusts[-1] != 0.0


def test_an_earlier_state_is_read() -> None:
    numbers = crowded().numbers()
    del numbers["last_odd"]
    assert Voices.of_numbers(numbers).numbers() == crowded().numbers()


def test_who_was_found_odd_elsewhere_is_not_compared_with_here() -> None:
    """On an arm that is bad anyway, a liar sounds like everybody."""
    voices = crowded()
    for _ in range(30):
        voices.hear("liar", 0.0, NOW, odd=True)
    assert voices.is_odd("liar") and not voices.is_odd("k1")
    voices.hear("liar", 0.0, NOW)
    assert not voices.is_odd("liar")
