"""The inhabited places of the world and the names of its countries, offline: GeoNames' data (CC BY 4.0).

`hatch_build.py` puts the files beside the code when the package is built or installed from source.
"""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from netgpt.errors import SettingsError

_FOLDER: Final = Path(__file__).parent / "data"


class Town(NamedTuple):
    """An inhabited place of 1,000 people or more. Unknown names are empty; the point is in degrees."""

    name: str
    county: str
    region: str
    country_code: str
    latitude: float
    longitude: float
    people: int


def towns() -> Iterator[Town]:
    """All 155,000 places, one at a time: the decoded list at once would take 130 MB for a moment.

    Raises SettingsError when the file is missing or damaged.
    """
    text = _read("geocode.gz").decode()
    decode, at = json.JSONDecoder().raw_decode, 1
    while at < len(text) - 1:
        row, at = decode(text, at)
        at += 1  # the comma, or the closing bracket
        names = row["city"], row.get("county") or "", row.get("state") or "", row["country_code"]
        yield Town(*names, row["latitude"], row["longitude"], row["population"])


def country_names() -> dict[str, str]:
    """ISO 3166-1 code -> English name. Raises SettingsError when the file is missing."""
    return dict(csv.reader(_read("countries.csv").decode().splitlines()))


def foreign_country_names() -> dict[str, list[str]]:
    """ISO 3166-1 code -> names in English, German, French, Spanish, Italian, Dutch, Portuguese (Java's locale data)."""
    names: dict[str, list[str]] = json.loads(_read("country_names.json"))
    return names


def _read(name: str) -> bytes:
    try:
        data = (_FOLDER / name).read_bytes()
        return gzip.decompress(data) if name.endswith(".gz") else data
    except (OSError, EOFError) as error:
        raise SettingsError(f"the place names ({name}) cannot be read, install netgpt again: {error}") from None
