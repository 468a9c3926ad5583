"""What the box offers besides chat: models, embeddings, places, adapters, signals, health and metrics."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from netgpt.adapters.registry import Entry
from netgpt.app.figures import text_of
from netgpt.app.gateway import Gateway
from netgpt.dialects.completions import IDS_REFUSED
from netgpt.errors import NotFound, RequestError
from netgpt.privacy.detectors import as_exception, folded
from netgpt.routing.names import EMBED_MODEL, EMBEDDERS
from netgpt.store.people import ExceptionEntry
from netgpt.web.auth import authenticated, comes_from_here
from netgpt.web.bodies import read_json
from netgpt.web.requests import checked

T = TypeVar("T")

log = logging.getLogger(__name__)
router = APIRouter()

MOST_INPUTS = 2_048
NO_KEY = "no key"
"""Who changed something, in the log: the owner of a box without keys."""


class EmbeddingsBody(BaseModel):
    model_config = ConfigDict(extra="ignore")
    input: str | list[str] | list[int] | list[list[int]] = Field(
        description="One text or up to 2,048. Token ids are refused: they belong to another model."
    )
    model: str = EMBED_MODEL
    encoding_format: Literal["float", "base64"] = "float"
    dimensions: int | None = Field(None, ge=1, description="The first so many numbers, made unit length again.")

    def texts(self) -> list[str]:
        """Raises RequestError that says what is wrong with the input."""
        given = [self.input] if isinstance(self.input, str) else self.input
        texts = [text for text in given if isinstance(text, str)]
        if len(texts) < len(given):
            cure = " (langchain-openai: check_embedding_ctx_length=False)"
            raise RequestError(f"input: {IDS_REFUSED}{cure}", param="input")
        if not 1 <= len(texts) <= MOST_INPUTS or not all(texts):
            raise RequestError(f"input: give one to {MOST_INPUTS:,} texts, none empty", param="input")
        return texts


@router.get("/v1/models", tags=["models"])
async def list_models(request: Request) -> dict[str, Any]:
    """`netgpt` decides; `netgpt/edge` and `netgpt/cloud` name a side; then the configured models' own names.
    Where it is known, `netgpt.capability` says how often answers of that model do, by kind of task."""
    gateway, _ = await authenticated(request)
    names = [*gateway.model_names.shown, *sorted(EMBEDDERS)]
    return {"object": "list", "data": [_model(gateway, name) for name in names]}


@router.get("/v1/models/{name:path}", tags=["models"])
async def get_model(request: Request, name: str) -> dict[str, Any]:
    """One model by name."""
    gateway, _ = await authenticated(request)
    if gateway.model_names.known(name) is None:
        gateway.model_names.find(name)
    return _model(gateway, name)


def _model(gateway: Gateway, name: str) -> dict[str, Any]:
    meant = gateway.model_names.known(name) or name
    more: dict[str, Any] = {"alias_of": meant} if meant != name else {}
    if known := gateway.capability.shown(gateway.target_names.get(meant, "")):
        more["capability"] = known
    shown = {"id": name, "object": "model", "created": 0, "owned_by": "netgpt"}
    return {**shown, "netgpt": more} if more else shown


_ASKED = {"required": True, "content": {"application/json": {"schema": EmbeddingsBody.model_json_schema()}}}


@router.post("/v1/embeddings", tags=["models"], openapi_extra={"requestBody": _ASKED})
async def embeddings(request: Request) -> Response:
    """Embeddings made on the box: nothing leaves. By the sentence encoder where there is one (384 numbers a text), else
    by static vectors of words (256), which `netgpt/embed-static` asks for; `model` of the answer says which."""
    gateway, caller = await authenticated(request)
    raw = await request.body()
    body = checked(EmbeddingsBody, await asyncio.to_thread(read_json, raw))
    model = gateway.model_names.known(body.model) or body.model
    made = await gateway.embeddings.embed(body.texts(), model, body.dimensions, request.is_disconnected)
    request.app.state.access.limiter.used(caller, made.tokens)
    content = await asyncio.to_thread(made.body, body.encoding_format)
    return Response(content, media_type="application/json")


@router.post("/v1/moderations", tags=["models"])
async def moderations(request: Request) -> None:
    """Refused (501): no model on this box judges texts by categories, and none elsewhere is shown them unasked."""
    await authenticated(request)
    raise RequestError(
        "no model on this box judges texts, and a cloud is not shown them for it; ask it in a chat, or your "
        "moderation service itself",
        code="moderations_not_here",
        status=501,
    )


@router.get("/v1/places", tags=["places"])
async def list_places(
    request: Request, limit: Annotated[int, Query(ge=1, le=1000)] = 100, after: str | None = None
) -> dict[str, Any]:
    """The imported places of interest, by id; `after` is the last id of the page before. For operators."""
    gateway, _ = await authenticated(request)
    rows = sorted((row for row in await gateway.store.places() if after is None or row.id > after), key=lambda r: r.id)
    return {
        "object": "list",
        "data": [
            {"id": r.id, "source": r.source, "name": r.name, "kind": r.kind, "latitude": r.latitude,
             "longitude": r.longitude}
            for r in rows[:limit]
        ],
        "has_more": len(rows) > limit,
    }  # fmt: skip


class Promotion(BaseModel):
    """Nothing: active for everybody. `canary`: for a share of the people, `share` or the one of the settings."""

    model_config = ConfigDict(extra="forbid")
    canary: bool = False
    share: float | None = Field(None, gt=0, le=1, description="Of the people; 0.1 is every tenth.")
    unjudged: bool = Field(False, description="Even without an evaluation: on the operator's own word.")


@router.get("/v1/adapters", tags=["adapters"])
async def list_adapters(request: Request) -> dict[str, Any]:
    """Every version, with its state and whether it is loaded now."""
    gateway, _ = await authenticated(request)
    entries = await asyncio.to_thread(gateway.registry.list)
    return {"object": "list", "data": [_shown(gateway, entry) for entry in entries]}


@router.get("/v1/adapters/{adapter_id}", tags=["adapters"])
async def get_adapter(request: Request, adapter_id: str) -> dict[str, Any]:
    """One version (`name@version`) with its whole card; a name alone means the active version."""
    gateway, _ = await authenticated(request)
    entry = await asyncio.to_thread(gateway.registry.show, adapter_id)
    return {**_shown(gateway, entry), "card": entry.card.model_dump(mode="json")}


@router.post("/v1/adapters/{adapter_id}/promote", tags=["adapters"])
async def promote(request: Request, adapter_id: str, wanted: Promotion | None = None) -> dict[str, Any]:
    """Make a version active for everybody, or a canary for a share of the people. It is loaded soon after."""
    gateway, caller = await authenticated(request)
    asked = wanted or Promotion()
    entry = await asyncio.to_thread(gateway.registry.resolve, adapter_id)
    if not (entry.judged or asked.unjudged):
        message = f"{entry.id} passed no evaluation yet: `netgpt adapters evaluate {entry.id}`"
        raise RequestError(message, param="unjudged")
    share = asked.share or (gateway.settings.adapters.canary if asked.canary else None)
    changed = await _changed(gateway, lambda: gateway.registry.promote(adapter_id, canary=share))
    how = "for everybody" if share is None else f"for {share:.0%} of the people"
    log.info("adapters: %s was promoted %s by %s", entry.id, how, caller.key_id or NO_KEY)
    return _shown(gateway, changed)


@router.post("/v1/adapters/{name}/rollback", tags=["adapters"])
async def rollback(request: Request, name: str) -> dict[str, Any]:
    """End the canary of this name, else go back to the version active before. Says which is active now, or null."""
    gateway, caller = await authenticated(request)
    entry = await _changed(gateway, lambda: gateway.registry.rollback(name))
    log.info("adapters: %s was rolled back by %s", name, caller.key_id or NO_KEY)
    return {"object": "netgpt.rollback", "name": name, "active": None if entry is None else _shown(gateway, entry)}


@router.delete("/v1/adapters/{adapter_id}", tags=["adapters"])
async def remove(request: Request, adapter_id: str) -> dict[str, Any]:
    """Delete a version that is not in use: weights and card."""
    gateway, caller = await authenticated(request)
    await _changed(gateway, lambda: gateway.registry.remove(adapter_id))
    log.info("adapters: %s was removed by %s", adapter_id, caller.key_id or NO_KEY)
    return {"object": "netgpt.adapter", "id": adapter_id, "deleted": True}


class NewException(BaseModel):
    model_config = ConfigDict(extra="forbid")
    word: str = Field(min_length=2, max_length=100, description="The words that were hidden without need, whole.")


@router.get("/v1/privacy/exceptions", tags=["privacy"])
async def list_exceptions(request: Request) -> dict[str, Any]:
    """Words of the caller's tenant that are not private although they may look so: with when and by which key."""
    gateway, caller = await authenticated(request)
    entries = await gateway.store.exceptions.of_tenant(caller.tenant)
    return {"object": "list", "data": [_exception(entry) for entry in entries]}


