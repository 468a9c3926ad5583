"""Where the request comes from, told in names. Coordinates stay in here: no fact's text ever holds one.

Labels. The site's own place is public: it is where the box stands, and what the completed prompt is about.
A location that a request brings is the person's own: personal, unless the person consents (`"location"`
in the request's `consent`), and then never finer than the city. A person inside the site's radius is at the site.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from netgpt.context.geometry import haversine_m
from netgpt.context.names import Named, PlaceNames
from netgpt.errors import RequestError
from netgpt.types import Fact, Label, Location

__all__ = ["Origin", "PlaceNames", "SiteLike", "check_location", "origin", "place_facts"]

_RANGES = {"latitude": (-90.0, 90.0), "longitude": (-180.0, 180.0), "accuracy_m": (0.0, 20_100_000.0)}
_DISTRICT_M, _CITY_M, _REGION_M = 2_000.0, 30_000.0, 200_000.0
"""Beyond these uncertainties in metres, a district, a city, a region can no longer be told."""


class SiteLike(Protocol):
    """What is read of `settings.Site`."""

    @property
    def name(self) -> str | None: ...
    @property
    def latitude(self) -> float | None: ...
    @property
    def longitude(self) -> float | None: ...
    @property
    def radius_m(self) -> float: ...
    @property
    def district(self) -> str | None: ...
    @property
    def city(self) -> str | None: ...
    @property
    def region(self) -> str | None: ...
    @property
    def country(self) -> str | None: ...


@dataclass(frozen=True, slots=True)
class Origin:
    """The point that nearness is measured from, and how far what follows from it may go."""

    latitude: float
    longitude: float
    label: Label
    at_site: bool
    """Only then may distances be told in public: from a person's own point they would give it away."""

    def __repr__(self) -> str:
        return "Origin(hidden)"


def check_location(raw: Mapping[str, Any]) -> Location:
    """Read the request's `netgpt.location`. Raises RequestError that names the field, never its value."""
    if not isinstance(raw, Mapping):
        raise RequestError(
            'netgpt.location must be an object such as {"latitude": 52.2, "longitude": 0.12}', param="netgpt.location"
        )
    if set(raw) - set(_RANGES):
        raise RequestError("netgpt.location takes latitude, longitude and accuracy_m only", param="netgpt.location")
    values = {key: _number(raw, key) for key in _RANGES if key != "accuracy_m" or raw.get(key) is not None}
    return Location(**values)


def origin(site: SiteLike, here: Location | None, consent: frozenset[str] = frozenset()) -> Origin | None:
    """The point to search nearby places from: the person's, else the site's; None when neither is known."""
    if here is not None and not _inside(site, here):
        label = Label.PUBLIC if "location" in consent else Label.PERSONAL
        return Origin(here.latitude, here.longitude, label, at_site=False)
    if site.latitude is None or site.longitude is None:
        return None
    return Origin(site.latitude, site.longitude, Label.PUBLIC, at_site=True)


def place_facts(
    site: SiteLike, here: Location | None, names: PlaceNames | None, consent: frozenset[str] = frozenset()
) -> tuple[Fact, ...]:
    """The place of the request as one fact, or none when it cannot be told.

    No location given, or one inside the site's radius: the site's own names. Otherwise the city around the point,
    looked up offline in `names` (None: no look-up, no fact). A wide `accuracy_m` leaves only coarser names.
    """
    if here is None:
        return _site_facts(site, 0.0)
    if _inside(site, here):
        return _site_facts(site, 0.0 if here.accuracy_m <= site.radius_m else here.accuracy_m)
    if names is None:
        return ()
    told = _told(names.nearest(here.latitude, here.longitude), here.accuracy_m)
    if told is None:
        return ()
    label = Label.PUBLIC if "location" in consent else Label.PERSONAL
    return (Fact(told[0], "place", label, source="request", precision=told[1]),)


def _number(raw: Mapping[str, Any], key: str) -> float:
    low, high = _RANGES[key]
    value = raw.get(key)
    wrong = RequestError(
        f"netgpt.location.{key} must be a number from {low:g} to {high:g}", param=f"netgpt.location.{key}"
    )
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong
    if not low <= value <= high:  # NaN fails here too, and no int is too big to compare
        raise wrong
    return float(value)


def _inside(site: SiteLike, here: Location) -> bool:
    if site.latitude is None or site.longitude is None:
        return False
    return haversine_m(site.latitude, site.longitude, here.latitude, here.longitude) <= site.radius_m


def _site_facts(site: SiteLike, accuracy_m: float) -> tuple[Fact, ...]:
    """The site's names, from the finest that `accuracy_m` allows."""
    steps = (
        ("exact", site.name, _DISTRICT_M / 4),
        ("district", site.district, _DISTRICT_M),
        ("city", site.city, _CITY_M),
        ("region", site.region, _REGION_M),
        ("country", site.country, math.inf),
    )
    known = [(precision, name) for precision, name, limit in steps if name and accuracy_m <= limit]
    if not known:
        return ()
    preposition = "at" if known[0][0] == "exact" else "in"
    text = f"The user is {preposition} {_joined(name for _, name in known)}"
    return (Fact(text, "place", Label.PUBLIC, source="site", precision=known[0][0]),)


def _told(named: Named, accuracy_m: float) -> tuple[str, str] | None:
    """The clause and its precision; None at sea, far from any place."""
    doubt = max(accuracy_m, 0.0 if named.within else named.distance_m)
    if doubt <= _CITY_M:
        preposition = "in" if named.within else "near"
        names = (named.city, named.county, named.region, named.country)
        return f"The user is {preposition} {_joined(names)}", "city"
    if doubt <= _REGION_M and (named.region or named.county):
        return f"The user is in {_joined((named.region or named.county, named.country))}", "region"
    if named.country and named.distance_m <= _REGION_M:
        return f"The user is in {named.country}", "country"
    return None


def _joined(names: Any) -> str:
    """Names with commas, each part once: a site's name often holds its city already."""
    parts: list[str] = []
    for name in names:
        for part in (piece.strip() for piece in str(name).split(",")):
            if part and part.casefold() not in (known.casefold() for known in parts):
                parts.append(part)
    return ", ".join(parts)
