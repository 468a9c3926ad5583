"""What was hidden without need, or left although it is private: people report it, who runs the tenant looks at it.

The words themselves are kept with a report only where the person says so; without them it tells kind, detector and
length.
"""

from __future__ import annotations

from typing import Any, Final, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from netgpt.errors import NotFound, RequestError
from netgpt.store.reports import Report
from netgpt.store.schema import ExchangeRecord
from netgpt.web.auth import authenticated
from netgpt.web.rights import reach

router = APIRouter()

UNKNOWN: Final = "UNKNOWN"


class NewReport(BaseModel):
    model_config = ConfigDict(extra="forbid")
    what: Literal["false_find", "missed_find"] = "false_find"
    placeholder: str = Field("", max_length=64, description="Of a false find: what stood in its place, [NAME_1].")
    kind: str = Field(UNKNOWN, max_length=32, pattern="^[A-Z_]+$", description="Of a missed find: what it is.")
    text: str = Field("", max_length=500, description="The words. Without `share` only their number is kept.")
    share: bool = Field(False, description="Whether who runs the tenant may see the words.")
    user: str | None = Field(None, max_length=256)


@router.post("/v1/exchanges/{exchange_id}/reports", status_code=201, tags=["privacy"])
async def report(request: Request, exchange_id: str, new: NewReport) -> dict[str, Any]:
    """Say that something of one's own exchange was hidden without need, or left although it is private."""
    gateway, _ = await authenticated(request)
    row = await reach(request, await gateway.store.exchange(exchange_id), new.user, "exchange_id")
    kept = await gateway.store.reports.add(row.person, _meant(row, new))
    return kept.as_dict()


def _meant(row: ExchangeRecord, new: NewReport) -> Report:
    text = new.text if new.share else None
    if new.what == "missed_find":
        if not new.text:
            raise RequestError("text: mark the words that should have been hidden", param="text")
        return Report("missed_find", row.id, new.kind, length=len(new.text), text=text)
    hidden = (row.private or {}).get("hidden") or ()
    found = next((each for each in hidden if each["placeholder"] == new.placeholder), None)
    if found is None:
        raise RequestError("placeholder: none of this exchange's; `hidden` lists them", param="placeholder")
    return Report("false_find", row.id, found["kind"], found["rule"], len(new.text), text)


@router.get("/v1/reports", tags=["privacy"])
async def list_reports(request: Request) -> dict[str, Any]:
    """What people of the caller's tenant reported, newest first. Who said it is not told. For operators."""
    gateway, caller = await authenticated(request)
    return {"object": "list", "data": [each.as_dict() for each in await gateway.store.reports.of_tenant(caller.tenant)]}


@router.delete("/v1/reports/{report_id}", tags=["privacy"])
async def remove_report(request: Request, report_id: str) -> dict[str, Any]:
    """It was dealt with."""
    gateway, caller = await authenticated(request)
    if not await gateway.store.reports.remove(caller.tenant, report_id):
        raise NotFound("there is no such report", param="report_id")
    return {"id": report_id, "object": "netgpt.report", "deleted": True}
