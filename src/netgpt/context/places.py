"""Places of interest nearby: the nearest ones of the kind that a request asks for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import cos, degrees, radians

from netgpt.context.geometry import EARTH_RADIUS_M, compass, haversine_m
from netgpt.context.words import group_of, groups_in, stems
from netgpt.types import Fact, Label

__all__ = ["Place", "near", "nearest"]


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
