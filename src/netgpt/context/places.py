"""Places of interest nearby: the nearest ones of the kind that a request asks for, from a GeoJSON file (RFC 7946)."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from math import cos, degrees, radians
from pathlib import Path
from typing import Any

from netgpt.context.location import EARTH_RADIUS_M, compass, haversine_m
from netgpt.context.opening import opening_now
from netgpt.context.reach import Reach, off_the_way, reach_of, travel, without_way
from netgpt.errors import RequestError
from netgpt.files import read_json
from netgpt.types import Fact, Label


def word_set(text: str) -> frozenset[str]:
    """The words of a text as a set."""
    return frozenset(text.split())


STOP_WORDS = word_set("""
    a about after all also am an and any are around as ask at back be been before being but by call called can
    close could day did do does doing done down each for from get give go going good got had has have having he
    her here hers him his how i if in into is it its just know let like local made make may maybe me mine
    more most much must my name named near nearby need next no none not now number of off on one only or other our
    out over own place places please put said same say see she should show so some somewhere such take takes tell
    than that the their them then there these they thing this those to too under up us use used user users very
    want was way we well were what when where which while who why will with would yes you your yours""")
"""Words without a meaning of their own."""

_GROUPS = {
    "restaurant": """restaurant eat eating eatery dinner lunch supper brunch food dine dining hungry meal cuisine
        takeaway takeout pizzeria bistro steakhouse starving""",
    "cafe": "cafe coffee breakfast bakery tea teahouse espresso brunch",
    "bar": "bar pub drink drinks beer wine cocktail tavern brewery",
    "hotel": "hotel sleep stay overnight accommodation lodging hostel guesthouse motel bed inn",
    "sight": """museum sight sightseeing attraction gallery monument castle church cathedral tourist tourism visit
        architecture exhibition landmark college historic viewpoint artwork""",
    "park": "park garden playground picnic nature outdoors",
    "show": "cinema movie film theatre theater concert nightclub club entertainment music venue screening",
    "pharmacy": "pharmacy chemist medicine drugstore prescription",
    "doctor": "doctor hospital clinic dentist emergency physician",
    "shop": "shop shopping supermarket grocery groceries store mall market buy",
    "parking": "parking park-and-ride carpark",
    "fuel": "fuel gas petrol diesel station charging charger",
    "bank": "bank atm cash cashpoint",
    "transit": "bus train tram metro subway station railway taxi airport",
    "sport": "gym swim swimming swimmingpool sport sports fitness pool stadium",
    "school": "school university library kindergarten",
}


def stem(word: str) -> str:
    """A rough stem.

    >>> stem("Museums"), stem("eating"), stem("churches"), stem("cities")
    ('museum', 'eat', 'church', 'city')
    """
    word = word.casefold().removesuffix("'s").removesuffix("’s")
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    for ending, shortest in (("ing", 6), ("sses", 5), ("ches", 5), ("shes", 5), ("s", 4)):
        if word.endswith(ending) and len(word) >= shortest and not word.endswith(("ss", "us")):
            return word[: -len(ending)] if ending in ("ing", "s") else word[:-2]
    return word


def stems(text: str) -> list[str]:
    """The stems of a text's words in order, without stop words."""
    words = re.findall(r"[^\W_]+(?:['’\-][^\W_]+)*", text.casefold())
    return [stem(word) for word in words if word not in STOP_WORDS]


_GROUPS_OF_STEM: dict[str, set[str]] = {}
for _group, _words in _GROUPS.items():
    for _word in _words.split():
        _GROUPS_OF_STEM.setdefault(stem(_word), set()).add(_group)


def groups_in(text: str) -> set[str]:
    """The kinds of place that a request's words ask for: "dinner ideas" -> {"restaurant"}."""
    return set().union(*(_GROUPS_OF_STEM.get(word, set()) for word in stems(text)))


@lru_cache(maxsize=4096)
def group_of(kind: str) -> frozenset[str]:
    """The groups of a place of this kind; its own stem when there is none."""
    kind = kind.replace("_", " ")
    return frozenset(groups_in(kind) or stems(kind))


@lru_cache(maxsize=16384)
def _stems_of(texts: tuple[str, ...]) -> frozenset[str]:
    return frozenset(word for text in texts for word in stems(text))


@dataclass(frozen=True, slots=True)
class Place:
    """One place. `latitude` and `longitude` in degrees; `text` is free, `tags` are words such as "italian"."""

    id: str
    name: str
    kind: str
    latitude: float
    longitude: float
    text: str = ""
    tags: tuple[str, ...] = ()
    hours: str = ""
    """When it is open, as its source says it."""


@dataclass(frozen=True, slots=True)
class Around:
    """Where places are looked for: a point, the local time there where it is known, and the way on from it."""

    latitude: float
    longitude: float
    label: Label = Label.PUBLIC
    distances: bool = True
    """Off: facts do not say how far and in which direction a place is, so that they do not give the point away."""
    local: datetime | None = None
    goal: tuple[float, float] | None = None
    """Where the person goes to: places on the way are asked for."""
    said: str = "Near here"

    @property
    def point(self) -> tuple[float, float]:
        return self.latitude, self.longitude


