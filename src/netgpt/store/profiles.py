"""What is known of people: facts, sealed whole, and how each wants prompts completed."""

from __future__ import annotations

import json
import secrets
from datetime import UTC, datetime

from sqlalchemy import Connection, delete, insert, select, union

from netgpt.store.schema import facts, of_person, profiles
from netgpt.store.seal import Sealer, place_of
from netgpt.types import Fact, Label, Person

__all__ = ["add_fact", "expire", "facts_of", "forget", "mode", "people", "remove_fact", "set_mode"]


def add_fact(connection: Connection, sealer: Sealer, person: Person, fact: Fact) -> str:
    """Add a fact; return its new id. Kind, label and source are sealed too: "religion" alone says much."""
    id = f"fact_{secrets.token_hex(8)}"
    texts = {name: getattr(fact, name) for name in ("text", "kind", "label", "source", "precision")}
    connection.execute(
        insert(facts).values(
            id=id,
            tenant=person.tenant,
            user=person.user,
            created=datetime.now(UTC),
            expires=fact.expires,
            private=sealer.seal(json.dumps(texts).encode("ascii"), _place(id, person)),
        )
    )
    return id


def facts_of(connection: Connection, sealer: Sealer, person: Person) -> list[tuple[str, Fact]]:
    """(id, fact), oldest first; expired ones are there until retention deletes them."""
    found = []
    order = select(facts).where(of_person(facts, person)).order_by(facts.c.created, facts.c.id)
    for row in connection.execute(order):
        texts = json.loads(sealer.open(row.private, _place(row.id, person)))
        found.append((row.id, Fact(**texts | {"label": Label(texts["label"])}, expires=row.expires)))
    return found


def remove_fact(connection: Connection, person: Person, id: str) -> bool:
    """False: this person has no such fact."""
    return connection.execute(delete(facts).where(of_person(facts, person), facts.c.id == id)).rowcount > 0


def people(connection: Connection, tenant: str) -> list[str]:
    """The users of a tenant who have a profile, sorted."""
    known = union(*(select(table.c.user).where(table.c.tenant == tenant) for table in (facts, profiles)))
    return sorted(connection.scalars(known))


def set_mode(connection: Connection, person: Person, complete: str | None) -> None:
    """None: back to what the settings say."""
    connection.execute(delete(profiles).where(of_person(profiles, person)))
    if complete is not None:
        connection.execute(insert(profiles).values(tenant=person.tenant, user=person.user, complete=complete))


def mode(connection: Connection, person: Person) -> str | None:
    return connection.scalar(select(profiles.c.complete).where(of_person(profiles, person)))


def expire(connection: Connection, now: datetime) -> int:
    return connection.execute(delete(facts).where(facts.c.expires <= now)).rowcount


def forget(connection: Connection, person: Person) -> dict[str, int]:
    return {
        "facts": connection.execute(delete(facts).where(of_person(facts, person))).rowcount,
        "profiles": connection.execute(delete(profiles).where(of_person(profiles, person))).rowcount,
    }


def _place(id: str, person: Person) -> bytes:
    return place_of("facts", id, person.tenant, person.user)
