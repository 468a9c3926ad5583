"""Examples: identity, duplicates, the split, and what a summary tells."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netgpt.errors import RequestError
from netgpt.training.example import Example, deduplicated, digest_of, held_out, split, summary_of
from netgpt.types import Person

ADA, BOB = Person("local", "ada"), Person("local", "bob")
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)
messages = st.lists(
    st.fixed_dictionaries({"role": st.sampled_from(["system", "user"]), "content": texts}), min_size=1, max_size=3
).map(tuple)
examples = st.builds(
    Example,
    messages=messages,
    answer=texts,
    origin=st.sampled_from(["recipe:complete", "self-instruct", "exchange:ex_1", "file:a.jsonl:3"]),
    person=st.sampled_from([None, ADA, BOB]),
    slice=st.sampled_from(["all", "own", "hard"]),
    options=st.just(()),
)


def example(asked: str, said: str = "yes", **fields: Any) -> Example:
    return Example(({"role": "user", "content": asked},), said, **{"origin": "recipe:complete", **fields})


@given(examples)
def test_a_row_is_read_back_as_it_was(given: Example) -> None:
    assert Example.from_row(json.loads(json.dumps(given.as_row()))) == given


@pytest.mark.parametrize(
    "row", [{}, {"messages": 1}, {"messages": [], "answer": "a"}, {"messages": [{}], "answer": "a"}]
)
def test_a_row_of_another_version_is_refused(row: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match="another version"):
        Example.from_row(row)


@given(st.lists(examples, max_size=12))
def test_each_thing_is_learnt_once_and_nobody_loses_their_own(given: list[Example]) -> None:
    kept = deduplicated([*given, *given])
    assert {(e.id, e.person) for e in kept} == {(e.id, e.person) for e in given}
    assert len(kept) == len({(e.id, e.person) for e in given})


@given(st.lists(examples, max_size=12), st.floats(0, 1))
def test_a_split_loses_nothing_and_keeps_a_question_on_one_side(given: list[Example], share: float) -> None:
    learnt, held = split(given, share)
    assert len(learnt) + len(held) == len(given)
    assert not {e.prompt_id for e in learnt} & {e.prompt_id for e in held}
    assert all(held_out(e, share) for e in held)


def test_the_digest_is_of_the_set() -> None:
    one, two = example("one"), example("two")
    assert digest_of([one, two]) == digest_of([two, one]) != digest_of([one])


def test_a_summary_counts_and_names_nobody() -> None:
    summary = summary_of(
        [
            example("a", origin="exchange:ex_1", person=ADA, slice="own"),
            example("b", origin="exchange:ex_2", person=ADA, slice="own"),
            example("c", origin="file:mine.jsonl:7", person=BOB),
            example("d", origin="recipe:complete:slurp"),
        ]
    )
    assert summary.origins == {"exchange": 2, "file:mine.jsonl": 1, "recipe:complete:slurp": 1}
    assert (summary.examples, summary.people, summary.slices) == (4, 2, {"own": 2, "all": 2})
    assert summary.tokens > 0 and "ada" not in repr(summary)


def test_nothing_shows_in_a_repr() -> None:
    assert "locker" not in repr(example("the locker", "a locker code"))
