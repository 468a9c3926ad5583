"""The ledger of consents: a history that only grows, and what follows from it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netgpt.errors import RequestError
from netgpt.store.encryption import Sealer
from netgpt.store.people import ConsentEntry, refused, standing, state_of
from netgpt.store.store import Store
from netgpt.types import Person

ADA, BOB = Person("local", "ada"), Person("local", "bob")
NOW = datetime(2026, 6, 1, tzinfo=UTC)


async def test_the_history_only_grows(store: Store) -> None:
    for given_ in (True, True, False, True):
        await store.consents.say(ADA, "location", given_)
    await store.consents.say(ADA, "training", True, third_party="lab.example")
    entries = await store.consents.of(ADA)
    assert [entry.given for entry in entries] == [True, True, False, True, True]
    assert entries[-1].third_party == "lab.example" and await store.consents.of(BOB) == ()
    removed = await store.forget(ADA)
    assert removed["consents"] == 2 and await store.consents.of(ADA) == ()


async def test_training_and_the_ledger_are_one(store: Store) -> None:
    await store.learning.set_consent(ADA, "training", True)
    assert [entry.purpose for entry in await store.consents.of(ADA)] == ["training"]
    await store.consents.say(ADA, "training", False)
    row = await store.learning.consent(ADA, "training")
    assert row is not None and not row.stands and await store.learning.consenting("training") == []


async def test_a_consent_that_has_ended_trains_nothing(store: Store) -> None:
    now = datetime.now(UTC)
    await store.consents.say(ADA, "training", True, begins=now - timedelta(days=2), ends=now - timedelta(days=1))
    await store.consents.say(BOB, "training", True, ends=now + timedelta(days=1))
    row = await store.learning.consent(ADA, "training")
    assert row is not None and not row.stands
    assert await store.learning.consenting("training") == [BOB]
    with pytest.raises(RequestError, match="ends after it begins"):
        await store.consents.say(ADA, "training", True, ends=now - timedelta(days=1))


async def test_another_process_is_obeyed_at_the_next_look(place: Path | str, sealer: Sealer) -> None:
    one, other = Store.open(place, sealer), Store.open(place, sealer)
    assert await one.consents.of(ADA) == ()
    await other.consents.say(ADA, "location", True)
    assert standing(await one.consents.of(ADA), datetime.now(UTC)) == {"location"}
    await other.consents.say(ADA, "location", False)
    assert refused(await one.consents.of(ADA), datetime.now(UTC)) == {"location"}
    await one.close()
    await other.close()


def entry(given_: bool, party: str | None, begins: int, ends: int | None) -> ConsentEntry:
    until = None if ends is None else NOW + timedelta(hours=ends)
    return ConsentEntry("location", given_, NOW, NOW + timedelta(hours=begins), until, party)


ENTRIES = st.lists(
    st.builds(entry, st.booleans(), st.sampled_from([None, "a", "b"]), st.integers(-3, 3),
              st.none() | st.integers(-3, 3))
)  # fmt: skip


@given(ENTRIES, st.sampled_from([None, "a", "b"]))
def test_the_last_word_that_covers_the_receiver_counts(entries: list[ConsentEntry], receiver: str | None) -> None:
    covering = [one for one in entries if one.third_party is None or one.third_party == receiver]
    yes = bool(covering) and covering[-1].given and covering[-1].holds(NOW)
    assert standing(entries, NOW, receiver) == ({"location"} if yes else set())
    assert refused(entries, NOW, receiver) == ({"location"} if covering and not yes else set())


@given(ENTRIES)
def test_the_state_follows_the_words_for_everybody(entries: list[ConsentEntry]) -> None:
    row = state_of(ADA, "location", entries)
    general = [one for one in entries if one.third_party is None]
    assert (row is None) == (not general)
    if row is not None:
        assert (row.withdrawn is None) == general[-1].given
        assert row.until == (general[-1].ends if general[-1].given else None)


async def test_a_no_counts_also_against_a_yes_that_has_not_begun(store: Store) -> None:
    later = datetime.now(UTC) + timedelta(days=1)
    await store.consents.say(ADA, "training", True, begins=later)
    await store.learning.set_consent(ADA, "training", False)
    assert standing(await store.consents.of(ADA), later + timedelta(days=1)) == frozenset()


async def test_a_receiver_is_the_same_host_however_it_is_written(store: Store) -> None:
    await store.consents.say(ADA, "location", True)
    await store.consents.say(ADA, "location", False, third_party="Cloud.Example.")
    now = datetime.now(UTC)
    entries = await store.consents.of(ADA)
    assert standing(entries, now, "cloud.example") == frozenset() and standing(entries, now, "lab.example")
    with pytest.raises(RequestError, match="host name"):
        await store.consents.say(ADA, "location", False, third_party="https://cloud.example")
