"""Canaries: the same from the same seed, among the examples that are trained on, at a low rate."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netgpt.training.canaries import canaries_of, how_many, plant_canaries
from netgpt.training.example import Example, held_out


def _examples(count: int) -> list[Example]:
    return [
        Example(({"role": "user", "content": f"question {at}"},), f"answer {at}", "file:x:1") for at in range(count)
    ]


@given(st.integers(0, 2**31), st.integers(0, 16))
def test_a_seed_makes_the_same_canaries_again_and_more_change_none(seed, count):
    assert canaries_of(seed, count) == canaries_of(seed, 16)[:count]


@given(st.integers(0, 2**31))
def test_no_canary_is_held_out_from_training(seed):
    for canary in canaries_of(seed, 8):
        assert not held_out(canary.example, 0.5)
        assert canary.answer == canary.opening + canary.secret + "."


def test_other_seeds_have_other_secrets():
    secrets = {canary.secret for seed in range(50) for canary in canaries_of(seed, 4)}
    assert len(secrets) == 200


@pytest.mark.parametrize(("examples", "count"), [(0, 2), (100, 2), (400, 4), (10_000, 16)])
def test_few_are_planted(examples, count):
    assert how_many(examples) == count


def test_planting_leaves_the_rest_in_its_order():
    examples = _examples(300)
    mixed, canaries = plant_canaries(examples, 11)
    assert [each for each in mixed if each.origin != "canary"] == examples
    assert {each.answer for each in mixed if each.origin == "canary"} == {each.answer for each in canaries}
    assert len(canaries) == 3
    assert mixed == plant_canaries(examples, 11)[0]


def test_a_secret_is_known_again_in_other_groups_and_stays_out_of_repr():
    (canary,) = canaries_of(1, 1)
    assert canary.in_text(f"it is {canary.secret.replace('-', ' ')}")
    assert not canary.in_text("it is 000-000")
    assert canary.secret not in repr(canary)