@router.post("/v1/privacy/exceptions", status_code=201, tags=["privacy"])
async def add_exception(request: Request, new: NewException) -> dict[str, Any]:
    """A find was wrong: these words may leave from now on, for the caller's tenant alone. For operators.

    Secrets, what a checksum proves and the values of people's profiles are hidden all the same.
    """
    gateway, caller = await authenticated(request)
    by = caller.key_id or NO_KEY
    entry = await gateway.store.exceptions.add(caller.tenant, as_exception(new.word), by)
    log.info("privacy: an exception for tenant %s was added by %s", caller.tenant, by)
    return _exception(entry)


@router.delete("/v1/privacy/exceptions/{word}", tags=["privacy"])
async def remove_exception(request: Request, word: str) -> dict[str, Any]:
    """Hide these words again."""
    gateway, caller = await authenticated(request)
    if not await gateway.store.exceptions.remove(caller.tenant, folded(word)):
        raise NotFound("there is no such exception", param="word")
    log.info("privacy: an exception for tenant %s was removed by %s", caller.tenant, caller.key_id or NO_KEY)
    return {"object": "netgpt.exception", "deleted": True}


def _exception(entry: ExceptionEntry) -> dict[str, Any]:
    return {"object": "netgpt.exception", "word": entry.word, "added": entry.added, "by": entry.by}


