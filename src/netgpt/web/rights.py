"""Who may do what over HTTP: one table from each operation to the right that it needs, and the questions asked of it.

`Rights.entered` runs before every operation of the framework; one without a row is refused. What belongs to somebody is
asked for by `for_person`, `listed` and `reach`, which take the action from the same row. The command line is the owner
of the box and is not asked. `tests/web/rights.toml` says in words what each cell is meant to be, and is tried whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Final, NamedTuple, Protocol, TypeVar
from urllib.parse import unquote

from fastapi import Request

from netgpt.app.gateway import Gateway
from netgpt.errors import NotFound, PermissionDenied
from netgpt.policy import BOX, Resource, check_access, exchange_of, profile_of
from netgpt.types import Caller, Person, Role
from netgpt.web.auth import authenticated, caller_of


class Of(StrEnum):
    """What an operation is about."""

    PUBLIC = "public"
    """About nobody; without a key, too."""
    CALLER = "caller"
    """Nothing of anybody's: whoever has a key."""
    BOX = "box"
    """What a tenant, or all of them, share: the policy is asked before anything is read."""
    PROFILE = "profile"
    """One person's: theirs, and whose key speaks for them."""
    ROW = "row"
    """Rows that are each a person's; an operator that names nobody means all of its tenant's."""


class Right(NamedTuple):
    """What the policy is asked: `action` with what `of` says."""

    of: Of
    action: str = ""


_PROFILE = Right(Of.PROFILE, "read_profile")
_FORGET = Right(Of.PROFILE, "forget")
_ROW = Right(Of.ROW, "read_exchange")
_TENANT = Right(Of.BOX, "administer")
_BOX = Right(Of.BOX, "run_box")
RIGHTS: Final[Mapping[str, Right]] = {
    "POST /v1/chat/completions": Right(Of.PROFILE, "ask"),
    "POST /v1/completions": Right(Of.PROFILE, "ask"),
    "POST /v1/moderations": Right(Of.CALLER),
    "POST /v1/responses": Right(Of.PROFILE, "ask"),
    "GET /v1/responses/{response_id}": _ROW,
    "GET /v1/responses/{response_id}/input_items": _ROW,
    "DELETE /v1/responses/{response_id}": Right(Of.ROW, "forget"),
    "POST /v1/messages": Right(Of.PROFILE, "ask"),
    "POST /v1/messages/count_tokens": Right(Of.CALLER),
    "GET /v1/waiting": _ROW,
    "GET /v1/waiting/{waiting_id}": _ROW,
    "DELETE /v1/waiting/{waiting_id}": Right(Of.ROW, "forget"),
    "GET /v1/exchanges": _ROW,
    "GET /v1/exchanges/stream": _ROW,
    "GET /v1/exchanges/{exchange_id}": _ROW,
    "POST /v1/exchanges/{exchange_id}/what-if": _ROW,
    "POST /v1/exchanges/{exchange_id}/reports": Right(Of.ROW, "ask"),
    "GET /v1/reports": _TENANT,
    "DELETE /v1/reports/{report_id}": _TENANT,
    "GET /v1/usage": _ROW,
    "POST /v1/feedback": Right(Of.ROW, "ask"),
    "GET /v1/receipts": _ROW,
    "GET /v1/receipts/{receipt_id}": _ROW,
    "GET /v1/profiles/{user}": _PROFILE,
    "PATCH /v1/profiles/{user}": _PROFILE,
    "DELETE /v1/profiles/{user}": _FORGET,
    "POST /v1/profiles/{user}/facts": _PROFILE,
    "DELETE /v1/profiles/{user}/facts/{fact_id}": _FORGET,
    "GET /v1/profiles/{user}/examples": _PROFILE,
    "POST /v1/profiles/{user}/examples": _PROFILE,
    "DELETE /v1/profiles/{user}/examples/{example_id}": _FORGET,
    "GET /v1/profiles/{user}/consents": _PROFILE,
    "POST /v1/profiles/{user}/consents": _PROFILE,
    "GET /v1/profiles/{user}/proposals": _PROFILE,
    "POST /v1/profiles/{user}/proposals/{proposal_id}": _PROFILE,
    "DELETE /v1/profiles/{user}/proposals/{proposal_id}": _FORGET,
    "GET /v1/profiles/{user}/readings": _PROFILE,
    "GET /v1/profiles/{user}/export": Right(Of.PROFILE, "export"),
    "GET /v1/adapters": _BOX,
    "GET /v1/adapters/{adapter_id}": _BOX,
    "DELETE /v1/adapters/{adapter_id}": _BOX,
    "POST /v1/adapters/{adapter_id}/promote": _BOX,
    "POST /v1/adapters/{name}/rollback": _BOX,
    "GET /v1/caller": Right(Of.CALLER),
    "GET /v1/models": Right(Of.CALLER),
    "GET /v1/models/{name}": Right(Of.CALLER),
    "POST /v1/embeddings": Right(Of.CALLER),
    "GET /v1/places": _BOX,
    "GET /v1/signals": _BOX,
    "GET /v1/privacy/exceptions": _TENANT,
    "POST /v1/privacy/exceptions": _TENANT,
    "DELETE /v1/privacy/exceptions/{word}": _TENANT,
    "GET /v1/fleet": _BOX,
    "PUT /v1/fleet": _BOX,
    "PUT /v1/fleet/parts/{sha256}": _BOX,
    "GET /healthz": Right(Of.PUBLIC),
    "GET /readyz": Right(Of.PUBLIC),
    "GET /metrics": Right(Of.PUBLIC),
}
"""By method and path, as the OpenAPI document has them."""


