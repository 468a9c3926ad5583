from __future__ import annotations

import pytest

from netgpt.completion.select import KindGuesser, known_kind
from netgpt.word_pieces import StaticEmbedder

GUESSER = KindGuesser(StaticEmbedder())


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("The user is vegetarian", "diet"),
        ("is allergic to nuts", "allergy"),
        ("drives a red Panda", "car"),
        ("has a parrot", "pet"),
        ("lives at 12 Mill Road", "place"),
        ("The user likes Thai food", "cuisine"),
        ("The user has a small budget", "budget"),
        ("The user works as a nurse", "work"),
        ("It is Monday evening, 18:40 local time", "time"),
        ("User's home town: Leeds", "place"),
        ("vegetarian", "diet"),
        ("has two kids", "family"),
        ("favourite cuisine: thai", "cuisine"),
        ("drives a diesel van", "car"),
        ("It is 18:40 on a Friday", "time"),
        ("is currently in Madrid", "place"),
        ("gets hives from strawberries", "allergy"),
        ("can spend at most 30 dollars", "budget"),
        ("The user has a labrador", "pet"),
        ("goes to the gym on Tuesdays", "schedule"),
        ("plays the guitar", "music"),
        ("mother tongue: Hindi", "language"),
        ("works night shifts", "work"),
        ("is into gardening", "hobby"),
        ("uses a wheelchair", "health"),
    ],
)
def test_plain_texts_get_a_kind(text, kind):
    assert GUESSER.guess(text) == kind


def test_what_is_about_nothing_known_is_other():
    assert GUESSER.guess("The zyx qwr is blorp") == "other"


def test_other_words_for_the_same_kind():
    assert known_kind("Vehicle") == "car"
    assert known_kind("home") == "place"
    assert known_kind("shoe") is None
