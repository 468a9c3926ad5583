from __future__ import annotations

import math
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netgpt.context.location import PlaceNames, check_location, origin, place_facts
from netgpt.errors import RequestError
from netgpt.settings.sections import Site
from netgpt.types import Label, Location

SITE = Site(
    name="Grand Arcade, Cambridge",
    latitude=52.2037,
    longitude=0.1215,
    district="Petty Cury",
    city="Cambridge",
    region="Cambridgeshire",
    country="United Kingdom",
)
NAMES = PlaceNames()
ELY = Location(52.3995, 0.2624)


def test_a_location_is_read_with_its_accuracy():
    assert check_location({"latitude": 52, "longitude": 0.5}) == Location(52.0, 0.5)
    assert check_location({"latitude": 52, "longitude": 0.5, "accuracy_m": 20}).accuracy_m == 20


@pytest.mark.parametrize(
    ("raw", "param"),
    [
        ({"latitude": 90.1, "longitude": 0}, "netgpt.location.latitude"),
        ({"latitude": math.nan, "longitude": 0}, "netgpt.location.latitude"),
        ({"latitude": True, "longitude": 0}, "netgpt.location.latitude"),
        ({"latitude": "52", "longitude": 0}, "netgpt.location.latitude"),
        ({"latitude": 10**400, "longitude": 0}, "netgpt.location.latitude"),
        ({"longitude": 0}, "netgpt.location.latitude"),
        ({"latitude": 52}, "netgpt.location.longitude"),
        ({"latitude": 52, "longitude": math.inf}, "netgpt.location.longitude"),
        ({"latitude": 52, "longitude": 0, "accuracy_m": -1}, "netgpt.location.accuracy_m"),
        ({"latitude": 52, "longitude": 0, "altitude": 3}, "netgpt.location"),
        ([52, 0], "netgpt.location"),
        ("52,0", "netgpt.location"),
    ],
)
def test_a_bad_location_names_the_field_and_not_the_value(raw, param):
    with pytest.raises(RequestError) as caught:
        check_location(raw)
    assert caught.value.param == param
    assert caught.value.status == 400
    assert "90.1" not in caught.value.message


@given(st.floats(-90, 90), st.floats(-180, 180), st.floats(0, 1e6))
def test_every_point_of_the_earth_is_a_location(latitude, longitude, accuracy):
    here = check_location({"latitude": latitude, "longitude": longitude, "accuracy_m": accuracy})
    assert (here.latitude, here.longitude, here.accuracy_m) == (latitude, longitude, accuracy)
    assert repr(here) == "Location(hidden)"


def test_without_a_location_the_place_is_the_sites_and_public():
    (fact,) = place_facts(SITE, None, None)
    assert fact.text == "The user is at Grand Arcade, Cambridge, Petty Cury, Cambridgeshire, United Kingdom"
    assert (fact.label, fact.source, fact.precision) == (Label.PUBLIC, "site", "exact")


def test_a_person_within_the_radius_is_at_the_site():
    near = Location(52.2040, 0.1216, 10)
    assert place_facts(SITE, near, None) == place_facts(SITE, None, None)


def test_a_vague_location_gets_coarser_names_only():
    (fact,) = place_facts(SITE, Location(52.2040, 0.1216, 5_000), None)
    assert fact.text == "The user is in Cambridge, Cambridgeshire, United Kingdom"
    assert fact.precision == "city"


def test_a_persons_own_place_is_personal_unless_they_consent():
    (fact,) = place_facts(SITE, ELY, NAMES)
    assert fact.text.startswith("The user is in Ely, Cambridgeshire")
    assert (fact.label, fact.source, fact.precision) == (Label.PERSONAL, "request", "city")
    (open_fact,) = place_facts(SITE, ELY, NAMES, frozenset({"location"}))
    assert open_fact.label is Label.PUBLIC


def test_wide_uncertainty_leaves_region_or_country():
    assert place_facts(SITE, Location(52.4, 0.26, 100_000), NAMES)[0].precision == "region"
    assert place_facts(SITE, Location(52.4, 0.26, 900_000), NAMES)[0].text == "The user is in United Kingdom"


def test_at_sea_or_without_names_there_is_no_fact():
    assert place_facts(SITE, Location(0, -30), NAMES) == ()
    assert place_facts(SITE, ELY, None) == ()
    assert place_facts(Site(), None, NAMES) == ()


@settings(max_examples=40)
@given(st.floats(-90, 90), st.floats(-180, 180))
def test_no_text_holds_a_coordinate(latitude, longitude):
    for fact in place_facts(SITE, Location(latitude, longitude), NAMES):
        assert not re.search(r"\d+\.\d", fact.text)


def test_nearness_is_measured_from_the_person_or_else_the_site():
    site = origin(SITE, None)
    person = origin(SITE, ELY)
    assert site is not None and site.at_site and site.label is Label.PUBLIC
    assert person is not None and not person.at_site and person.label is Label.PERSONAL
    assert (person.latitude, person.longitude) == (ELY.latitude, ELY.longitude)
    assert origin(Site(), None) is None
