from __future__ import annotations

import math

from hypothesis import given, settings
from hypothesis import strategies as st

from netgpt.asked import LONGEST, clipped
from netgpt.routing.expert import NAMES, stem_of, traits

EXAM = "Which is NOT a prime number?\nA. 2\nB. 3\nC. 9\nD. 11\nAnswer:"


@given(st.text(alphabet=st.characters()))
@settings(max_examples=200, deadline=None)
def test_any_text_has_all_traits_and_none_is_endless(text: str):
    report = traits(clipped(text))
    assert len(report) == len(NAMES) == len(set(NAMES))
    assert all(map(math.isfinite, report))


@given(st.text(), st.integers(0, 5))
@settings(deadline=None)
def test_clipping_bounds_a_text_and_keeps_both_ends(text: str, times: int):
    long = "a" + text * 10 + "b" * LONGEST * times + "c"
    short = clipped(long)
    assert len(short) <= LONGEST and short[0] == "a" and short[-1] == "c"
    assert clipped(short) == short


def test_what_is_counted():
    report = dict(zip(NAMES, traits(EXAM), strict=True))
    assert report["options"] == 4 and report["options are numbers"] == 1 and report["asks for the answer"] == 1
    assert report["negation"] == math.log1p(1) and report["numbers"] == math.log1p(4)


def test_the_stem_is_the_question_without_its_options():
    assert stem_of(EXAM) == "Which is NOT a prime number?"
    assert stem_of("no options here") == "no options here"


def test_half_a_character_is_read_as_a_question_mark():
    assert clipped("\ud800 x") == "? x"
