"""What `netgpt profile` and `netgpt train` share: consent, kept examples, and forgetting what was learnt."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from netgpt.cli.common import print_table, read_settings, say
from netgpt.cli.storing import with_store
from netgpt.errors import NotFound
from netgpt.store.rows import ConsentRow, KeptExample
from netgpt.types import Person

if TYPE_CHECKING:
    from pathlib import Path

    from netgpt.adapters.registry import Registry
    from netgpt.store.store import Store
    from netgpt.tuning.forget import Forgotten

__all__ = [
    "PURPOSE",
    "consent_as_json",
    "consent_told",
    "everything_forgotten",
    "example_as_json",
    "example_removed",
    "keep_exchange",
    "show_forgotten",
    "with_learning",
    "withdrawn",
]

PURPOSE: Final = "training"

Unlearning = Callable[["Store", "Registry", "Path", Person], Awaitable["Forgotten"]]


def with_learning(person: Person, work: Unlearning) -> Forgotten:
    """Run one of the ways of forgetting on the box's store, adapters and trainings."""
    from netgpt.adapters.registry import Registry, shipped_adapters

    settings = read_settings()
    # Without a look at the weights: forgetting must work on a box whose model is gone.
    registry = Registry(settings.adapters_dir, shipped_adapters())
    return with_store(lambda store: work(store, registry, settings.training_dir, person))


async def everything_forgotten(store: Store, registry: Registry, training: Path, person: Person) -> Forgotten:
    """All of a person."""
    from netgpt.tuning.forget import forget_person

    return await forget_person(store, registry, training, person)


async def withdrawn(store: Store, registry: Registry, training: Path, person: Person) -> Forgotten:
    """The consent to training, and what was learnt under it."""
    from netgpt.tuning.forget import withdraw_consent

    return await withdraw_consent(store, registry, training, person)


def example_removed(id: str) -> Unlearning:
    """One example. Raises NotFound: the person has no such example."""

    async def removed(store: Store, registry: Registry, training: Path, person: Person) -> Forgotten:
        from netgpt.tuning.forget import forget_example

        forgotten = await forget_example(store, registry, training, person, id)
        if forgotten is None:
            raise NotFound(f"this person has no example {id}: `netgpt profile examples USER` shows them", param="id")
        return forgotten

    return removed


def keep_exchange(person: Person, exchange: str) -> str:
    """Keep an exchange of the person as an example; returns its id. Raises NotFound, PermissionDenied, RequestError."""
    from netgpt.examples.keeping import keep_as_example

    settings = read_settings()

    async def kept(store: Store) -> str:
        from netgpt.cli.on_demand import patient_detector

        detector = patient_detector(settings)
        try:
            return await keep_as_example(store, detector, person, exchange, settings.privacy.sensitive_kinds)
        finally:
            await detector.close()

    return with_store(kept)


def consent_as_json(row: ConsentRow | None) -> dict[str, Any]:
    """For machines; never asked is not given."""
    if row is None:
        return {"consents": False, "given": None, "withdrawn": None}
    return {"consents": row.stands, "given": row.given, "withdrawn": row.withdrawn}


def consent_told(row: ConsentRow | None) -> str:
    """For people."""
    if row is None:
        return "never asked, so no"
    if row.stands:
        return f"yes, since {row.given:%Y-%m-%d %H:%M} UTC"
    return f"no, since {row.withdrawn:%Y-%m-%d %H:%M} UTC"


def example_as_json(example: KeptExample) -> dict[str, Any]:
    """All of an example but the person, who is known."""
    return {key: value for key, value in asdict(example).items() if key not in ("person", "row")} | example.row


def show_forgotten(forgotten: Forgotten) -> None:
    """A table of what went, and how to make again what others need."""
    rows: list[list[object]] = [[name, count] for name, count in forgotten.removed.items()]
    rows += [["adapter", id] for id in forgotten.adapters]
    rows += [["training", name] for name in forgotten.trainings]
    print_table(["deleted", "rows or name"], rows)
    for command in forgotten.retrain:
        say(f"To make it again without this person: {command}")
