"""Towns that a request or a fact names: "restaurants in Ghent", "lives at 12 Tannery Lane, Ely"."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from netgpt.context.location import PlaceNames, haversine_m
from netgpt.context.places import Around, Place, word_set
from netgpt.context.reach import reach_of
from netgpt.types import Fact, Label

_NAME = r"[A-ZÀ-Þ][\w'’.-]*(?: (?:upon |on |am |an der |de |la |le |sur )?[A-ZÀ-Þ][\w'’.-]*){0,3}"
_ELSEWHERE = re.compile(rf"\b(?:in|near|around|to|at|for) ({_NAME})")
_IN = re.compile(rf"\bin ({_NAME})")
_TYPED_SMALL = re.compile(r"\bin ([^\W\d_]{3,}(?: [^\W\d_]{3,})?)(?: (?:today|tonight|tomorrow|now|please))?[ ?.!]*$")
_NO_TOWN: Final = word_set("""
    i english german french spanish italian monday tuesday wednesday thursday friday saturday sunday january february
    march april may june july august september october november december christmas easter reading nice bath mobile split
    bar""")
"""Words of their own that are also towns: meant only with a capital that no sentence gave them."""
_SMALLEST_M: Final = 3_000.0
"""The radius of a place is taken as no less."""
_HOME_KINDS: Final = frozenset(["home", "address", "residence", "place", "city", "town"])
_LIVES = re.compile(r"\b(?:lives?|home|house|flat|apartment|resides?)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Meant:
    """A town that was named. The point is in degrees."""

    name: str
    latitude: float
    longitude: float
    radius_m: float

    def holds(self, point: tuple[float, float]) -> bool:
        """Whether a point lies in the town."""
        return haversine_m(*point, self.latitude, self.longitude) <= max(self.radius_m, _SMALLEST_M)


def may_name_a_town(text: str) -> bool:
    """Whether a look-up is worth while: it reads the gazetteer."""
    return bool(_ELSEWHERE.search(text) or _TYPED_SMALL.search(text)) or reach_of(text, 0.0).homeward


def town_in(text: str, names: PlaceNames, near: tuple[float, float]) -> Meant | None:
    """The town that a request names; of several of that name the one that is meant near that point."""
    for match in _ELSEWHERE.finditer(text):
        if (town := _first(_shorter(match[1]), names, near)) is not None:
            return town
    small = _TYPED_SMALL.search(text)
    return _first(_shorter(small[1]), names, near) if small and small[1].split()[0].lower() not in _NO_TOWN else None


def home_of(facts: Iterable[Fact], names: PlaceNames, near: tuple[float, float]) -> tuple[Meant, Label] | None:
    """The town of the person's home by what they stated, and the label of that fact; None: they did not say."""
    for fact in facts:
        if fact.source != "profile" or not (fact.kind in _HOME_KINDS or _LIVES.search(fact.text)):
            continue
        named = [run for match in reversed(re.findall(_NAME, fact.text)) for run in _shorter(match)]
        if (town := _first(named, names, near)) is not None:
            return town, fact.label
    return None


def where_to_look(
    around: Around, text: str, profile: Iterable[Fact], names: PlaceNames, places: Iterable[Place], here: str = ""
) -> Around | None:
    """The town that the request names, or the way home, where it means one of them; else `around`.

    None: it names some place that is neither known nor here, so that nothing near here helps. `here`: the names of the
    site, with commas.
    """
    town = town_in(text, names, around.point)
    if town is not None and not town.holds(around.point):
        # Its own time is not known, and how far away it is would give the point away.
        return Around(town.latitude, town.longitude, distances=False, said=f"Place in {town.name}")
    if town is None and (named := _IN.search(text)) is not None and named[1].split()[0].lower() not in _NO_TOWN:
        wanted = named[1].casefold()
        known = (word for place in places for word in (place.name, place.text, *place.tags))
        if wanted not in here.casefold() and not any(wanted in word.casefold() for word in known):
            return None
    home = home_of(profile, names, around.point) if reach_of(text, 0.0).homeward else None
    if home is None or home[0].holds(around.point):
        return around
    label = max(home[1], around.label, key=lambda each: each.rank)
    return replace(around, goal=(home[0].latitude, home[0].longitude), label=label, said="On the way home")


def _first(named: Iterable[str], names: PlaceNames, near: tuple[float, float]) -> Meant | None:
    for name in named:
        if len(name) > 2 and (found := names.find(name, *near)) is not None:
            return Meant(name if name[0].isupper() else name.title(), *found)
    return None


def _shorter(name: str) -> Iterator[str]:
    """The name, then with fewer words at its end: "Ghent Please" is Ghent."""
    words = name.rstrip(".,'’-").split(" ")
    for many in range(len(words), 0, -1):
        if " ".join(words[:many]).lower() not in _NO_TOWN or many > 1:
            yield " ".join(words[:many])
