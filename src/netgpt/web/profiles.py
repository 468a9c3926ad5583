"""/v1/profiles/{user}: what the box knows of a person: read, add, take away, export, forget."""

from __future__ import annotations

from typing import Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field

from netgpt.build import Box
from netgpt.context.profile import profile_fact
from netgpt.errors import NotFound
from netgpt.types import Fact, Label, Person, Role
from netgpt.web.auth import caller_of, person_for, require

__all__ = ["router"]

router = APIRouter(tags=["profiles"])


class NewFact(BaseModel):
    model_config = ConfigDict(extra="forbid")
    text: str = Field(min_length=1, max_length=500, examples=["is vegetarian"])
    kind: str = Field("note", max_length=32)
    label: Label = Label.PERSONAL


class ProfileChange(BaseModel):
    model_config = ConfigDict(extra="forbid")
    complete: Literal["select", "rewrite", "off"] | None = None


def _shown(fact_id: str, fact: Fact) -> dict[str, str]:
    return {"id": fact_id, "text": fact.text, "kind": fact.kind, "label": fact.label.value}


async def _person(request: Request, user: str) -> Person:
    caller = await caller_of(request)
    require(caller, Role.USER, Role.ADMIN)
    return person_for(caller, user)


@router.get("/v1/profiles/{user}")
async def get_profile(request: Request, user: str) -> dict[str, Any]:
    """All facts of the person: complete and machine-readable, so it is the export too."""
    box: Box = request.app.state.box
    person = await _person(request, user)
    facts = await box.store.facts(person)
    return {
        "object": "netgpt.profile",
        "user": person.user,
        "complete": await box.store.profile_mode(person),
        "facts": [_shown(*row) for row in facts],
    }


@router.post("/v1/profiles/{user}/facts", status_code=201)
async def add_fact(request: Request, user: str, new: NewFact) -> dict[str, Any]:
    """Add one fact. Personal and sensitive facts never leave the box."""
    box: Box = request.app.state.box
    person = await _person(request, user)
    fact = profile_fact(new.text, new.kind, new.label)
    return _shown(await box.store.add_fact(person, fact), fact)


@router.delete("/v1/profiles/{user}/facts/{fact_id}")
async def remove_fact(request: Request, user: str, fact_id: str) -> dict[str, Any]:
    """Take one fact away."""
    box: Box = request.app.state.box
    if not await box.store.remove_fact(await _person(request, user), fact_id):
        raise NotFound("no such fact in this profile", param="fact_id")
    return {"id": fact_id, "deleted": True}


@router.patch("/v1/profiles/{user}")
async def change_profile(request: Request, user: str, change: ProfileChange) -> dict[str, Any]:
    """Set how this person's requests are completed; null goes back to the box's setting."""
    box: Box = request.app.state.box
    person = await _person(request, user)
    await box.store.set_profile(person, change.complete)
    return {"object": "netgpt.profile", "user": person.user, "complete": change.complete}


@router.delete("/v1/profiles/{user}")
async def forget(request: Request, user: str) -> dict[str, Any]:
    """Forget the person: facts, exchanges, pseudonym maps. Says how many of each were removed."""
    box: Box = request.app.state.box
    person = await _person(request, user)
    return {"user": person.user, "deleted": True, "removed": await box.store.forget(person)}
