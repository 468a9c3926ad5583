"""POST /v1/exchanges/{id}/what-if: a decision taken again with another round trip, price, difficulty or preset.

From what was kept of it, by the objective that decides. Figures and names of targets: no word of anybody's.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from netgpt.routing.explain import Change, WhatIf
from netgpt.routing.recorded import Conditions, from_kept, inputs_of, taken_again
from netgpt.routing.scoring import Weighed
from netgpt.stages.record import expected_as_dict
from netgpt.web.auth import authenticated
from netgpt.web.exchanges import User
from netgpt.web.rights import reach

router = APIRouter()

Milliseconds = Annotated[float, Field(ge=0.1, le=60_000)]
Times = Annotated[float, Field(ge=0, le=1_000)]


class Otherwise(BaseModel):
    """What is to be otherwise than it was; what is left out stays."""

    model_config = ConfigDict(extra="forbid")
    rtt_ms: dict[str, Milliseconds] = Field({}, max_length=32, description="Round trip by target, in milliseconds.")
    price: dict[str, Times] = Field({}, max_length=32, description="By target: so many times as high.")
    difficulty: float | None = Field(None, ge=0.01, le=0.99, description="Chance that a small model's answer does.")
    waiting: int | None = Field(None, ge=0, le=1_000, description="Answers that wait on the box.")
    prefer: str | None = Field(None, max_length=32, description="A preset of the weights.")

    def conditions(self) -> Conditions:
        rtt_s = {target: ms / 1000 for target, ms in self.rtt_ms.items()}
        return Conditions(rtt_s, self.price, self.difficulty, self.waiting, self.prefer)


@router.post("/v1/exchanges/{exchange_id}/what-if", tags=["exchanges"])
async def what_if(
    request: Request, exchange_id: str, wanted: Otherwise | None = None, user: User = None
) -> dict[str, Any]:
    """Who would have answered, and what each target would have been expected to give. Nothing is asked or changed.

    A conversation's lock, and trials of other models, are left out: the targets are weighed as for a request that
    stands alone. `weighed`: false where nothing was chosen, as when the caller named the model.
    """
    gateway, _ = await authenticated(request)
    row = await reach(request, await gateway.store.exchange(exchange_id), user, "exchange_id")
    private: Mapping[str, Any] = row.private or {}
    kept, decision = private.get("weighed"), private.get("decision") or {}
    shown: dict[str, Any] = {"object": "netgpt.what_if", "exchange": row.id, "weighed": bool(kept)}
    if not kept:
        why = "nothing was chosen here: the caller named the model, or there was no other"
        return shown | {"why": why if private else "what went into the decision was not kept (store.keep_text = false)"}
    then = from_kept(kept, gateway.settings.routing)
    now = taken_again(then, (wanted or Otherwise()).conditions())
    return shown | {
        "answered": row.target or row.route,
        "rule": decision.get("rule", ""),
        "inputs": inputs_of(then) | {"prefer": decision.get("weights") or gateway.settings.routing.prefer},
        "changes": [_change(each) for each in then.changes()],
        "best": best_of(now),
        "best_then": best_of(then.weighed),
        "expected": [expected_as_dict(one) | {"lead": lead(one.target, one.value, now, then)} for one in now.expected],
    }


def best_of(weighed: Weighed) -> str | None:
    """The target that would answer; None: none could."""
    return weighed.candidates[0].target if weighed.candidates else None


def lead(target: str, value: float, weighed: Weighed, what_if: WhatIf) -> float | None:
    """The value by which targets are put in order, the bound on the cloud's share included; None: ruled out."""
    if all(one.target != target for one in weighed.candidates):
        return None
    return round(value + (weighed.threshold if target in what_if.situation.clouds else 0.0), 4)


def _change(change: Change) -> dict[str, Any]:
    """A change that alone would have changed the decision."""
    return {"what": change.what, "of": change.of, "to": change.to, "best": change.target}
