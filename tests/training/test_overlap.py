from __future__ import annotations

from netgpt.training.difficulty_data import overlapping

JUDGED = ["A train leaves the old station at nine and arrives at noon; how long did it ride?"]


def test_the_same_question_in_another_dress_is_found() -> None:
    dressed = JUDGED[0] + " Think first."
    other = "A bird leaves the old tree at dawn and comes back with a worm for its only child."
    assert overlapping([dressed, other, "short", ""], JUDGED) == [True, False, False, False]


def test_the_ending_that_overlapping_rows_share_marks_their_siblings() -> None:
    ending = "\nPut your final answer in a box, please, and nothing else."
    judged = [f"Question number {n} asks how many apples {n} friends of mine may eat today?" for n in range(12)]
    prompts = [text + ending for text in judged] + ["Something else altogether" + ending, "Something else altogether"]
    assert overlapping(prompts, judged) == [True] * 13 + [False]
