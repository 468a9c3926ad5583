"""/v1/waiting: requests that nobody could answer, and their answers once they came. Each person sees only its own."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from fastapi import APIRouter, Query, Request, Response

from netgpt.build import Box
from netgpt.errors import NotFound
from netgpt.policy.access import check_access, exchange_of
from netgpt.store.waiting import WaitingRow
from netgpt.types import Person, Role
from netgpt.web.auth import caller_of, person_for
from netgpt.web.reach import may_see, owns_the_box, sees_figures, speaks_for

__all__ = ["accepted", "router"]

router = APIRouter()

User = Annotated[str | None, Query(max_length=256, description="The person within the key's tenant.")]


def summary(row: WaitingRow) -> dict[str, Any]:
    """Where a request stands; no text."""
    return {
        "id": row.id,
        "object": "netgpt.waiting",
        "status": row.state,
        "created": row.created.isoformat(),
        "expires": row.expires.isoformat(),
        "tries": row.tries,
        "exchange": row.exchange,
    }


def accepted(row: WaitingRow, because: str) -> Response:
    """202: the request is kept; where it will be found."""
    told = orjson.dumps({**summary(row), "reason": because})
    return Response(told, status_code=202, media_type="application/json", headers={"location": f"/v1/waiting/{row.id}"})


@router.get("/v1/waiting", tags=["waiting"])
async def list_waiting(
    request: Request, user: User = None, limit: Annotated[int, Query(ge=1, le=200)] = 100
) -> dict[str, Any]:
    """The person's requests that wait or waited, newest first. An operator that names no person sees where those of
    its tenant's people stand."""
    box: Box = request.app.state.box
    caller = await caller_of(request)
    if user is None and owns_the_box(caller):
        rows = await box.store.waiting.page(None, None, limit)
    elif user is None and sees_figures(caller):
        check_access(box.policy, caller, "read_exchange", exchange_of(Person(caller.tenant, "")))
        rows = await box.store.waiting.page(None, caller.tenant, limit)
    else:
        person = person_for(caller, user)
        check_access(box.policy, caller, "read_exchange", exchange_of(person), user=person.user)
        rows = await box.store.waiting.page(person, None, limit)
    return {"object": "list", "data": [summary(row) for row in rows]}


@router.get("/v1/waiting/{waiting_id}", tags=["waiting"])
async def get_waiting(request: Request, waiting_id: str, user: User = None) -> dict[str, Any]:
    """One request: where it stands, and its answer or what went wrong."""
    box: Box = request.app.state.box
    caller = await caller_of(request)
    row = await box.store.waiting.find(waiting_id)
    if row is None or not may_see(caller, row.tenant, row.user, user):
        raise NotFound("no such waiting request of this person", param="waiting_id")
    check_access(box.policy, caller, "read_exchange", exchange_of(row.person, row.id), user=speaks_for(caller, user))
    told = summary(row)
    if caller.role is not Role.OPERATOR:
        kept = row.private or {}
        told |= {"answer": kept.get("answer"), "error": kept.get("error")}
    return told


@router.delete("/v1/waiting/{waiting_id}", tags=["waiting"])
async def cancel_waiting(request: Request, waiting_id: str, user: User = None) -> dict[str, Any]:
    """Do not send it; or, when it has ended, delete it with its answer. Not while it is being sent (409)."""
    box: Box = request.app.state.box
    caller = await caller_of(request)
    row = await box.store.waiting.find(waiting_id)
    person = None if row is None else row.person
    mine = row is not None and row.tenant == caller.tenant
    if not mine or (not (user is None and owns_the_box(caller)) and person != person_for(caller, user)):
        raise NotFound("no such waiting request of this person", param="waiting_id")
    assert person is not None
    check_access(box.policy, caller, "read_exchange", exchange_of(person, waiting_id), user=person.user)
    await box.store.waiting.cancel(waiting_id, person)
    return {"id": waiting_id, "deleted": True}
