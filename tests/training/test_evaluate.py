"""Asking a model about examples: which, how many, and what comes back."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from gate_cases import Speaker, always, critic, reviews

from netgpt.errors import ContextTooLong, ModelUnavailable
from netgpt.training.evaluate import EvaluationLimits, evaluate_all, grammar_of, likelihood_of, spread
from netgpt.training.example import Example


def _free(text: str, answer: str, slice: str = "all") -> Example:
    return Example(({"role": "user", "content": text},), answer, "file:x:1", slice=slice)


async def scored(ask, examples, *more):
    return (await evaluate_all({"": ask}, examples, *more))[""]


async def test_closed_answers_are_marked_by_slice():
    scores = await scored(Speaker(critic(["staff"])), reviews(10))
    assert scores.overall.mean == pytest.approx(0.8)
    assert {name: figure.mean for name, figure in scores.slices.items()} == {
        "film": 1, "food": 1, "phone": 1, "room": 1, "staff": 0,
    }  # fmt: skip


async def test_closed_answers_are_asked_under_a_grammar():
    speaker = Speaker(critic())
    await scored(speaker, reviews(2))
    assert {body["grammar"] for body in speaker.asked} == {'root ::= "good" | "bad"'}


async def test_free_answers_get_a_mark_and_a_likelihood():
    examples = [_free("Where is the pool?", "The pool is on the roof, beside the bar.")]
    scores = await scored(Speaker(always("It is on the roof."), chance=0.5), examples)
    assert 0 < scores.overall.mean < 1
    assert scores.likelihood == pytest.approx(-0.6931, abs=1e-3)
    told = scores.as_json()
    assert (told["skipped"], told["degenerate"], told["likelihood"]) == (0, 0, -0.6931)
    assert "roof" not in str(told) + repr(scores)


async def test_a_server_without_likelihoods_is_marked_by_its_words():
    scores = await scored(Speaker(always("yes"), logprobs=False), [_free("Is it?", "yes")])
    assert (scores.overall.mean, scores.likelihood) == (1.0, None)


async def test_pairs_stay_whole_when_one_model_finds_a_text_too_long():
    async def narrow(body):
        if "the cook" in body["messages"][-1]["content"]:
            raise ContextTooLong("too long")
        return await Speaker(critic())(body)

    examples = reviews(40)
    scores = await evaluate_all({"wide": Speaker(critic()), "narrow": narrow}, examples)
    assert [each.id for each in scores["wide"].judged] == [each.id for each in scores["narrow"].judged]
    assert scores["wide"].skipped == sum("the cook" in each.messages[-1]["content"] for each in examples) > 0


async def test_a_failing_model_is_an_error_and_leaves_no_task():
    async def down(body):
        raise ModelUnavailable("down")

    with pytest.raises(ModelUnavailable):
        await scored(down, reviews(10))
    assert len(asyncio.all_tasks()) == 1


async def test_time_up_means_skipped():
    scores = await scored(Speaker(critic()), reviews(4), EvaluationLimits(seconds=-1))
    assert (len(scores.judged), scores.skipped) == (0, 20)


async def test_progress_and_concurrency_are_bounded():
    now, most, seen = 0, 0, []

    async def slow(body):
        nonlocal now, most
        now, most = now + 1, max(most, now + 1)
        await asyncio.sleep(0.001)
        now -= 1
        return await Speaker(critic())(body)

    await scored(
        slow, reviews(4), EvaluationLimits(concurrency=3), lambda part, done, whole: seen.append((part, done, whole))
    )
    assert most == 3
    assert seen == [("held-out", done, 20) for done in range(1, 21)]


def test_a_cut_falls_on_all_slices_alike_and_is_the_same_each_time():
    chosen = spread(reviews(40), EvaluationLimits(per_slice=30, whole=50))
    assert Counter(each.slice for each in chosen) == dict.fromkeys(["film", "food", "phone", "room", "staff"], 10)
    assert chosen == spread(list(reversed(reviews(40))), EvaluationLimits(per_slice=30, whole=50))


def test_the_same_example_is_asked_once():
    example = _free("a", "b")
    assert spread([example, example], EvaluationLimits()) == [example]


def test_a_grammar_escapes_what_is_not_plain():
    assert grammar_of(["a", "b c"]) == 'root ::= "a" | "b c"'
    assert grammar_of(['"\\\né']) == 'root ::= "\\U00000022\\U0000005C\\U0000000A\\U000000E9"'


async def test_a_reference_that_was_not_said_has_no_likelihood():
    assert await likelihood_of(Speaker(always("x")), [{"role": "user", "content": "?"}], "a b", 9) != []

    async def deaf(body):
        return await Speaker(always("I do as I like"))({**body, "grammar": ""})

    assert await likelihood_of(deaf, [{"role": "user", "content": "?"}], "a b", 9) == []