def near(
    places: Iterable[Place],
    latitude: float,
    longitude: float,
    text: str,
    limit: int = 3,
    within_m: float = 5_000.0,
    *,
    label: Label = Label.PUBLIC,
    distances: bool = True,
) -> tuple[Fact, ...]:
    """As `suitable` around a point, where nothing else is known."""
    return suitable(places, Around(latitude, longitude, label, distances), text, limit, within_m)


def suitable(
    places: Iterable[Place], around: Around, text: str, limit: int = 3, usual_m: float = 5_000.0
) -> tuple[Fact, ...]:
    """The nearest places that the request `text` asks for, as facts; none when it asks for no place.

    A place fits by its kind ("dinner" -> restaurants), its tags ("thai") or its own name. Tags named in the request
    narrow the choice when some place has them. How far is near, its words decide, or `usual_m`. What is closed comes
    last where it asks for what is open; on a way, what adds the fewest 100 m comes first.
    """
    reach = reach_of(text, usual_m)
    if around.goal is not None:
        reach = replace(reach, within_m=max(reach.within_m, 1.2 * haversine_m(*around.point, *around.goal)))
    fitting = _fitting(_around(places, *around.point, reach.within_m), without_way(text))
    return _facts(fitting, around, limit, reach)


def nearest(
    places: Iterable[Place], latitude: float, longitude: float, limit: int = 3, within_m: float = 5_000.0
) -> tuple[Fact, ...]:
    """The nearest places of any kind: for looking at what was imported, not for completing requests."""
    found = _around(places, latitude, longitude, within_m)
    return _facts(found, Around(latitude, longitude), limit, Reach(within_m))


def _facts(places: Iterable[Place], around: Around, limit: int, reach: Reach) -> tuple[Fact, ...]:
    ranked = []
    for place in places:
        metres = haversine_m(*around.point, place.latitude, place.longitude)
        off = 0.0 if around.goal is None else off_the_way(around.point, (place.latitude, place.longitude), around.goal)
        if metres > reach.within_m or off is None:
            continue
        opened = opening_now(place.hours, around.local) if place.hours and around.local is not None else ""
        late = reach.opened and opened.startswith("closed")
        ranked.append(((late, round(off, -2), metres, place.name), metres, place, opened))
    ranked.sort(key=lambda row: row[0])
    facts = []
    for _, metres, place, opened in ranked[:limit]:
        where = (
            f"{_rounded(metres)} {compass(*around.point, place.latitude, place.longitude)}" if around.distances else ""
        )
        how_long = travel(metres, reach.mode) if reach.timed and around.distances else ""
        facts.append(Fact(_clause(place, around.said, where, how_long, opened), "poi", around.label, "places"))
    return tuple(facts)


def _around(places: Iterable[Place], latitude: float, longitude: float, within_m: float) -> list[Place]:
    """The places in a rectangle around the point: two comparisons a place, before any trigonometry."""
    tall = degrees(within_m / EARTH_RADIUS_M)
    wide = tall / max(cos(radians(min(89.0, abs(latitude) + tall))), 0.01)
    return [
        place
        for place in places
        if abs(place.latitude - latitude) <= tall and abs((place.longitude - longitude + 180) % 360 - 180) <= wide
    ]


def _fitting(places: Sequence[Place], text: str) -> list[Place]:
    words, groups = set(stems(text)), groups_in(text)
    if not words:
        return []
    named = [place for place in places if _is_named(place, words)]
    if named:
        return named
    tagged = {place.id: words & _stems_of(place.tags) for place in places}
    asked = [place for place in places if group_of(place.kind) & groups]
    if not asked and not groups:  # "something thai": no kind of place, but a tag that some places have
        asked = [place for place in places if tagged[place.id]]
    most = max((len(tagged[place.id]) for place in asked), default=0)
    return [place for place in asked if len(tagged[place.id]) == most]


def _is_named(place: Place, words: set[str]) -> bool:
    """Whether the request has the place's whole name; a name of one word must be more than a kind."""
    name = _stems_of((place.name,))
    return bool(name) and name <= words and (len(name) > 1 or not groups_in(place.name))


def _clause(place: Place, said: str, *more: str) -> str:
    """Such as "Near here: Pizza Hut City Centre, italian restaurant, cheap, 300 m north, open until 22:00"."""
    kind = place.kind.replace("_", " ")
    tags = [tag for tag in place.tags if tag.casefold() not in kind.casefold()][:3]
    described = f"{tags[0]} {kind}" if tags else kind
    return f"{said}: " + ", ".join(part for part in (place.name, described, *tags[1:], *more) if part)


def _rounded(metres: float) -> str:
    return f"{max(100, round(metres / 100) * 100)} m" if metres < 950 else f"{metres / 1000:.1f} km"


