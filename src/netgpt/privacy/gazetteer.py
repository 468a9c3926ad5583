"""Which city, region and country a place's name means: by GeoNames' towns.

Read on first use (half a second, about 25 MB that stay), and only where a policy lets places leave in coarser words.
The data is GeoNames, CC BY 4.0; names of countries in other languages are Java's locale data.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from array import array
from dataclasses import dataclass

from netgpt.errors import PrivacyError, SettingsError
from netgpt.geonames import country_names, foreign_country_names, towns

__all__ = ["Gazetteer", "GazetteerEntry", "folded"]

_TOWN_OF = 10_000
"""People. A smaller place is as telling as a district, and is no city here."""
_SMALLEST = 2_000
"""People. What is smaller is not known here, so it leaves as a placeholder or not at all."""
_PLAUSIBLE = 3
"""A namesake counts when it has at least a third of the largest one's people."""
_ALIASES = {
    "munchen": "munich", "wien": "vienna", "cologne": "koln", "roma": "rome", "milano": "milan", "mailand": "milan",
    "londres": "london", "lisboa": "lisbon", "lissabon": "lisbon", "praha": "prague", "prag": "prague",
    "warszawa": "warsaw", "warschau": "warsaw", "moskau": "moscow", "moscou": "moscow", "geneva": "geneve",
    "genf": "geneve", "seville": "sevilla", "bruxelles": "brussels", "brussel": "brussels", "kobenhavn": "copenhagen",
    "new york": "new york city", "nyc": "new york city", "peking": "beijing", "firenze": "florence",
    "florenz": "florence", "venezia": "venice", "venedig": "venice", "napoli": "naples", "neapel": "naples",
    "torino": "turin", "nurnberg": "nuremberg", "the hague": "the hague", "den haag": "the hague", "athen": "athens",
}  # fmt: skip
_COUNTRY_ALIASES = {"uk": "GB", "great britain": "GB", "usa": "US", "holland": "NL", "grossbritannien": "GB"}


@dataclass(frozen=True, slots=True)
class GazetteerEntry:
    """What a name means. `precision`: what the name itself tells: district, city, region or country.

    A region or country that its namesakes do not share is None.
    """

    precision: str
    region: str | None
    country: str | None


class Gazetteer:
    """70,000 towns by name, and the regions and countries that they lie in. Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.loaded = False
        """Whether the data is read."""
        self._towns: dict[str, tuple[int, ...]] = {}
        self._people = array("I")
        self._region_of = array("H")
        self._country_of = array("B")
        self._region_names: list[str] = []
        self._codes: list[str] = []
        self._countries: dict[str, str] = {}
        self._country_codes: dict[str, str] = {}
        self._regions: dict[str, list[tuple[str, str]]] = {}

    def load(self) -> None:
        """Read the data; does nothing the second time. Raises PrivacyError when the data is missing."""
        with self._lock:
            if not self.loaded:
                try:
                    self._read()
                except SettingsError as error:
                    raise PrivacyError(f"{error}; nothing was sent") from None
                self.loaded = True

    def known(self, name: str, within: str | None = None) -> GazetteerEntry | None:
        """What one name means; `within`: a region or country that it lies in. None: it is not known."""
        self.load()
        key = folded(name)
        inside = folded(within) if within else None
        if inside is None and (code := self._country_codes.get(key)):
            return self._country(key, code)
        town, region = self._town(_ALIASES.get(key, key), inside), self._region(key, inside)
        return town if town is not None and (town.precision == "city" or region is None) else region

    def _country(self, key: str, code: str) -> GazetteerEntry:
        """A country whose capital or region is called the same (Luxembourg), or another one's region (Georgia), counts
        as the finer of the two."""
        name = self._countries[code]
        if any(self._codes[self._country_of[row]] == code for row in self._towns.get(key, ())):
            return GazetteerEntry("city", None, name)
        if regions := self._regions.get(key):
            return GazetteerEntry("region", regions[0][0], name if {c for _, c in regions} == {code} else None)
        return GazetteerEntry("country", None, name)

    def _town(self, key: str, within: str | None) -> GazetteerEntry | None:
        rows = [row for row in self._towns.get(key, ()) if within is None or self._lies_in(row, within)]
        if not rows:
            return None
        most = max(self._people[row] for row in rows)
        rows = [row for row in rows if self._people[row] * _PLAUSIBLE >= most]
        regions = {self._region_names[self._region_of[row]] for row in rows}
        countries = {self._countries.get(self._codes[self._country_of[row]], "") for row in rows}
        return GazetteerEntry("city" if most >= _TOWN_OF else "district", _only(regions), _only(countries))

    def _region(self, key: str, within: str | None) -> GazetteerEntry | None:
        code_within = self._country_codes.get(within) if within else None
        found = [(n, code) for n, code in self._regions.get(key, ()) if within is None or code == code_within]
        countries = {self._countries.get(code, "") for _, code in found}
        return GazetteerEntry("region", found[0][0], _only(countries)) if found else None

    def _lies_in(self, row: int, within: str) -> bool:
        code = self._codes[self._country_of[row]]
        return within == folded(self._region_names[self._region_of[row]]) or self._country_codes.get(within) == code

    def _read(self) -> None:
        self._countries = country_names()
        self._country_codes = _country_names(self._countries)
        regions: dict[tuple[str, str], int] = {}
        codes: dict[str, int] = {}
        rows: dict[str, list[int]] = {}
        for number, town in enumerate(town for town in towns() if town.people >= _SMALLEST):
            code, region = town.country_code, town.region
            rows.setdefault(folded(town.name), []).append(number)
            self._people.append(town.people)
            self._region_of.append(regions.setdefault((region, code), len(regions)))
            self._country_of.append(codes.setdefault(code, len(codes)))
        self._towns = {name: tuple(numbers) for name, numbers in rows.items()}
        self._region_names, self._codes = [name for name, _ in regions], list(codes)
        for name, code in regions:
            if name:
                self._regions.setdefault(folded(name), []).append((name, code))


def folded(name: str) -> str:
    """Small letters without accents, words between single spaces."""
    plain = unicodedata.normalize("NFKD", name.casefold())
    letters = "".join(c for c in plain if not unicodedata.combining(c))
    return " ".join(re.findall(r"[^\W_]+", letters))


def _only(names: set[str]) -> str | None:
    return next(iter(names)) or None if len(names) == 1 else None


def _country_names(countries: dict[str, str]) -> dict[str, str]:
    """Folded name in any of a few languages -> code."""
    names = {folded(name): code for code, name in countries.items()}
    for code, foreign in foreign_country_names().items():
        if code in countries:
            for name in foreign:
                names.setdefault(folded(name), code)
    return names | _COUNTRY_ALIASES
