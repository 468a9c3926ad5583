"""Views: plain to read, exact on the way back."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from netgpt.privacy.detectors.normalize import plain, views

AWKWARD = st.text(
    st.sampled_from("abz @.\\%&;u0041é\u0301\u0308\u200b\u200f\ufeff４ａﬁ–’٣\n") | st.characters(), max_size=30
)


@given(AWKWARD)
def test_every_place_of_a_view_leads_back_into_the_original(text: str) -> None:
    for view in views(text):
        last = 0
        for place in range(len(view.text)):
            start, end = view.back(place, place + 1)
            assert 0 <= start < end <= len(text)
            assert start >= last or text[last:end]
            last = start
        if view.text:
            assert view.back(0, len(view.text))[1] <= len(text)


@given(AWKWARD)
def test_composed_and_decomposed_read_the_same(text: str) -> None:
    marks = [c for c in text if unicodedata.category(c) != "Cf"]
    simple = "".join(c for c in marks if c.isalpha() and c.isascii()) + "e\u0301"
    assert plain(simple) == plain(unicodedata.normalize("NFC", simple))


def test_disguises_are_taken_off() -> None:
    assert plain("ａｄａ\u200b＠ｍｉｌｌ．ｏｒｇ") == "ada@mill.org"
    assert plain("٣–４’") == "3-4'"
    escaped = [view.text for view in views("\\u0061da%40mill&#46;org")]
    assert escaped[1] == "ada@mill.org"
