"""Every operation x role x tenant x owner against `rights.toml`, where the owner's intent is written down.

The table that the gateway decides by (`netgpt.web.rights.RIGHTS`) is then changed row by row: each change must be seen.
"""

from __future__ import annotations

import tomllib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import httpx
import pytest
import pytest_asyncio
from tenants import TENANTS, UNBOUND, House, Somebody, house_of_two

from netgpt.types import SCOPES, Role
from netgpt.web.rights import RIGHTS, Of, Right

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]

INTENT: Final[dict[str, Any]] = tomllib.loads(Path(__file__).with_name("rights.toml").read_text(encoding="utf-8"))
COLUMNS: Final[list[str]] = INTENT["columns"]
ROWS: Final[dict[str, dict[str, str]]] = INTENT["operations"]
REFUSED: Final = (403, 404, 409)
BODIES: Final[dict[str, Any]] = {
    "POST /v1/feedback": {"rating": 1}, "POST /v1/profiles/{user}/facts": {"text": "likes rain"},
    "PATCH /v1/profiles/{user}": {"complete": "select"}, "POST /v1/profiles/{user}/examples": {},
    "POST /v1/profiles/{user}/consents": {"purpose": "profile", "given": True},
    "POST /v1/embeddings": {"input": "some words"},
    "POST /v1/messages/count_tokens": {"messages": [{"role": "user", "content": "hello"}]},
    "POST /v1/moderations": {"input": "some words"}, "POST /v1/privacy/exceptions": {},
    "POST /v1/adapters/{adapter_id}/promote": {"unjudged": True},
    "POST /v1/exchanges/{exchange_id}/reports": {"what": "missed_find", "text": "some words"},
}  # fmt: skip
DELETED: Final = {
    "DELETE /v1/waiting/{waiting_id}": "waiting_id", "DELETE /v1/responses/{response_id}": "response_id",
    "DELETE /v1/profiles/{user}/facts/{fact_id}": "fact_id",
    "DELETE /v1/profiles/{user}/examples/{example_id}": "example_id",
    "DELETE /v1/profiles/{user}/proposals/{proposal_id}": "proposal_id",
    "POST /v1/profiles/{user}/proposals/{proposal_id}": "proposal_id",
    "DELETE /v1/reports/{report_id}": "report_id",
}  # fmt: skip
"""What is planted anew where it was deleted, or answered."""
CHAT: Final = "POST /v1/chat/completions"
RESPONSES: Final = "POST /v1/responses"
MESSAGES: Final = "POST /v1/messages"
COMPLETIONS: Final = "POST /v1/completions"
ASKING: Final = (CHAT, RESPONSES, MESSAGES, COMPLETIONS)
FIELD: Final = {CHAT: "messages", MESSAGES: "messages", RESPONSES: "input", COMPLETIONS: "prompt"}
NOT_HERE: Final = {"POST /v1/moderations": 501, "PUT /v1/fleet": 409, "PUT /v1/fleet/parts/{sha256}": 409}
"""Who is let in is told that nothing here does it, or that the box follows nobody."""
IN_BODY: Final = ("POST /v1/feedback", "POST /v1/exchanges/{exchange_id}/reports")
"""Bodies that name the person."""
ABOUT_ONE: Final = ("POST /v1/feedback", "POST /v1/profiles/{user}/examples")
"""Bodies that name an exchange."""


def word_of(tenant: str) -> str:
    """The tenant's exception."""
    return f"word of {tenant}"


class Cell(NamedTuple):
    """One caller, one operation, one owner, and what is meant to become of it."""

    operation: str
    tenant: str
    caller: str
    column: str
    meant: str

    @property
    def group(self) -> str:
        return ROWS[self.operation]["group"]

    @property
    def where(self) -> str:
        return f"{self.operation} by {self.tenant}'s {self.caller}, {self.column}: meant is {self.meant}"


def cells(operation: str) -> Iterator[Cell]:
    group = ROWS[operation]["group"]
    if group == "public":
        return
    for tenant in TENANTS:
        rows = INTENT["groups"][group]
        rows = rows.get(tenant, rows)
        for caller in INTENT["callers"]:
            meant = rows[caller].split()
            assert len(meant) == len(COLUMNS), f"{group}, {caller}: a word for each column"
            yield from (
                Cell(operation, tenant, caller, *pair) for pair in zip(COLUMNS, meant, strict=True) if "-" not in pair
            )


