from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from netgpt.completion.select import Shortlist
from netgpt.types import Fact
from netgpt.word_pieces import StaticEmbedder

SHORTLIST = Shortlist(StaticEmbedder())


def test_needs_follow_what_the_request_is_like():
    weather, joke = SHORTLIST.needs("is it going to rain on sunday"), SHORTLIST.needs("tell me something funny")
    assert weather["place"] > 0.8 > weather["diet"]
    assert max(joke.values()) < 0.3


def test_a_fact_of_no_known_kind_counts_by_its_own_text():
    chairs = Fact("The user collects antique wooden chairs", "furniture")
    near, far = (
        SHORTLIST.scores("where do I sell antique wooden chairs", [chairs]),
        SHORTLIST.scores("volume up", [chairs]),
    )
    assert near[0] > 0.5 > far[0]


def test_a_kind_nobody_said_is_guessed_from_the_text():
    assert SHORTLIST.kind_of(Fact("The user is vegetarian", "other")) == "diet"
    assert SHORTLIST.kind_of(Fact("The user is vegetarian", "home")) == "place"


@settings(max_examples=50)
@given(
    st.text(max_size=80),
    st.lists(st.builds(Fact, st.text(max_size=40), st.sampled_from(["diet", "x", "poi"])), max_size=5),
)
def test_scores_are_shares_for_any_text(request_text, facts):
    scores = SHORTLIST.scores(request_text, facts)
    assert len(scores) == len(facts)
    assert all(0 <= score <= 1 for score in scores)
