from __future__ import annotations

import asyncio
import math

import pytest

from netgpt.completion.select import BELIEVED, CUT, RISE, Selector, Shortlist
from netgpt.errors import ModelTimeout
from netgpt.types import Fact
from netgpt.word_pieces import StaticEmbedder

EMBED = StaticEmbedder()
FACTS = [
    Fact("The user is in Cambridge", "place"),
    Fact("The user has a dog called Rex", "pet"),
    Fact("The user is vegetarian", "diet"),
    Fact("The user drives a Fiat Panda", "car"),
    Fact("The user likes Thai food", "cuisine"),
    Fact("The user has a small budget", "budget"),
    Fact("The user likes jazz", "music"),
]
DOUBTFUL = "could you help me with the trip into town"


class saying:
    """An edge model that names one topic; remembers what it was asked."""

    def __init__(self, topic, logprob=-0.1):
        self.topic, self.logprob, self.calls = topic, logprob, []

    async def __call__(self, body):
        self.calls.append(body)
        return {"choices": [{"message": {"content": self.topic}, "logprobs": {"content": [{"logprob": self.logprob}]}}]}


async def chosen(request, ask=None, max_facts=3, **options):
    selection = await Selector(ask, EMBED, max_facts, **options).select(request, FACTS)
    return [FACTS[index].kind for index in selection.chosen], selection.why


@pytest.mark.parametrize(
    ("request_text", "kinds"),
    [
        ("what will the weather be tomorrow", ["place"]),
        ("tell me a joke", []),
        ("how do you say thank you in italian", []),
        ("play something nice", ["music"]),
        ("when is my next oil change", ["car"]),
    ],
)
async def test_what_helps_is_chosen_and_nothing_else(request_text, kinds):
    assert (await chosen(request_text))[0] == kinds


async def test_no_more_than_max_facts_in_the_facts_own_order():
    kinds, why = await chosen("find a restaurant for tonight", max_facts=2)
    assert len(kinds) == 2 and set(kinds) <= {"place", "diet", "cuisine", "budget"}
    assert why == "2 of 7 facts help, by embeddings"


async def test_without_facts_nothing_is_asked():
    ask = saying("weather")
    selection = await Selector(ask, EMBED).select("will it rain", [])
    assert selection.chosen == () and ask.calls == []


async def test_a_clear_case_does_not_bother_the_model():
    ask = saying("joke")
    kinds, _ = await chosen("is it going to rain tomorrow", ask)
    assert kinds == ["place"] and ask.calls == []


def doubt():
    """A request and a fact whose score is in doubt: the model's word settles it."""
    shortlist = Shortlist(EMBED)
    for request in (
        DOUBTFUL,
        "what about the party",
        "i need a lift",
        "set up uber",
        "plan my evening out",
        "any ideas for us",
    ):
        for index, score in enumerate(shortlist.scores(request, FACTS)):
            if CUT - RISE <= score < CUT:
                return request, FACTS[index].kind
    raise AssertionError("no request here leaves a doubt: choose others")


TOPIC_OF = {
    "place": "taxi",
    "budget": "travel",
    "diet": "cooking",
    "cuisine": "cooking",
    "music": "music",
    "car": "car",
}


async def test_the_models_word_lifts_facts_in_doubt():
    request, kind = doubt()
    ask = saying(TOPIC_OF[kind])
    assert kind in (await chosen(request, ask))[0]
    assert len(ask.calls) == 1
    assert kind not in (await chosen(request, saying("joke")))[0]


async def test_a_forced_answer_is_not_believed():
    request, kind = doubt()
    assert kind not in (await chosen(request, saying(TOPIC_OF[kind], logprob=-20)))[0]
    assert BELIEVED > 2.1e-9


async def test_a_slow_or_failing_model_leaves_the_embeddings_choice():
    request, _ = doubt()

    async def slow(body):
        await asyncio.sleep(30)

    async def failing(body):
        raise ModelTimeout("the edge model is silent")

    alone, _ = await chosen(request)
    for ask, reason in ((slow, "took too long"), (failing, "model_timeout"), (saying("banana"), "broken_stream")):
        kinds, why = await chosen(request, ask, judge_s=0.05)
        assert kinds == alone and reason in why


class naming:
    """An edge model with the adapter on, that finds these classes likely."""

    def __init__(self, **shares):
        self.shares, self.calls = shares, []

    async def __call__(self, body):
        self.calls.append(body)
        answers = [{"token": token, "logprob": math.log(share)} for token, share in self.shares.items()]
        return {"choices": [{"logprobs": {"content": [{"top_logprobs": answers}]}}]}


async def trained_choice(request, trained, ask=None, **options):
    selection = await Selector(ask, EMBED, **options).select(request, FACTS, trained)
    return [FACTS[index].kind for index in selection.chosen], selection.why


async def test_with_the_adapter_the_likely_classes_decide_and_the_untrained_model_is_left_alone():
    ask, trained = saying("weather"), naming(food=0.45, recipe=0.5, chat=0.05)
    kinds, why = await trained_choice(DOUBTFUL, trained, ask)
    assert kinds == ["diet", "cuisine"]
    assert why == "2 of 7 facts help, by the trained edge model"
    assert len(trained.calls) == 1 and ask.calls == []


async def test_more_than_three_facts_fit_by_default():
    assert len((await trained_choice("a table for two", naming(food=0.99)))[0]) == 4


async def test_a_doubtful_class_gives_no_fact():
    assert (await trained_choice("dinner", naming(food=0.45, chat=0.55)))[0] == []


async def test_a_word_for_nearness_asks_for_the_place_whatever_the_class():
    assert (await trained_choice("anything on nearby", naming(chat=0.9, media=0.1)))[0] == ["place"]


async def test_an_adapter_that_fails_or_was_not_trained_leaves_it_to_the_embeddings():
    async def failing(body):
        raise ModelTimeout("too slow")

    kinds, why = await trained_choice("will it rain tomorrow", failing)
    assert kinds == ["place"] and why.endswith("by embeddings: the edge model failed (model_timeout)")
    kinds, why = await trained_choice("will it rain tomorrow", naming(Sure=0.9))
    assert kinds == ["place"] and "by embeddings" in why


async def test_an_adapter_that_is_slow_is_not_waited_for():
    async def slow(body):
        await asyncio.sleep(10)

    kinds, why = await trained_choice("will it rain tomorrow", slow, judge_s=0.02)
    assert kinds == ["place"] and why.endswith("took too long")


async def test_warming_asks_the_adapter_once():
    trained = naming(chat=0.9)
    await Selector(None, EMBED).warm(trained)
    assert len(trained.calls) == 1