def right_of(request: Request) -> Right:
    """The row of the operation that is asked for. Raises PermissionDenied: it has none."""
    route = request.scope.get("route")  # chat is answered before the framework finds one
    operation = f"{request.method} {route.path_format if route is not None else request.scope['path']}"
    table: Mapping[str, Right] = request.app.state.rights
    if operation not in table:
        raise PermissionDenied("nobody has a right to this operation")
    return table[operation]


async def entered(request: Request) -> None:
    """Let the caller to what belongs to no person. Raises as `caller_of`, and PermissionDenied."""
    right = right_of(request)
    if right.of is not Of.PUBLIC:
        caller = await caller_of(request)
        if right.of is Of.BOX:
            request.app.state.access.allow(caller, right.action)


async def person_for(gateway: Gateway, caller: Caller, user: str | None) -> Person:
    """The person for whom the caller speaks when it names `user`. Raises PermissionDenied: for that one it does not.

    A key of the role user that is bound to nobody speaks for the people of its tenant, as an application does; not for
    those who have a key of an operator or admin: they would lend it their role.
    """
    person = caller.person(user)
    if person is None:
        raise PermissionDenied("this key does not speak for that person", param="user")
    if caller.role is Role.USER and caller.bound_user is None and person in await gateway.store.staff():
        raise PermissionDenied(
            "this person has an operator's or admin's key: only that key speaks for them", param="user"
        )
    return person


async def may_ask(request: Request, user: str | None) -> None:
    """Let the caller ask in the name of `user`. Raises PermissionDenied."""
    gateway, caller = await authenticated(request)
    request.app.state.access.allow(caller, right_of(request).action, user)
    await person_for(gateway, caller, user)


async def for_person(
    request: Request, user: str, action: str | None = None, consent: Iterable[str] = ()
) -> tuple[Gateway, Person]:
    """The gateway, and the person whom the path names, when the policy lets the caller do the operation's action for
    them, or `action`. Raises PermissionDenied."""
    gateway, caller = await authenticated(request)
    person = await person_for(gateway, caller, user)
    action = action or right_of(request).action
    check_access(gateway.policy, caller, action, profile_of(person), user=person.user, consent=consent)
    if request.method == "GET" and (part := _part_of(request)) not in OPEN_TO_ADMINS:
        await note_reading(request, person, part or "profile")
    return gateway, person


