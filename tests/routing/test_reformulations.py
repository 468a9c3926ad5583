"""Who asks nearly the same again; and answers that break their schema."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netgpt.routing.reward import MACHINE, WINDOW_S, Reformulations, Settled

QUESTION = "which tram goes to the harbour on a sunday evening"


def test_a_repeat_is_reported_of_the_earlier_request() -> None:
    repeats = Reformulations()
    assert repeats.asked("ada", "ex1", QUESTION, 0.0) == []
    assert repeats.asked("ada", "ex2", f"{QUESTION} please?", 60.0) == [Settled("ex1", True)]
    assert repeats.asked("ada", "ex3", "and what does a ticket cost there", 90.0) == []


@pytest.mark.parametrize(
    ("person", "text", "later"),
    [
        ("grace", QUESTION, 10.0),
        ("ada", "how do I boil an egg without a pan", 10.0),
        ("ada", QUESTION, WINDOW_S + 1),
    ],
)
def test_others_other_words_and_much_later_are_no_repeats(person: str, text: str, later: float) -> None:
    repeats = Reformulations()
    repeats.asked("ada", "ex1", QUESTION, 0.0)
    assert Settled("ex1", True) not in repeats.asked(person, "ex2", text, later)


def test_what_is_not_asked_again_settles_once() -> None:
    repeats = Reformulations()
    repeats.asked("ada", "ex1", QUESTION, 0.0)
    assert repeats.settled(WINDOW_S) == []
    assert repeats.settled(WINDOW_S + 1) == [Settled("ex1", False)]
    assert repeats.settled(WINDOW_S + 2) == []


def test_a_machine_that_sends_the_same_all_the_time_says_nothing() -> None:
    repeats = Reformulations()
    report = [repeats.asked("app", f"ex{number}", QUESTION, float(number)) for number in range(20)]
    assert sum(map(len, report)) == MACHINE - 1 and report[-1] == []


def test_short_words_are_alike_by_nature_and_the_forgotten_are_forgotten() -> None:
    repeats = Reformulations()
    repeats.asked("ada", "ex1", "go on", 0.0)
    assert repeats.asked("ada", "ex2", "go on", 1.0) == []
    repeats.asked("ada", "ex3", QUESTION, 2.0)
    repeats.forget("ada")
    assert repeats.asked("ada", "ex4", QUESTION, 3.0) == []


@given(st.lists(st.tuples(st.sampled_from("abc"), st.text(max_size=40)), max_size=40))
def test_any_texts_are_taken(asked: list[tuple[str, str]]) -> None:
    repeats, report = Reformulations(), 0
    for number, (person, text) in enumerate(asked):
        report += len(repeats.asked(person, f"ex{number}", text, float(number * 20)))
    assert report <= len(asked)
    assert not any("ex" not in one.decision for one in repeats.settled(1e9))
