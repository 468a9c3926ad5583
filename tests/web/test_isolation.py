"""Nobody sees what is another's: every operation of the OpenAPI document, with every other's ids and keys."""

from __future__ import annotations

import itertools
import tomllib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest
from doors import Door, door
from planted import Planted, answering, moved_in

from netgpt.testing.models import ScriptedModel
from netgpt.testing.server import FaultyCloud
from netgpt.types import Role

pytestmark = pytest.mark.slow

INTENT: Final = tomllib.loads(Path(__file__).with_name("rights.toml").read_text(encoding="utf-8"))
GROUPS: Final = {
    "rows": "tenant", "lists": "tenant", "sums": "tenant", "weighed": "tenant", "box": "operator", "tenant": "operator",
    "anyone": "anyone", "public": "public",
}  # fmt: skip
VISIBILITY: Final = {name: GROUPS.get(row["group"], "own") for name, row in INTENT["operations"].items()}
"""Who reaches what. own: the person that the key speaks for; tenant: operators see figures of all their people, too;
operator: the tenant's or the box's, for operators and admins; anyone: with a key; public: without one."""
REFUSED: Final = (400, 401, 403, 404, 405, 409, 422, 501)
SAMPLES: Final[dict[str, Any]] = {
    "rules": '@id("none") forbid (principal, action, resource);', "edited": "0" * 64,
    "messages": [{"role": "user", "content": "tell [EMAIL_1] what I like"}], "rating": -1, "text": "likes nothing",
    "purpose": "training", "given": False, "input": "some words", "word": "harmless",
    "max_tokens": 99, "prompt": "tell [EMAIL_1] what I like",
    "complete": "off", "training": False, "orders": "{}", "signature": "0" * 128, "scope": "site",
}  # fmt: skip
"""For the fields of bodies that name nobody."""


@dataclass(frozen=True)
class Try:
    """One request in somebody else's name."""

    operation: str
    path: str
    query: tuple[tuple[str, str], ...] = ()
    body: Any = None

    @property
    def sent(self) -> str:
        return f"{self.path} {self.query} {self.body}"


@dataclass(frozen=True)
class House:
    """A box with three people of two tenants, and the keys of everybody who might ask."""

    here: Door
    people: dict[str, Planted]
    keys: dict[str, str]
    operations: dict[str, dict[str, Any]]
    document: dict[str, Any]
    edge: ScriptedModel
    cloud: FaultyCloud

    async def send(self, one: Try, key: str | None) -> httpx.Response:
        method = one.operation.partition(" ")[0]
        return await self.here.ask(method, one.path, key=key, params=list(one.query), json=one.body)

    def tries(self, victim: Planted, *, named: bool) -> Iterator[Try]:
        """Every operation with the victim's ids; `named`: with the victim named wherever a person can be."""
        for operation, described in self.operations.items():
            path = operation.partition(" ")[2]
            if "{user}" in path and not named:
                continue
            body = self._body(described, victim, named=named)
            for filled, query in itertools.product(_filled(path, victim), _queries(described, victim, named=named)):
                yield Try(operation, filled, query, body)

    def _body(self, described: dict[str, Any], victim: Planted, *, named: bool) -> Any:
        content = described.get("requestBody", {}).get("content", {}).get("application/json")
        if content is None:
            return None
        schema = content["schema"]
        schema = next((part for part in schema.get("anyOf", ()) if "$ref" in part), schema)
        if "$ref" in schema:
            schema = self.document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        body: dict[str, Any] = {}
        for name in schema["properties"]:
            if name == "exchange":
                body[name] = victim.ids["exchange_id"]
            elif name == "user" and named:
                body[name] = victim.user
            elif name == "metadata" and named and "user" not in schema["properties"]:  # Anthropic's place for it
                body[name] = {"user_id": victim.user}
            elif name == "netgpt":
                body[name] = {"conversation": victim.ids["conversation_id"], "explain": True}
            elif name in SAMPLES:
                body[name] = SAMPLES[name]
            else:
                assert name not in schema.get("required", ()), f"SAMPLES needs a value for {name}"
        return body


def _queries(described: dict[str, Any], victim: Planted, *, named: bool) -> Iterator[tuple[tuple[str, str], ...]]:
    """The query as it is, then with every id of the victim's as the end of the page before."""
    names = {parameter["name"] for parameter in described.get("parameters", ()) if parameter["in"] == "query"}
    start: tuple[tuple[str, str], ...] = (("user", victim.user),) if named and "user" in names else ()
    start += (("seconds", "0"),) if "seconds" in names else ()  # a stream stays open for minutes else
    yield start
    for name in names & {"before", "after"}:
        for id in victim.ids.values():
            yield *start, (name, id)


def _filled(path: str, victim: Planted) -> Iterator[str]:
    """The path with every id of the victim's in each of its places (a person's name only where a person stands)."""
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    ids = [id for name, id in victim.ids.items() if name != "user"]
    for values in itertools.product(*([victim.user] if name == "user" else ids for name in names)):
        filled = path
        for name, value in zip(names, values, strict=True):
            filled = filled.replace(f"{{{name}}}", value)
        yield filled


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with _moved_in(tmp_path) as made:
        yield made


