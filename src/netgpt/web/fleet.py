"""/v1/fleet: orders that the control of several boxes signed, and how far this box is with them.

The key of the request says who may send and look (an operator's or admin's of the box, as for all that its tenants
share); the signature says whose orders count. Whoever has such a key and not the fleet's own changes nothing here.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final

from fastapi import APIRouter, Query, Request

from netgpt import __version__
from netgpt.errors import RequestError
from netgpt.fleet.orders import MOST_BYTES
from netgpt.web.auth import authenticated

router = APIRouter()
_OCTETS: Final = {"requestBody": {"required": True, "content": {"application/octet-stream": {"schema": {
    "type": "string", "format": "binary"}}}}}  # fmt: skip
_SIGNED: Final = {"requestBody": {"required": True, "content": {"application/json": {"schema": {
    "type": "object", "required": ["orders", "signature"],
    "properties": {"orders": {"type": "string"}, "signature": {"type": "string"}}}}}}}  # fmt: skip


@router.get("/v1/fleet", tags=["fleet"])
async def report(request: Request) -> dict[str, Any]:
    """Which orders are in force, or why the newest are not; the parts that work, and what was answered, in figures.

    No text, no person, no address. Version 0: none yet, or this box is in no fleet.
    """
    gateway, _ = await authenticated(request)
    told = await asyncio.to_thread(gateway.fleet.report)
    rules = gateway.rules
    parts = {part: state["ok"] for part, state in (await gateway.parts()).items()}
    return {
        **told,
        "netgpt": __version__,
        "policy": {"sha256": rules.current.digest, "rules": len(rules.current.rules), "fault": rules.fault is not None},
        "parts": parts,
        "answered": await gateway.answered(),
    }


@router.put("/v1/fleet", tags=["fleet"], openapi_extra=_SIGNED)
async def follow(request: Request) -> dict[str, Any]:
    """Follow signed orders, whole or not at all. `missing` in the answer: the parts to send first, by SHA-256.

    409: newer ones were followed before, or why these cannot be followed on this box.
    """
    gateway, _ = await authenticated(request)
    document = await request.body()
    if len(document) > MOST_BYTES:
        raise RequestError(f"orders may have {MOST_BYTES:,} bytes at most", status=413)
    told = await asyncio.to_thread(gateway.fleet.follow, document)
    await gateway.look_at_rules()
    gateway.residency.look()
    return told


@router.put("/v1/fleet/parts/{sha256}", tags=["fleet"], openapi_extra=_OCTETS)
async def take_part(
    request: Request,
    sha256: str,
    at: Annotated[int, Query(ge=0, description="Where in the file these bytes begin.")] = 0,
    of: Annotated[int, Query(ge=1, description="Bytes of the whole file.")] = 1,
) -> dict[str, Any]:
    """Bytes of a file that orders name, in pieces as small as `server.max_body_bytes` wants them.

    `have`: how many are here now. 409: other bytes are wanted; its message says from where on.
    """
    gateway, _ = await authenticated(request)
    data = await request.body()
    have = await asyncio.to_thread(gateway.fleet.take_part, sha256, at, of, data)
    return {"object": "netgpt.fleet.part", "sha256": sha256, "have": have}
