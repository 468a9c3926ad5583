from __future__ import annotations

import pytest

from netgpt.completion.select import cued_kinds


@pytest.mark.parametrize(
    "request_",
    [
        "anything on nearby tonight",
        "Closest bank",
        "a walk near me",
        "what is open around here",
        "shops near my office",
    ],
)
def test_words_for_nearness_ask_for_the_place(request_):
    assert "place" in cued_kinds(request_)


@pytest.mark.parametrize(
    "request_", ["tell me a joke", "how close are we to christmas", "mileage in the city", "nearly done"]
)
def test_other_requests_ask_for_nothing_by_their_words(request_):
    assert cued_kinds(request_) == frozenset()
