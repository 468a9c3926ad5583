"""What fewer than k people say is not learnt by an adapter that others use."""

from __future__ import annotations

from collections import defaultdict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netgpt.training.example import Example
from netgpt.training.k_anonymity import STAND_IN, Vocabulary, common_words, identifying, shared_by
from netgpt.types import Person

COMMON = ["where", "is", "the", "coffee", "good", "near", "a", "what", "time"]
RARE = [
    "zork",
    "Quux",
    "Blip",
    "xyzzy",
    "plugh",
    "1984",
    "\u00e9tag\u00e8re",
    "O'Frob",
    "something",
    "[PERSON_1]",
    "Rose",
    "Garden",
]
WORDS = Vocabulary([*COMMON, "rose", "garden"])
TEXTS = st.lists(st.sampled_from([*COMMON * 3, *RARE]), min_size=1, max_size=7).map(" ".join)
EXAMPLES = st.lists(st.tuples(st.integers(0, 6), TEXTS, TEXTS), max_size=40)


def example(person: int | None, asked: str, said: str) -> Example:
    who = None if person is None else Person("local", f"p{person}")
    return Example(({"role": "user", "content": asked},), said, "exchange:ex", who, slice="own")


@given(EXAMPLES, st.integers(2, 5))
@settings(max_examples=300, deadline=None)
def test_nothing_identifying_passes_that_fewer_than_k_people_say(rows: list[tuple[int, str, str]], k: int) -> None:
    shared = shared_by([example(*row) for row in rows], k, WORDS)
    people = defaultdict(set)
    for one in shared.examples:
        for text in (str(one.messages[0]["content"]), one.answer):
            for unit in identifying(text, WORDS):
                people[unit].add(one.person)
    assert all(len(who) >= k for who in people.values())
    assert not shared.examples or len({one.person for one in shared.examples}) >= k
    assert len(shared.examples) + sum(shared.left_out.values()) == len(rows)


@given(EXAMPLES)
@settings(max_examples=50, deadline=None)
def test_k_of_one_changes_nothing(rows: list[tuple[int, str, str]]) -> None:
    given_ = [example(*row) for row in rows]
    assert shared_by(given_, 1, WORDS).examples == given_


def test_a_rare_word_of_a_question_is_replaced_and_one_of_an_answer_leaves_the_example_out() -> None:
    crowd = [example(n, "where is good coffee", "near the fountain") for n in range(3)]
    rows = [
        *crowd,
        example(0, "where is the zork coffee", "near the fountain"),
        example(1, "where is coffee", "at zork"),
    ]
    shared = shared_by(rows, 3, Vocabulary([*COMMON, "at"]))
    assert [str(one.messages[0]["content"]) for one in shared.examples][-1] == f"where is the {STAND_IN} coffee"
    assert (len(shared.examples), shared.replaced) == (4, 1)
    assert dict(shared.left_out) == {"its answer holds words of fewer than 3 people": 1}


def test_what_looks_like_a_name_needs_k_people_even_when_its_words_are_common() -> None:
    rows = [example(n, "what time is good", "a good time") for n in range(3)]
    rows.append(example(0, "what time is it good near the Rose Garden", "a good time"))
    shared = shared_by(rows, 3, Vocabulary([*COMMON, "rose", "garden", "it"]))
    assert str(shared.examples[-1].messages[0]["content"]).endswith(f"{STAND_IN} {STAND_IN}")
    public = Vocabulary([*COMMON, "it"], ["The user is at the Rose Garden"])
    assert str(shared_by(rows, 3, public).examples[-1].messages[0]["content"]).endswith("Rose Garden")


def test_nobodys_examples_pass_and_too_few_people_leave_all_out() -> None:
    rows = [example(None, "where is zork", "zork is here"), *(example(n, "where is coffee", "near") for n in range(4))]
    shared = shared_by(rows, 5, WORDS)
    assert shared.examples == rows[:1]
    assert list(shared.left_out.values()) == [4]


@pytest.mark.parametrize(
    "word", ["coffee", "Station", "libraries", "walking", "walked", "closest", "the", "at", "user's"]
)
def test_words_that_everybody_uses_are_common(word: str) -> None:
    assert Vocabulary(common_words()).has(word)


@pytest.mark.parametrize("word", ["zaphod", "beeblebrox", "xkq", "4711", "1984", "O'Frob"])
def test_words_that_may_tell_of_somebody_are_not(word: str) -> None:
    assert not Vocabulary(common_words()).has(word)
