"""Reading places from a GeoJSON file (RFC 7946), telling every row that is wrong."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from netgpt.context.places import Place
from netgpt.errors import RequestError

__all__ = ["read_geojson"]

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
