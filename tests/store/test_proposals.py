"""Facts that wait for a yes: only with a consent, few, for a while; gone with a no, the consent, the person."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import inspect, text

from netgpt.store.database import Database
from netgpt.store.migrations import migrate
from netgpt.store.people import PROPOSALS
from netgpt.store.proposals import ProposedFact
from netgpt.store.store import Store
from netgpt.types import Fact, Label, Person

ADA, BOB = Person("local", "ada"), Person("local", "bob")
LATER = timedelta(days=30)


def fact(note: str) -> ProposedFact:
    return ProposedFact(note, "note", Label.SENSITIVE, f"Well, {note}!")


async def add(store: Store, person: Person, *names: str, most: int = 10, instead_of: tuple[str, ...] = ()) -> int:
    return await store.proposals.add(person, [fact(n) for n in names], datetime.now(UTC) + LATER, most, instead_of)


async def texts(store: Store, person: Person) -> list[str]:
    return [each.text for each in (await store.proposals.of(person)).values()]


async def test_without_consent_nothing_is_kept(store: Store) -> None:
    assert await add(store, ADA, "is vegan") == 0
    await store.consents.say(ADA, PROPOSALS, True)
    assert await add(store, ADA, "is vegan", "is deaf") == 2 and await add(store, BOB, "is vegan") == 0
    await store.consents.say(ADA, "profile", False)
    assert await add(store, ADA, "has a dog") == 0
    await store.consents.say(ADA, "profile", True)
    await store.consents.say(ADA, PROPOSALS, False, third_party="cloud.example")
    assert sorted(await texts(store, ADA)) == ["is deaf", "is vegan"]  # who receives something has no part in it
    await store.consents.say(ADA, PROPOSALS, False)
    assert await texts(store, ADA) == []


async def test_they_are_sealed_and_each_is_there_once(store: Store, files: Any) -> None:
    await store.consents.say(ADA, PROPOSALS, True)
    assert await add(store, ADA, "loves quinoa") == 1 and await add(store, ADA, "Loves quinoa") == 0
    assert not any(b"quinoa" in content for content in files().values())
    ((id, one),) = (await store.proposals.of(ADA)).items()
    assert (one.label, one.words) == (Label.SENSITIVE, "Well, loves quinoa!") and "quinoa" not in repr(one)
    assert await store.proposals.drop(BOB, id) is False and await store.proposals.drop(ADA, id) is True
    assert await store.proposals.drop(ADA, id) is False and await texts(store, ADA) == []
    assert await add(store, ADA, "loves quinoa") == 0  # a no counts for a while
    assert (await store.sealing.check()).faults == ()


async def test_the_oldest_go_when_there_are_many(store: Store) -> None:
    await store.consents.say(ADA, PROPOSALS, True)
    for number in range(5):
        await add(store, ADA, f"has {number} dogs", most=3)
    assert await texts(store, ADA) == ["has 2 dogs", "has 3 dogs", "has 4 dogs"]
    (first, *_) = await store.proposals.of(ADA)
    await add(store, ADA, "has no dogs", most=3, instead_of=(first,))
    assert await texts(store, ADA) == ["has 3 dogs", "has 4 dogs", "has no dogs"]


async def test_a_yes_makes_a_fact_once_in_place_of_others(store: Store) -> None:
    await store.consents.say(ADA, PROPOSALS, True)
    old = await store.add_fact(ADA, Fact("The user lives in Leeds", "home"))
    his = await store.add_fact(BOB, Fact("The user lives in Leeds", "home"))
    await add(store, ADA, "lives in Graz")
    (id,) = await store.proposals.of(ADA)
    new = Fact("The user lives in Graz", "home", source="profile")
    assert await store.proposals.keep(BOB, id, new, (old,)) is None
    assert await store.vectors.save(ADA, "model", {old: b"read"}) == 1
    kept = await store.proposals.keep(ADA, id, new, (old, his))
    assert await store.vectors.of_person(ADA, "model") == {}  # nothing of it is left
    assert await store.facts(ADA) == [(kept, new)] and len(await store.facts(BOB)) == 1
    assert await store.proposals.keep(ADA, id, new) is None


async def test_time_and_forgetting_end_them(store: Store) -> None:
    for person in (ADA, BOB):
        await store.consents.say(person, PROPOSALS, True)
        await store.proposals.add(person, [fact("is deaf")], datetime.now(UTC) + timedelta(seconds=30), 10)
        await add(store, person, "is vegan")
    assert (await store.delete_expired(datetime.now(UTC) + timedelta(days=1), 30, 30))["proposals"] == 2
    assert await texts(store, ADA) == ["is vegan"]
    assert (await store.forget(ADA))["proposals"] == 1
    assert await add(store, ADA, "is vegan") == 0  # what was being read meanwhile comes too late
    assert await texts(store, BOB) == ["is vegan"]
    await store.proposals.add(BOB, [fact("is old")], datetime.now(UTC) - timedelta(seconds=1), 10)
    assert await texts(store, BOB) == ["is vegan"]


@pytest.mark.file
async def test_a_database_of_before_gets_the_table(store: Store) -> None:
    engine = Database(store.path).writing
    with engine.begin() as connection:
        connection.execute(text("DROP TABLE proposals"))
        connection.execute(text("DELETE FROM migrations WHERE name = 'add_proposals'"))
    assert migrate(engine) == ["add_proposals"] and inspect(engine).has_table("proposals")
