"""Paired comparison: what it finds, and how rarely it finds what is not there."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netgpt.training.metrics import compare, figure_of

scores = st.lists(st.floats(0, 1), min_size=1, max_size=40)


@given(scores)
def test_nothing_differs_from_itself(values):
    comparison = compare(values, values)
    assert comparison.difference == 0
    assert comparison.p_better == comparison.p_worse == 1.0


@given(scores, st.randoms(use_true_random=False))
def test_changing_sides_changes_the_sign(ours, dice):
    theirs = [dice.random() for _ in ours]
    forth, back = compare(ours, theirs), compare(theirs, ours)
    assert forth.difference == pytest.approx(-back.difference)
    assert forth.p_better == pytest.approx(back.p_worse)
    assert forth.low <= forth.difference + 1e-9 and forth.difference <= forth.high + 1e-9


def test_ten_wins_in_a_row_are_no_chance_and_three_may_be():
    assert compare([1.0] * 10, [0.0] * 10).p_better == pytest.approx(1 / 1024)
    assert compare([1.0] * 3, [0.0] * 3).p_better == pytest.approx(1 / 8)


def test_chance_passes_for_a_difference_as_rarely_as_said():
    dice = random.Random(5)
    found = 0
    for round_ in range(200):
        ours = [float(dice.random() < 0.6) for _ in range(30)]
        theirs = [float(dice.random() < 0.6) for _ in range(30)]
        found += compare(ours, theirs, seed=round_).p_better <= 0.05
    assert found <= 20


def test_the_same_seed_gives_the_same_figures():
    dice = random.Random(1)
    ours, theirs = [[dice.random() for _ in range(50)] for _ in range(2)]
    assert compare(ours, theirs, 3) == compare(ours, theirs, 3)


def test_pairs_must_be_pairs():
    with pytest.raises(ValueError, match="both scores"):
        compare([1.0], [])


def test_no_pairs_prove_nothing():
    assert compare([], []).p_better == 1.0
    assert figure_of([]).as_json() == {"mean": 0.0, "low": 0.0, "high": 1.0, "count": 0}


@given(st.lists(st.sampled_from([0.0, 1.0]), min_size=1, max_size=60))
def test_an_interval_holds_its_mean_and_stays_in_range(values):
    figure = figure_of(values)
    assert 0 <= figure.low <= figure.mean + 1e-9
    assert figure.mean - 1e-9 <= figure.high <= 1


def test_all_right_is_not_certainly_always_right():
    assert figure_of([1.0] * 10).low < 0.75
    assert figure_of([0.3, 0.4, 0.5, 0.4] * 10).low > 0.35