@asynccontextmanager
async def _moved_in(home: Path) -> AsyncIterator[House]:
    edge = ScriptedModel(answering)
    with FaultyCloud(answering) as cloud:
        async with door(home, cloud, edge=edge, completion={"mode": "select"}) as here:
            people = {
                name: await moved_in(here, tenant, name, home)
                for name, tenant in (("ada", "north"), ("bob", "north"), ("carol", "south"))
            }
            keys = {name: one.key for name, one in people.items()}
            for tenant in ("north", "south"):
                keys[f"{tenant} app"] = (await here.make_key(tenant=tenant))[1]
                for role in (Role.OPERATOR, Role.ADMIN):
                    keys[f"{tenant} {role}"] = (await here.make_key(tenant=tenant, role=role))[1]
            document = (await here.get("/openapi.json")).json()
            operations = {
                f"{method.upper()} {path}": described
                for path, methods in document["paths"].items()
                for method, described in methods.items()
            }
            yield House(here, people, keys, operations, document, edge, cloud)


async def view_of(house: House, one: Planted) -> list[Any]:
    """What the person sees of what was planted."""
    base = f"/v1/profiles/{one.user}"
    paths = (f"/v1/exchanges/{one.ids['exchange_id']}", f"/v1/receipts/{one.ids['receipt_id']}", base,
             f"{base}/examples", f"{base}/consents", f"{base}/proposals",
             f"/v1/waiting/{one.ids['waiting_id']}")  # fmt: skip
    return [(await house.here.get(path, key=one.key)).json() for path in paths]


def keys_of_others(house: House, victim: Planted) -> Iterator[tuple[str, str, bool]]:
    """(name, key, whether it may name the victim): an unbound key of the victim's tenant speaks for all its people."""
    for name, key in house.keys.items():
        if key == victim.key:
            continue
        tenant = house.people[name].person.tenant if name in house.people else name.partition(" ")[0]
        yield name, key, name in house.people or tenant != victim.person.tenant


@pytest.mark.parametrize("name", ["ada", "bob", "carol"])
async def test_nobody_sees_what_is_anothers(house: House, name: str) -> None:
    victim = house.people[name]
    before = await view_of(house, victim)
    assert not victim.found_in("") and victim.found_in(str(before)), "the person sees what was planted"
    asked = 0
    for who, key, may_name in keys_of_others(house, victim):
        house.edge.asked.clear()
        house.cloud.forget()
        operators = who.endswith(("operator", "admin"))
        for named in (False, True) if may_name else (False,):
            for one in house.tries(victim, named=named):
                if operators and VISIBILITY[one.operation] == "operator":
                    continue  # the box's own, for every operator of it
                answer = await house.send(one, key)
                asked += 1
                check(answer, one, victim, who, named=named and who in house.people)
        assert not victim.found_in(str(house.edge.asked)), f"{who} got it into a prompt"
        assert not victim.found_in(house.cloud.all_bytes().decode(errors="replace")), f"{who} sent it out"
    assert asked > 200
    assert await view_of(house, victim) == before, "nobody changed or removed anything"


def check(answer: httpx.Response, one: Try, victim: Planted, who: str, *, named: bool) -> None:
    place = f"{who}: {one.operation} {one.path} {one.query}"
    assert answer.status_code in (200, 201, *REFUSED), f"{place}: {answer.status_code}"
    seen = f"{answer.text} {answer.headers}"
    figures = who == f"{victim.person.tenant} operator" and VISIBILITY[one.operation] == "tenant"
    found = victim.found_in(seen, but=one.sent)
    if figures:
        found = [word for word in found if word in victim.words]
    assert not found, f"{place} shows {len(found)} planted strings"
    if named and VISIBILITY[one.operation] in ("own", "tenant"):
        assert answer.status_code in REFUSED, f"{place}: {answer.status_code}, though the key is another person's"


async def test_without_a_key_nothing_is_shown(house: House) -> None:
    for victim in house.people.values():
        for one in house.tries(victim, named=True):
            answer = await house.send(one, None)
            if VISIBILITY[one.operation] != "public":
                assert answer.status_code == 401, one.operation
            assert not victim.found_in(f"{answer.text} {answer.headers}", but=one.sent), one.operation


@pytest.mark.parametrize("listed", ["exchanges", "receipts"])
async def test_anothers_id_splits_no_list(house: House, listed: str) -> None:
    later, name = house.people["carol"].ids[f"{listed[:-1]}_id"], f"/v1/{listed}"
    for who in ("ada", "bob", "north app", "north operator"):
        shown = [await house.here.get(name, key=house.keys[who], params={"before": id}) for id in (later, "none")]
        assert (shown[0].status_code, shown[0].json()) == (shown[1].status_code, shown[1].json()), who


async def test_operators_see_figures_and_no_texts(house: House) -> None:
    key, ada = house.keys["north operator"], house.people["ada"]
    for listed, id in (("exchanges", ada.ids["exchange_id"]), ("receipts", ada.ids["receipt_id"])):
        rows = (await house.here.get(f"/v1/{listed}", key=key)).json()["data"]
        assert {row["id"] for row in rows} >= {id, house.people["bob"].ids[f"{listed[:-1]}_id"]}
        assert house.people["carol"].ids[f"{listed[:-1]}_id"] not in str(rows)
        for query in ({}, {"user": ada.user}):
            row = await house.here.get(f"/v1/{listed}/{id}", key=key, params=query)
            assert row.status_code == 200, row.text
            assert row.json()["id"] == id and not [word for word in ada.words if word in row.text]
    for one in house.tries(ada, named=True):
        if one.operation.startswith("GET ") and "/v1/profiles/" in one.path:
            answer = await house.send(one, key)
            assert answer.status_code == 403 and "Policy" in answer.json()["error"]["message"], one.path
