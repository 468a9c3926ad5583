"""Distances and directions on the earth, taken as a sphere: errors stay under 0.6 percent."""

from __future__ import annotations

from math import asin, atan2, cos, degrees, radians, sin, sqrt

__all__ = ["EARTH_RADIUS_M", "compass", "haversine_m"]

EARTH_RADIUS_M = 6_371_008.8
"""Mean radius of the earth in metres (IUGG)."""

_DIRECTIONS = ("north", "north-east", "east", "south-east", "south", "south-west", "west", "north-west")


def haversine_m(latitude1: float, longitude1: float, latitude2: float, longitude2: float) -> float:
    """Great-circle distance in metres between two points in degrees."""
    phi1, phi2 = radians(latitude1), radians(latitude2)
    half_phi, half_lambda = (phi2 - phi1) / 2, radians(longitude2 - longitude1) / 2
    chord = sin(half_phi) ** 2 + cos(phi1) * cos(phi2) * sin(half_lambda) ** 2
    return 2 * EARTH_RADIUS_M * asin(sqrt(min(1.0, chord)))


def compass(latitude1: float, longitude1: float, latitude2: float, longitude2: float) -> str:
    """The direction from the first point to the second, as one of eight words."""
    phi1, phi2, turn = radians(latitude1), radians(latitude2), radians(longitude2 - longitude1)
    bearing = degrees(atan2(sin(turn) * cos(phi2), cos(phi1) * sin(phi2) - sin(phi1) * cos(phi2) * cos(turn)))
    return _DIRECTIONS[round(bearing % 360 / 45) % 8]
