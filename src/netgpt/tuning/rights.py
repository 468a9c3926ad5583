"""All that the box holds of one person, machine-readable: the right to take it along."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, Final

from netgpt.adapters.people import digests_of
from netgpt.adapters.registry import Registry
from netgpt.privacy.vault import Vault
from netgpt.store.auditing import as_line
from netgpt.store.consents import ConsentEntry, state_of
from netgpt.store.decisions import DecisionRow
from netgpt.store.rows import ExchangeRow, KeyRow, values_of
from netgpt.store.store import Store
from netgpt.types import Person

__all__ = ["consents_of", "entry_as_json", "export_person"]

_PAGE: Final = 200


async def export_person(store: Store, registry: Registry, person: Person) -> dict[str, Any]:
    """Profile, consents with their history, exchanges with texts, requests that wait, pseudonym maps, examples,
    adapters, receipts, ratings, decisions, and keys without their hashes. JSON values and datetimes only. Raises
    StoreError."""
    rows = await _exchanges(store, person)
    digests = digests_of(person)
    adapters = await asyncio.to_thread(registry.list)
    return {
        "format": "netgpt person",
        "version": 1,
        "made": datetime.now(UTC),
        **asdict(person),
        "complete": await store.profile_mode(person),
        "facts": [{"id": id} | asdict(fact) for id, fact in await store.facts(person)],
        **await consents_of(store, person),
        "exchanges": [values_of(row) for row in rows],
        "feedback": [{"exchange": row.id, "rating": row.rating} for row in rows if row.rating is not None],
        "pseudonyms": [
            {
                "used": kept.used,
                "placeholders": {f"[{name}]": text for name, text in Vault(kept.data).originals().items()},
            }
            for kept in await store.holdings.maps(person)
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
        "keys": [_key(row) for row in await store.holdings.keys(person)],
    }


async def consents_of(store: Store, person: Person) -> dict[str, Any]:
    """What holds now of each purpose that the person spoke of, and all that they ever said."""
    entries = await store.consents.of(person)
    now: dict[str, Any] = {}
    for purpose in sorted({entry.purpose for entry in entries}):
        row = state_of(person, purpose, entries)
        if row is not None:
            told = {"given": row.given, "withdrawn": row.withdrawn, "until": row.until}
            now[purpose] = {"consents": row.stands} | told
    return {"consents": now, "consent_history": [entry_as_json(entry) for entry in entries]}


def entry_as_json(entry: ConsentEntry) -> dict[str, Any]:
    """One thing that the person said."""
    return {
        "purpose": entry.purpose, "given": entry.given, "said": entry.said, "from": entry.begins, "until": entry.ends,
        "third_party": entry.third_party,
    }  # fmt: skip


def _key(row: KeyRow) -> dict[str, Any]:
    return {
        "id": row.id, "name": row.name, "role": row.role.value, "created": row.created, "expires": row.expires,
        "revoked": row.revoked,
    }  # fmt: skip


def _decision(row: DecisionRow) -> dict[str, Any]:
    return {"exchange": row.id, "time": row.time, "arm": row.arm, "propensity": row.propensity} | row.private


async def _exchanges(store: Store, person: Person) -> list[ExchangeRow]:
    rows: list[ExchangeRow] = []
    while page := await store.exchanges(person, _PAGE, before=rows[-1].id if rows else None):
        rows += page
    return rows
