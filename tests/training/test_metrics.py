"""Scores of answers without a judge model, and their paired comparison."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netgpt.training.metrics import (
    compare,
    degenerate,
    figure_of,
    first_choice_likelihood,
    score_closed,
    score_free,
    words_of,
)


@pytest.mark.parametrize(
    ("answer", "right", "score"),
    [("yes", "yes", 1), (" Yes. ", "yes", 1), ("no", "yes", 0), ("yes, sure", "yes", 0), ("", "yes", 0)],
)
def test_a_closed_answer_is_right_or_wrong(answer, right, score):
    assert score_closed(answer, right, ("yes", "no")) == score


def test_a_short_reference_is_met_whole_or_half_counted():
    assert score_free("Room 12.", "room 12") == 1
    assert 0 < score_free("It is in room 12", "room 12") < 0.5
    assert score_free("nowhere", "room 12") == 0


def test_a_long_answer_is_marked_by_words_and_key_words():
    reference = "The pool opens at seven and closes at nine in the evening, towels are at the desk."
    assert score_free(reference, reference) == 1
    near = score_free("Towels are at the desk; the pool opens at seven, closes at nine.", reference)
    far = score_free("The weather will be fine and the evening is the best time in the garden.", reference)
    assert 0.7 < near < 1
    assert far < 0.4


def test_json_is_compared_by_its_values():
    assert score_free('{"a": 1, "b": "x"}', '{"b":"x","a":1}') == 1
    assert 0.2 < score_free('{"a": 1, "b": "y"}', '{"a": 1, "b": "x"}') < 1
    assert score_free("a is 1 and b is x", '{"a": 1, "b": "x"}') == 0


def test_empty_stuck_and_runaway_answers_get_nothing():
    reference = "The pool opens at seven."
    assert score_free("", reference) == 0
    assert score_free("The pool " * 12, reference) == 0
    assert score_free(" ".join(f"word{number}" for number in range(80)) + reference, reference) == 0


@pytest.mark.parametrize(
    ("text", "stuck"),
    [
        ("no no no no no no no", True),
        ("la femme au martyre, " * 6, True),
        ("aaaaaaaaaaaaaaaaaaaaaaaa", True),
        ("------------------------", True),
        ("One fish, two fish, red fish, blue fish.", False),
        ("1. tea\n2. water\n3. milk", False),
        ("", False),
    ],
)
def test_what_is_stuck(text, stuck):
    assert degenerate(text) is stuck


@given(st.text(max_size=200), st.text(max_size=200))
def test_a_mark_is_a_share(answer, reference):
    assert 0 <= score_free(answer, reference) <= 1


@given(st.lists(st.sampled_from(["red", "green", "blue", "house", "tree", "seven"]), min_size=1, max_size=4))
def test_what_is_said_right_gets_all(words):
    assert score_free(" ".join(words), " ".join(words)) == 1
    assert words_of(" ".join(words).upper() + "!") == words


def _completion(*alternatives: tuple[str, float]) -> dict[str, object]:
    top = [{"token": token, "logprob": math.log(chance)} for token, chance in alternatives]
    return {"choices": [{"logprobs": {"content": [{"token": top[0]["token"], "top_logprobs": top}]}}]}


def test_the_likelihood_of_an_option_is_among_the_options():
    completion = _completion(("yes", 0.3), ("Yes", 0.1), ("no", 0.1), ("The", 0.5))
    found = first_choice_likelihood(completion, "yes", ("yes", "no"))
    assert found == pytest.approx(math.log(0.8))


def test_an_option_that_is_not_listed_is_as_likely_as_the_last_one_at_most():
    found = first_choice_likelihood(_completion(("no", 0.3), ("The", 0.1)), "yes", ("yes", "no"))
    assert found == pytest.approx(math.log(0.25))


def test_options_that_begin_alike_have_no_known_likelihood():
    assert first_choice_likelihood(_completion(("no", 0.9)), "none", ("no", "none")) is None
    assert first_choice_likelihood({"choices": [{}]}, "yes", ("yes", "no")) is None
    assert first_choice_likelihood(_completion(("The", 0.9)), "yes", ("yes", "no")) is None


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
