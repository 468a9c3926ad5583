"""/v1/exchanges, /v1/feedback, /v1/receipts and /v1/waiting. Each person sees only its own; operators see figures."""

from __future__ import annotations

from typing import Annotated, Any, Final

import orjson
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from netgpt.app.heads import head_faults
from netgpt.errors import RequestError
from netgpt.store.chain import Head
from netgpt.store.listing import ListFilter
from netgpt.store.queue import WaitingRow
from netgpt.store.receipts import ReceiptRow
from netgpt.store.schema import ExchangeRecord
from netgpt.web.auth import authenticated
from netgpt.web.rights import is_own, listed, names_people, reach, sees_texts

router = APIRouter()
_MOST_FAULTS: Final = 50

Limit = Annotated[int, Query(ge=1, le=200)]
User = Annotated[str | None, Query(max_length=256, description="The person within the key's tenant.")]


class Feedback(BaseModel):
    model_config = ConfigDict(extra="forbid")
    exchange: str = Field(max_length=64)
    rating: int = Field(ge=-1, le=1, description="1 good, 0 no opinion, -1 bad.")
    user: str | None = Field(None, max_length=256)


Asked = Annotated[bool, Query(description="With the beginning of what was asked; of one's own rows alone.")]
Word = Annotated[str | None, Query(max_length=128)]


def wanted(
    status: Annotated[str | None, Query(max_length=16, description="complete, failed, cancelled or dry_run.")] = None,
    route: Annotated[str | None, Query(max_length=16, description="edge, cloud or none.")] = None,
    model: Word = None,
    hidden: Annotated[str | None, Query(max_length=64, description="A kind that was hidden: EMAIL, ...")] = None,
    words: Annotated[str | None, Query(max_length=128, description="Words of the reason.")] = None,
) -> ListFilter:
    """What a list is filtered by; what is left out, or empty, is any."""
    return ListFilter(status or None, route or None, model or None, hidden or None, words or None)


Filters = Annotated[ListFilter, Depends(wanted)]


@router.get("/v1/exchanges", tags=["exchanges"])
async def list_exchanges(
    request: Request,
    filters: Filters,
    user: User = None,
    limit: Limit = 20,
    before: str | None = None,
    asked: Asked = False,
) -> dict[str, Any]:
    """The person's own exchanges, newest first; `before` is `next` of the page before. Where a filter is met rarely a
    page may hold fewer rows than `limit`, or none, and still have a `next`: then older rows are to be looked at.

    An operator that names no person sees the figures of all people of its tenant.
    """
    gateway, caller, person = await listed(request, user)
    page = await gateway.store.listing.page(person, caller.tenant, limit, before, filters)
    texts: dict[str, str] = {}
    if asked and person is not None and sees_texts(caller) and is_own(caller, person):
        texts = await gateway.store.listing.asked(person, [row.id for row in page.rows])
    shows = names_people(caller)
    data = [listed_row(row, shows_person=shows, asked=texts.get(row.id)) for row in page.rows]
    return {"object": "list", "data": data, "next": page.next}


def listed_row(row: ExchangeRecord, *, shows_person: bool, asked: str | None = None) -> dict[str, Any]:
    """A row of a list: figures, whose it is for those who may know, and what was asked where it is one's own."""
    who = {"person": row.user} if shows_person else {}
    return row.as_dict(texts=False) | who | ({} if asked is None else {"asked": asked})


@router.get("/v1/exchanges/{exchange_id}", tags=["exchanges"])
async def get_exchange(request: Request, exchange_id: str, user: User = None) -> dict[str, Any]:
    """One exchange: the request, the facts used, the exact outbound body or null, what was hidden, the decision."""
    gateway, caller = await authenticated(request)
    found = await gateway.store.exchange(exchange_id)
    row = await reach(request, found, user, "exchange_id")
    shows_texts = sees_texts(caller)
    note = {"note": "texts are not kept (store.keep_text = false)"} if shows_texts and not row.private else {}
    return row.as_dict(texts=shows_texts) | note


@router.post("/v1/feedback", tags=["exchanges"])
async def give_feedback(request: Request, feedback: Feedback) -> dict[str, Any]:
    """Rate an answer: what the box learns from."""
    gateway, _ = await authenticated(request)
    found = await gateway.store.exchange(feedback.exchange)
    row = await reach(request, found, feedback.user, "exchange")
    await gateway.store.rate_exchange(row.id, feedback.rating)
    await gateway.learning.rated(row.id, feedback.rating)
    return {"object": "netgpt.feedback", "exchange": row.id, "rating": feedback.rating}


def receipt_summary(row: ReceiptRow) -> dict[str, Any]:
    """A receipt without texts and persons."""
    record, link = row.record, row.record.link
    return {
        "id": record.id, "object": "netgpt.receipt", "time": link.time.isoformat(), "destination": link.destination,
        "model": link.model, "bytes": link.size, "hash": record.hash.hex(), "exchange": record.exchange,
        "outcome": row.outcome, "erased": row.erased and row.erased.isoformat(), "erased_because": row.reason,
    }  # fmt: skip


