from __future__ import annotations

import pytest

from netgpt.completion.embed import StaticEmbedder
from netgpt.completion.kinds import KindGuesser, known_kind

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
