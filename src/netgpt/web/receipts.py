"""/v1/receipts: what left the box, with proof. Each person sees its own; operators see figures, without texts."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from netgpt.build import Box
from netgpt.errors import NotFound
from netgpt.policy.access import check_access, exchange_of
from netgpt.store.receipts import ReceiptRow
from netgpt.types import Person, Role
from netgpt.web.auth import caller_of, person_for
from netgpt.web.reach import may_see, owns_the_box, sees_figures, speaks_for

__all__ = ["router"]

router = APIRouter()

User = Annotated[str | None, Query(max_length=256, description="The person within the key's tenant.")]


def summary(row: ReceiptRow) -> dict[str, Any]:
    """A receipt without texts and persons."""
    record = row.record
    return {
        "id": record.id,
        "object": "netgpt.receipt",
        "time": record.link.time.isoformat(),
        "destination": record.link.destination,
        "model": record.link.model,
        "bytes": record.link.size,
        "hash": record.hash.hex(),
        "exchange": record.exchange,
        "outcome": row.outcome,
        "erased": row.erased and row.erased.isoformat(),
        "erased_because": row.reason,
    }


@router.get("/v1/receipts", tags=["receipts"])
async def list_receipts(
    request: Request, user: User = None, limit: Annotated[int, Query(ge=1, le=200)] = 20, before: str | None = None
) -> dict[str, Any]:
    """What left on behalf of the person, newest first; `before` is the last id of the page before.

    An operator that names no person sees the figures of all people of its tenant.
    """
    box: Box = request.app.state.box
    caller = await caller_of(request)
    if user is None and owns_the_box(caller):
        rows = await box.store.receipts.page(None, limit, before, tenant=caller.tenant)
    elif user is None and sees_figures(caller):
        check_access(box.policy, caller, "read_exchange", exchange_of(Person(caller.tenant, "")))
        rows = await box.store.receipts.page(None, limit, before, tenant=caller.tenant)
    else:
        person = person_for(caller, user)
        check_access(box.policy, caller, "read_exchange", exchange_of(person), user=person.user)
        rows = await box.store.receipts.page(person, limit, before)
    return {"object": "list", "data": [summary(row) for row in rows]}


@router.get("/v1/receipts/{receipt_id}", tags=["receipts"])
async def get_receipt(request: Request, receipt_id: str, user: User = None) -> dict[str, Any]:
    """One receipt, by its id or its exchange's: the exact bytes, what was hidden under which rule, and the proof.

    `commitment` is the SHA-256 of `account` as JSON with sorted keys and no spaces; `account.sha256` that of `content`.
    """
    box: Box = request.app.state.box
    caller = await caller_of(request)
    row = None if receipt_id.isdecimal() else await box.store.receipts.find(receipt_id)
    if row is None or not may_see(caller, row.record.link.tenant, row.record.user, user):
        raise NotFound("no such receipt of this person (name the person with ?user=...)", param="receipt_id")
    record = row.record
    owner = Person(caller.tenant, record.user or "")
    asked = exchange_of(owner, record.exchange or "")
    check_access(box.policy, caller, "read_exchange", asked, user=speaks_for(caller, user))
    told = summary(row)
    if caller.role is not Role.OPERATOR:
        told |= {
            "commitment": record.link.commitment.hex(),
            "previous": record.previous.hex(),
            "account": record.account and dict(record.account),
            "content": record.content,
        }
    return told
