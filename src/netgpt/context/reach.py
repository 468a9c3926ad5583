"""What is near, by the request's own words: how far one would go, by what, how long that takes, and whether it lies on
the way home.

Ways are straight lines made longer by a common detour (streets are 1.2 to 1.4 times as long as the line between their
ends), at speeds of a town. Good for "five minutes or half an hour", not for a timetable.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from netgpt.context.location import haversine_m

DETOUR: Final = 1.3
FOOT, BICYCLE, CAR = "on foot", "by bicycle", "by car"
_METRES_A_MINUTE: Final = {FOOT: 80.0, BICYCLE: 250.0, CAR: 500.0}
"""4.8, 15 and 30 km/h."""
_FAST_FROM_M = 10_000.0
_FAST = 1_200.0
"""Beyond this a car drives on larger roads: 72 km/h."""
_MODES: Final = (
    (FOOT, re.compile(r"\b(?:walk(?:ing|able|s)?|on foot|by foot|stroll(?:ing)?)\b")),
    (BICYCLE, re.compile(r"\b(?:bi(?:ke|cycle)s?|biking|cycl(?:e|ing)|bike ride)\b")),
    (CAR, re.compile(r"\b(?:driv(?:e|ing)|by car|car ride)\b")),
)
_NUMBERS: Final = {
    "a": 1, "one": 1, "two": 2, "three": 3, "five": 5, "ten": 10, "fifteen": 15, "twenty": 20, "thirty": 30,
}  # fmt: skip
_NUMBER = r"(\d+(?:\.\d+)?|" + "|".join(_NUMBERS) + ")"
_LENGTH = re.compile(
    r"\b(?:within|under|below|less than|at most|up to|no (?:more|further|farther) than|max\.?|in a radius of)"
    rf"\s+{_NUMBER}\s*"
    r"(km|kilomet(?:re|er)s?|miles?|mi|m|met(?:re|er)s?|yards?|blocks?)\b"
)
_UNITS: Final = (("km", 1_000.0), ("kilo", 1_000.0), ("mi", 1_609.0), ("yard", 0.9144), ("block", 120.0), ("m", 1.0))
_MINUTES = re.compile(rf"\b{_NUMBER}[ -]?(?:min|mins|minutes?)\b|\b(half an hour|an hour)\b")
_WORDS: Final = (
    (re.compile(r"\b(?:(?:a)?round the corner|next door|right here|on this street|a stone's throw)\b"), 500.0),
    (re.compile(r"\b(?:day trip|day out|out of town|weekend (?:trip|away)|in the (?:wider )?region)\b"), 40_000.0),
)
_USUAL: Final = {FOOT: 1_500.0, BICYCLE: 5_000.0, CAR: 25_000.0}
_HOMEWARD = re.compile(
    r"\b(?:(?:on|along) (?:my|the) way (?:back )?home|on my (?:drive|walk|ride|commute) home|heading home)\b",
    re.IGNORECASE,
)
_ASKS_TIME = re.compile(r"\b(?:how (?:long|far|quick)|quickest|travel time|get to|get there)\b")
_ASKS_OPEN = re.compile(r"\b(?:open|opening|closed|closes?|still serv\w+|right now|now|at this hour)\b")


@dataclass(frozen=True, slots=True)
class Reach:
    """What a request's words say: as far as `within_m`, by `mode` (empty: unsaid); whether it asks how long that takes,
    what is open, and for the way home."""

    within_m: float
    mode: str = ""
    timed: bool = False
    opened: bool = False
    homeward: bool = False


def reach_of(text: str, usual_m: float) -> Reach:
    """The reach of a request; `usual_m` where its words do not say.

    >>> reach_of("coffee within walking distance", 5_000.0).within_m
    1500.0
    >>> reach_of("a museum, ten minutes by bike", 5_000.0)
    Reach(within_m=1923.076923076923, mode='by bicycle', timed=True, opened=False, homeward=False)
    """
    said = " ".join(text.lower().replace("’", "'").split())
    mode = next((mode for mode, words in _MODES if words.search(said)), "")
    within = next((metres for words, metres in _WORDS if words.search(said)), _USUAL.get(mode, usual_m))
    if mode and re.search(r"\b(?:short|quick|easy|little)\b", said):
        within *= 0.6
    if length := _LENGTH.search(said):
        within = _number(length[1]) * next(metres for unit, metres in _UNITS if length[2].startswith(unit))
    elif mode and (span := _MINUTES.search(said)):
        within = _far({"half an hour": 30.0, "an hour": 60.0}.get(span[2] or "") or _number(span[1]), mode)
    timed = bool(mode or _ASKS_TIME.search(said))
    return Reach(within, mode, timed, bool(_ASKS_OPEN.search(said)), bool(_HOMEWARD.search(said)))


def without_way(text: str) -> str:
    """The text without "on my way home", whose words would name places of their own."""
    return _HOMEWARD.sub(" ", text)


def _number(said: str) -> float:
    return float(_NUMBERS.get(said) or said)


def _far(minutes: float, mode: str) -> float:
    """How far, in a straight line, one gets in so many minutes."""
    road = minutes * _METRES_A_MINUTE[mode]
    if mode == CAR and road > _FAST_FROM_M:
        road = _FAST_FROM_M + (minutes - _FAST_FROM_M / _METRES_A_MINUTE[CAR]) * _FAST
    return road / DETOUR


def travel(metres: float, mode: str = "") -> str:
    """How long a straight line of `metres` takes; without a mode on foot where one would walk, else by car.

    >>> travel(300), travel(4_000), travel(4_000, BICYCLE)
    ('about 5 min on foot', 'about 10 min by car', 'about 21 min by bicycle')
    """
    mode = mode or (FOOT if metres <= 2_000 else CAR)
    road = metres * DETOUR
    fast = max(0.0, road - _FAST_FROM_M) if mode == CAR else 0.0
    return f"about {max(1, round((road - fast) / _METRES_A_MINUTE[mode] + fast / _FAST))} min {mode}"


def off_the_way(here: tuple[float, float], place: tuple[float, float], goal: tuple[float, float]) -> float | None:
    """The metres that a stop adds to the straight way from `here` to `goal`; None when it does not lie on the way."""
    straight = haversine_m(*here, *goal)
    more = haversine_m(*here, *place) + haversine_m(*place, *goal) - straight
    return more if more <= max(600.0, 0.2 * straight) else None
