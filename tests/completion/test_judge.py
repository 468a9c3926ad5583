from __future__ import annotations

import math

import pytest

from netgpt.completion.classify import judge, question
from netgpt.errors import BrokenStream


def completion(text, *logprobs):
    return {"choices": [{"message": {"content": text}, "logprobs": {"content": [{"logprob": p} for p in logprobs]}}]}


def answering(answer):
    async def ask(body):
        return answer

    return ask


def test_the_examples_come_first_so_that_they_can_be_cached():
    first, second = question("will it rain"), question("dinner ideas")
    assert first["messages"][:-1] == second["messages"][:-1]
    assert first["messages"][-1] == {"role": "user", "content": "will it rain"}
    assert '"weather"' in first["grammar"]


async def test_an_answer_becomes_kinds_and_its_likelihood():
    opinion = await judge(answering(completion("weather", -0.5, -0.1)), "will it rain")
    assert opinion.kinds == {"place", "time"}
    assert opinion.confidence == pytest.approx(math.exp(-0.6))


async def test_without_likelihoods_nothing_is_believed():
    assert (await judge(answering({"choices": [{"message": {"content": "weather"}}]}), "rain")).confidence == 0


@pytest.mark.parametrize("answer", [completion("banana"), {}, {"choices": []}, completion(None)])
async def test_an_answer_against_the_grammar_is_an_error(answer):
    with pytest.raises(BrokenStream):
        await judge(answering(answer), "will it rain")
