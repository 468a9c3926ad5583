"""/v1/profiles/{user}: what the box knows of a person, and may learn from them: read, change, export, forget."""

from __future__ import annotations

from typing import Any, Literal

import orjson
from fastapi import APIRouter, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from netgpt.app.proposing import keep_proposal, proposals_of
from netgpt.context import LONGEST, check_room, profile_fact
from netgpt.errors import NotFound, RequestError
from netgpt.registry import forget_texts
from netgpt.store.schema import ConsentRow, KeptExample
from netgpt.training.collect import PURPOSE, keep_as_example
from netgpt.training.people import (
    consents_of,
    entry_as_json,
    export_person,
    forget_example,
    forget_person,
    key_as_json,
    learner_keys,
    withdraw_consent,
)
from netgpt.types import Fact, Label
from netgpt.web.rights import for_person

router = APIRouter()


class NewFact(BaseModel):
    model_config = ConfigDict(extra="forbid")
    text: str = Field(description=f"One line of at most {LONGEST} characters.", examples=["is vegetarian"])
    kind: str = Field("note", max_length=32)
    label: Label = Label.PERSONAL


class ProfileChange(BaseModel):
    model_config = ConfigDict(extra="forbid")
    complete: Literal["select", "rewrite", "off"] | None = None
    training: bool | None = Field(
        None, description="Consent to training with what this person rated good. false: no more, and unlearn it."
    )


class ExampleToKeep(BaseModel):
    model_config = ConfigDict(extra="forbid")
    exchange: str = Field(max_length=64, description="Kept as a training example, pseudonymized.")


def _shown(fact_id: str, fact: Fact) -> dict[str, str]:
    return {"id": fact_id, "text": fact.text, "kind": fact.kind, "label": fact.label.value}


def _consents(row: ConsentRow | None) -> dict[str, Any]:
    return {
        "training": row is not None and row.stands,
        "given": row and row.given and row.given.isoformat(),
        "withdrawn": row and row.withdrawn and row.withdrawn.isoformat(),
    }


def _example(kept: KeptExample) -> dict[str, Any]:
    texts = {name: kept.row[name] for name in ("messages", "answer", "origin")}
    return {"id": kept.id, "kept": kept.kept.isoformat(), "adapters": list(kept.adapters)} | texts


@router.get("/v1/profiles/{user}", tags=["profiles"])
async def get_profile(request: Request, user: str) -> dict[str, Any]:
    """All facts of the person: complete and machine-readable, so it is the export too."""
    gateway, person = await for_person(request, user)
    facts = await gateway.store.facts(person)
    return {
        "object": "netgpt.profile",
        "user": person.user,
        "complete": await gateway.store.profile_mode(person),
        "consents": _consents(await gateway.store.learning.consent(person, PURPOSE)),
        "facts": [_shown(*row) for row in facts],
    }


@router.post("/v1/profiles/{user}/facts", status_code=201, tags=["profiles"])
async def add_fact(request: Request, user: str, new: NewFact) -> dict[str, Any]:
    """Add one fact. Personal and sensitive facts never leave the box."""
    gateway, person = await for_person(request, user)
    fact = profile_fact(new.text, new.kind, new.label)
    check_room(len(await gateway.store.facts(person)))
    fact_id = await gateway.store.add_fact(person, fact)
    gateway.relevance.written()
    return _shown(fact_id, fact)


@router.delete("/v1/profiles/{user}/facts/{fact_id}", tags=["profiles"])
async def remove_fact(request: Request, user: str, fact_id: str) -> dict[str, Any]:
    """Take one fact away."""
    gateway, person = await for_person(request, user)
    if not await gateway.store.remove_fact(person, fact_id):
        raise NotFound("no such fact in this profile", param="fact_id")
    gateway.relevance.forget()
    return {"id": fact_id, "deleted": True}


