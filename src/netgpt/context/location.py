"""Where the request comes from, as names of places. No fact's text ever holds coordinates.

The site's own place is public. A location that a request brings is personal, unless the person consents (`"location"`
in the request's `consent`), and then never finer than the city. A person inside the site's radius is at the site.
"""

from __future__ import annotations

import math
import threading
from array import array
from collections.abc import Mapping
from dataclasses import dataclass
from math import asin, atan2, cos, degrees, radians, sin, sqrt
from typing import TYPE_CHECKING, Any

from netgpt.errors import RequestError
from netgpt.geonames import country_names, towns
from netgpt.settings.sections import Site
from netgpt.types import Fact, Label, Location

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

EARTH_RADIUS_M = 6_371_008.8
"""Mean radius (IUGG). Taken as a sphere, the earth's distances and directions are wrong by less than 0.6 percent."""

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


_PEOPLE_PER_KM2 = 3_000.0
"""Typical density of cities: it turns a population into the radius of a disc."""

_SAME_REGION_M = 100_000.0
_KNOWN_RADIUS_M = 3_000.0
"""Of a town that is meant by its name alone, wherever one is: some 85,000 people."""


@dataclass(frozen=True, slots=True)
class Named:
    """The inhabited place that a point belongs to. `distance_m`: from the point to the place's centre."""

    city: str
    county: str
    region: str
    country: str
    distance_m: float
    radius_m: float
    """Of the place as a disc of typical density."""

    @property
    def within(self) -> bool:
        """Whether the point lies inside that disc (or within 3 km of the centre of a small place)."""
        return self.distance_m <= max(self.radius_m, 3_000.0)


class PlaceNames:
    """155,000 inhabited places (GeoNames), read on first use (0.5 s, 33 MB). Call `load` early to warm up."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: list[tuple[str, str, str, str]] = []
        self._points: NDArray[np.float32] | None = None
        self._radii: NDArray[np.float32] | None = None

    def load(self) -> None:
        """Read the data; does nothing the second time. Raises SettingsError when the data is missing."""
        with self._lock:
            if self._points is None:
                self._read()

    def nearest(self, latitude: float, longitude: float) -> Named:
        """The place that a point in degrees belongs to: a big city extends further than a village."""
        import numpy as np

        self.load()
        assert self._points is not None and self._radii is not None
        here = np.asarray(_unit(latitude, longitude), dtype=np.float32)
        metres = EARTH_RADIUS_M * 2 * np.arcsin(np.clip(np.linalg.norm(self._points - here, axis=1) / 2, 0, 1))
        best = int(np.argmin(metres - self._radii))
        city, county, region, country = self._rows[best]
        return Named(city, county, region, country, float(metres[best]), float(self._radii[best]))

    def find(self, name: str, latitude: float, longitude: float) -> tuple[float, float, float] | None:
        """Latitude, longitude and radius in metres of a town of this name: the nearest within 100 km, else the largest.

        None: there is none, or only far and small ones, whose names are words of their own as well.
        """
        import numpy as np

        self.load()
        assert self._points is not None and self._radii is not None
        wanted = name.casefold()
        found = [index for index, row in enumerate(self._rows) if row[0].casefold() == wanted]
        if not found:
            return None
        here = np.asarray(_unit(latitude, longitude), dtype=np.float32)
        metres = EARTH_RADIUS_M * np.linalg.norm(self._points[found] - here, axis=1)
        best = int(metres.argmin()) if metres.min() < _SAME_REGION_M else int(self._radii[found].argmax())
        radius = float(self._radii[found[best]])
        if metres[best] >= _SAME_REGION_M and radius < _KNOWN_RADIUS_M:
            return None
        x, y, z = (float(part) for part in self._points[found[best]])
        return degrees(math.asin(max(-1.0, min(1.0, z)))), degrees(atan2(y, x)), radius

    def _read(self) -> None:
        import numpy as np

        countries = country_names()
        words: dict[str, str] = {}  # one object a name: regions and counties repeat thousands of times
        rows, units, people = [], array("f"), array("f")
        for town in towns():
            county, region = words.setdefault(town.county, town.county), words.setdefault(town.region, town.region)
            rows.append((town.name, county, region, countries.get(town.country_code, "")))
            units.extend(_unit(town.latitude, town.longitude))
            people.append(town.people)
        self._rows = rows
        self._radii = np.sqrt(np.array(people) / np.float32(_PEOPLE_PER_KM2 * math.pi)) * np.float32(1_000)
        self._points = np.array(units).reshape(-1, 3)


def _unit(latitude: float, longitude: float) -> tuple[float, float, float]:
    """A point as a vector of length one, so that poles and date line are no special cases."""
    phi, turn = radians(latitude), radians(longitude)
    return cos(phi) * cos(turn), cos(phi) * sin(turn), sin(phi)


_RANGES = {"latitude": (-90.0, 90.0), "longitude": (-180.0, 180.0), "accuracy_m": (0.0, 20_100_000.0)}
_DISTRICT_M, _CITY_M, _REGION_M = 2_000.0, 30_000.0, 200_000.0
"""Uncertainties beyond which a district, a city, a region is not named."""


@dataclass(frozen=True, slots=True)
class Origin:
    """The point from which distances are measured, and the label of what follows from it."""

    latitude: float
    longitude: float
    label: Label
    at_site: bool
    """Only then are distances public: from a person's own point they would give it away."""

    def __repr__(self) -> str:
        return "Origin(hidden)"