async def _changed(gateway: Gateway, change: Callable[[], T]) -> T:
    """Change the registry, off the event loop, and let the engine follow."""
    result = await asyncio.to_thread(change)
    gateway.residency.look()
    return result


def _shown(gateway: Gateway, entry: Entry) -> dict[str, Any]:
    """The state of an adapter. A person is named by a digest; no text of any example is here."""
    card, residency = entry.card, gateway.residency
    return {
        "id": entry.id, "object": "netgpt.adapter", "name": card.name, "version": card.version, "scope": card.scope,
        "state": entry.state.value, "canary_share": entry.share, "resident": residency.holds(entry.id),
        "pinned": entry.pinned, "shipped": entry.shipped, "judged": entry.judged, "fits": entry.fits,
        "fault": entry.fault or residency.unfit(entry.id), "why": entry.why or None, "base": card.base,
        "bytes": card.bytes, "created": card.created.isoformat(), "metrics": card.metrics,
    }  # fmt: skip


@router.get("/v1/signals", tags=["signals"])
async def signals(request: Request) -> dict[str, Any]:
    """Every link with its estimates, their age in seconds and their confidence (0 to 1), and the box itself.

    `faults`: what the owner has to mend before a model can answer. Names of targets and figures alone: no person, no
    text, no address.
    """
    gateway, _ = await authenticated(request)
    return {"object": "netgpt.signals", **gateway.telemetry.as_dict()}


@router.get("/healthz", tags=["health"])
async def healthz() -> dict[str, str]:
    """200 while the process lives."""
    return {"status": "ok"}


@router.get("/readyz", tags=["health"])
async def readyz(request: Request) -> Any:
    """200 when a question can be answered, else 503; with the state of each part, and for programs on this machine
    what it is: hosts, models, files."""
    gateway: Gateway = request.app.state.gateway
    parts = await gateway.parts()
    ready = parts["store"]["ok"] and any(parts[target]["ok"] for target in ("edge", *gateway.remotes))
    if not comes_from_here(request):
        parts = {part: {"ok": state["ok"]} for part, state in parts.items()}
    return JSONResponse({"ready": ready, "parts": parts}, status_code=200 if ready else 503)


@router.get("/metrics", tags=["health"])
async def metrics(request: Request) -> Response:
    """Prometheus text format; of all workers together, whichever is asked. Holds no person, key or text."""
    gateway: Gateway = request.app.state.gateway
    for part, state in (await gateway.parts()).items():
        gateway.metrics.up.labels(part).set(1 if state["ok"] else 0)
    all_of_them = await gateway.crew.gather() if gateway.crew is not None else None
    text = gateway.metrics.text() if all_of_them is None else text_of(all_of_them)
    return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")
