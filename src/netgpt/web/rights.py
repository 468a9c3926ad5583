"""/v1/profiles/{user}/consents and /export: what a person allows, and all that the box holds of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from netgpt.build import Box
from netgpt.policy.access import check_access, profile_of
from netgpt.tuning.forget import withdraw_consent
from netgpt.tuning.rights import consents_of, entry_as_json, export_person
from netgpt.types import Person
from netgpt.web.auth import caller_of, person_for

__all__ = ["router"]

router = APIRouter()


class NewConsent(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    purpose: Literal["location", "profile", "training"]
    given: bool = Field(description="true: yes; false: no longer. Counts from the next request on.")
    begins: AwareDatetime | None = Field(None, alias="from", description="Now when left out.")
    until: AwareDatetime | None = Field(None, description="For good when left out.")
    third_party: str | None = Field(
        None, min_length=1, max_length=253, description="Host name of the only receiver that this is about."
    )


async def _person(request: Request, user: str, action: str) -> Person:
    box: Box = request.app.state.box
    caller = await caller_of(request)
    person = person_for(caller, user)
    check_access(box.policy, caller, action, profile_of(person), user=person.user)
    return person


@router.get("/v1/profiles/{user}/consents", tags=["profiles"])
async def get_consents(request: Request, user: str) -> dict[str, Any]:
    """What the person allows now, by purpose, and the history of what they said."""
    box: Box = request.app.state.box
    told = await consents_of(box.store, await _person(request, user, "read_profile"))
    return {"object": "netgpt.consents", "now": told["consents"], "history": told["consent_history"]}


@router.post("/v1/profiles/{user}/consents", status_code=201, tags=["profiles"])
async def say_consent(request: Request, user: str, new: NewConsent) -> dict[str, Any]:
    """Say yes or no to a purpose. Nothing said before is changed. No to training also unlearns the person."""
    box: Box = request.app.state.box
    person = await _person(request, user, "read_profile")
    told: dict[str, Any] = {}
    begins: datetime | None = new.begins
    entry = await box.store.consents.say(
        person, new.purpose, new.given, begins=begins, ends=new.until, third_party=new.third_party
    )
    if new.purpose == "training" and not new.given and new.third_party is None:
        forgotten = await withdraw_consent(box.store, box.registry, box.settings.training_dir, person)
        told["unlearnt"] = forgotten.as_json()
    return entry_as_json(entry) | told


@router.get("/v1/profiles/{user}/export", tags=["profiles"])
async def export(request: Request, user: str) -> Response:
    """All that the box holds of the person, as one JSON document."""
    box: Box = request.app.state.box
    person = await _person(request, user, "export")
    content = orjson.dumps(await export_person(box.store, box.registry, person), default=str)
    headers = {"content-disposition": 'attachment; filename="netgpt-export.json"', "cache-control": "no-store"}
    return Response(content, media_type="application/json", headers=headers)
