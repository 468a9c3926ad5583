"""Questions of every kind: many, the same by seed, right answers are taken, answers to nothing are not."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice, pairwise

import pytest
from capability.model_answers import Weird, right_answer

from netgpt.capability.grading import GivenAnswer
from netgpt.capability.profile import ONLY_FORM
from netgpt.capability.questions import CheckedQuestion, families, mixed, questions
from netgpt.judgement import TASK_KINDS


@pytest.mark.parametrize("kind", TASK_KINDS)
def test_there_are_many_different_ones_and_a_right_answer_is_right(kind: str) -> None:
    drawn = list(islice(questions(kind, 11), 400))
    assert len({question.id for question in drawn}) == len(drawn) >= 380
    assert len({question.family for question in drawn}) >= 2
    assert len({(question.family, question.wording) for question in drawn}) >= 5
    wrong = [question for question in drawn if not question.right(right_answer(question))]
    assert not wrong, (wrong[0].asked, wrong[0].check, right_answer(wrong[0]))


@pytest.mark.parametrize(("name", "make"), Weird, ids=[name for name, _ in Weird])
def test_answers_that_answer_nothing_are_never_right(name: str, make: Callable[[CheckedQuestion], GivenAnswer]) -> None:
    taken = [question.asked for question in mixed(12, 5) if question.right(make(question))]
    assert not taken


def test_another_question_s_answer_is_seldom_right() -> None:
    """Among many questions of one kind, the right answer to the one before does by chance alone (yes or no)."""
    for kind in ("facts", "arithmetic", "word-problems", "code", "json", "tools", "extraction", "translation"):
        drawn = list(islice(questions(kind, 13), 60))
        lucky = [now for before, now in pairwise(drawn) if now.right(right_answer(before))]
        assert len(lucky) <= 6, (kind, [question.asked for question in lucky])


def test_the_same_seed_draws_the_same_and_another_does_not() -> None:
    one, again = ([q.id for q in mixed(5, 4)] for _ in range(2))
    other = {q.id for q in mixed(6, 4)}
    assert one == again
    assert len(other & set(one)) < len(one) / 4


def test_more_questions_begin_with_the_fewer() -> None:
    """A run that goes on asks what the cut one would have asked."""
    assert list(islice(questions("dates", 3), 30))[:10] == list(islice(questions("dates", 3), 10))


def test_families_and_languages_can_be_held_out() -> None:
    left_out = {"arithmetic/addition", "arithmetic/units"}
    drawn = list(islice(questions("arithmetic", 1, leave_out=left_out, languages=["de", "fr"]), 60))
    assert {question.language for question in drawn} == {"de", "fr"}
    assert not {question.family for question in drawn} & left_out


def test_every_kind_has_families_and_only_the_free_kinds_are_judged_by_form() -> None:
    assert {family.kind for family in families().values()} == set(TASK_KINDS)
    by_form = {question.kind for question in mixed(2, 12) if question.check.only_form}
    assert by_form == ONLY_FORM


def test_a_body_is_greedy_bounded_and_carries_the_tools() -> None:
    question = next(question for question in questions("tools", 1) if question.family == "tools/result")
    body = question.body()
    assert body["temperature"] == 0
    assert body["max_tokens"] == question.most_tokens <= 200
    assert body["tools"]
    assert [message["role"] for message in body["messages"]] == ["user", "assistant", "tool"]
