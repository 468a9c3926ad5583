"""One person's rights: to be forgotten (rows, examples, trainings, adapters), to withdraw consent, to export all.

Order matters when forgetting: the markers of running trainings go first, so that none can register what it learnt;
then the adapters, so that nobody is answered by them; then the rows, and the files are scrubbed. Of what a running
gateway has in memory, `web.profiles.forget` drops the locks of conversations and the vectors of facts.
"""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from netgpt.adapters.card import digests_of
from netgpt.adapters.registry import Registry
from netgpt.errors import StoreError
from netgpt.store.audit import as_line
from netgpt.store.keys import token_id
from netgpt.store.learning import DecisionRow
from netgpt.store.people import ConsentEntry, state_of
from netgpt.store.schema import ExchangeRecord, KeyRow, values_of
from netgpt.store.store import Store
from netgpt.training import PURPOSE
from netgpt.types import Person

_PAGE: Final = 200


async def learner_keys(store: Store, person: Person) -> tuple[str, ...]:
    """Under which keys the routing learner may keep a person's own model: their API keys, or their name."""
    bound = [row.id for row in await store.subject_data.keys(person)]
    return (*bound, person.user, token_id(person))


async def forget_in_learner(store: Store, keys: tuple[str, ...]) -> None:
    """Remove these keys from the routing learner. A state that cannot be read is emptied. Raises StoreError."""
    try:
        state = await store.decisions.state()
        if state is None:
            return
        from netgpt.routing.learner import Learner

        learner = Learner.restore(state)
    except StoreError:
        return await store.decisions.save_state(b"{}")
    for key in keys:
        learner.forget(key)
    await store.decisions.save_state(learner.state())


@dataclass(frozen=True)
class Forgotten:
    """What was removed. Holds no text and nobody's name."""

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
        lists = {name: list(getattr(self, name)) for name in ("adapters", "trainings", "retrain")}
        return {"removed": self.removed, **lists}


def retrain_command(name: str) -> str | None:
    """The command that trains the adapter `name` again; None for a person's own: nothing is left to train it on."""
    return None if name.startswith("user-") else f"netgpt train {name}"


async def forget_person(store: Store, registry: Registry, training: Path, person: Person) -> Forgotten:
    """Delete all that is kept about a person and all that was learnt from them, and scrub the files.

    `training`: the folder of trainings. Raises StoreError when something could not be deleted; call it again then.
    """
    trainings, adapters = await _unlearn(registry, training, person)
    await forget_in_learner(store, await learner_keys(store, person))  # while the keys still name the person
    removed = await store.forget(person)
    await store.learning.drop_adapters(adapters)
    return Forgotten(removed, adapters, trainings)


async def withdraw_consent(store: Store, registry: Registry, training: Path, person: Person) -> Forgotten:
    """Take back the consent to training: no more examples, and what was learnt from the person is deleted."""
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
    trainings: list[str] = []
    if await asyncio.to_thread(training.is_dir):
        from netgpt.training.lora.run import drop_runs

        trainings = await asyncio.to_thread(drop_runs, training, digests_of(person))
    adapters = await asyncio.to_thread(registry.drop_person, person)
    return tuple(trainings), tuple(adapters)


async def export_person(store: Store, registry: Registry, person: Person) -> dict[str, Any]:
    """All that the box holds of one person; API keys without their hashes. JSON values and datetimes only.

    Raises StoreError.
    """
    rows: list[ExchangeRecord] = []
    while page := await store.exchanges(person, _PAGE, before=rows[-1].id if rows else None):
        rows += page
    digests = digests_of(person)
    adapters = await asyncio.to_thread(registry.list)
    return {
        "format": "netgpt person",
        "version": 1,
        "made": datetime.now(UTC),
        **asdict(person),
        "complete": await store.profile_mode(person),
        "facts": [{"id": id} | asdict(fact) for id, fact in await store.facts(person)],
        "proposals": [{"id": id} | asdict(each) for id, each in (await store.proposals.of(person)).items()],
        **await consents_of(store, person),
        "exchanges": [_exchange(row) for row in rows],
        "feedback": [{"exchange": row.id, "rating": row.rating} for row in rows if row.rating is not None],
        "pseudonyms": [
            {"used": kept.used, "placeholders": _placeholders(kept.data)}
            for kept in await store.subject_data.maps(person)
        ],
        "examples": [
            {"id": kept.id, "kept": kept.kept, "chosen": kept.chosen, "adapters": list(kept.adapters)} | kept.row
            for kept in await store.learning.of_person(person)
        ],
        "adapters": [
            {"id": entry.card.id, "state": entry.state.value, "created": entry.card.created}
            for entry in adapters
            if not digests.isdisjoint(entry.card.people)
        ],
        "waiting": [
            {"id": row.id, "created": row.created, "status": row.state, "exchange": row.exchange} | (row.private or {})
            for row in await store.waiting.of_person(person)
        ],
        "receipts": [as_line(row.record) for row in await store.receipts.of_person(person)],
        "decisions": [_decision(row) for row in await store.decisions.of_person(person)],
        "reports": [each.as_dict() for each in await store.reports.of(person)],
        "readings": [each.as_dict() for each in await store.readings.of(person)],
        "keys": [key_as_json(row) for row in await store.subject_data.keys(person)],
    }


async def consents_of(store: Store, person: Person) -> dict[str, Any]:
    """The current consent to each purpose, and the history."""
    entries = await store.consents.of(person)
    now: dict[str, Any] = {}
    for purpose in sorted({entry.purpose for entry in entries}):
        row = state_of(person, purpose, entries)
        if row is not None:
            now[purpose] = {
                "consents": row.stands, "given": row.given, "withdrawn": row.withdrawn, "until": row.until,
            }  # fmt: skip
    return {"consents": now, "consent_history": [entry_as_json(entry) for entry in entries]}


def entry_as_json(entry: ConsentEntry) -> dict[str, Any]:
    """One statement of the person."""
    return {
        "purpose": entry.purpose, "given": entry.given, "said": entry.said, "from": entry.begins, "until": entry.ends,
        "third_party": entry.third_party,
    }  # fmt: skip


def _placeholders(sealed: bytes) -> dict[str, str]:
    from netgpt.privacy.vault import Vault

    return {f"[{name}]": text for name, text in Vault(sealed).originals().items()}


def key_as_json(row: KeyRow) -> dict[str, Any]:
    """A key without its hash and limits."""
    return {
        "id": row.id, "name": row.name, "role": row.role.value, "created": row.created, "expires": row.expires,
        "revoked": row.revoked,
    }  # fmt: skip


def _decision(row: DecisionRow) -> dict[str, Any]:
    return {"exchange": row.id, "time": row.time, "arm": row.target, "propensity": row.propensity} | row.private


def _exchange(row: ExchangeRecord) -> dict[str, Any]:
    """An exchange under the names of the API."""
    values = values_of(row)
    return values | {"arm": values.pop("target")}