def owner_of(house: House, cell: Cell) -> Somebody:
    """Whose it is that the cell asks about."""
    sort = {"own": cell.caller, "self": cell.caller, "unnamed": "other", "abroad": "other"}.get(
        cell.column, cell.column
    )
    tenant = next(each for each in TENANTS if each != cell.tenant) if cell.column == "abroad" else cell.tenant
    return house.people[tenant, sort]


def named(house: House, cell: Cell) -> str | None:
    """The `user` of the request."""
    return None if cell.column in ("own", "unnamed") else owner_of(house, cell).person.user


class Asked(NamedTuple):
    """A cell's request, with everything in it that is the owner's."""

    path: str
    params: dict[str, str]
    body: dict[str, Any] | None


def prepared(house: House, cell: Cell) -> Asked:
    owner, user, operation = owner_of(house, cell), named(house, cell), cell.operation
    method, _, path = operation.partition(" ")
    itself = house.people[cell.tenant, cell.caller].person.user
    names = {
        "sha256": "0" * 64,
        "user": itself if cell.column == "unnamed" else user or "anonymous",
        "word": word_of(owner.person.tenant),
    }
    if "/v1/adapters/" in path:
        names |= {"name": "site", "adapter_id": house.add_adapter()}
        if path.endswith("rollback"):
            house.here.gateway.registry.promote(names["adapter_id"])
    path = path.format_map({"name": "netgpt"} | owner.ids | names)
    in_query = method != "POST" or operation.endswith("/what-if")
    params = {"user": user} if user is not None and "{user}" not in operation and in_query else {}
    body: dict[str, Any] | None = BODIES.get(operation)
    if operation in ASKING:
        messages = [{"role": "user", "content": "tell [EMAIL_1]"}]
        said = "tell [EMAIL_1]" if operation == COMPLETIONS else messages
        body = {"model": "netgpt/cloud", FIELD[operation]: said, "netgpt": {"conversation": owner.word}}
        body |= {"max_tokens": 99} if operation == MESSAGES else {}
    elif body is not None:
        own = {"word": word_of(cell.tenant)} if operation.endswith("exceptions") else {}
        body = body | own | ({"exchange": owner.ids["exchange_id"]} if operation in ABOUT_ONE else {})
    if (
        body is not None
        and user is not None
        and operation in (*ASKING, "POST /v1/feedback", "POST /v1/exchanges/{exchange_id}/reports")
    ):
        body |= {"metadata": {"user_id": user}} if operation == MESSAGES else {"user": user}
    if cell.group == "lists":
        params |= {"limit": "200"}
    return Asked(path, params, body)


async def fault(house: House, cell: Cell, headers: dict[str, str] | None = None) -> str | None:
    """Try one cell; what is wrong, or None."""
    if cell.meant == "reason":
        return await fault_without_reason(house, cell)
    owner, asked = owner_of(house, cell), prepared(house, cell)
    before = house.kept_of(owner)
    key = house.people[cell.tenant, cell.caller].key
    answer = await house.ask(cell.operation, asked.path, key, params=asked.params, json=asked.body, headers=headers)
    done = answer.status_code in (200, 201) or answer.status_code == NOT_HERE.get(cell.operation)
    after = house.kept_of(owner)
    if not done and answer.status_code not in REFUSED:
        return f"{answer.status_code} {answer.text}"
    strange = house.found_of_others(cell.tenant, answer.text) if done else []
    if done and cell.meant != "apart":
        await mend(house, cell, owner)
    if strange:
        return "what is another tenant's is shown"
    if cell.meant in ("no", "apart"):
        theirs = [owner.word, *([word_of(owner.person.tenant), *owner.ids.values()] if done else ())]
        if any(word in answer.text for word in theirs):
            return "shown"
        return "not refused" if done and cell.meant == "no" else "changed" if after != before else None
    if not done:
        return f"refused: {answer.text}"
    there = any(id in answer.text for id in owner.ids.values())
    if cell.meant == "figures":
        return "words are shown" if owner.word in answer.text else None if there else "not there"
    return await fault_done(house, cell, owner, answer)


async def fault_without_reason(house: House, cell: Cell) -> str | None:
    """Refused without a reason; with one it is done, and the person sees it."""
    person, readings = owner_of(house, cell).person, house.here.gateway.store.readings
    before = {each.id for each in await readings.of(person)}
    if (wrong := await fault(house, cell._replace(meant="no"))) is not None:
        return wrong
    if {each.id for each in await readings.of(person)} != before:
        return "a look is noted that was refused"
    reason = f"they asked for help, \u201c{cell.operation}\u201d"
    if (wrong := await fault(house, cell._replace(meant="yes"), {"x-netgpt-reason": quote(reason)})) is not None:
        return f"with a reason: {wrong}"
    noted = [each for each in await readings.of(person) if each.id not in before]
    return None if [each.reason for each in noted] == [reason] else "the look is not noted"


