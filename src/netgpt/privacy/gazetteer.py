"""The city, region and country that a place's name means, and places at coarser levels.

The data is GeoNames (CC BY 4.0) and Java's locale data, read on first use (half a second, 25 MB), and only where a
policy lets places leave at a coarser level.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from array import array
from dataclasses import dataclass
from typing import NamedTuple

from netgpt.errors import PrivacyError, SettingsError
from netgpt.geonames import country_names, foreign_country_names, towns
from netgpt.privacy.kinds import word_set

_TOWN_OF = 10_000
"""Population. A smaller place identifies as much as a district, and is no city here."""
_SMALLEST = 2_000
"""Population. Smaller places are not known here, so they leave as a placeholder or not at all."""
_PLAUSIBLE = 3
"""A namesake counts when it has at least a third of the largest one's population."""
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
    """What a name means. `precision`: of the name: district, city, region or country.

    A region or country that its namesakes do not share is None.
    """

    precision: str
    region: str | None
    country: str | None


class Gazetteer:
    """70,000 towns by name, with their regions and countries. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.loaded = False
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
            try:
                if not self.loaded:
                    self._read()
            except SettingsError as error:
                raise PrivacyError(f"{error}; nothing was sent") from None
            self.loaded = True

    def known(self, name: str, within: str | None = None) -> GazetteerEntry | None:
        """What a name means; `within`: a region or country that contains it. None: unknown."""
        self.load()
        key = folded(name)
        inside = folded(within) if within else None
        if inside is None and (code := self._country_codes.get(key)):
            return self._country(key, code)
        town, region = self._town(_ALIASES.get(key, key), inside), self._region(key, inside)
        return town if town is not None and (town.precision == "city" or region is None) else region

    def _country(self, key: str, code: str) -> GazetteerEntry:
        """Where a capital or region has the same name (Luxembourg, Georgia), the finer one is meant."""
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
    """Lower case without accents, words between single spaces.

    >>> folded("Saint-Étienne")
    'saint etienne'
    """
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


_RANKS = ("exact", "street", "district", "city", "region", "country")
_PARTS = re.compile(r"\s*[,;\n]\s*")
_POSTCODE_FIRST = re.compile(r"(?:[A-Z]{1,2}-)?\d{4,5}\s+(?=[^\W\d])")
_STREET = re.compile(
    r"(?i)\b(?:road|rd|street|st|avenue|ave|lane|ln|drive|dr|boulevard|blvd|way|square|sq|court|terrace|close|place|hill"
    r"|rue|quai|impasse|allée|chemin|calle|avenida|plaza|paseo|camino|via|viale|piazza|corso|rua|weg|gasse|allee|platz"
    r"|ufer|damm|ring|straat|laan|plein|gracht)\b\.?|(?:straße|strasse|str\.|weg|gasse|allee|platz|straat|laan)(?:\s|$)"
)
_STREET_WORDS = 5
_NUMBERED = re.compile(r"(?:\d+\s?[a-zA-Z]?(?:[-/]\d+)?\s+)?(?P<street>\D+?)(?:\s+\d+\s?[a-zA-Z]?(?:[-/]\d+)?)?")
_US_STATES = dict(
    pair.split("=")
    for pair in word_set("""
        AL=Alabama AK=Alaska AZ=Arizona AR=Arkansas CA=California CO=Colorado CT=Connecticut DE=Delaware
        FL=Florida GA=Georgia HI=Hawaii ID=Idaho IL=Illinois IN=Indiana IA=Iowa KS=Kansas KY=Kentucky
        LA=Louisiana ME=Maine MD=Maryland MA=Massachusetts MI=Michigan MN=Minnesota MS=Mississippi MO=Missouri
        MT=Montana NE=Nebraska NV=Nevada NH=New_Hampshire NJ=New_Jersey NM=New_Mexico NY=New_York
        NC=North_Carolina ND=North_Dakota OH=Ohio OK=Oklahoma OR=Oregon PA=Pennsylvania RI=Rhode_Island
        SC=South_Carolina SD=South_Dakota TN=Tennessee TX=Texas UT=Utah VT=Vermont VA=Virginia WA=Washington
        WV=West_Virginia WI=Wisconsin WY=Wyoming""")
)


class _Part(NamedTuple):
    """A known part of a place's text."""

    words: str
    precision: str


