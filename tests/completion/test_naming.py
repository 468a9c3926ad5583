from __future__ import annotations

import math

import pytest

from netgpt.completion.classify import classes, helpful_kinds, name_class, naming
from netgpt.errors import BrokenStream


def answering(**shares):
    """An edge model that gives these tokens these probabilities."""

    async def ask(body):
        answers = [{"token": token, "logprob": math.log(share)} for token, share in shares.items()]
        return {"choices": [{"logprobs": {"content": [{"top_logprobs": answers}]}}]}

    return ask


def test_one_token_is_asked_for_and_the_request_comes_last():
    body = naming("  Ideas for\n dinner? ")
    assert body["messages"][-1] == {"role": "user", "content": "ideas for dinner"}
    assert body["max_tokens"] == 1
    assert body["top_logprobs"] >= 20


async def test_the_shares_of_the_classes_sum_to_one():
    likely = await name_class(answering(food=0.6, recipe=0.3, Sure=0.1), "dinner")
    assert likely == pytest.approx({"food": 2 / 3, "recipe": 1 / 3})


async def test_classes_that_share_a_kind_add_up():
    needs = helpful_kinds({"food": 0.45, "delivery": 0.45, "chat": 0.1})
    assert needs["place"] == pytest.approx(0.9)
    assert needs["poi"] == pytest.approx(0.45)
    assert needs["car"] == 0


async def test_a_model_that_has_not_learnt_the_task_is_not_believed():
    with pytest.raises(BrokenStream, match="not learnt"):
        await name_class(answering(Imagine=0.7, weather=0.2), "dinner")


@pytest.mark.parametrize(
    "completion",
    [
        {},
        {"choices": []},
        {"choices": [{"logprobs": None}]},
        {"choices": [{"logprobs": {"content": [{}]}}]},
        {"choices": [{"logprobs": {"content": [{"top_logprobs": [{"token": "food", "logprob": "x"}]}]}}]},
    ],
)
async def test_answers_without_likelihoods_are_refused(completion):
    async def ask(body):
        return completion

    with pytest.raises(BrokenStream):
        await name_class(ask, "dinner")


def test_every_class_is_one_lower_case_word_and_most_requests_need_nothing():
    assert all(topic.isalpha() and topic.islower() for topic in classes())
    assert classes()["weather"] == {"place", "time"}
    assert classes()["chat"] == frozenset()
