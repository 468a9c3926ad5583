"""Keeping examples: what an adapter learnt from, and what a person asked to keep. Sealed by the store."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from netgpt.errors import NotFound, PermissionDenied
from netgpt.examples.example import Example
from netgpt.examples.own import PURPOSE, pseudonymized
from netgpt.privacy.detect import Detector
from netgpt.store.rows import NewExample
from netgpt.store.store import Store
from netgpt.types import Person

__all__ = ["keep_as_example", "keep_learnt", "worth_keeping"]


async def keep_as_example(
    store: Store, detector: Detector, person: Person, exchange: str, sensitive_kinds: Collection[str]
) -> str:
    """Keep one exchange of the person as an example and return its id.

    Raises NotFound (no such exchange of this person), PermissionDenied (no consent), NotAnExample (cannot be one).
    """
    row = await store.exchange(exchange)
    if row is None or row.person != person:
        raise NotFound("no such exchange of this person", param="exchange")
    consent = await store.learning.consent(person, PURPOSE)
    if consent is None or not consent.stands:
        raise PermissionDenied(
            "this person has not consented to training (`netgpt profile consent USER --training on`)"
        )
    facts = [fact for _, fact in await store.facts(person)]
    example = await pseudonymized(row, facts, detector, frozenset(sensitive_kinds))
    (id,) = await store.learning.keep([_new(example)], chosen=True)
    return id


async def keep_learnt(store: Store, examples: Sequence[Example], adapter: str) -> int:
    """Keep what the adapter (`name@version`) learnt from, as far as no recipe makes it again. Returns how many."""
    kept = [_new(example) for example in examples if worth_keeping(example)]
    await store.learning.keep(kept, adapter=adapter)
    return len(kept)


def worth_keeping(example: Example) -> bool:
    """What a recipe or a seed makes again is not kept; what is somebody's always is."""
    return example.person is not None or example.kind.split(":")[0] not in ("recipe", "canary")


def _new(example: Example) -> NewExample:
    return NewExample(example.person, example.id, example.as_row())