def place_as(text: str, kind: str, precision: str, gazetteer: Gazetteer) -> tuple[str, str, str] | None:
    """(the place at a coarser level, the precision of the text, the new precision), or None: it is unknown.

    "12 Mill Road, Cambridge CB1 2AD, UK" -> "Mill Road, Cambridge, UK" (street) -> "Cambridge, UK" (city) -> "England,
    United Kingdom" (region) -> "United Kingdom" (country). Nothing is guessed: a street with the name of a town gives
    no town, and namesakes far apart give no country. A text that is coarse enough is returned as it is.
    """
    parts = [part for part in _PARTS.split(text.strip()) if part]
    if not parts:
        return None
    known, finest = _read(parts, kind, gazetteer)
    if precision == "street":
        return _street(parts, known) if kind == "ADDRESS" else None
    if not known or finest is None:
        return None
    whole = len(known) == len(parts) and not any(c.isdigit() for c in text)
    was = known[0].precision if whole else "exact"
    rank = _RANKS.index(precision)
    if _RANKS.index(was) >= rank:
        return text, was, was
    words, now = _coarser(known, finest, precision)
    if words is None or _gives_away(parts, known, words, rank):
        return None
    return words, was, now


def _read(parts: list[str], kind: str, gazetteer: Gazetteer) -> tuple[list[_Part], GazetteerEntry | None]:
    """The known parts, finest first, read from the end of the text; and the entry of the finest one."""
    known: list[_Part] = []
    finest: GazetteerEntry | None = None
    for number in range(len(parts) - 1, -1, -1):
        if number == 0 and (kind == "ADDRESS" or (len(parts) == 1 and parts[0][:1].isdigit() and kind != "PLACE")):
            break  # the first part of an address is its street, whatever its name
        name = _name(parts[number])
        within = known[0].words if known else None
        found = gazetteer.known(name, within) if name else None
        if found is None or (known and _RANKS.index(found.precision) >= _RANKS.index(known[0].precision)):
            break
        known.insert(0, _Part(name, found.precision))
        finest = found
    return known, finest


def _name(part: str) -> str:
    """The part without its postcode: "Cambridge CB1 2AD", "10115 Berlin", "MA 02139"."""
    words = _POSTCODE_FIRST.sub("", part).split()
    while words and any(c.isdigit() for c in words[-1]):
        words.pop()
    name = " ".join(words)
    return "" if any(c.isdigit() for c in name) else _US_STATES.get(name, name).replace("_", " ")


def _street(parts: list[str], known: list[_Part]) -> tuple[str, str, str] | None:
    """An address without its house number and postcode, when its first part is a street and the others are places."""
    match = _NUMBERED.fullmatch(parts[0])
    street = match["street"].strip() if match else ""
    if len(known) != len(parts) - 1 or len(street.split()) > _STREET_WORDS or not _STREET.search(street):
        return None
    was = "exact" if any(c.isdigit() for c in parts[0]) else "street"
    return ", ".join([street, *(part.words for part in known)]), was, "street"


def _coarser(known: list[_Part], finest: GazetteerEntry, precision: str) -> tuple[str | None, str]:
    """The words and their precision: from the text itself, or from the entry of its finest known part."""
    rank = _RANKS.index(precision)
    said = [part for part in known if _RANKS.index(part.precision) >= rank]
    if precision == "region" and finest.region and (not said or said[0].precision != "region"):
        return ", ".join(name for name in (finest.region, finest.country) if name), "region"
    if said:
        return ", ".join(part.words for part in said), said[0].precision
    return (finest.country if precision in ("region", "country") else None), "country"


def _gives_away(parts: list[str], known: list[_Part], words: str, rank: int) -> bool:
    """Whether the coarser words contain a finer part: the region Vienna names the city."""
    coarse = {folded(part.words) for part in known if _RANKS.index(part.precision) >= rank}
    written = f" {folded(words)} "
    finer = [folded(_name(part)) for part in parts] + [folded(part) for part in parts]
    return any(part and part not in coarse and f" {part} " in written for part in finer)
