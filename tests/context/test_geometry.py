from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netgpt.context.location import EARTH_RADIUS_M, compass, haversine_m

points = st.tuples(st.floats(-90, 90), st.floats(-180, 180))


def test_london_to_paris_is_344_kilometres():
    assert haversine_m(51.5074, -0.1278, 48.8566, 2.3522) == pytest.approx(343_556, rel=0.001)


@given(points, points, points)
def test_it_is_a_distance(a, b, c):
    ab, ba = haversine_m(*a, *b), haversine_m(*b, *a)
    assert ab == pytest.approx(ba, abs=1e-3)
    assert 0 <= ab <= math.pi * EARTH_RADIUS_M + 1
    assert haversine_m(*a, *a) == 0
    assert haversine_m(*a, *c) <= ab + haversine_m(*b, *c) + 1


def test_the_date_line_is_no_border():
    assert haversine_m(0, 179.999, 0, -179.999) < 250


@pytest.mark.parametrize(
    ("latitude", "longitude", "direction"),
    [(1, 0, "north"), (0, 1, "east"), (-1, 0, "south"), (0, -1, "west"), (1, 1, "north-east"), (-1, -1, "south-west")],
)
def test_directions(latitude, longitude, direction):
    assert compass(0, 0, latitude, longitude) == direction
