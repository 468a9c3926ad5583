"""A box with two tenants, people of every sort in each, and something of everybody in everything that a box keeps."""

from __future__ import annotations

import secrets
import sqlite3
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
from doors import Door, door
from made_adapters import adapter_file, card_for
from planted import posted, proposed

from netgpt.store.queue import QueueLimits
from netgpt.store.reports import Report
from netgpt.testing.server import FaultyCloud, last_user_text
from netgpt.types import Person, Role
from netgpt.web.app import create_app
from netgpt.web.rights import RIGHTS, Right

__all__ = ["TENANTS", "UNBOUND", "House", "Somebody", "house_of_two"]

TENANTS = ("north", "local")
SORTS = {
    "user": Role.USER, "app": Role.USER, "operator": Role.OPERATOR, "bound_operator": Role.OPERATOR,
    "admin": Role.ADMIN, "bound_admin": Role.ADMIN, "other": Role.USER, "staff": Role.ADMIN, "key": Role.USER,
}  # fmt: skip
TABLES = ("exchanges", "facts", "profiles", "proposals", "consents", "maps", "examples", "waiting", "receipts")
UNBOUND = ("app", "operator", "admin", "key")
"""Their person is the key itself."""
WAITING = QueueLimits(10_000, 10_000_000, timedelta(days=1))


@dataclass
class Somebody:
    """A person, their key, the ids of what is theirs, and the word that stands in all of it."""

    person: Person
    key: str
    role: Role
    word: str = field(default_factory=lambda: f"umbrella{secrets.token_hex(6)}")
    ids: dict[str, str] = field(default_factory=dict)

    @property
    def mail(self) -> str:
        return f"{self.word}@example.org"