@router.patch("/v1/profiles/{user}", tags=["profiles"])
async def change_profile(request: Request, user: str, change: ProfileChange) -> dict[str, Any]:
    """Set how this person's requests are completed (null: as the box is set), or the consent to training.

    What is left out stays. Taking the consent back also drops the adapters that learnt from the person.
    """
    gateway, person = await for_person(request, user)
    changed: dict[str, Any] = {"object": "netgpt.profile", "user": person.user}
    if "complete" in change.model_fields_set or change.training is None:
        await gateway.store.set_profile(person, change.complete)
    if change.training:
        await gateway.store.learning.set_consent(person, PURPOSE, True)
    elif change.training is False:
        forgotten = await withdraw_consent(gateway.store, gateway.registry, gateway.settings.training_dir, person)
        changed["unlearnt"] = forgotten.as_json()
    changed["complete"] = await gateway.store.profile_mode(person)
    return changed | {"consents": _consents(await gateway.store.learning.consent(person, PURPOSE))}


@router.get("/v1/profiles/{user}/examples", tags=["profiles"])
async def list_examples(request: Request, user: str) -> dict[str, Any]:
    """What adapters learnt from the person, or would learn: pseudonymized texts, and which adapters."""
    gateway, person = await for_person(request, user)
    return {"object": "list", "data": [_example(kept) for kept in await gateway.store.learning.of_person(person)]}


@router.post("/v1/profiles/{user}/examples", status_code=201, tags=["profiles"])
async def keep_example(request: Request, user: str, new: ExampleToKeep) -> dict[str, Any]:
    """Keep a good answer as a training example. Needs the person's consent; the text is pseudonymized first."""
    gateway, person = await for_person(request, user)
    consent = await gateway.store.learning.consent(person, PURPOSE)
    if consent is not None and consent.stands:  # without, `keep_as_example` says what is missing
        await for_person(request, user, "train_on", consent=("training",))
    kinds = gateway.settings.privacy.sensitive_kinds
    if not gateway.detector.health()[0]:  # a box that sends nothing out has not started it
        await gateway.detector.start()
    return {"id": await keep_as_example(gateway.store, gateway.detector, person, new.exchange, kinds)}


@router.delete("/v1/profiles/{user}/examples/{example_id}", tags=["profiles"])
async def remove_example(request: Request, user: str, example_id: str) -> dict[str, Any]:
    """Take one example away; the adapters that learnt from it are dropped."""
    gateway, person = await for_person(request, user)
    forgotten = await forget_example(gateway.store, gateway.registry, gateway.settings.training_dir, person, example_id)
    if forgotten is None:
        raise NotFound("no such example of this person", param="example_id")
    return {"id": example_id, "deleted": True, **forgotten.as_json()}


@router.delete("/v1/profiles/{user}", tags=["profiles"])
async def forget(request: Request, user: str) -> dict[str, Any]:
    """Forget the person: facts, exchanges, pseudonym maps, examples, their keys, and every adapter that learnt from
    them. Says how many of each were removed.

    Not while an operator's or admin's key is bound to them (409): who owns the box revokes that first.
    """
    gateway, person = await for_person(request, user)
    if person in await gateway.store.staff():
        message = "an operator's or admin's key is bound to this person: revoke it first (netgpt keys revoke)"
        raise RequestError(message, code="key_bound", param="user", status=409)
    await gateway.learning.forget(person, await learner_keys(gateway.store, person))
    if gateway.together is not None:
        gateway.together.forget(person)
    forgotten = await forget_person(gateway.store, gateway.registry, gateway.settings.training_dir, person)
    gateway.relevance.forget()
    gateway.sessions.forget(person)
    forget_texts()
    if gateway.together is not None:
        gateway.together.forget(person)  # again: what was read meanwhile
    return {"user": person.user, "deleted": True, **forgotten.as_json()}


class NewConsent(BaseModel):
    model_config = ConfigDict(extra="forbid", populate_by_name=True)
    purpose: Literal["constraints", "location", "profile", "proposals", "tools", "training"]
    given: bool = Field(description="true: yes; false: no longer. Counts from the next request on.")
    begins: AwareDatetime | None = Field(None, alias="from", description="Now when left out.")
    until: AwareDatetime | None = Field(None, description="For good when left out.")
    third_party: str | None = Field(
        None, min_length=1, max_length=253, description="Host name of the only receiver that this is about."
    )