@router.get("/v1/receipts", tags=["receipts"])
async def list_receipts(
    request: Request, user: User = None, limit: Limit = 20, before: str | None = None
) -> dict[str, Any]:
    """What left on behalf of the person, newest first; `before` is the last id of the page before.

    An operator that names no person sees the figures of all people of its tenant.
    """
    gateway, caller, person = await listed(request, user)
    rows = await gateway.store.receipts.page(person, limit, before, tenant=caller.tenant)
    return {"object": "list", "data": [receipt_summary(row) for row in rows]}


@router.get("/v1/receipts/verify", tags=["receipts"])
async def verify_receipts(
    request: Request,
    after: Annotated[str | None, Query(max_length=100, description="`head` of the part before.")] = None,
    most: Annotated[int, Query(ge=1, le=10_000, description="Entries that one call checks.")] = 2_000,
) -> dict[str, Any]:
    """Check the chain of receipts, part by part: `head` is the next part's `after`, until `complete`. For who runs the
    box: the chain is one, for all tenants."""
    gateway, _ = await authenticated(request)
    try:
        begin = None if after is None else Head.read(after)
    except ValueError:
        raise RequestError("after: the `head` of the part before is wanted, 12:3f5a...", param="after") from None
    report, is_end = await gateway.store.receipts.verify_part(begin, most)
    faults = [{"seq": fault.seq, "id": fault.id, "what": fault.what} for fault in report.faults]
    if is_end:
        noted = await head_faults(gateway.store, gateway.settings.head_file)
        faults += [{"seq": report.head.seq, "id": "", "what": what} for what in noted]
    return {
        "object": "netgpt.chain", "whole": not faults, "complete": is_end, "checked": report.receipts,
        "head": str(report.head), "faults": faults[:_MOST_FAULTS], "fault_count": len(faults),
    }  # fmt: skip


@router.get("/v1/receipts/{receipt_id}", tags=["receipts"])
async def get_receipt(request: Request, receipt_id: str, user: User = None) -> dict[str, Any]:
    """One receipt, by its id or its exchange's: the exact bytes, what was hidden under which rule, and the proof.

    `commitment` is the SHA-256 of `account` as JSON with sorted keys and no spaces; `account.sha256` that of `content`.
    """
    gateway, caller = await authenticated(request)
    found = None if receipt_id.isdecimal() else await gateway.store.receipts.find(receipt_id)
    row = await reach(request, found, user, "receipt_id")
    record, shown = row.record, receipt_summary(row)
    if sees_texts(caller):
        shown |= {
            "commitment": record.link.commitment.hex(),
            "previous": record.previous.hex(),
            "account": record.account and dict(record.account),
            "content": record.content,
        }
    return shown


def waiting_summary(row: WaitingRow) -> dict[str, Any]:
    """The state of a request; no text."""
    return {
        "id": row.id, "object": "netgpt.waiting", "status": row.state, "created": row.created.isoformat(),
        "expires": row.expires.isoformat(), "tries": row.tries, "exchange": row.exchange,
    }  # fmt: skip


def accepted(row: WaitingRow, because: str) -> Response:
    """202: the request is kept; where it will be found."""
    body = orjson.dumps({**waiting_summary(row), "reason": because})
    return Response(body, status_code=202, media_type="application/json", headers={"location": f"/v1/waiting/{row.id}"})


@router.get("/v1/waiting", tags=["waiting"])
async def list_waiting(request: Request, user: User = None, limit: Limit = 100) -> dict[str, Any]:
    """The person's requests that wait or waited, newest first. An operator that names no person sees where those of
    its tenant's people stand."""
    gateway, caller, person = await listed(request, user)
    rows = await gateway.store.waiting.page(person, caller.tenant, limit)
    return {"object": "list", "data": [waiting_summary(row) for row in rows]}


@router.get("/v1/waiting/{waiting_id}", tags=["waiting"])
async def get_waiting(request: Request, waiting_id: str, user: User = None) -> dict[str, Any]:
    """One request: where it stands, and its answer or what went wrong."""
    gateway, caller = await authenticated(request)
    found = await gateway.store.waiting.find(waiting_id)
    row = await reach(request, found, user, "waiting_id")
    shown = waiting_summary(row)
    if sees_texts(caller):
        kept = row.private or {}
        shown |= {"answer": kept.get("answer"), "error": kept.get("error")}
    return shown


@router.delete("/v1/waiting/{waiting_id}", tags=["waiting"])
async def cancel_waiting(request: Request, waiting_id: str, user: User = None) -> dict[str, Any]:
    """Do not send it; or, when it has ended, delete it with its answer. Not while it is being sent (409)."""
    gateway, _ = await authenticated(request)
    found = await gateway.store.waiting.find(waiting_id)
    row = await reach(request, found, user, "waiting_id")
    await gateway.store.waiting.cancel(waiting_id, row.person)
    return {"id": waiting_id, "deleted": True}
