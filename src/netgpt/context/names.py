"""Coordinates to place names, offline: the inhabited place that a point belongs to (data: GeoNames, CC BY 4.0)."""

from __future__ import annotations

import math
import threading
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING

from netgpt.context.geometry import EARTH_RADIUS_M
from netgpt.geonames import country_names, towns

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Named", "PlaceNames"]

_PEOPLE_PER_KM2 = 3_000.0
"""A usual density of cities: it turns a population into the radius of a disc."""


@dataclass(frozen=True, slots=True)
class Named:
    """The inhabited place that a point belongs to. `distance_m`: from the point to the place's centre."""

    city: str
    county: str
    region: str
    country: str
    distance_m: float
    reach_m: float
    """Radius of the place as a disc of usual density, in metres."""

    @property
    def within(self) -> bool:
        """Whether the point lies inside that disc (or within 3 km of the centre of a small place)."""
        return self.distance_m <= max(self.reach_m, 3_000.0)


class PlaceNames:
    """155,000 inhabited places, read on first use (0.5 s, 33 MB that stay). Call `load` early to warm up."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows: list[tuple[str, str, str, str]] = []
        self._points: NDArray[np.float32] | None = None
        self._reach: NDArray[np.float32] | None = None

    def load(self) -> None:
        """Read the data; does nothing the second time. Raises SettingsError when the data is missing."""
        with self._lock:
            if self._points is None:
                self._read()

    def nearest(self, latitude: float, longitude: float) -> Named:
        """The place that a point in degrees belongs to: a big city reaches further than a village."""
        import numpy as np

        self.load()
        assert self._points is not None and self._reach is not None
        here = np.asarray(_unit(latitude, longitude), dtype=np.float32)
        metres = EARTH_RADIUS_M * 2 * np.arcsin(np.clip(np.linalg.norm(self._points - here, axis=1) / 2, 0, 1))
        best = int(np.argmin(metres - self._reach))
        city, county, region, country = self._rows[best]
        return Named(city, county, region, country, float(metres[best]), float(self._reach[best]))

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
        self._reach = np.sqrt(np.array(people) / np.float32(_PEOPLE_PER_KM2 * math.pi)) * np.float32(1_000)
        self._points = np.array(units).reshape(-1, 3)


def _unit(latitude: float, longitude: float) -> tuple[float, float, float]:
    """A point as a vector of length one, so that nearness needs no special case at poles and date line."""
    phi, turn = math.radians(latitude), math.radians(longitude)
    return math.cos(phi) * math.cos(turn), math.cos(phi) * math.sin(turn), math.sin(phi)
