"""/v1/training: one training of an adapter on this box, as `netgpt train` runs it: started, followed, stopped."""

from __future__ import annotations

import asyncio
from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from netgpt.app.training import TrainingJobs, WantedTraining
from netgpt.errors import RequestError
from netgpt.web.admin import NO_KEY
from netgpt.web.auth import authenticated
from netgpt.web.rights import person_for

router = APIRouter()


class TrainingBody(BaseModel):
    model_config = ConfigDict(extra="forbid")
    scope: Literal["site", "user"] = Field(
        description='"site": from what people who consent rated good; "user": one person\'s, who must have consented.'
    )
    user: str | None = Field(None, min_length=1, max_length=256, description="The person, with the scope user.")
    epochs: int = Field(8, ge=1, le=100, description="Times through the examples, at most.")
    rank: int = Field(8, ge=1, le=256, description="Size of the adapter.")
    learning_rate: float = Field(1e-3, gt=0, lt=1, description="The highest step size.")
    layers: int | None = Field(None, ge=1, le=1000, description="The top layers alone; faster. null: all.")
    fresh: bool = Field(False, description="Begin anew, even where a training was cut.")
    dry_run: bool = Field(False, description="Say what it would train on, and stop.")


@router.get("/v1/training", tags=["adapters"])
async def show_training(request: Request) -> dict[str, Any]:
    """Whether this box can train (`cannot`: why not, with the cure), and the last training: how far it is (`points`:
    share of all tokens, loss, loss on held-out examples), or what became of it, with the outcome of its gate."""
    gateway, _ = await authenticated(request)
    return await _shown(gateway.training)


@router.post("/v1/training", status_code=202, tags=["adapters"])
async def start_training(request: Request, asked: TrainingBody) -> dict[str, Any]:
    """Start a training beside the answers, at low priority. What it makes is a candidate, or rejected by its gate;
    nobody is answered with it before it is promoted. 409 while one runs; 501 where this box cannot train."""
    gateway, caller = await authenticated(request)
    if (asked.scope == "user") is (asked.user is None):
        raise RequestError('user: name the person with the scope "user", and nobody with "site"', param="user")
    person = None if asked.user is None else await person_for(gateway, caller, asked.user)
    wanted = WantedTraining(
        person, asked.epochs, asked.rank, asked.learning_rate, asked.layers, asked.fresh, asked.dry_run
    )
    await gateway.training.start(wanted, caller.key_id or NO_KEY)
    return await _shown(gateway.training)


@router.delete("/v1/training", tags=["adapters"])
async def stop_training(request: Request) -> dict[str, Any]:
    """Stop the training that runs; `stopped`: whether one did. The same one goes on where it was when started again."""
    gateway, caller = await authenticated(request)
    stopped = await gateway.training.stop(caller.key_id or NO_KEY)
    return {"stopped": stopped} | await _shown(gateway.training)


async def _shown(jobs: TrainingJobs) -> dict[str, Any]:
    return {"object": "netgpt.training", "cannot": jobs.cannot(), "run": await asyncio.to_thread(jobs.now)}
