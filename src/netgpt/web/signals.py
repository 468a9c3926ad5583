"""/v1/signals: what links, models and the box tell now. For operators."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request

from netgpt.build import Box
from netgpt.web.auth import allow, caller_of

__all__ = ["router"]

router = APIRouter()


@router.get("/v1/signals", tags=["signals"])
async def signals(request: Request) -> dict[str, Any]:
    """Every link with its estimates, their age in seconds and their confidence (0 to 1), and the box itself.

    Names of arms and figures alone: no person, no text, no address.
    """
    allow(request, await caller_of(request), "administer")
    box: Box = request.app.state.box
    return {"object": "netgpt.signals", **box.sensing.told()}
