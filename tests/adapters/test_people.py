"""Digests of people: no two share one, a secret changes them, and shares are even."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from netgpt.adapters.card import Card, digests_of, person_digest, share_point, user_adapter_name
from netgpt.types import Person

people = st.builds(Person, st.text(max_size=8), st.text(max_size=8))


@given(people, people)
def test_only_the_same_person_has_the_same_digest(one: Person, other: Person) -> None:
    assert (person_digest(one) == person_digest(other)) == (one == other)


def test_the_border_between_tenant_and_user_cannot_be_moved() -> None:
    names = [("a", "bc"), ("ab", "c"), ("", "abc"), ("abc", ""), ("a\0b", "c"), ("a", "\0bc")]
    assert len({person_digest(Person(*name)) for name in names}) == len(names)


@given(people, st.binary(min_size=1, max_size=32))
def test_a_secret_hides_who_it_is(person: Person, secret: bytes) -> None:
    assert person_digest(person, secret) != person_digest(person)
    assert digests_of(person, secret) == {person_digest(person), person_digest(person, secret)}


@given(people)
def test_the_name_of_an_adapter_is_one_that_cards_take(person: Person) -> None:
    name = user_adapter_name(person)
    pattern = next(m.pattern for m in Card.model_fields["name"].metadata if hasattr(m, "pattern"))
    assert name.startswith("user-") and len(name) == 17 and name.isascii() and pattern.startswith("^[a-z0-9]")


def test_shares_are_even_stable_and_drawn_anew_for_each_canary() -> None:
    crowd = [Person("acme", f"user-{number}") for number in range(2000)]
    points = [share_point(person, "site@2") for person in crowd]
    assert points == [share_point(person, "site@2") for person in crowd]
    assert all(0 <= point < 1 for point in points)
    assert all(160 < sum(low / 10 <= point < (low + 1) / 10 for point in points) < 240 for low in range(10))
    both = sum(point < 0.1 and share_point(person, "site@3") < 0.1 for person, point in zip(crowd, points, strict=True))
    assert both < 50, "the same people are not always the first to try"
