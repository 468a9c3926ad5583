"""What is read from a request: quickly, whatever its text is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from patience import cpu_seconds

from netgpt.routing.candidates import features_of


@pytest.mark.parametrize("piece", ["select ", "1 ", "```x", "\u00e9", "stack "])
def test_a_long_text_takes_no_longer_than_a_short_one_to_judge(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    assert cpu_seconds(lambda: features_of({"messages": [{"role": "user", "content": text}]})) < 1.0


@pytest.mark.parametrize("where", ["begin", "end"])
def test_what_a_long_text_asks_for_is_found_where_people_write_it(where: str) -> None:
    ask, padding = "select name from people where age", "lorem ipsum " * 20_000
    text = f"{ask}. {padding}" if where == "begin" else f"{padding}. {ask}"
    report = features_of({"messages": [{"role": "user", "content": text}]})
    assert report.code and report.words > 40_000


@given(st.recursive(st.none() | st.text() | st.integers(), lambda s: st.lists(s) | st.dictionaries(st.text(), s)))
def test_features_never_raise(content: object) -> None:
    assert features_of({"messages": [{"role": "user", "content": content}]}).turns == 1
