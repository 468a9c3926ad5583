"""Places of interest nearby: the nearest ones of the kind that a request asks for."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import cos, degrees, radians
from pathlib import Path
from typing import Any

from netgpt.context.location import EARTH_RADIUS_M, compass, haversine_m
from netgpt.errors import RequestError
from netgpt.types import Fact, Label

# --- Words of a request, cut to rough stems, and the kinds of place that people mean by them.


def word_set(text: str) -> frozenset[str]:
    """The words of a text as a set: the way word lists are written here."""
    return frozenset(text.split())


STOP_WORDS = word_set("""
    a about after all also am an and any are around as ask at back be been before being but by call called can
    close could day did do does doing done down each for from get give go going good got had has have having he
    her here hers him his how i if in into is it its just know let like local made make may maybe me mine
    more most much must my name named near nearby need next no none not now number of off on one only or other our
    out over own place places please put said same say see she should show so some somewhere such take takes tell
    than that the their them then there these they thing this those to too under up us use used user users very
    want was way we well were what when where which while who why will with would yes you your yours""")
"""Words that tell nothing by themselves."""

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
    """A rough stem, enough to bring "museums" and "museum", "eating" and "eat" together."""
    word = word.casefold().removesuffix("'s").removesuffix("’s")
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    for ending, shortest in (("ing", 6), ("sses", 5), ("ches", 5), ("shes", 5), ("s", 4)):
        if word.endswith(ending) and len(word) >= shortest and not word.endswith(("ss", "us")):
            return word[: -len(ending)] if ending in ("ing", "s") else word[:-2]
    return word


def stems(text: str) -> list[str]:
    """The stems of a text's telling words, in order; stop words are left out."""
    words = re.findall(r"[^\W_]+(?:['’\-][^\W_]+)*", text.casefold())
    return [stem(word) for word in words if word not in STOP_WORDS]


_GROUP_OF: dict[str, set[str]] = {}
for _group, _words in _GROUPS.items():
    for _word in _words.split():
        _GROUP_OF.setdefault(stem(_word), set()).add(_group)


def groups_in(text: str) -> set[str]:
    """The kinds of place that a request's words ask for: "dinner ideas" -> {"restaurant"}."""
    return set().union(*(_GROUP_OF.get(word, set()) for word in stems(text)))


def group_of(kind: str) -> set[str]:
    """The groups that a place of this kind falls under; its own stem when there is none."""
    found = groups_in(kind.replace("_", " "))
    return found or set(stems(kind.replace("_", " ")))


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
    """The nearest places that the request `text` asks for, as facts; none when it asks for no place.

    A place fits by its kind ("dinner" -> restaurants), its tags ("thai") or its own name. Tags named in the request
    ("cheap", "thai") narrow the choice when some place has them. With `distances` off, the facts do not tell how far
    and where, so that they do not give away a person's own point; `label` is the label of that point.
    """
    fitting = _fitting(_around(places, latitude, longitude, within_m), text)
    return _facts(fitting, (latitude, longitude), limit, within_m, label, distances)


def nearest(
    places: Iterable[Place], latitude: float, longitude: float, limit: int = 3, within_m: float = 5_000.0
) -> tuple[Fact, ...]:
    """The nearest places of any kind: for looking at what was imported, not for completing requests."""
    around = _around(places, latitude, longitude, within_m)
    return _facts(around, (latitude, longitude), limit, within_m, Label.PUBLIC, True)


def _facts(
    places: Iterable[Place], here: tuple[float, float], limit: int, within_m: float, label: Label, distances: bool
) -> tuple[Fact, ...]:
    measured = ((haversine_m(*here, place.latitude, place.longitude), place) for place in places)
    ranked = sorted(((metres, place) for metres, place in measured if metres <= within_m), key=_first)
    return tuple(
        Fact(_clause(place, f"{_rounded(metres)} {_way(*here, place)}" if distances else ""), "poi", label, "places")
        for metres, place in ranked[:limit]
    )


def _first(pair: tuple[float, Place]) -> tuple[float, str]:
    return pair[0], pair[1].name


def _around(places: Iterable[Place], latitude: float, longitude: float, within_m: float) -> list[Place]:
    """The places in a box around the point: two comparisons a place, before any trigonometry."""
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
    tagged = {place.id: words & _tag_stems(place.tags) for place in places}
    asked = [place for place in places if _kind_groups(place.kind) & groups]
    if not asked and not groups:  # "something thai": no kind of place, but a tag that some places have
        asked = [place for place in places if tagged[place.id]]
    most = max((len(tagged[place.id]) for place in asked), default=0)
    return [place for place in asked if len(tagged[place.id]) == most]


@lru_cache(maxsize=4096)
def _kind_groups(kind: str) -> frozenset[str]:
    return frozenset(group_of(kind))


@lru_cache(maxsize=4096)
def _tag_stems(tags: tuple[str, ...]) -> frozenset[str]:
    return frozenset(word for tag in tags for word in stems(tag))


