from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netgpt.context import profile_fact
from netgpt.context.location import haversine_m
from netgpt.context.opening import opening_hours, opening_now
from netgpt.context.places import Around, Place, suitable
from netgpt.context.reach import BICYCLE, CAR, FOOT, off_the_way, reach_of, travel
from netgpt.context.towns import home_of, may_name_a_town, town_in, where_to_look
from netgpt.types import Label

SUNDAY = datetime(2026, 11, 29, 14, 30)
HERE = (52.2053, 0.1192)
PLACES = [
    Place("1", "Nook", "cafe", 52.2062, 0.1192, hours="Mo-Fr 08:00-18:00"),
    Place("2", "Kiln", "cafe", 52.2242, 0.1222, hours="Mo-Su 09:00-17:00"),
    Place("3", "Far Loaf", "cafe", 52.30, 0.1192),
    Place("4", "Fen Tea", "cafe", 52.35, 0.22),
    Place("5", "Ely Cup", "cafe", 52.40, 0.262),
]
IN_DOUBT = ("9 to 5", "", "?", "Apr-Sep 10:00-18:00", "daily from 9 a.m. to 5 p.m. except easter term", "closed")


@pytest.mark.parametrize(
    ("said", "now"),
    [
        ("Mo-Fr 09:00-17:30; Sa 10:00-14:00", "closed now, opens tomorrow 09:00"),
        ("Mo-Su 11:00-14:30,17:30-23:00", "closed now, opens 17:30"),
        ("Mo-Su 09:00-23:00; Su off", "closed now, opens tomorrow 09:00"),
        ("Mo-Su 09:00-23:00; Su 12:00-16:00", "open until 16:00"),
        ("24/7", "always open"),
        ("always", "always open"),
        ("Tu-Su 12:00-02:00", "open until 02:00"),
        ("Mo-Fr 08:00-18:00; PH off", "closed now, opens tomorrow 08:00"),
        ("Fr-Mo 10:00-16:00; Tu off", "open until 16:00"),
        ("9am-5pm Monday to Friday", "closed now, opens tomorrow 09:00"),
        ("10:00-18:00, closed on Sundays", "closed now, opens tomorrow 10:00"),
        ("it opens from 10 a.m. to 5 p.m. from tuesday to saturday", "closed now, opens Tuesday 10:00"),
        ("it opens daily from 10 to 5 p.m.", "open until 17:00"),
        ("on sunday it opens from 2 p.m. to 5 p.m.", "open until 17:00"),
        ("monday to saturday, 10 a.m. to 5 p.m. while on sunday from noon to midnight", "open until 00:00"),
        *((doubtful, "") for doubtful in IN_DOUBT),
    ],
)
def test_what_is_open_now_and_nothing_where_that_is_in_doubt(said, now):
    assert opening_now(said, SUNDAY) == now


def test_a_night_belongs_to_the_day_before():
    assert opening_now("Sa 22:00-04:00", datetime(2026, 11, 29, 3, 0)) == "open until 04:00"
    assert opening_hours("Sa 22:00-04:00") == ((), (), (), (), (), ((1320, 1680),), ())


@pytest.mark.parametrize(
    ("asked", "within", "mode"),
    [
        ("coffee", 5_000, ""), ("coffee within walking distance", 1_500, FOOT), ("a short walk to a cafe", 900, FOOT),
        ("a pub within 2 km", 2_000, ""), ("lunch within 3 miles", 4_827, ""), ("bread around the corner", 500, ""),
        ("dinner, a short drive away", 15_000, CAR), ("by bike to a lake", 5_000, BICYCLE),
        ("a day trip with a castle", 40_000, ""), ("cafes under 800 metres", 800, ""),
        ("a 20 minute walk to a park", 20 * 80 / 1.3, FOOT), ("ten minutes by bike", 2_500 / 1.3, BICYCLE),
        ("half an hour by car", 22_000 / 1.3, CAR),
    ],
)  # fmt: skip
def test_the_requests_words_decide_what_is_near(asked, within, mode):
    reach = reach_of(asked, 5_000)
    assert reach.within_m == pytest.approx(within) and reach.mode == mode


def test_a_way_takes_longer_on_foot_and_more_time_when_it_is_longer():
    assert (travel(300), travel(4_000)) == ("about 5 min on foot", "about 10 min by car")
    assert travel(4_000, FOOT) == "about 65 min on foot" and travel(4_000, BICYCLE) == "about 21 min by bicycle"
    assert travel(60_000, CAR) == "about 77 min by car"


