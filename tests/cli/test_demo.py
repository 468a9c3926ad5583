"""The demo's stand-in for a cloud: written answers, with the placeholders that reached it."""

from __future__ import annotations

import pytest

from netgpt.cli.demo import QUESTIONS, WRITTEN, written


def asked(text: str) -> str:
    return written({"messages": [{"role": "user", "content": text}]})


@pytest.mark.parametrize("text", [question.text for question in QUESTIONS if "card" not in question.text])
def test_every_question_that_may_leave_has_a_written_answer(text: str) -> None:
    assert "has no answer" not in asked(text) and "{" not in asked(text)


def test_it_says_what_reached_it_and_nothing_else() -> None:
    letter = asked("Write a short thank-you letter to [PERSON_1], [EMAIL_1], phone [PHONE_2]")
    assert letter.startswith("To: [PERSON_1], [EMAIL_1], [PHONE_2]") and "Maria" not in letter
    assert "[HOME_1]" in asked("Explain step by step how to get from [HOME_1] to the station")
    plain, told = asked("ideas for dinner tonight"), asked("ideas for dinner tonight\n- The user is vegetarian.")
    assert "without meat" in told and "without meat" not in plain
    assert asked("anything else") == "The stand-in has no answer to this."


def test_no_written_answer_claims_to_know_the_person() -> None:
    assert not [answer for _, answer in WRITTEN if "Keller" in answer or "Tannery" in answer or "Ramifentol" in answer]