async def listed(request: Request, user: str | None) -> tuple[Gateway, Caller, Person | None]:
    """Whose rows a list shows: one person's; None: those of the caller's whole tenant. Raises PermissionDenied."""
    gateway, caller = await authenticated(request)
    action = right_of(request).action
    if user is None and _reaches_all(caller):
        person, asked = None, Person(caller.tenant, "")
    else:
        person = asked = await person_for(gateway, caller, user)
    check_access(gateway.policy, caller, action, exchange_of(asked), user=person.user if person else None)
    return gateway, caller, person


class Owned(Protocol):
    """A row of somebody's; `user` is None where its person was forgotten."""

    @property
    def tenant(self) -> str | None: ...
    @property
    def user(self) -> str | None: ...


R = TypeVar("R", bound=Owned)


async def reach(request: Request, row: R | None, user: str | None, param: str) -> R:
    """Let the caller, who names `user`, to this row; None: there is none. `param`: the field that named it.

    Raises NotFound: it is somebody else's, as if it were not there; PermissionDenied.
    """
    gateway, caller = await authenticated(request)
    action = right_of(request).action
    person = None if user is None and _reaches_all(caller) else await person_for(gateway, caller, user)
    if row is None or row.tenant != caller.tenant or (person is not None and person.user != row.user):
        what = param.removesuffix("_id").replace("waiting", "waiting request")
        raise NotFound(f"no such {what} of this person (name the person: `user`)", param=param)
    resource: Resource = BOX if action == "ask" else exchange_of(Person(row.tenant, row.user or ""))
    check_access(gateway.policy, caller, action, resource, user=person.user if person else None)
    if request.method == "GET":
        what = param.removesuffix("_id")
        await note_reading(request, Person(row.tenant, row.user or ""), what, request.path_params.get(param, ""))
    return row


def sees_texts(caller: Caller) -> bool:
    """Operators see figures alone."""
    return caller.role is not Role.OPERATOR


REASON: Final = "x-netgpt-reason"
"""Header, percent-encoded where it is not plain: why another person's texts are read. Or `reason` in the query."""
LONGEST_REASON: Final = 500
LEAST_REASON: Final = 5
"""Characters."""
OPEN_TO_ADMINS: Final = ("readings", "consents")
"""Parts of a profile in which no text of the person's is."""


def _part_of(request: Request) -> str:
    """Which part of a profile the path names: "examples"; empty: the profile itself."""
    path = str(request.scope["route"].path_format)
    return path.partition("{user}")[2].strip("/").partition("/")[0]


def is_own(caller: Caller, person: Person) -> bool:
    """Whether it reads this person's texts as that person, or as the application that speaks for them; not so an
    admin's key that names somebody else. Who owns the box without a key reads its files anyway."""
    reads_others = caller.role is Role.ADMIN and caller.key_id is not None
    return not reads_others or person == caller.person(None)


async def note_reading(request: Request, person: Person, what: str, of: str = "") -> None:
    """Before texts are shown: where they are another's, keep who reads what and why, for that person to see.

    Raises PermissionDenied (`reason_needed`): no reason is given; StoreError: it cannot be kept, and nothing is shown.
    """
    gateway, caller = await authenticated(request)
    if not sees_texts(caller) or is_own(caller, person):
        return
    given = unquote(request.headers.get(REASON, "")) or request.query_params.get("reason", "")
    reason = " ".join(given.split())[:LONGEST_REASON]
    if len(reason) < LEAST_REASON:
        raise PermissionDenied(
            f"these are another person's texts: say why you read them, in the header {REASON} ({LEAST_REASON} "
            f"characters or more). {person.user} sees who read them, when and why",
            code="reason_needed",
            param="reason",
        )
    await gateway.store.readings.note(person, caller.key_id or "", what, of, reason)


def names_people(caller: Caller) -> bool:
    """Whether lists tell it whose a row is: not operators, who see figures of people and not who they are."""
    return caller.role is not Role.OPERATOR


def _reaches_all(caller: Caller) -> bool:
    """Whether it reaches the rows of its tenant's people without naming one: an operator bound to nobody, and who owns
    the box without a key."""
    owns = caller.key_id is None and caller.role is Role.ADMIN
    return caller.bound_user is None and (owns or caller.role is Role.OPERATOR)
