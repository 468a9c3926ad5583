"""/v1/policy and /v1/privacy/try: the rules in force, what they would do with a text, and their edits.

Everybody may see the rules that protect them, and try a text on them; rules of one's own are tried by who runs the box,
and put in force by its admins.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from netgpt.app.rules import (
    candidate,
    changes_noted,
    difference,
    own_rules,
    put_in_force,
    set_says,
    why_not_editable,
)
from netgpt.app.trying import TextTrial
from netgpt.errors import RequestError, SettingsError
from netgpt.policy import READY_MADE, Policy, check_access, may
from netgpt.types import Caller
from netgpt.web.auth import authenticated
from netgpt.web.rights import listed, may_ask

router = APIRouter()

LONGEST: Final = 20_000
MOST_RULES: Final = 65_536


class Tried(BaseModel):
    model_config = ConfigDict(extra="forbid")
    text: str = Field(max_length=LONGEST, description="What would be asked. It is not kept.")
    user: str | None = Field(None, max_length=256, description="The person within the key's tenant.")
    asked: Literal["auto", "cloud"] = Field("auto", description='"cloud": as if the request named the cloud.')
    set: Literal["open", "balanced", "strict", "health"] | None = Field(None, description="A set to compare with.")
    rules: str | None = Field(
        None, max_length=MOST_RULES, description="Edited rules (Cedar) to compare with. For who runs the box."
    )


class Edit(BaseModel):
    model_config = ConfigDict(extra="forbid")
    rules: str = Field(max_length=MOST_RULES, description="The owner's rules, whole, as Cedar text.")
    edited: str = Field(max_length=64, description="`sha256` of the rules that were edited: not changed meanwhile.")
    even_if_more_may_leave: bool = Field(False, description="Needed where an edit may let more leave.")


@router.get("/v1/policy", tags=["privacy"])
async def get_policy(request: Request) -> dict[str, Any]:
    """The rules in force: what each says, and its text. `own`, for who runs the box: the part that may be edited.

    Rules that the owner wrote may name people: others than who runs the box see their names and effects alone.
    """
    gateway, caller = await authenticated(request)
    runs, policy = _runs_box(gateway.policy, caller), gateway.policy
    is_public = gateway.rules.path is None
    shown: dict[str, Any] = {
        "object": "netgpt.policy",
        "name": gateway.rules.name if is_public or runs else "rules of the owner's",
        "sha256": policy.digest,
        "rules": [
            {"id": rule.id, "effect": rule.effect, "ground": rule.file in ("foundation.cedar", "access.cedar")}
            | ({"says": rule.says, "text": rule.text} if is_public or runs or "/" not in rule.file else {})
            for rule in policy.rules
        ],
        "sets": [{"name": name, "says": set_says(name)} for name in READY_MADE],
    }
    if runs:
        not_here = await asyncio.to_thread(why_not_editable, gateway)
        if not may(policy, caller, "change_box", user=caller.bound_user).allowed:
            not_here = "rules are put in force by admins"
        shown |= {"own": own_rules(gateway), "fault": gateway.rules.fault, "changes": changes_noted(gateway)}
        shown["editable"] = {"here": not_here is None, "why_not": not_here}
    return shown


@router.get("/v1/policy/rulings", tags=["privacy"])
async def what_rules_did(
    request: Request,
    user: Annotated[str | None, Query(max_length=256, description="The person within the key's tenant.")] = None,
    days: Annotated[int, Query(ge=1, le=366, description="So many days (UTC), today included.")] = 7,
) -> dict[str, Any]:
    """How often each rule hid a value, made it coarser, let it pass as it is, or kept a request on the box (`kept`).

    An operator that names no person sees the figures of all people of its tenant.
    """
    gateway, caller, person = await listed(request, user)
    since = datetime.now(UTC) - timedelta(days=days - 1)
    found = await gateway.store.rulings.since(person, caller.tenant, since)
    return {"object": "list", "from": since.date().isoformat(), "data": [each._asdict() for each in found]}


@router.post("/v1/privacy/try", tags=["privacy"])
async def try_text(request: Request, tried: Tried) -> dict[str, Any]:
    """What would leave of a text under the rules in force (`now`), and under others (`then`), with what those change.

    Nothing leaves, nothing is kept. An empty text compares the rules alone.
    """
    gateway, caller = await authenticated(request)
    await may_ask(request, tried.user)
    if tried.rules is not None:
        check_access(gateway.policy, caller, "run_box")
    trial, asked = TextTrial(gateway), tried.asked == "cloud"
    new = await candidate(tried.rules, tried.set) if tried.rules is not None or tried.set is not None else None
    answer: dict[str, Any] = {"object": "netgpt.trial", "cloud_is_pretended": trial.is_pretended}
    if tried.text.strip():
        answer["now"] = await trial.outcome(caller, tried.user, tried.text, gateway.policy, asked=asked)
    if new is not None:
        if tried.text.strip():
            answer["then"] = await trial.outcome(caller, tried.user, tried.text, new, asked=asked)
        if _runs_box(gateway.policy, caller):
            answer["difference"] = await difference(gateway, new)
    return answer


@router.put("/v1/policy", tags=["privacy"])
async def edit_policy(request: Request, edit: Edit) -> dict[str, Any]:
    """Put edited rules in force: checked as at the start, tried on the table of cases, written whole, noted with who.

    409 `loosens`: more might leave, and `even_if_more_may_leave` was not said (`POST /v1/privacy/try` tells what);
    409 `edited_meanwhile`: they are not the rules that were edited any more.
    """
    gateway, caller = await authenticated(request)
    if edit.edited != gateway.policy.digest:
        raise RequestError(
            "the rules were changed meanwhile: read them again (GET /v1/policy)", code="edited_meanwhile", status=409
        )
    new = await candidate(edit.rules, None)
    changed = await difference(gateway, new)
    if changed["failed_cases"]:
        wrong = "; ".join(changed["failed_cases"][:3])
        raise RequestError(f"these rules allow what no rules may: {wrong}", code="rules", param="rules")
    if changed["loosens"] and not edit.even_if_more_may_leave:
        count, rules = changed["more_count"], ", ".join(one["id"] for one in changed["rules"] if one["loosens"])
        raise RequestError(
            f"more might leave ({count} of {changed['tried']} cases that were tried; rules: {rules}): say "
            "even_if_more_may_leave to put them in force all the same",
            code="loosens", param="even_if_more_may_leave", status=409,
        )  # fmt: skip
    if edit.rules == own_rules(gateway):
        return {"object": "netgpt.policy", "sha256": gateway.policy.digest, "difference": changed}
    try:
        policy = await put_in_force(gateway, edit.rules, caller.key_id or "no key", changed)
    except SettingsError as error:
        raise RequestError(error.message, code="not_written", status=409) from None
    return {"object": "netgpt.policy", "sha256": policy.digest, "difference": changed}


def _runs_box(policy: Policy, caller: Caller) -> bool:
    return may(policy, caller, "run_box", user=caller.bound_user).allowed