def check_location(raw: Mapping[str, Any]) -> Location:
    """Parse the request's `netgpt.location`. Raises RequestError that names the field, never its value."""
    if not isinstance(raw, Mapping):
        raise RequestError(
            'netgpt.location must be an object such as {"latitude": 52.2, "longitude": 0.12}', param="netgpt.location"
        )
    if set(raw) - set(_RANGES):
        raise RequestError("netgpt.location takes latitude, longitude and accuracy_m only", param="netgpt.location")
    values = {key: _number(raw, key) for key in _RANGES if key != "accuracy_m" or raw.get(key) is not None}
    return Location(**values)


def origin(site: Site, here: Location | None, consent: frozenset[str] = frozenset()) -> Origin | None:
    """The point to search nearby places from: the person's, else the site's; None when neither is known."""
    if here is not None and not _inside(site, here):
        return Origin(here.latitude, here.longitude, _own_label(consent), at_site=False)
    if site.latitude is None or site.longitude is None:
        return None
    return Origin(site.latitude, site.longitude, Label.PUBLIC, at_site=True)


def place_facts(
    site: Site, here: Location | None, names: PlaceNames | None, consent: frozenset[str] = frozenset()
) -> tuple[Fact, ...]:
    """The place of the request as one fact, or none when it is unknown.

    No location given, or one inside the site's radius: the site's own names. Otherwise the city around the point by
    `names` (None: no look-up, no fact). A large `accuracy_m` leaves only coarser names.
    """
    if here is None:
        return _site_facts(site, 0.0)
    if _inside(site, here):
        return _site_facts(site, 0.0 if here.accuracy_m <= site.radius_m else here.accuracy_m)
    if names is None:
        return ()
    clause, precision = _clause(names.nearest(here.latitude, here.longitude), here.accuracy_m)
    if not clause:
        return ()
    return (Fact(clause, "place", _own_label(consent), source="request", precision=precision),)


def _number(raw: Mapping[str, Any], key: str) -> float:
    low, high = _RANGES[key]
    value = raw.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:  # NaN fails, too
        raise RequestError(
            f"netgpt.location.{key} must be a number from {low:g} to {high:g}", param=f"netgpt.location.{key}"
        )
    return float(value)


def _own_label(consent: frozenset[str]) -> Label:
    return Label.PUBLIC if "location" in consent else Label.PERSONAL


def _inside(site: Site, here: Location) -> bool:
    if site.latitude is None or site.longitude is None:
        return False
    return haversine_m(site.latitude, site.longitude, here.latitude, here.longitude) <= site.radius_m


def _site_facts(site: Site, accuracy_m: float) -> tuple[Fact, ...]:
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


def _clause(named: Named, accuracy_m: float) -> tuple[str, str]:
    """The fact's text and its precision; empty at sea, far from any place."""
    doubt = max(accuracy_m, 0.0 if named.within else named.distance_m)
    if doubt <= _CITY_M:
        preposition = "in" if named.within else "near"
        names = (named.city, named.county, named.region, named.country)
        return f"The user is {preposition} {_joined(names)}", "city"
    if doubt <= _REGION_M and (named.region or named.county):
        return f"The user is in {_joined((named.region or named.county, named.country))}", "region"
    if named.country and named.distance_m <= _REGION_M:
        return f"The user is in {named.country}", "country"
    return "", ""


def _joined(names: Any) -> str:
    """Names with commas, each part once: a site's name often holds its city already."""
    parts: dict[str, str] = {}
    for part in (piece.strip() for name in names for piece in str(name).split(",")):
        parts.setdefault(part.casefold(), part)
    return ", ".join(part for part in parts.values() if part)
