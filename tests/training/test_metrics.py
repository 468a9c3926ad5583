"""Scores of answers, without a judge model."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netgpt.training.metrics import degenerate, first_choice_likelihood, score_closed, score_free, words_of


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