@lru_cache(maxsize=16384)
def _name_stems(name: str) -> frozenset[str]:
    return frozenset(stems(name))


def _is_named(place: Place, words: set[str]) -> bool:
    """Whether the request says the place's whole name; one-word names must tell more than a kind does."""
    name = _name_stems(place.name)
    return bool(name) and name <= words and (len(name) > 1 or not groups_in(place.name))


def _clause(place: Place, where: str) -> str:
    """Such as "Near here: Pizza Hut City Centre, italian restaurant, cheap, 300 m north"."""
    kind = place.kind.replace("_", " ")
    tags = [tag for tag in place.tags if tag.casefold() not in kind.casefold()][:3]
    described = f"{tags[0]} {kind}" if tags else kind
    return "Near here: " + ", ".join(part for part in (place.name, described, *tags[1:], where) if part)


def _rounded(metres: float) -> str:
    return f"{max(100, round(metres / 100) * 100)} m" if metres < 950 else f"{metres / 1000:.1f} km"


def _way(latitude: float, longitude: float, place: Place) -> str:
    return compass(latitude, longitude, place.latitude, place.longitude)


# --- Reading places from a GeoJSON file (RFC 7946), telling every row that is wrong.

_KIND_KEYS = ("kind", "amenity", "tourism", "leisure", "shop", "type", "category")
_TAG_KEYS = ("cuisine", "food", "pricerange", "price", "area", "diet")
_TEXT_KEYS = ("description", "introduction", "address", "phone", "opening_hours", "website")
_LONGEST = 300
"""Characters kept of one property: a place's line in a prompt is short."""


def read_geojson(path: Path, on_bad: Callable[[str], None] | None = None) -> list[Place]:
    """The places of a FeatureCollection. Other shapes than points count as the middle of their bounding box.

    `on_bad` is told each row that cannot be used ("file: feature 3: ...") and the rest is read; without it
    the first bad rows are a RequestError. Raises RequestError when the file is none of this at all.
    """
    document = _load(path)
    features = document.get("features") if isinstance(document, dict) else None
    if not isinstance(features, list):
        raise RequestError(f'{path}: not GeoJSON places: expected {{"type": "FeatureCollection", "features": [...]}}')
    places: list[Place] = []
    faults: list[str] = []
    for index, feature in enumerate(features):
        try:
            places.append(_place(feature, index))
        except ValueError as fault:
            faults.append(f"{path}: feature {index}: {fault}")
    if faults and on_bad is None:
        more = f"\n... and {len(faults) - 10} more" if len(faults) > 10 else ""
        raise RequestError("\n".join(faults[:10]) + more)
    for told in faults:
        on_bad and on_bad(told)
    return places


def _load(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise RequestError(f"{path}: cannot be read: {error.strerror or 'no such file'}") from None
    except UnicodeDecodeError:
        raise RequestError(f"{path}: not UTF-8 text") from None
    except json.JSONDecodeError as error:
        raise RequestError(f"{path}:{error.lineno}: not valid JSON: {error.msg}") from None
    except RecursionError:
        raise RequestError(f"{path}: nested too deeply to be GeoJSON") from None


def _place(feature: Any, index: int) -> Place:
    """One feature as a place; ValueError says what is wrong with it."""
    if not isinstance(feature, Mapping) or feature.get("type") != "Feature":
        raise ValueError('not an object of type "Feature"')
    longitude, latitude = _middle(feature.get("geometry"))
    found = feature.get("properties")
    properties: Mapping[str, Any] = found if isinstance(found, Mapping) else {}
    name = _text(properties.get("name"))
    if not name:
        raise ValueError('property "name" is missing')
    identity = feature.get("id", properties.get("id", index))
    return Place(
        id=str(identity)[:_LONGEST],
        name=_capitalised(name) if name.islower() else name,
        kind=next((text for key in _KIND_KEYS if (text := _text(properties.get(key)))), "place").casefold(),
        latitude=latitude,
        longitude=longitude,
        text=". ".join(text for key in _TEXT_KEYS if (text := _text(properties.get(key)))),
        tags=tuple(dict.fromkeys(_tags(properties))),
    )


def _middle(geometry: Any) -> tuple[float, float]:
    """Longitude and latitude of the middle of a geometry's bounding box."""
    if not isinstance(geometry, Mapping):
        raise ValueError("geometry is missing")
    parts = geometry.get("geometries") if geometry.get("type") == "GeometryCollection" else [geometry]
    points = [point for part in parts or [] if isinstance(part, Mapping) for point in _points(part.get("coordinates"))]
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


def _capitalised(name: str) -> str:
    return " ".join(word[:1].upper() + word[1:] for word in name.split())


def _text(value: Any) -> str:
    """A property as one short line; anything but text and numbers is nothing."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return ""
    return " ".join("".join(c if c.isprintable() else " " for c in str(value)).split())[:_LONGEST]
