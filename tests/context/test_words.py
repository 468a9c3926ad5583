from __future__ import annotations

import pytest

from netgpt.context.places import group_of, groups_in, stem, stems


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("museums", "museum"),
        ("eating", "eat"),
        ("churches", "church"),
        ("galleries", "gallery"),
        ("bus", "bus"),
        ("gas", "gas"),
    ],
)
def test_stems(word, expected):
    assert stem(word) == expected


def test_stop_words_tell_nothing():
    assert stems("where is the nearby place for me") == []


@pytest.mark.parametrize(
    ("request_text", "groups"),
    [
        ("dinner ideas", {"restaurant"}),
        ("where can I sleep tonight", {"hotel"}),
        ("a museum to see", {"sight"}),
        ("tell me a joke", set()),
        ("what is the weather", set()),
    ],
)
def test_groups_in_a_request(request_text, groups):
    assert groups_in(request_text) == groups


def test_a_kind_without_a_group_is_its_own():
    assert group_of("guest_house") >= set()
    assert group_of("observatory") == {"observatory"}
