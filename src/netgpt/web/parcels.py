"""A request and its caller as they are kept while they wait, and back again. JSON values only."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from netgpt.exchange import Request
from netgpt.store.waiting import WaitingRow
from netgpt.types import Caller, Location, Role

__all__ = ["caller_of_parcel", "parcel_of", "request_of_parcel"]

_STREAMING = ("stream", "stream_options")
_FIELDS = ("model", "user", "complete", "explain", "conversation", "prefer")


def parcel_of(request: Request, caller: Caller) -> dict[str, Any]:
    """All that is needed to ask again later, as a whole answer."""
    return {
        "request": {
            "body": {name: value for name, value in request.body.items() if name not in _STREAMING},
            **{name: getattr(request, name) for name in _FIELDS},
            "location": None if request.location is None else asdict(request.location),
            "consent": sorted(request.consent),
        },
        "caller": {
            "tenant": caller.tenant,
            "role": caller.role.value,
            "key_id": caller.key_id,
            "bound_user": caller.bound_user,
            "groups": sorted(caller.groups),
        },
    }


def request_of_parcel(row: WaitingRow) -> Request:
    """The request as it was asked, not streamed. What it may take of time begins anew."""
    kept = (row.private or {})["request"]
    return Request(
        body=kept["body"],
        **{name: kept[name] for name in _FIELDS},
        location=None if kept["location"] is None else Location(**kept["location"]),
        consent=frozenset(kept["consent"]),
        may_wait=True,
    )


def caller_of_parcel(row: WaitingRow) -> Caller:
    """Who asked."""
    kept = (row.private or {})["caller"]
    return Caller(kept["tenant"], Role(kept["role"]), kept["key_id"], kept["bound_user"], frozenset(kept["groups"]))