_KIND_KEYS = ("kind", "amenity", "tourism", "leisure", "shop", "type", "category")
_TAG_KEYS = ("cuisine", "food", "pricerange", "price", "area", "diet")
_HOURS_KEYS = ("opening_hours", "openingHours", "openhours", "hours")
_TEXT_KEYS = ("description", "introduction", "address", "phone", "opening_hours", "website")
MAX_BYTES = 500_000_000
_LONGEST = 300
"""Characters kept of one property."""


def read_geojson(path: Path, on_bad: Callable[[str], None] | None = None) -> list[Place]:
    """The places of a FeatureCollection. Other shapes than points count as the middle of their bounding box.

    `on_bad` gets a message for each wrong row ("file: feature 3: ...") and the rest is read; without it the first ten
    are a RequestError. Raises RequestError when the file is no GeoJSON.
    """
    document = read_json(path, RequestError, most=MAX_BYTES)
    features = document.get("features") if isinstance(document, dict) else None
    if not isinstance(features, list):
        raise RequestError(f'{path}: not GeoJSON places: expected {{"type": "FeatureCollection", "features": [...]}}')
    places: list[Place] = []
    faults: list[str] = []
    for index, feature in enumerate(features):
        try:
            places.append(_place(feature, index))
        except ValueError as error:
            faults.append(f"{path}: feature {index}: {error}")
    if on_bad is not None:
        for fault in faults:
            on_bad(fault)
    elif faults:
        raise RequestError("\n".join(faults[:10]) + (f"\n... and {len(faults) - 10} more" if faults[10:] else ""))
    return places


def _place(feature: Any, index: int) -> Place:
    """One feature as a place. Raises ValueError: what is wrong with it."""
    if not isinstance(feature, Mapping) or feature.get("type") != "Feature":
        raise ValueError('not an object of type "Feature"')
    longitude, latitude = _middle(feature.get("geometry"))
    found = feature.get("properties")
    properties: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
    name = _text(properties.get("name"))
    if not name:
        raise ValueError('property "name" is missing')
    hours = next((text for key in _HOURS_KEYS if (text := _text(properties.get(key)))), "")
    identity = feature.get("id", properties.get("id", index))
    return Place(
        id=_text(identity) or str(index),
        name=" ".join(word[:1].upper() + word[1:] for word in name.split()) if name.islower() else name,
        kind=next((text for key in _KIND_KEYS if (text := _text(properties.get(key)))), "place").casefold(),
        latitude=latitude,
        longitude=longitude,
        text=". ".join(text for key in _TEXT_KEYS if (text := _text(properties.get(key)))),
        tags=tuple(dict.fromkeys(_tags(properties))),
        hours=hours if len(hours) < _LONGEST else "",  # cut in the middle it would be another one
    )


def _middle(geometry: Any) -> tuple[float, float]:
    """Longitude and latitude of the middle of a geometry's bounding box."""
    if not isinstance(geometry, Mapping):
        raise ValueError("geometry is missing")
    parts = geometry.get("geometries") if geometry.get("type") == "GeometryCollection" else [geometry]
    parts = parts if isinstance(parts, list) else []
    points = [point for part in parts if isinstance(part, Mapping) for point in _points(part.get("coordinates"))]
    if not points:
        raise ValueError("geometry has no coordinates")
    longitudes, latitudes = [point[0] for point in points], [point[1] for point in points]
    for name, values, limit in (("longitude", longitudes, 180), ("latitude", latitudes, 90)):
        if not all(math.isfinite(value) and abs(value) <= limit for value in values):
            raise ValueError(f"{name} is not within -{limit} to {limit} degrees (GeoJSON writes longitude first)")
    return (min(longitudes) + max(longitudes)) / 2, (min(latitudes) + max(latitudes)) / 2


def _points(coordinates: Any, depth: int = 0) -> Iterator[tuple[float, float]]:
    """Every position in the nested lists of a geometry."""
    if not isinstance(coordinates, list) or depth > 5:
        return
    if len(coordinates) >= 2 and all(_is_number(value) for value in coordinates[:2]):
        yield float(coordinates[0]), float(coordinates[1])
        return
    for part in coordinates:
        yield from _points(part, depth + 1)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e6


def _tags(properties: Mapping[str, Any]) -> Iterator[str]:
    kinds = [text for key in _KIND_KEYS if (text := _text(properties.get(key)))]
    for key in _TAG_KEYS:
        for word in _text(properties.get(key)).replace(";", ",").split(","):
            if word.strip():
                yield word.strip().replace("_", " ").casefold()
    listed = properties.get("tags")
    for word in listed if isinstance(listed, list) else _text(listed).replace(";", ",").split(","):
        if _text(word):
            yield _text(word).casefold()
    yield from (kind.casefold() for kind in kinds[1:])  # kind "attraction", type "museum": the finer word is a tag


def _text(value: Any) -> str:
    """A property as one short line; empty for anything but text and numbers."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return " ".join("".join(c if c.isprintable() else " " for c in str(value)).split())[:_LONGEST]
