from __future__ import annotations

import asyncio

import pytest

from netgpt.completion.embed import StaticEmbedder
from netgpt.completion.select import BELIEVED, CUT, RISE, Selector
from netgpt.completion.shortlist import Shortlist
from netgpt.errors import ModelTimeout
from netgpt.types import Fact

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
    for ask, told in ((slow, "took too long"), (failing, "model_timeout"), (saying("banana"), "broken_stream")):
        kinds, why = await chosen(request, ask, judge_s=0.05)
        assert kinds == alone and told in why
