"""/v1/models, /v1/embeddings, /v1/places: what the box offers besides chat."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from netgpt.build import Box
from netgpt.errors import NotFound, RequestError
from netgpt.web.auth import allow, caller_of

__all__ = ["router"]

router = APIRouter()

EMBED_MODEL = "netgpt/embed"


class EmbeddingsBody(BaseModel):
    model_config = ConfigDict(extra="ignore")
    input: str | list[str] = Field(description="One text or up to 512.")
    model: str = EMBED_MODEL
    encoding_format: Literal["float", "base64"] = "float"


@router.get("/v1/models", tags=["models"])
async def list_models(request: Request) -> dict[str, Any]:
    """`netgpt` decides; `netgpt/edge` and `netgpt/cloud` name a side; then the configured models' own names."""
    box: Box = request.app.state.box
    await caller_of(request)
    names = [*sorted(box.model_names), EMBED_MODEL]
    return {"object": "list", "data": [_model(name) for name in names]}


@router.get("/v1/models/{name:path}", tags=["models"])
async def get_model(request: Request, name: str) -> dict[str, Any]:
    """One model by name."""
    box: Box = request.app.state.box
    await caller_of(request)
    if name not in box.model_names and name != EMBED_MODEL:
        raise NotFound("no model of that name here; GET /v1/models lists them", code="model_not_found", param="name")
    return _model(name)


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "netgpt"}


@router.post("/v1/embeddings", tags=["models"])
async def embeddings(request: Request, body: EmbeddingsBody) -> dict[str, Any]:
    """Static word embeddings made on the box (256 numbers a text): nothing leaves, no model is asked."""
    box: Box = request.app.state.box
    caller = await caller_of(request)
    texts = [body.input] if isinstance(body.input, str) else body.input
    if not 1 <= len(texts) <= 512 or any(not text for text in texts):
        raise RequestError("input: give one to 512 texts, none empty", param="input")
    if not all(map(_is_unicode, texts)):
        raise RequestError("input: a text has half a surrogate pair, which is no character", param="input")
    vectors = await box.embed_texts(texts, body.encoding_format)
    tokens = sum(len(text.split()) for text in texts)
    request.app.state.access.limiter.used(caller, tokens)
    return {
        "object": "list",
        "model": EMBED_MODEL,
        "data": [{"object": "embedding", "index": i, "embedding": vector} for i, vector in enumerate(vectors)],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def _is_unicode(text: str) -> bool:
    """JSON may escape one half of a surrogate pair alone; nothing that reads bytes can take it."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@router.get("/v1/places", tags=["places"])
async def list_places(
    request: Request, limit: Annotated[int, Query(ge=1, le=1000)] = 100, after: str | None = None
) -> dict[str, Any]:
    """The imported places of interest, by id; `after` is the last id of the page before. For operators."""
    box: Box = request.app.state.box
    allow(request, await caller_of(request), "administer")
    rows = sorted((row for row in await box.store.places() if after is None or row.id > after), key=lambda r: r.id)
    return {
        "object": "list",
        "data": [
            {"id": r.id, "source": r.source, "name": r.name, "kind": r.kind, "latitude": r.latitude,
             "longitude": r.longitude}
            for r in rows[:limit]
        ],
        "has_more": len(rows) > limit,
    }  # fmt: skip
