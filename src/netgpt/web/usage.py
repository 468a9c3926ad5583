"""/v1/usage: what became of requests by hour or day, for pictures.

Each person sees their own; operators see all of their tenant. Figures alone: no word and no id of anybody's. They are
kept as sums (`store/usage.py`), so that a month costs no more than a look at some hundred rows.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request

from netgpt.store.usage import HourFigures, by_step
from netgpt.web.rights import listed

router = APIRouter()

STEPS: Final = {"hour": timedelta(hours=1), "day": timedelta(days=1)}
USUAL: Final = {"hour": 24, "day": 30}
_COUNTED_NOW: Final = 10
"""Batches of exchanges that are counted before this is answered; more than that waits for housekeeping."""


@router.get("/v1/usage", tags=["exchanges"])
async def usage(
    request: Request,
    user: Annotated[str | None, Query(max_length=256, description="The person within the key's tenant.")] = None,
    by: Literal["hour", "day"] = "hour",
    last: Annotated[int | None, Query(ge=1, le=744, description="So many hours (24) or days (30, of UTC).")] = None,
) -> dict[str, Any]:
    """Requests by hour or day, the present one last: how many, how many answered on the box (`edge`) and elsewhere,
    failed, tokens, money, values hidden in what left by kind, and how long whole answers took.

    An operator that names no person sees the figures of all people of its tenant. `complete`: false while older
    exchanges are still being counted.
    """
    gateway, caller, person = await listed(request, user)
    complete = await gateway.store.usage.count(_COUNTED_NOW)
    step = STEPS[by]
    until = _begin(datetime.now(UTC), by)
    since = until - ((last or USUAL[by]) - 1) * step
    found = await gateway.store.usage.by_hour(person, caller.tenant, since)
    steps, whole = by_step(found, since, until, step), HourFigures()
    for _, figures in steps:
        whole.add(figures)
    return {
        "object": "netgpt.usage",
        "by": by,
        "from": since.isoformat(),
        "to": (until + step).isoformat(),
        "complete": complete,
        "total": whole.as_dict(),
        "data": [{"from": begin.isoformat()} | figures.as_dict() for begin, figures in steps],
    }


def _begin(moment: datetime, by: str) -> datetime:
    """Of the hour or day (UTC)."""
    hour = moment.replace(minute=0, second=0, microsecond=0)
    return hour if by == "hour" else hour.replace(hour=0)