async def fault_done(house: House, cell: Cell, owner: Somebody, answer: httpx.Response) -> str | None:
    """What is wrong with an answer that is meant to be given."""
    if cell.operation in ASKING:
        row = await house.here.gateway.store.exchange(answer.headers["x-netgpt-exchange"])
        return None if row is not None and row.person == owner.person else "asked in another's name"
    if cell.operation.startswith("GET") and cell.group in ("rows", "profile", "reads") and not words_in(answer, owner):
        return "their words are not shown"
    if cell.operation == "GET /v1/privacy/exceptions" and word_of(cell.tenant) not in answer.text:
        return "the tenant's words are not shown"
    return None


def words_in(answer: httpx.Response, owner: Somebody) -> bool:
    """Examples are kept without words that stand in the profile."""
    return owner.word in answer.text or f'"{owner.ids["example_id"]}"' in answer.text


async def mend(house: House, cell: Cell, owner: Somebody) -> None:
    """Put back what the cell's request took away."""
    if part := DELETED.get(cell.operation):
        await house.plant_part(owner, part)
    elif cell.operation.startswith("DELETE /v1/privacy"):
        await house.here.gateway.store.exceptions.add(owner.person.tenant, word_of(owner.person.tenant), "test")
    elif cell.operation == "DELETE /v1/profiles/{user}":
        (place,) = (place for place, one in house.people.items() if one is owner)
        await (house.plant(owner) if place[1] in UNBOUND else house.move_in(*place))


async def faults(house: House, operation: str, most: int = 1_000) -> list[str]:
    """What is wrong with an operation's cells; no more than `most` faults are looked for."""
    found: list[str] = []
    for cell in cells(operation):
        if wrong := await fault(house, cell):
            found.append(f"{cell.where}: {wrong}")
            if len(found) >= most:
                break
    return found


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with house_of_two(tmp_path_factory.mktemp("home")) as made:
        for tenant in TENANTS:
            await made.here.gateway.store.exceptions.add(tenant, word_of(tenant), "test")
        yield made


async def test_every_operation_has_its_rows(house: House) -> None:
    assert set(house.operations) == set(ROWS), "say in rights.toml what the owner wants of a new operation"
    assert set(house.operations) == set(RIGHTS), "say in netgpt.web.rights which right a new operation needs"


@pytest.mark.parametrize("operation", ROWS)
async def test_every_cell_is_as_the_owner_wants(house: House, operation: str) -> None:
    assert await faults(house, operation) == []


async def test_nobody_comes_in_without_a_key(house: House) -> None:
    for operation, row in ROWS.items():
        answer = await house.ask(operation, operation.partition(" ")[2], None)
        assert answer.status_code == (200 if row["group"] == "public" else 401), operation


async def test_a_scope_opens_its_own_operations_alone(house: House) -> None:
    for scope in SCOPES:
        _, key = await house.here.make_key(tenant="local", role=Role.ADMIN, scopes=(scope,))
        for operation, row in ROWS.items():
            answer = await house.ask(operation, operation.partition(" ")[2], key)
            assert ("scope_missing" in answer.text) == (row.get("scope", scope) != scope), f"{operation}: {scope}"


SWAPPED: Final = {
    "read_exchange": "forget", "forget": "read_exchange", "ask": "administer", "read_profile": "administer",
    "export": "read_exchange", "administer": "run_box", "run_box": "administer", "": "administer",
}  # fmt: skip
"""Each action, and one that others may do."""


def mistakes(right: Right) -> Iterator[Right | None]:
    """What could stand in a row in place of its right; None: nothing."""
    yield None
    if right.of is Of.BOX:
        yield Right(Of.CALLER)
        yield Right(Of.BOX, "ask")
    yield Right(Of.BOX if right.of is Of.CALLER else right.of, SWAPPED[right.action])


async def test_each_mistake_in_the_table_is_seen(house: House) -> None:
    tried = 0
    for operation, right in RIGHTS.items():
        for wrong in mistakes(right) if right.of is not Of.PUBLIC else ():
            with house.under(operation, wrong):
                assert await faults(house, operation, most=1), f"nobody sees that {operation} needs {wrong}"
            tried += 1
    assert tried > 80
