"""Turns are fair by work, between keys and between a key's people; nobody is forgotten."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netgpt.web.admission import Turns, Who

WHO = st.builds(Who, st.sampled_from("abc"), st.sampled_from("xy"))
ASKED = st.lists(st.tuples(WHO, st.floats(0.1, 4.0)), min_size=1, max_size=60)


def filled(asked: list[tuple[Who, float]]) -> Turns[int]:
    turns: Turns[int] = Turns()
    for number, (who, work) in enumerate(asked):
        turns.push(who, number, work)
    return turns


@given(ASKED)
def test_everybody_gets_a_turn_in_own_order(asked: list[tuple[Who, float]]) -> None:
    turns, seen = filled(asked), dict[Who, list[int]]()
    for left in range(len(asked), 0, -1):
        assert len(turns) == left
        who, number, work = turns.pop()
        assert asked[number] == (who, work)
        seen.setdefault(who, []).append(number)
    assert not turns and all(numbers == sorted(numbers) for numbers in seen.values())
    with pytest.raises(IndexError):
        turns.pop()


@given(ASKED, st.integers(0, 59))
def test_the_bound_of_fairness_between_keys(asked: list[tuple[Who, float]], stop: int) -> None:
    """While two keys wait, what they are given differs by no more than a largest request of each."""
    turns, given_ = filled(asked), dict.fromkeys("abc", 0.0)
    most: dict[str, float] = {}
    for who, work in asked:
        most[who.key] = max(most.get(who.key, 0.0), work)
    for _ in range(min(stop, len(asked))):
        waiting = {key for key in most if turns.waiting_of_key(key)}
        for one in waiting:
            for other in waiting - {one}:
                assert given_[one] - given_[other] <= most[one] + most[other] + 1e-9
        who, _, work = turns.pop()
        given_[who.key] += work


def test_people_share_the_turns_of_their_key() -> None:
    turns: Turns[str] = Turns()
    for number in range(40):
        turns.push(Who("greedy", f"made up {number}"), "greedy", 1.0)
    for _ in range(4):
        turns.push(Who("modest", "ada"), "modest", 1.0)
    first = [turns.pop()[1] for _ in range(8)]
    assert Counter(first) == {"greedy": 4, "modest": 4}


def test_nobody_saves_up_turns() -> None:
    turns: Turns[str] = Turns()
    turns.serve(Who("early", ""), 1.0)
    for _ in range(50):
        turns.serve(Who("busy", ""), 1.0)
    for name in ("busy", "early", "busy", "early", "busy", "early"):
        turns.push(Who(name, ""), name, 1.0)
    assert Counter(turns.pop()[1] for _ in range(4)) == {"busy": 2, "early": 2}


def test_what_took_longer_than_it_seemed_counts() -> None:
    turns: Turns[str] = Turns()
    turns.serve(Who("slow", ""), 1.0)
    turns.serve(Who("quick", ""), 1.0)
    turns.correct(Who("slow", ""), 5.0)
    for name in ("slow", "quick") * 4:
        turns.push(Who(name, ""), name, 1.0)
    assert [turns.pop()[1] for _ in range(4)] == ["quick"] * 4


@given(ASKED, st.data())
def test_who_hangs_up_leaves(asked: list[tuple[Who, float]], data: st.DataObject) -> None:
    turns = filled(asked)
    gone = data.draw(st.sets(st.integers(0, len(asked) - 1)))
    # items are compared by identity: the numbers of this list are the very objects that were pushed
    for number in gone:
        item = next(each for each in turns if each == number)
        assert turns.remove(asked[number][0], item)
        assert not turns.remove(asked[number][0], item)
    left = [turns.pop()[1] for _ in range(len(turns))]
    assert sorted(left) == sorted(set(range(len(asked))) - gone)


def test_a_newcomer_knows_about_where_it_stands() -> None:
    turns: Turns[str] = Turns()
    for _ in range(30):
        turns.push(Who("greedy", ""), "greedy", 1.0)
    assert turns.before(Who("modest", "")) <= 1
    assert turns.before(Who("greedy", "")) == 30
    turns.push(Who("modest", ""), "modest", 1.0)
    assert [turns.pop()[1] for _ in range(2)].count("modest") == 1


def test_memory_stays_bounded() -> None:
    turns: Turns[int] = Turns()
    for number in range(12_000):
        turns.serve(Who(f"key {number}", ""), 1.0)
        turns.serve(Who("one", f"user {number}"), 1.0)
    assert len(turns._keys.flows) <= 4_097 and len(turns._people) <= 4_097
    assert len(turns._people["one"].flows) <= 4_097
