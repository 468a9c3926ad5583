"""The hand-written topics of `topics.toml`, and other words for their kinds of facts."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources
from typing import NamedTuple

__all__ = ["ALIASES", "Topic", "known_kinds", "topics"]


class Topic(NamedTuple):
    """Kinds of facts that help, and requests that they help with."""

    kinds: frozenset[str]
    requests: tuple[str, ...]


@cache
def topics() -> tuple[Topic, ...]:
    """Every topic, read once (1 ms)."""
    text = resources.files("netgpt.completion").joinpath("topics.toml").read_text(encoding="utf-8")
    return tuple(Topic(frozenset(row["helped_by"]), tuple(row["requests"])) for row in tomllib.loads(text)["topic"])


@cache
def known_kinds() -> frozenset[str]:
    """The kinds of facts that the topics know."""
    return frozenset().union(*(topic.kinds for topic in topics()))


ALIASES = {
    "location": "place",
    "city": "place",
    "home": "place",
    "address": "place",
    "town": "place",
    "hometown": "place",
    "neighbourhood": "place",
    "country": "place",
    "residence": "place",
    "site": "place",
    "date": "time",
    "clock": "time",
    "now": "time",
    "today": "time",
    "weekday": "time",
    "food": "cuisine",
    "taste": "cuisine",
    "cuisines": "cuisine",
    "dish": "cuisine",
    "dietary": "diet",
    "intolerance": "allergy",
    "intolerances": "allergy",
    "money": "budget",
    "price": "budget",
    "finance": "budget",
    "income": "budget",
    "spending": "budget",
    "vehicle": "car",
    "transport": "car",
    "pets": "pet",
    "animal": "pet",
    "animals": "pet",
    "dog": "pet",
    "cat": "pet",
    "job": "work",
    "employer": "work",
    "profession": "work",
    "occupation": "work",
    "career": "work",
    "children": "family",
    "kids": "family",
    "spouse": "family",
    "partner": "family",
    "genre": "music",
    "band": "music",
    "artist": "music",
    "languages": "language",
    "tongue": "language",
    "hobbies": "hobby",
    "interest": "hobby",
    "interests": "hobby",
    "sport": "hobby",
    "sports": "hobby",
    "medical": "health",
    "medication": "health",
    "allergies": "allergy",
    "restaurant": "poi",
    "places": "poi",
    "calendar": "schedule",
}
"""Other words for the same kinds."""
