from __future__ import annotations

import socket

import pytest

from netgpt.context.location import PlaceNames


@pytest.fixture
def names(place_names):
    return place_names


def test_a_point_gets_the_names_around_it(names):
    named = names.nearest(52.2053, 0.1218)
    assert (named.city, named.county, named.country) == ("Cambridge", "Cambridgeshire", "United Kingdom")
    assert named.within and named.distance_m < 1_000


def test_a_big_city_reaches_further_than_a_village(names):
    assert names.nearest(51.51, -0.13).city == "London"


def test_the_date_line_and_the_far_north_are_no_special_case(names):
    assert names.nearest(-16.8, -179.999).country == "Fiji"
    assert names.nearest(78.22, 15.64).city == "Longyearbyen"
    assert not names.nearest(0, -30).within


def test_nothing_is_asked_of_the_network(monkeypatch):
    """No patching of our own parts: any socket at all fails here, and the names are still read."""

    def refused(*args: object, **kwargs: object) -> None:
        raise AssertionError("a socket was opened")

    monkeypatch.setattr(socket, "socket", refused)
    monkeypatch.setattr(socket, "create_connection", refused)
    assert PlaceNames().nearest(48.8566, 2.3522).city == "Paris"
