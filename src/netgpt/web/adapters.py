"""/v1/adapters: which adapters there are and where they stand; promote, roll back, remove. For operators."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from netgpt.adapters.registry import Entry
from netgpt.build import Box
from netgpt.errors import RequestError
from netgpt.web.auth import allow, caller_of

__all__ = ["router"]

router = APIRouter()

T = TypeVar("T")


class Promotion(BaseModel):
    """Nothing: active for everybody. `canary`: for a share of the people, `share` or the one of the settings."""

    model_config = ConfigDict(extra="forbid")
    canary: bool = False
    share: float | None = Field(None, gt=0, le=1, description="Of the people; 0.1 is every tenth.")
    unjudged: bool = Field(False, description="Even though it passed no gate: on the operator's own word.")


@router.get("/v1/adapters", tags=["adapters"])
async def list_adapters(request: Request) -> dict[str, Any]:
    """Every version, with its state and whether it is loaded now."""
    box = await _operated(request)
    entries = await asyncio.to_thread(box.registry.list)
    return {"object": "list", "data": [_shown(box, entry) for entry in entries]}


@router.get("/v1/adapters/{adapter_id}", tags=["adapters"])
async def get_adapter(request: Request, adapter_id: str) -> dict[str, Any]:
    """One version (`name@version`) with its whole card; a name alone means the active version."""
    box = await _operated(request)
    entry = await asyncio.to_thread(box.registry.show, adapter_id)
    return {**_shown(box, entry), "card": entry.card.model_dump(mode="json")}


@router.post("/v1/adapters/{adapter_id}/promote", tags=["adapters"])
async def promote(request: Request, adapter_id: str, wanted: Promotion | None = None) -> dict[str, Any]:
    """Make a version active for everybody, or a canary for a share of the people. It is loaded soon after."""
    box = await _operated(request)
    asked = wanted or Promotion()
    entry = await asyncio.to_thread(box.registry.resolve, adapter_id)
    if not (entry.judged or asked.unjudged):
        raise RequestError(f"{entry.id} passed no gate yet: `netgpt adapters evaluate {entry.id}`", param="unjudged")
    share = asked.share or (box.settings.adapters.canary if asked.canary else None)
    return _shown(box, await _changed(box, lambda: box.registry.promote(adapter_id, canary=share)))


@router.post("/v1/adapters/{name}/rollback", tags=["adapters"])
async def rollback(request: Request, name: str) -> dict[str, Any]:
    """End the canary of this name, else go back to the version active before. Says which is active now, or null."""
    box = await _operated(request)
    entry = await _changed(box, lambda: box.registry.rollback(name))
    return {"object": "netgpt.rollback", "name": name, "active": None if entry is None else _shown(box, entry)}


@router.delete("/v1/adapters/{adapter_id}", tags=["adapters"])
async def remove(request: Request, adapter_id: str) -> dict[str, Any]:
    """Delete a version that is not in use: weights and card."""
    box = await _operated(request)
    await _changed(box, lambda: box.registry.remove(adapter_id))
    return {"object": "netgpt.adapter", "id": adapter_id, "deleted": True}


async def _operated(request: Request) -> Box:
    allow(request, await caller_of(request), "administer")
    box: Box = request.app.state.box
    return box


async def _changed(box: Box, change: Callable[[], T]) -> T:
    """Change the registry, off the event loop, and let the engine follow."""
    result = await asyncio.to_thread(change)
    box.residency.look()
    return result


def _shown(box: Box, entry: Entry) -> dict[str, Any]:
    """Where an adapter stands. A digest stands for a person; no text of any example is here."""
    card = entry.card
    return {
        "id": entry.id,
        "object": "netgpt.adapter",
        "name": card.name,
        "version": card.version,
        "scope": card.scope,
        "state": entry.state.value,
        "canary_share": entry.share,
        "resident": box.residency.holds(entry.id),
        "pinned": entry.pinned,
        "shipped": entry.shipped,
        "judged": entry.judged,
        "fits": entry.fits,
        "fault": entry.fault or box.residency.unfit(entry.id),
        "why": entry.why or None,
        "base": card.base,
        "bytes": card.bytes,
        "created": card.created.isoformat(),
        "metrics": card.metrics,
    }
