"""/healthz: the process lives. /readyz: it can answer, and which part is unwell. /metrics: for Prometheus."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse

from netgpt.build import Box

__all__ = ["router"]

router = APIRouter()


@router.get("/healthz", tags=["health"])
async def healthz() -> dict[str, str]:
    """200 while the process lives."""
    return {"status": "ok"}


@router.get("/readyz", tags=["health"])
async def readyz(request: Request) -> Any:
    """200 when a question can be answered, else 503; with the state of each part."""
    box: Box = request.app.state.box
    parts = await box.parts()
    ready = parts["store"]["ok"] and any(parts[arm]["ok"] for arm in ("edge", *box.remotes))
    return JSONResponse({"ready": ready, "parts": parts}, status_code=200 if ready else 503)


@router.get("/metrics", tags=["health"])
async def metrics(request: Request) -> Response:
    """Prometheus text format. Holds no person, key or text."""
    box: Box = request.app.state.box
    for part, state in (await box.parts()).items():
        box.metrics.up.labels(part).set(1 if state["ok"] else 0)
    return Response(box.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")
