"""Consents to training, and the examples that adapters learnt from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netgpt.errors import StoreError
from netgpt.store.encryption import Sealer
from netgpt.store.schema import NewExample
from netgpt.store.store import Store
from netgpt.types import Person

ADA, BOB, TWIN = Person("local", "ada"), Person("local", "bob"), Person("acme", "ada")
PEOPLE = (ADA, BOB, TWIN, None)


def example(person: Person | None, digest: str = "1", **row: Any) -> NewExample:
    return NewExample(person, digest, row)


async def test_never_asked_is_no_consent(store: Store) -> None:
    assert await store.learning.consent(ADA, "training") is None
    assert await store.learning.consenting("training") == []


async def test_consent_is_given_and_taken_back_with_its_times(store: Store) -> None:
    given = await store.learning.set_consent(ADA, "training", True)
    assert given.stands and given.given and given.withdrawn is None
    assert await store.learning.set_consent(ADA, "training", True) == given  # the first word's time counts
    back = await store.learning.set_consent(ADA, "training", False)
    assert not back.stands and back.given == given.given and back.withdrawn and back.withdrawn >= given.given
    assert await store.learning.consenting("training") == []
    again = await store.learning.set_consent(ADA, "training", True)
    assert again.stands and again.given and again.given >= back.withdrawn


async def test_consent_is_for_one_person_and_one_purpose(store: Store) -> None:
    await store.learning.set_consent(ADA, "training", True)
    await store.learning.set_consent(BOB, "training", False)
    await store.learning.set_consent(TWIN, "other", True)
    assert await store.learning.consenting("training") == [ADA]
    assert await store.learning.consent(BOB, "other") is None


async def test_an_example_is_kept_once_with_all_that_learnt_from_it(store: Store) -> None:
    first = await store.learning.keep([example(ADA, answer="yes")], adapter="user-1@1")
    again = await store.learning.keep([example(ADA, answer="yes")], adapter="site@4", chosen=True)
    assert first == again
    (kept,) = await store.learning.of_person(ADA)
    assert (kept.id, kept.person, kept.adapters, kept.chosen) == (first[0], ADA, ("site@4", "user-1@1"), True)
    assert kept.row == {"answer": "yes"}
    assert await store.learning.of_adapter("site@4") == [kept]
    assert "yes" not in repr(kept)


async def test_an_example_is_removed_by_its_owner_alone(store: Store) -> None:
    (id,) = await store.learning.keep([example(ADA)], adapter="site@1")
    assert await store.learning.remove(BOB, id) is None
    assert await store.learning.remove(TWIN, id) is None
    removed = await store.learning.remove(ADA, id)
    assert removed is not None and removed.adapters == ("site@1",)
    assert await store.learning.of_person(ADA) == await store.learning.of_adapter("site@1") == []


async def test_texts_are_sealed_on_disk_and_bound_to_their_person(
    store: Store, files: Callable[[], dict[str, bytes]], database: Path
) -> None:
    await store.learning.keep([example(ADA, answer="the quick brown fox")], adapter="site@1")
    assert all(b"quick brown" not in content for content in files().values())
    await store.close()
    with pytest.raises(StoreError, match="sealed with another key"):
        Store.open(database, Sealer.new())


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lessons=st.lists(
        st.tuples(st.sampled_from(PEOPLE), st.integers(0, 3), st.sampled_from(["site@1", "site@2", "user-a@1"])),
        max_size=24,
    ),
    gone=st.sampled_from([ADA, BOB, TWIN]),
)
async def test_forgetting_takes_one_persons_examples_and_no_others(
    store: Store, lessons: list[tuple[Person | None, int, str]], gone: Person
) -> None:
    for person in (ADA, BOB, TWIN):
        await store.forget_examples(person)
    before = {name: len(await store.learning.of_adapter(name)) for name in ("site@1", "site@2", "user-a@1")}
    for owner, number, adapter in lessons:
        await store.learning.keep([example(owner, str(number), n=number)], adapter=adapter)
    removed = await store.forget_examples(gone)
    assert removed == len({number for person, number, _ in lessons if person == gone})
    for person in {ADA, BOB, TWIN} - {gone}:
        kept = {(each.row["n"], name) for each in await store.learning.of_person(person) for name in each.adapters}
        assert kept == {(number, adapter) for whose, number, adapter in lessons if whose == person}
    assert await store.learning.of_person(gone) == []
    for name in before:
        assert all(each.person != gone for each in await store.learning.of_adapter(name))
