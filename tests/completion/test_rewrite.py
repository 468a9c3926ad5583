from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from netgpt.completion.rewrite import check, content_words, invented, is_given, rewrite, tokens
from netgpt.errors import ModelTimeout
from netgpt.types import Fact

REQUEST = "dinner ideas for 4"
FACTS = [Fact("The user is vegetarian", "diet"), Fact("The user is in Cambridge", "place")]
GOOD = "Dinner ideas for 4 for a vegetarian in Cambridge, please."
GIVEN = set(tokens(REQUEST)) | {token for fact in FACTS for token in tokens(fact.text)}


def answering(text):
    async def ask(body):
        assert body["messages"][-1]["content"].startswith("Request: ")
        return {"choices": [{"message": {"content": text}}]}

    return ask


def test_what_was_given_passes():
    assert check(GOOD, REQUEST, FACTS) is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("Dinner ideas for 5 for a vegetarian in Cambridge", "not given"),
        ("Dinner ideas for 4 for a vegetarian in Oxford", "not given"),
        ("Dinner ideas for 4 for a vegan in Cambridge", "not given"),
        ("Ideas for 4 for a vegetarian in Cambridge", "lost"),
        ("Dinner ideas for a vegetarian in Cambridge", "lost"),
        ("Dinner ideas for 4", "no fact"),
        ("", "empty"),
        ("dinner " * 60, "longer"),
    ],
)
def test_every_fault_is_named_without_its_words(text, reason):
    fault = check(text, REQUEST, FACTS)
    assert fault is not None and reason in fault
    assert "Oxford" not in fault and "vegan" not in fault


@given(st.integers(0, 10**6), st.integers(0, 10))
def test_an_inserted_number_is_always_found(number, position):
    assume(str(number) != "4")
    words = GOOD.split()
    position = min(position, len(words))
    text = " ".join([*words[:position], str(number), *words[position:]])
    assert str(number) in invented(text, REQUEST, FACTS)
    assert check(text, REQUEST, FACTS) is not None


@given(st.from_regex(r"[A-Z][a-z]{3,12}", fullmatch=True), st.integers(0, 10))
def test_an_inserted_name_is_always_found(name, position):
    assume(content_words(name) and not is_given(name.casefold(), GIVEN))
    words = GOOD.split()
    position = min(position, len(words))
    assert check(" ".join([*words[:position], name, *words[position:]]), REQUEST, FACTS) is not None


async def test_a_good_result_is_used():
    assert (await rewrite(answering(f" {GOOD}\n"), REQUEST, FACTS)).text == GOOD


async def test_what_fails_is_none_with_the_reason():
    result = await rewrite(answering("Dinner for 4 in Paris"), REQUEST, FACTS)
    assert result.text is None and "not given" in result.why
    assert (await rewrite(answering(GOOD), REQUEST, [])).text is None
    assert (await rewrite(answering(None), REQUEST, FACTS)).why == "the edge model failed (broken_stream)"


async def test_a_failing_model_is_no_error():
    async def ask(body):
        raise ModelTimeout("the edge model is silent")

    result = await rewrite(ask, REQUEST, FACTS)
    assert result.text is None and "model_timeout" in result.why
