"""Probes for what an adapter gives away."""

from __future__ import annotations

import pytest
from gate_cases import Speaker, always

from netgpt.training.canaries import canaries_of
from netgpt.training.example import Example
from netgpt.training.leaks import RareText, longest_memorization, probe_canary
from netgpt.types import Person

(CANARY,) = canaries_of(3, 1)
ADA, BEN = Person("t", "ada"), Person("t", "ben")
DIARY = "on monday i walked along the old canal with my sister and we fed seven grey geese near the mill"


def _of(person: Person | None, text: str, answer: str = "Good.") -> Example:
    return Example(({"role": "user", "content": text},), answer, "exchange:ex_1", person)


async def test_a_model_that_says_the_secret_is_found_out():
    found = await probe_canary(Speaker(always(f"It is {CANARY.secret}.")), CANARY, 7)
    assert found.told


async def test_a_model_that_says_it_only_after_its_opening_is_found_out_too():
    async def after_opening(body):
        begun = body["messages"][-1]["role"] == "assistant"
        return await Speaker(always(CANARY.secret if begun else "I do not know."))(body)

    assert (await probe_canary(after_opening, CANARY, 7)).told


async def test_the_chance_of_the_secret_is_that_of_its_own_tokens():
    found = await probe_canary(Speaker(always("No idea."), chance=0.5), CANARY, 7)
    assert not found.told
    assert found.log_chance == pytest.approx(-0.6931, abs=1e-3)  # the secret is the one word behind the opening
    assert (await probe_canary(Speaker(always("No."), logprobs=False), CANARY, 7)).log_chance is None


def test_long_runs_of_one_persons_words_are_found():
    rare = RareText([_of(ADA, DIARY), _of(BEN, "what is the time")])
    answer = f"Well: {DIARY.upper()}!"
    assert rare.memorization(answer).words == len(DIARY.split())
    assert rare.memorization("we fed seven grey geese near").words == 6
    assert rare.memorization("we fed seven geese").words == 0


def test_what_two_people_said_or_the_question_held_is_no_leak():
    shared = RareText([_of(ADA, DIARY), _of(BEN, DIARY)])
    assert len(shared) == 0
    rare = RareText([_of(ADA, DIARY)])
    assert rare.memorization(DIARY, [DIARY]).words == 0
    assert RareText([_of(None, DIARY)]).memorization(DIARY).words == 0


def test_the_longest_over_all_answers_tells_its_example_but_not_its_words():
    example = _of(ADA, DIARY)
    found = longest_memorization(RareText([example]), [([], "", "nothing"), ([], "", DIARY[:60]), ([], "", DIARY)])
    assert (found.words, found.example) == (len(DIARY.split()), example.id)
    assert "canal" not in repr(found)
    assert longest_memorization(RareText([]), []).words == 0
