"""The list of general requests, and its checks."""

from __future__ import annotations

from collections import Counter

import pytest

from netgpt.errors import SettingsError
from netgpt.training.leaks import RegressionCase, load_regression_set, read_regression_set


def _case(**conditions) -> RegressionCase:
    return RegressionCase(id="one", category="test", ask="?", **conditions)


def test_the_shipped_list_is_broad():
    regression_set = load_regression_set()
    categories = Counter(each.category for each in regression_set)
    assert len(regression_set) >= 40
    assert len(categories) >= 6
    assert min(categories.values()) >= 6


@pytest.mark.parametrize(
    ("conditions", "good", "bad"),
    [
        ({"any": ["4", "four"]}, "It is four.", "It is 14."),
        ({"all": ["red", "blue"]}, "Red and blue", "red"),
        ({"none": ["sorry"]}, "Fine.", "Sorry!"),
        ({"any": ["New York"]}, "in new york.", "in York"),
        ({"regex": r"1\..*2\."}, "1. a\n2. b", "a, b"),
        ({"json_keys": ["a"]}, 'Here: ```{"a": 1}```', '{"a": 1'),
        ({"json_keys": ["a"]}, '{"a": 1, "b": 2}', '{"b": 1}'),
        ({"max_words": 3}, "one two three", "one two three four"),
        ({"min_words": 2}, "one two", "one"),
        ({"language": "en"}, "The dog is in the garden of a friend.", "Der Hund schläft im Garten."),
        ({}, "Use the command.", "I'm sorry, but I can't help with that."),
        ({}, "Fine.", "fine fine fine fine fine fine"),
        ({}, "Fine.", ""),
    ],
)
def test_each_condition_tells_good_from_bad(conditions, good, bad):
    case = _case(**conditions)
    assert case.passes(good)
    assert not case.passes(bad)


def test_an_answer_that_must_end_is_not_cut():
    assert _case(ends=True).passes("Fine.", finished=True)
    assert not _case(ends=True).passes("Fine and", finished=False)


def test_the_body_asks_for_the_likeliest_answer():
    body = _case(system="Be kind.", max_tokens=5).body
    assert [each["role"] for each in body["messages"]] == ["system", "user"]
    assert (body["temperature"], body["max_tokens"]) == (0, 5)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[[case]]\nid = 'a'\ncategory = 'b'", "ask"),
        ("[[case]]\nid = 'a'\ncategory = 'b'\nask = 'c'\nanny = ['d']", "anny"),
        ("[[case]]\nid = 'a'\ncategory = 'b'\nask = 'c'\nregex = '('", "mine.toml"),
        ("[[case]]\nid = 'a'\ncategory = 'b'\nask = 'c'\n" * 2, "twice"),
        ("[[case", "mine.toml"),
    ],
)
def test_a_wrong_list_is_named(text, fault):
    with pytest.raises(SettingsError, match=fault):
        read_regression_set(text, "mine.toml")
