"""Automatic rollback: canaries are held against the version that is active, and taken back when they are worse."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from netgpt.adapters.canary import CanaryDecision, Finding, Outcomes, decide
from netgpt.adapters.card import State
from netgpt.adapters.registry import Registry

__all__ = ["CountOutcomes", "watch_canaries"]

log = logging.getLogger(__name__)

CountOutcomes = Callable[[str, str | None, datetime], Awaitable[dict[str, Any]]]
"""(canary's id, active id or None, since when) -> {"canary": {...}, "active": {...}}: `Store.outcomes`."""


async def watch_canaries(registry: Registry, count: CountOutcomes) -> dict[str, Finding]:
    """Look at every canary once; reject the ones that are worse. Returns what was found, by id. Raises StoreError."""
    entries = await asyncio.to_thread(registry.list)
    active = {entry.card.name: entry.id for entry in entries if entry.state is State.ACTIVE}
    found = {}
    for entry in entries:
        if entry.state is not State.CANARY:
            continue
        counts = await count(entry.id, active.get(entry.card.name), entry.card.created)
        finding = found[entry.id] = decide(Outcomes(**counts["canary"]), Outcomes(**counts["active"]))
        if finding.decision is CanaryDecision.ROLL_BACK:
            await asyncio.to_thread(registry.reject, entry.id, f"taken back as canary: {finding.reason}")
            log.warning("adapters: the canary %s was taken back: %s", entry.id, finding.reason)
    return found
