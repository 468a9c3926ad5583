"""`GET /v1/caller`: who the box takes the caller for, and what it would be let to, by the same rules that let it in.

For programs that show only what their user may open, the console among them. It answers a question and decides nothing:
each operation asks the policy again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request

from netgpt.policy import BOX, Policy, Resource, exchange_of, may, profile_of
from netgpt.types import Caller, Person
from netgpt.web.auth import KEY_SCOPES, authenticated, scope_of, suits_scope
from netgpt.web.rights import Of, Right, sees_texts

router = APIRouter()


@router.get("/v1/caller", tags=["access"])
async def caller(request: Request) -> dict[str, Any]:
    """Role, tenant and person of the key or token, and the operations (`GET /v1/signals`) that it may use.

    `user`: the only person it speaks for; null: any of its tenant, or who has no key. `rights`: the same in the
    policy's words, for what is the caller's own. `texts`: whether it sees words, not only figures. `scopes`: what the
    key is limited to; null: to nothing. Any key may ask this.
    """
    gateway, caller = await authenticated(request)
    scopes = request.scope.get(KEY_SCOPES)
    table: Mapping[str, Right] = request.app.state.rights
    operations = {
        operation: right
        for operation, right in table.items()
        if suits_scope(scopes, scope_of(operation.partition(" ")[2])) and _may(gateway.policy, caller, right)
    }
    return {
        "object": "netgpt.caller",
        "role": caller.role.value,
        "tenant": caller.tenant,
        "user": caller.bound_user,
        "key": caller.key_id,
        "scopes": None if scopes is None else list(scopes),
        "texts": sees_texts(caller),
        "rights": sorted({right.action for right in operations.values() if right.action}),
        "operations": sorted(operations),
    }


def _may(policy: Policy, caller: Caller, right: Right) -> bool:
    """Whether the policy lets the caller do this with what is its own."""
    if right.of in (Of.PUBLIC, Of.CALLER):
        return True
    own = caller.person(None)
    assert own is not None  # naming nobody, each caller is somebody
    return may(policy, caller, right.action, _resource(right, own), user=caller.bound_user).allowed


def _resource(right: Right, own: Person) -> Resource:
    if right.of is Of.BOX or right.action == "ask":
        return BOX
    return profile_of(own) if right.of is Of.PROFILE else exchange_of(own)
