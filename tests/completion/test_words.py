from __future__ import annotations

import pytest

from netgpt.completion.rewrite import content_words, is_given, numbers_in


def test_content_words_leave_out_what_states_nothing():
    assert content_words("Could you suggest some dinner ideas for a vegan, please?") == ["dinner", "vegan"]


def test_numbers_keep_their_points():
    assert numbers_in("3.5 km at 18:40, for 2 (AB12)") == ["3.5", "18", "40", "2", "ab12"]


@pytest.mark.parametrize(
    ("word", "given"), [("cats", "cat"), ("drive", "drives"), ("cities", "city"), ("hiking", "hike")]
)
def test_another_ending_is_the_same_word(word, given):
    assert is_given(word, {given})
    assert not is_given(word, {"zebra"})