@dataclass
class House:
    """The box, its people by tenant and sort, and the operations of its OpenAPI document."""

    here: Door
    people: dict[tuple[str, str], Somebody]
    operations: Mapping[str, Any]
    home: Path
    watch: sqlite3.Connection
    rights: dict[str, Right]
    """The table that the box decides by."""
    versions: int = 0

    def kept_of(self, one: Somebody) -> object:
        """The rows of this person and the exceptions of their tenant as they lie in the file; the adapters' states."""

        def read(query: str, *values: Any) -> list[Any]:
            return self.watch.execute(query, values).fetchall()

        adapters = [(each.id, each.state, each.share) for each in self.here.gateway.registry.list()]
        words = read("SELECT value FROM marks WHERE name = ?", f"exceptions of {one.person.tenant}")
        found = read("SELECT tenant, user FROM exchanges WHERE id = ?", one.ids["exchange_id"])
        if not found:
            return adapters, words
        rows = [read(f"SELECT * FROM {table} WHERE tenant = ? AND user = ?", *found[0]) for table in TABLES]
        keys = read("SELECT id, role, user, revoked, limits FROM keys WHERE tenant = ? AND user = ?", *found[0])
        return adapters, words, rows, keys

    def found_of_others(self, tenant: str, text: str) -> list[str]:
        """The words and ids in `text` of people of other tenants than this one."""
        others = [one for (where, _), one in self.people.items() if where != tenant]
        return [word for one in others for word in (one.word, *one.ids.values()) if word in text]

    @contextmanager
    def under(self, operation: str, right: Right | None) -> Iterator[None]:
        """Another right for this operation, for a while; None: its row is gone."""
        usual = self.rights.pop(operation)
        if right is not None:
            self.rights[operation] = right
        yield
        self.rights[operation] = usual

    async def ask(self, operation: str, path: str, key: str | None, **options: Any) -> httpx.Response:
        if operation.endswith("/stream"):  # which stays open for a while else
            options["params"] = {**options.get("params", {}), "seconds": "0"}
        return await self.here.ask(operation.partition(" ")[0], path, key=key, **options)

    async def move_in(self, tenant: str, sort: str) -> None:
        """Somebody new of this sort, in the place of who was there."""
        user = None if sort in UNBOUND else f"{sort}-{secrets.token_hex(6)}"
        id, secret = await self.here.make_key(tenant=tenant, role=SORTS[sort], user=user)
        one = self.people[tenant, sort] = Somebody(Person(tenant, user or id), secret, SORTS[sort])
        await self.plant(one)

    async def plant(self, one: Somebody) -> None:
        """Let the tenant's admin ask in the name of this person, and keep of it what can be kept."""
        key, user = self.people[one.person.tenant, "admin"].key, one.person.user
        fields = {"model": "netgpt/cloud", "user": user, "netgpt": {"conversation": one.word}}
        asked = await self.here.chat(key, f"write to {one.mail} of my {one.word}", fields=fields)
        assert asked.json()["netgpt"]["route"] == "cloud", asked.text
        exchange, base = asked.headers["x-netgpt-exchange"], f"/v1/profiles/{user}"
        consent = {"purpose": "training", "given": True}
        await posted(self.here, key, f"{base}/consents", consent)
        await posted(self.here, key, f"{base}/consents", consent | {"third_party": f"{one.word}.example"})
        await posted(self.here, key, "/v1/feedback", {"exchange": exchange, "rating": 1, "user": user})
        (receipt,) = (await self.here.get("/v1/receipts", key=key, params={"user": user})).json()["data"]
        one.ids = {"exchange_id": exchange, "receipt_id": receipt["id"], "conversation_id": one.word}
        await posted(self.here, key, f"{base}/consents", {"purpose": "proposals", "given": True})
        for part in ("fact_id", "example_id", "waiting_id", "proposal_id", "response_id", "report_id"):
            await self.plant_part(one, part)

    async def plant_part(self, one: Somebody, part: str) -> None:
        """Something of this person's that a request may have deleted."""
        key, base = self.people[one.person.tenant, "admin"].key, f"/v1/profiles/{one.person.user}"
        if part == "fact_id":
            one.ids[part] = (await posted(self.here, key, f"{base}/facts", {"text": f"plays the {one.word}"}))["id"]
        elif part == "proposal_id":
            one.ids[part] = await proposed(
                self.here.gateway.store, one.person, f"owns {one.word} {secrets.token_hex(4)}"
            )
        elif part == "report_id":
            new = Report("missed_find", one.ids["exchange_id"], "UNKNOWN", text=one.word)
            one.ids[part] = (await self.here.gateway.store.reports.add(one.person, new)).id
        elif part == "response_id":
            said = {"model": "netgpt/cloud", "input": f"of my {one.word}", "user": one.person.user}
            one.ids[part] = (await posted(self.here, key, "/v1/responses", said))["id"]
        elif part == "example_id":
            kept = await posted(self.here, key, f"{base}/examples", {"exchange": one.ids["exchange_id"]})
            one.ids[part] = kept["id"]
        else:
            parked: dict[str, Any] = {"request": {}, "caller": {}, "answer": {"text": one.word}}
            row = await self.here.gateway.store.waiting.park(one.person, None, parked, WAITING, datetime.now(UTC))
            one.ids[part] = row.id

    async def add_key(self, one: Somebody) -> str:
        """One more key of this person's; of who is bound to nobody, another such."""
        user = None if one.person.user.startswith("key_") else one.person.user
        id, _ = await self.here.make_key(tenant=one.person.tenant, role=one.role, user=user)
        return id

    def add_adapter(self) -> str:
        """One more version of the box's adapter."""
        weights = adapter_file(self.home / f"{secrets.token_hex(6)}.gguf", seed=secrets.randbelow(2**30))
        self.versions += 1
        self.here.gateway.registry.add(weights, card_for(weights, version=self.versions))
        return f"site@{self.versions}"


@asynccontextmanager
async def house_of_two(home: Path) -> AsyncIterator[House]:
    with FaultyCloud(lambda body: f"of {last_user_text(body)}") as cloud:
        async with door(home, cloud) as here:
            document = (await here.get("/openapi.json")).json()
            operations = {
                f"{method.upper()} {path}": described
                for path, methods in document["paths"].items()
                for method, described in methods.items()
            }
            with closing(sqlite3.connect(here.gateway.store.path)) as watch:
                house = House(here, {}, operations, home, watch, dict(RIGHTS))
                here.app = create_app(here.gateway, house.rights)
                for tenant in TENANTS:
                    id, secret = await here.make_key(tenant=tenant, role=Role.ADMIN)
                    one = house.people[tenant, "admin"] = Somebody(Person(tenant, id), secret, Role.ADMIN)
                    await house.plant(one)
                    for sort in SORTS:
                        if sort != "admin":
                            await house.move_in(tenant, sort)
                yield house
