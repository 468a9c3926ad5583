"""The public facts of a site: what may be told to a cloud that writes examples about it."""

from __future__ import annotations

from collections.abc import Sequence

from netgpt.context.location import SiteLike, place_facts
from netgpt.context.places import Place, nearest
from netgpt.store.rows import PlaceRow
from netgpt.types import Fact, Label

__all__ = ["site_facts"]

MOST_PLACES = 200
WITHIN_M = 5_000.0


def site_facts(site: SiteLike, places: Sequence[PlaceRow]) -> list[Fact]:
    """The site's own place, and the places around it as a live request would be told of them. Public ones only."""
    facts = list(place_facts(site, None, None))
    if site.latitude is not None and site.longitude is not None:
        known = [Place(p.id, p.name, p.kind, p.latitude, p.longitude, p.text, tuple(p.tags)) for p in places]
        facts += nearest(known, site.latitude, site.longitude, MOST_PLACES, WITHIN_M)
    return [fact for fact in facts if fact.label is Label.PUBLIC]
