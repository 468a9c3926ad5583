"""Forgetting is real: a person's rows, examples, trainings and every adapter that learnt from them are deleted.

Order matters: the marks of running trainings go first, so that none of them can register what it learnt; then the
adapters, so that nobody is answered by them; then the rows, and the files are scrubbed.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from netgpt.adapters.people import digests_of
from netgpt.adapters.registry import Registry
from netgpt.examples.own import PURPOSE
from netgpt.store.store import Store
from netgpt.tuning.forget_routing import forget_in_learner, learner_keys
from netgpt.tuning.workfolder import drop_runs
from netgpt.types import Person

__all__ = ["Forgotten", "forget_example", "forget_person", "retrain_command", "withdraw_consent"]


@dataclass(frozen=True)
class Forgotten:
    """What was found and removed. Holds no text and nobody's name."""

    removed: dict[str, int] = field(default_factory=dict)
    """Rows by class."""
    adapters: tuple[str, ...] = ()
    """The adapters that were dropped because they learnt from the person."""
    trainings: tuple[str, ...] = ()
    """Unfinished trainings that were deleted with their checkpoints."""

    @property
    def retrain(self) -> tuple[str, ...]:
        """The commands that make the dropped adapters again, without the person."""
        names = {id.partition("@")[0] for id in (*self.adapters, *self.trainings)}
        return tuple(command for command in map(retrain_command, sorted(names)) if command)

    def as_json(self) -> dict[str, Any]:
        return {
            "removed": self.removed,
            "adapters": list(self.adapters),
            "trainings": list(self.trainings),
            "retrain": list(self.retrain),
        }


def retrain_command(name: str) -> str | None:
    """How the adapter `name` is made again; None for a person's own: there is nothing left to make it from."""
    return None if name.startswith("user-") else f"netgpt train {name}"


async def forget_person(store: Store, registry: Registry, training: Path, person: Person) -> Forgotten:
    """Delete all that is kept about a person and all that was learnt from them, and scrub the files.

    `training`: the folder of trainings. May be called again: what could not be deleted at first is then. Raises
    StoreError when something could not be deleted.
    """
    trainings, adapters = await _unlearn(registry, training, person)
    await forget_in_learner(store, await learner_keys(store, person))  # while the keys still bear the person's name
    removed = await store.forget(person)
    await store.learning.drop_adapters(adapters)
    return Forgotten(removed, adapters, trainings)


async def withdraw_consent(store: Store, registry: Registry, training: Path, person: Person) -> Forgotten:
    """Take back the consent to training: no more examples, and what was learnt from the person goes."""
    await store.learning.set_consent(person, PURPOSE, False)
    trainings, adapters = await _unlearn(registry, training, person)
    examples = await store.forget_examples(person)
    await store.learning.drop_adapters(adapters)
    return Forgotten({"examples": examples}, adapters, trainings)


async def forget_example(store: Store, registry: Registry, training: Path, person: Person, id: str) -> Forgotten | None:
    """Delete one example of a person, and the adapters that learnt from it; None: there is no such example."""
    example = await store.learning.remove(person, id)
    if example is None:
        return None
    if not example.adapters:
        return Forgotten({"examples": 1})
    trainings, adapters = await _unlearn(registry, training, person)
    others = await store.learning.drop_adapters(adapters)
    return Forgotten({"examples": 1 + others}, adapters, trainings)


async def _unlearn(registry: Registry, training: Path, person: Person) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(trainings, adapters) that were deleted."""
    trainings = await asyncio.to_thread(drop_runs, training, digests_of(person))
    adapters = await asyncio.to_thread(registry.drop_person, person)
    return tuple(trainings), tuple(adapters)
