"""/v1/routing: who may be asked, how each stands, and what counts more: seen, and changed while the box runs."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from netgpt.app.gateway import Gateway
from netgpt.errors import RequestError
from netgpt.settings.routing import Preset
from netgpt.types import EDGE
from netgpt.web.admin import NO_KEY
from netgpt.web.auth import authenticated

router = APIRouter()


class RoutingBody(BaseModel):
    """What is left out stays as it is."""

    model_config = ConfigDict(extra="forbid")
    prefer: Preset | None = Field(None, description="What counts more, unless a key or a request says otherwise.")
    max_cloud_share: float | None = Field(
        None, ge=0, le=1, description="At most this share of the requests goes to a cloud; null: no bound."
    )


@router.get("/v1/routing", tags=["signals"])
async def show_routing(request: Request) -> dict[str, Any]:
    """The preset and the share of the cloud in force, what the settings say of both, and who changed them in this run;
    each target with its health (a breaker that is open is told there), and the requests at work and waiting for it."""
    gateway, _ = await authenticated(request)
    return _shown(gateway, request)


@router.patch("/v1/routing", tags=["signals"])
async def change_routing(request: Request, asked: RoutingBody) -> dict[str, Any]:
    """Change the preset or the share of the cloud, in force at the next request and until the box is started again:
    what is to stay belongs into the settings. The log says who changed what. For admins of the box's own tenant."""
    gateway, caller = await authenticated(request)
    service, given = gateway.routing_service, asked.model_fields_set
    if "prefer" in given and asked.prefer is None:
        raise RequestError("prefer: name a preset", param="prefer")
    share = asked.max_cloud_share if "max_cloud_share" in given else service.rules.max_cloud_share
    if given:
        change = (asked.prefer or service.rules.prefer, share, caller.key_id or NO_KEY)
        service.change(*change)
        gateway.tell_others("routing", change)
    return _shown(gateway, request)


def _shown(gateway: Gateway, request: Request) -> dict[str, Any]:
    service, set_ = gateway.routing_service, gateway.settings.routing
    changes = [
        {"at": each.at.isoformat(timespec="seconds"), "by": each.by, "prefer": each.prefer,
         "max_cloud_share": each.max_cloud_share}
        for each in reversed(service.changes)
    ]  # fmt: skip
    return {
        "object": "netgpt.routing",
        "prefer": service.rules.prefer,
        "max_cloud_share": service.rules.max_cloud_share,
        "settings": {"prefer": set_.prefer, "max_cloud_share": set_.max_cloud_share},
        "changes": changes,
        "targets": _targets(gateway),
        "queues": [
            {"pool": pool.name, "at_work": pool.at_work, "waiting": len(pool.turns), "limit": pool.limit.value}
            for pool in request.app.state.admission.pools.values()
        ],
    }


def _targets(gateway: Gateway) -> list[dict[str, Any]]:
    """The edge and the others by name, with what each can do by kind of task where that is known."""
    edge = gateway.settings.edge
    shown = [{"name": EDGE, "kind": "edge", "model": edge.model, "trusted": True}]
    for name, remote in gateway.settings.remotes.items():
        kind = "neighbour" if remote.is_neighbour else "cloud"
        shown.append({"name": name, "kind": kind, "model": remote.model, "trusted": remote.trusted})
    for each in shown:
        model = gateway.edge if each["name"] == EDGE else gateway.remotes.get(str(each["name"]))
        health = None if model is None else model.health()
        each["ok"] = health is not None and health.ok and not health.fault
        each["detail"] = "" if health is None else health.fault or health.detail
        each["capability"] = gateway.capability.shown(str(each["name"])) or None
    return shown
