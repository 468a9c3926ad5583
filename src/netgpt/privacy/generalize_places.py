"""A place in coarser words: an address as its city, a city as its region or country.

"12 Mill Road, Cambridge CB1 2AD, UK" -> "Mill Road, Cambridge, UK" (street) -> "Cambridge, UK" (city) -> "England,
United Kingdom" (region) -> "United Kingdom" (country). What cannot be told for certain is not told: a street that is
called like a town gives no town, and namesakes far apart give no country.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from netgpt.privacy.gazetteer import Gazetteer, GazetteerEntry, folded
from netgpt.privacy.wordsets import words

__all__ = ["place_as"]

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
    for pair in words(
        """AL=Alabama AK=Alaska AZ=Arizona AR=Arkansas CA=California CO=Colorado CT=Connecticut DE=Delaware
        FL=Florida GA=Georgia HI=Hawaii ID=Idaho IL=Illinois IN=Indiana IA=Iowa KS=Kansas KY=Kentucky
        LA=Louisiana ME=Maine MD=Maryland MA=Massachusetts MI=Michigan MN=Minnesota MS=Mississippi MO=Missouri
        MT=Montana NE=Nebraska NV=Nevada NH=New_Hampshire NJ=New_Jersey NM=New_Mexico NY=New_York
        NC=North_Carolina ND=North_Dakota OH=Ohio OK=Oklahoma OR=Oregon PA=Pennsylvania RI=Rhode_Island
        SC=South_Carolina SD=South_Dakota TN=Tennessee TX=Texas UT=Utah VT=Vermont VA=Virginia WA=Washington
        WV=West_Virginia WI=Wisconsin WY=Wyoming"""
    )
)


@dataclass(frozen=True, slots=True)
class _Part:
    """One known part of a place's text."""

    words: str
    precision: str


def place_as(text: str, kind: str, precision: str, gazetteer: Gazetteer) -> tuple[str, str, str] | None:
    """(the place in coarser words, the precision that the text had, the one it has now), or None: it cannot be told.

    A text that is as coarse as asked already is given back as it is.
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
    words, now = _told(known, finest, precision)
    if words is None or _gives_away(parts, known, words, rank):
        return None
    return words, was, now


def _read(parts: list[str], kind: str, gazetteer: Gazetteer) -> tuple[list[_Part], GazetteerEntry | None]:
    """The known parts, finest first, read from the end of the text; and all that is known of the finest of them."""
    known: list[_Part] = []
    finest: GazetteerEntry | None = None
    for number in range(len(parts) - 1, -1, -1):
        if number == 0 and (kind == "ADDRESS" or (len(parts) == 1 and parts[0][:1].isdigit() and kind != "PLACE")):
            break  # the first part of an address is its street, whatever it is called
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
    part = _POSTCODE_FIRST.sub("", part)
    words = part.split()
    while words and any(c.isdigit() for c in words[-1]):
        words.pop()
    if any(any(c.isdigit() for c in word) for word in words):
        return ""
    name = " ".join(words)
    return _US_STATES.get(name, name).replace("_", " ")


def _street(parts: list[str], known: list[_Part]) -> tuple[str, str, str] | None:
    """An address without its house number and postcode, when its first part is a street and the others are places."""
    match = _NUMBERED.fullmatch(parts[0])
    street = match["street"].strip() if match else ""
    if len(known) != len(parts) - 1 or len(street.split()) > _STREET_WORDS or not _STREET.search(street):
        return None
    was = "exact" if any(c.isdigit() for c in parts[0]) else "street"
    return ", ".join([street, *(part.words for part in known)]), was, "street"


def _told(known: list[_Part], finest: GazetteerEntry, precision: str) -> tuple[str | None, str]:
    """The words, and how precise they are: what the text itself says, or what is known of its finest known part."""
    rank = _RANKS.index(precision)
    said = [part for part in known if _RANKS.index(part.precision) >= rank]
    if precision == "region" and finest.region and (not said or said[0].precision != "region"):
        return ", ".join(name for name in (finest.region, finest.country) if name), "region"
    if said:
        return ", ".join(part.words for part in said), said[0].precision
    return (finest.country if precision in ("region", "country") else None), "country"


def _gives_away(parts: list[str], known: list[_Part], words: str, rank: int) -> bool:
    """Whether the coarser words hold a part that is finer: the region Vienna tells the city."""
    coarse = {folded(part.words) for part in known if _RANKS.index(part.precision) >= rank}
    told = f" {folded(words)} "
    finer = [folded(_name(part)) for part in parts] + [folded(part) for part in parts]
    return any(part and part not in coarse and f" {part} " in told for part in finer)