@router.get("/v1/profiles/{user}/consents", tags=["profiles"])
async def get_consents(request: Request, user: str) -> dict[str, Any]:
    """What the person allows now, by purpose, and the history of what they said."""
    gateway, person = await for_person(request, user)
    consents = await consents_of(gateway.store, person)
    return {"object": "netgpt.consents", "now": consents["consents"], "history": consents["consent_history"]}


@router.post("/v1/profiles/{user}/consents", status_code=201, tags=["profiles"])
async def say_consent(request: Request, user: str, new: NewConsent) -> dict[str, Any]:
    """Say yes or no to a purpose. Nothing said before is changed. No to training also unlearns the person."""
    gateway, person = await for_person(request, user)
    entry = await gateway.store.consents.say(
        person, new.purpose, new.given, begins=new.begins, ends=new.until, third_party=new.third_party
    )
    if new.purpose == "training" and not new.given and new.third_party is None:
        forgotten = await withdraw_consent(gateway.store, gateway.registry, gateway.settings.training_dir, person)
        return entry_as_json(entry) | {"unlearnt": forgotten.as_json()}
    return entry_as_json(entry)


class Yes(BaseModel):
    model_config = ConfigDict(extra="forbid")
    label: Label | None = Field(None, description="Instead of the proposed one.")
    replace: bool = Field(True, description="The facts that it contradicts go; false: they stay beside it.")


@router.get("/v1/profiles/{user}/proposals", tags=["profiles"])
async def list_proposals(request: Request, user: str) -> dict[str, Any]:
    """Facts that the person said in passing, each with its words and a question. None is used before a yes."""
    gateway, person = await for_person(request, user)
    return {"object": "list", "data": await proposals_of(gateway.store, person)}


@router.post("/v1/profiles/{user}/proposals/{proposal_id}", status_code=201, tags=["profiles"])
async def say_yes(request: Request, user: str, proposal_id: str, yes: Yes | None = None) -> dict[str, Any]:
    """Keep a proposed fact: it joins the profile, in place of what it contradicts."""
    gateway, person = await for_person(request, user)
    yes = yes or Yes()
    id, fact, replaced = await keep_proposal(gateway.store, person, proposal_id, yes.label, replace=yes.replace)
    return _shown(id, fact) | {"replaced": replaced}


@router.delete("/v1/profiles/{user}/proposals/{proposal_id}", tags=["profiles"])
async def say_no(request: Request, user: str, proposal_id: str) -> dict[str, Any]:
    """Drop a proposed fact; it is not proposed again before it would have expired."""
    gateway, person = await for_person(request, user)
    if not await gateway.store.proposals.drop(person, proposal_id):
        raise NotFound("no such proposal in this profile", param="proposal_id")
    return {"id": proposal_id, "deleted": True}


@router.get("/v1/profiles/{user}/readings", tags=["profiles"])
async def list_readings(request: Request, user: str) -> dict[str, Any]:
    """Who read this person's texts, newest first: when, with which key, what, and for which reason."""
    gateway, person = await for_person(request, user)
    return {"object": "list", "data": [each.as_dict() for each in await gateway.store.readings.of(person)]}


@router.get("/v1/profiles/{user}/keys", tags=["profiles"])
async def list_keys(request: Request, user: str) -> dict[str, Any]:
    """The keys that are bound to this person, so that they speak for nobody else; no secret."""
    gateway, person = await for_person(request, user)
    rows = await gateway.store.subject_data.keys(person)
    return {"object": "list", "data": [key_as_json(row) for row in rows]}


@router.get("/v1/profiles/{user}/export", tags=["profiles"])
async def export(request: Request, user: str) -> Response:
    """All that the box holds of the person, as one JSON document."""
    gateway, person = await for_person(request, user)
    content = orjson.dumps(await export_person(gateway.store, gateway.registry, person), default=str)
    headers = {"content-disposition": 'attachment; filename="netgpt-export.json"', "cache-control": "no-store"}
    return Response(content, media_type="application/json", headers=headers)
