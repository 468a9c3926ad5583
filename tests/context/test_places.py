from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from netgpt.context.location import haversine_m
from netgpt.context.places import Place, near
from netgpt.types import Label

HERE = (52.2, 0.12)
PLACES = [
    Place("1", "Pizza Hut City Centre", "restaurant", 52.2027, 0.12, tags=("italian", "cheap")),
    Place("2", "Sala Thong", "restaurant", 52.2, 0.13, tags=("thai", "expensive")),
    Place("3", "Gonville Hotel", "hotel", 52.199, 0.12),
    Place("4", "Castle Galleries", "attraction", 52.21, 0.12, tags=("museum",)),
    Place("5", "Far Diner", "restaurant", 53.2, 0.12, tags=("cheap",)),
]


def names(text, **options):
    return [fact.text.removeprefix("Near here: ").split(",")[0] for fact in near(PLACES, *HERE, text, **options)]


def test_the_clause_tells_kind_tags_distance_and_direction():
    (first, *_) = near(PLACES, *HERE, "dinner ideas")
    assert first.text == "Near here: Pizza Hut City Centre, italian restaurant, cheap, 300 m north"
    assert (first.kind, first.label, first.source) == ("poi", Label.PUBLIC, "places")


def test_the_requests_words_choose_the_kind():
    assert names("dinner ideas") == ["Pizza Hut City Centre", "Sala Thong"]
    assert names("where can I sleep") == ["Gonville Hotel"]
    assert names("museums to see") == ["Castle Galleries"]
    assert names("tell me a joke") == []
    assert names("") == []


def test_tags_and_names_narrow_the_choice():
    assert names("expensive thai food") == ["Sala Thong"]
    assert names("something thai") == ["Sala Thong"]
    assert names("phone number of the Gonville Hotel") == ["Gonville Hotel"]
    assert names("a mexican restaurant") == ["Pizza Hut City Centre", "Sala Thong"]


def test_limit_and_distance_hold():
    assert names("dinner", limit=1) == ["Pizza Hut City Centre"]
    assert names("dinner", within_m=200_000) == ["Pizza Hut City Centre", "Sala Thong", "Far Diner"]


def test_a_persons_own_point_can_be_kept():
    facts = near(PLACES, *HERE, "dinner", label=Label.PERSONAL, distances=False)
    assert all(fact.label is Label.PERSONAL and not fact.text.endswith(("north", "east")) for fact in facts)
    assert facts[0].text == "Near here: Pizza Hut City Centre, italian restaurant, cheap"


@given(
    st.lists(st.tuples(st.floats(-90, 90), st.floats(-180, 180)), max_size=30), st.floats(-90, 90), st.floats(-180, 180)
)
def test_the_box_loses_no_place_within_reach(points, latitude, longitude):
    places = [Place(str(i), f"P{i}", "bar", *point) for i, point in enumerate(points)]
    within = sorted(d for p in places if (d := haversine_m(latitude, longitude, p.latitude, p.longitude)) <= 1e6)
    assert len(near(places, latitude, longitude, "beer", limit=99, within_m=1e6)) == len(within)