def names(asked, **around):
    facts = suitable(PLACES, Around(*HERE, **around), asked)
    return [fact.text.removeprefix("Near here: ").split(",")[0] for fact in facts]


def test_near_is_what_the_words_say_and_the_time_is_told_when_it_is_asked_for():
    assert names("coffee") == ["Nook", "Kiln"] and names("coffee within walking distance") == ["Nook"]
    assert names("coffee, a short drive away") == ["Nook", "Kiln", "Far Loaf"]
    (first, *_) = suitable(PLACES, Around(*HERE), "coffee within walking distance")
    assert first.text == "Near here: Nook, cafe, 100 m north, about 2 min on foot"
    (first, *_) = suitable(PLACES, Around(*HERE), "coffee")
    assert first.text == "Near here: Nook, cafe, 100 m north"


def test_what_is_open_comes_first_when_it_is_asked_for():
    assert names("coffee", local=SUNDAY) == ["Nook", "Kiln"]
    assert names("coffee open now", local=SUNDAY) == ["Kiln", "Nook"]
    first, second = suitable(PLACES, Around(*HERE, local=SUNDAY), "a cafe that is open")
    assert first.text.endswith("open until 17:00") and second.text.endswith("closed now, opens tomorrow 08:00")


def test_on_the_way_home_what_adds_least_comes_first(place_names):
    home = [profile_fact("lives at 3 High Street, Ely", "home")]
    around = where_to_look(Around(*HERE), "coffee on my way home", home, place_names, PLACES)
    assert around is not None and around.label is Label.PERSONAL and around.goal is not None
    assert haversine_m(*around.goal, 52.4, 0.262) < 2_000
    found = suitable(PLACES, around, "coffee on my way home")
    assert [fact.text.split(",")[0] for fact in found] == [
        f"On the way home: {name}" for name in ("Nook", "Fen Tea", "Kiln")
    ]
    assert all(fact.label is Label.PERSONAL for fact in found)
    assert off_the_way(HERE, (51.9, 0.1), around.goal) is None
    unknown = [profile_fact("is vegan", "diet")]
    assert where_to_look(Around(*HERE), "coffee on my way home", unknown, place_names, PLACES) == Around(*HERE)


def test_another_town_is_not_answered_with_what_is_near_here(place_names):
    look = [
        where_to_look(Around(*HERE), asked, [], place_names, PLACES) for asked in ("a cafe in Paris", "cafe in paris")
    ]
    for around in look:
        assert around is not None and haversine_m(*around.point, 48.8566, 2.3522) < 10_000
        assert suitable(PLACES, around, "a cafe in Paris") == ()
    here = where_to_look(Around(*HERE), "a cafe in Cambridge", [], place_names, PLACES)
    assert here == Around(*HERE)
    assert where_to_look(Around(*HERE), "a cafe in Hogsmeade", [], place_names, PLACES) is None
    assert where_to_look(Around(*HERE), "a cafe in May", [], place_names, PLACES) == Around(*HERE)
    ely = where_to_look(Around(*HERE), "a cafe in Ely", [], place_names, PLACES)
    assert ely is not None
    assert [fact.text for fact in suitable(PLACES, ely, "a cafe in Ely")] == ["Place in Ely: Ely Cup, cafe"]
    assert not may_name_a_town("ideas for dinner") and town_in("a cafe in bed", place_names, HERE) is None


def test_home_is_what_the_person_stated(place_names):
    found = home_of(
        [profile_fact("has a dog called Rex", "pet"), profile_fact("I live in Ely", "note")], place_names, HERE
    )
    assert found is not None and found[0].name == "Ely"


PIECES = (
    "mo tu-fr sunday daily closed off from to 9 10:00 5pm 5 p.m. noon - , ; and on 24/7 within a km miles 2 min walk"
)


@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(PIECES.split()), max_size=14).map(" ".join)))
def test_any_words_are_read_or_left_alone(said):
    week = opening_hours(said)
    assert week is None or (len(week) == 7 and all(0 <= a < b <= 3 * 1440 for spans in week for a, b in spans))
    assert isinstance(opening_now(said, SUNDAY), str) and reach_of(said, 5_000).within_m >= 0
