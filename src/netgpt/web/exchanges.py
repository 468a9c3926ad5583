"""/v1/exchanges: what was asked, what was used, what left, what was decided. Each person sees only its own."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from netgpt.build import Box
from netgpt.errors import NotFound
from netgpt.policy.access import check_access, exchange_of
from netgpt.types import Person, Role
from netgpt.web.auth import allow, caller_of, person_for
from netgpt.web.reach import may_see, owns_the_box, sees_figures, speaks_for

__all__ = ["router"]

router = APIRouter()

User = Annotated[str | None, Query(max_length=256, description="The person within the key's tenant.")]


class Feedback(BaseModel):
    model_config = ConfigDict(extra="forbid")
    exchange: str = Field(max_length=64)
    rating: int = Field(ge=-1, le=1, description="1 good, 0 no opinion, -1 bad.")
    user: str | None = Field(None, max_length=256)


@router.get("/v1/exchanges", tags=["exchanges"])
async def list_exchanges(
    request: Request, user: User = None, limit: Annotated[int, Query(ge=1, le=200)] = 20, before: str | None = None
) -> dict[str, Any]:
    """The person's own exchanges, newest first; `before` is the last id of the page before.

    An operator that names no person sees the figures of all people of its tenant.
    """
    box: Box = request.app.state.box
    caller = await caller_of(request)
    if user is None and owns_the_box(caller):
        rows = await box.store.exchanges(None, limit, before, texts=False)
    elif user is None and sees_figures(caller):
        check_access(box.policy, caller, "read_exchange", exchange_of(Person(caller.tenant, "")))
        rows = await box.store.exchanges(None, limit, before, tenant=caller.tenant, texts=False)
    else:
        person = person_for(caller, user)
        check_access(box.policy, caller, "read_exchange", exchange_of(person), user=person.user)
        rows = await box.store.exchanges(person, limit, before, texts=False)
    return {"object": "list", "data": [row.as_dict(texts=False) for row in rows]}


@router.get("/v1/exchanges/{exchange_id}", tags=["exchanges"])
async def get_exchange(request: Request, exchange_id: str, user: User = None) -> dict[str, Any]:
    """One exchange: the request, the facts used, the exact outbound body or null, what was hidden, the decision."""
    box: Box = request.app.state.box
    caller = await caller_of(request)
    row = await box.store.exchange(exchange_id)
    if row is None or not may_see(caller, row.tenant, row.user, user):
        raise NotFound("no such exchange of this person (name the person with ?user=...)", param="exchange_id")
    check_access(box.policy, caller, "read_exchange", exchange_of(row.person, row.id), user=speaks_for(caller, user))
    shows_texts = caller.role is not Role.OPERATOR
    note = {"note": "texts are not kept (store.keep_text = false)"} if shows_texts and not row.private else {}
    return row.as_dict(texts=shows_texts) | note


@router.post("/v1/feedback", tags=["exchanges"])
async def give_feedback(request: Request, feedback: Feedback) -> dict[str, Any]:
    """Rate an answer: what the box learns from."""
    box: Box = request.app.state.box
    caller = await caller_of(request)
    allow(request, caller, "ask", feedback.user)
    row = await box.store.exchange(feedback.exchange)
    if row is None or not may_see(caller, row.tenant, row.user, feedback.user):
        raise NotFound("no such exchange of this person", param="exchange")
    await box.store.rate_exchange(row.id, feedback.rating)
    await box.learning.rated(row.id, feedback.rating)
    return {"object": "netgpt.feedback", "exchange": row.id, "rating": feedback.rating}
