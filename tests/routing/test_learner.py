"""The learner: what it believes, whom it draws, what it takes back, and what it is after a restart."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netgpt.errors import StoreError
from netgpt.routing.difficulty import Difficulty
from netgpt.routing.learner import VERSION, Learner
from netgpt.routing.reward import DecisionOutcome, Parts

X = (0.3, -0.2, 0.5)
VALUES = st.dictionaries(st.sampled_from(["edge", "cloud", "far", "near"]), st.floats(-5, 5), min_size=1)


def clocked(**settings: Any) -> tuple[Learner, list[float]]:
    now = [1_000_000.0]
    return Learner(**{"seed": 7, "clock": lambda: now[0], **settings}), now


def rate(
    learner: Learner, target: str, rating: int, key: str = "k", x: tuple[float, ...] = X, prior: float = 0.8
) -> None:
    learner.update(DecisionOutcome("ex", target, x, key, prior, Parts(rating=rating)))


def taught(learner: Learner, requests: int = 400, keys: int = 6, seed: int = 1) -> None:
    """ "good" does for 9 of 10 requests, "bad" for 3."""
    rng = random.Random(seed)
    for number in range(requests):
        x = tuple(rng.gauss(0, 0.5) for _ in range(4))
        for target, chance in (("good", 0.9), ("bad", 0.3)):
            rate(learner, target, 1 if rng.random() < chance else -1, f"k{number % keys}", x)


def test_it_believes_the_prior_until_updated_and_then_what_happened() -> None:
    learner, _ = clocked()
    assert learner.belief("good", X, 0.8).mean == 0.8 and learner.belief("good", X, 0.8).sd > 0.15
    taught(learner)
    good, bad = learner.belief("good", (0.0,) * 4, 0.8), learner.belief("bad", (0.0,) * 4, 0.8)
    assert good.mean == pytest.approx(0.9, abs=0.1) and bad.mean == pytest.approx(0.3, abs=0.1)
    assert good.sd < 0.08


def test_it_learns_which_requests_a_target_is_good_for() -> None:
    learner, _ = clocked()
    rng = random.Random(3)
    for number in range(600):
        x = (rng.uniform(-1, 1), rng.uniform(-1, 1))
        rate(learner, "odd", 1 if rng.random() < (0.9 if x[0] > 0 else 0.2) else -1, f"k{number % 5}", x, 0.6)
    assert learner.belief("odd", (0.8, 0.0), 0.6).mean > learner.belief("odd", (-0.8, 0.0), 0.6).mean + 0.3


EVERYDAY = (
    "ideas for dinner tonight", "what is the capital of Australia?", "write a python function that sorts a list",
    "how do I remove a red wine stain?", "prove that the square root of 2 is irrational", "good morning",
    "translate 'good morning' into Italian", "what is 15% of 80?", "help me write an apology e-mail to my landlord",
)  # fmt: skip


@pytest.mark.parametrize("rating", [1, -1])
@pytest.mark.parametrize("prior", [0.3, 0.6, 0.9])
def test_one_rating_turns_no_route(rating: int, prior: float) -> None:
    """Whatever was asked, and whoever asks next; and so for each of the first twenty."""
    seen = [Difficulty.shipped().x(text) for text in EVERYDAY]
    for rated in seen:
        learner, _ = clocked()
        rate(learner, "cloud", rating, "ada", rated, prior)
        moved = [abs(learner.belief("cloud", each, prior, "ada").mean - prior) for each in seen]
        assert 0 < max(moved) <= 0.05
    learner, rng = clocked()[0], random.Random(3)
    for number in range(20):
        rated, said = rng.choice(seen), rng.choice((1, -1))
        before = learner.belief("cloud", rated, prior, "ada").mean
        rate(learner, "cloud", said, "ada", rated, prior)
        assert abs(learner.belief("cloud", rated, prior, "ada").mean - before) <= 0.05, number
    assert learner.state() == Learner.restore(learner.state()).state()


def test_the_same_rating_again_changes_nothing_more() -> None:
    learner, _ = clocked()
    one = DecisionOutcome("ex", "cloud", X, "ada", 0.9, Parts(rating=-1))
    counted = learner.update(one)
    once = learner.belief("cloud", X, 0.9, "ada")
    for _ in range(20):
        counted = learner.update(replace(one, before=counted))
    assert learner.belief("cloud", X, 0.9, "ada") == once


def test_many_ratings_turn_it_all_the_same() -> None:
    learner, _ = clocked()
    beliefs = []
    for number in range(60):
        rate(learner, "cloud", -1, f"k{number % 4}", X, 0.9)
        beliefs.append(learner.belief("cloud", X, 0.9).mean)
    assert beliefs[0] >= 0.85 and beliefs[-1] < 0.3
    assert beliefs[:20] == sorted(beliefs[:20], reverse=True), "each lets in some of what the others said"


@given(values=VALUES, key=st.text(max_size=5), bold=st.booleans(), share=st.floats(0, 0.5))
def test_chances_are_chances_and_exploration_is_bounded(
    values: dict[str, float], key: str, bold: bool, share: float
) -> None:
    learner, _ = clocked(explore=share)
    taught(learner, 5)
    chances = learner.chances(values, key, bold=bold)
    assert set(chances) == set(values) and sum(chances.values()) == pytest.approx(1.0)
    assert min(chances.values()) >= 0
    best = max(values, key=values.__getitem__)
    assert chances[best] >= 1 - share - 1e-9
    if not bold or len(values) == 1:
        assert chances[best] == 1.0
    target, propensity = learner.draw(values, key, bold=bold)
    assert propensity == pytest.approx(chances[target]) and propensity > 0


def test_one_key_explores_so_often_an_hour_and_no_more() -> None:
    learner, now = clocked(explore=0.5, per_hour=3)
    taught(learner, 5)
    values = {"edge": 1.0, "cloud": 0.9}
    drawn = [learner.draw(values, "k")[0] for _ in range(200)]
    assert drawn.count("cloud") == 3 and learner.draw(values, "k") == ("edge", 1.0)
    assert any(learner.draw(values, "other")[0] == "cloud" for _ in range(50))
    now[0] += 3600
    assert any(learner.draw(values, "k")[0] == "cloud" for _ in range(50))


def test_nobody_is_experimented_on_where_nobody_rates() -> None:
    learner, _ = clocked(explore=0.5)
    assert {learner.draw({"edge": 1.0, "cloud": 0.9}, "k") for _ in range(100)} == {("edge", 1.0)}


def test_a_rating_is_corrected_not_added() -> None:
    learner, _ = clocked()
    hints = Parts(failed=False)
    first = learner.update(DecisionOutcome("ex", "edge", X, "k", 0.8, hints))
    down = learner.update(DecisionOutcome("ex", "edge", X, "k", 0.8, hints.with_(Parts(rating=-1)), first))
    below = learner.belief("edge", X, 0.8, "k").mean
    assert below < 0.8
    for _ in range(50):
        up = learner.update(DecisionOutcome("ex", "edge", X, "k", 0.8, Parts(rating=1), down))
        down = learner.update(DecisionOutcome("ex", "edge", X, "k", 0.8, Parts(rating=-1), up))
    assert learner.belief("edge", X, 0.8, "k").mean == pytest.approx(below, abs=0.05)
    learner.update(DecisionOutcome("ex", "edge", X, "k", 0.8, Parts(rating=0), down))
    assert learner.belief("edge", X, 0.8, "k").mean == pytest.approx(0.8, abs=0.02)


def test_what_is_not_known_leaves_no_trace() -> None:
    learner, _ = clocked()
    assert learner.update(DecisionOutcome("ex", "edge", X, "k", 0.8, Parts())) is not None
    assert learner.belief("edge", X, 0.8, "k").mean == 0.8


def test_a_box_without_ratings_thinks_no_worse_of_the_target_it_uses() -> None:
    """Repeats and failures count against what is usual here, so using a target is not held against it."""
    learner, now = clocked()
    rng = random.Random(5)
    for number in range(2_000):
        now[0] += 20
        parts = Parts(failed=rng.random() < 0.02, repeated=rng.random() < 0.1)
        learner.update(DecisionOutcome("ex", "edge", X, f"k{number % 7}", 0.8, parts))
    assert learner.belief("edge", X, 0.8).mean == pytest.approx(0.8, abs=0.08)


def test_it_notices_that_a_target_has_changed() -> None:
    learner, now = clocked()
    rng = random.Random(9)
    for number in range(400):
        rate(learner, "edge", 1 if rng.random() < 0.9 else -1, f"k{number % 8}")
    before = learner.belief("edge", X, 0.8)
    for number in range(100):
        now[0] += 20
        rate(learner, "edge", 1 if rng.random() < 0.2 else -1, f"k{number % 8}")
    after = learner.belief("edge", X, 0.8)
    assert before.mean > 0.8 and after.mean < 0.5 and learner.drifts["edge"] >= 1


def test_a_new_price_is_felt_at_once() -> None:
    learner, _ = clocked()
    for cost in [1.0] * 50 + [5.0, 5.0]:
        learner.update(DecisionOutcome("ex", "cloud", X, "k", 0.8, Parts(cost=cost, listed_cost=1.0, tokens=100)))
    assert learner.measured("cloud").price_factor == pytest.approx(5.0)
    assert learner.measured("cloud").tokens == pytest.approx(100)
    assert learner.measured("never used").price_factor is None


@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1_000), cut=st.integers(1, 60))
def test_a_restored_learner_goes_on_as_if_nothing_had_happened(seed: int, cut: int) -> None:
    def steps(learner: Learner, now: list[float], numbers: range) -> list[tuple[str, float]]:
        drawn = []
        for number in numbers:
            rng = random.Random(seed * 1_000 + number)
            now[0] = 1_000_000.0 + 30 * number
            x, key = tuple(rng.gauss(0, 0.5) for _ in range(5)), f"k{rng.randrange(4)}"
            values = {target: learner.belief(target, x, 0.7, key).mean for target in ("edge", "cloud", "far")}
            target, chance = learner.draw(values, key)
            drawn.append((target, chance))
            parts = Parts(rating=rng.choice([-1, 1, None]), repeated=rng.choice([True, False, None]), tokens=50)
            learner.update(DecisionOutcome("ex", target, x, key, 0.7, parts))
        return drawn

    one, now = clocked(seed=seed, explore=0.3)
    whole = steps(one, now, range(80))
    half, then = clocked(seed=seed, explore=0.3)
    steps(half, then, range(cut))
    again = Learner.restore(half.state(), explore=0.3, clock=lambda: then[0])
    assert steps(again, then, range(cut, 80)) == whole[cut:] and again.state() == one.state()


@given(damage=st.integers(0, 4_000), content=st.binary(max_size=20))
@settings(max_examples=60, deadline=None)
def test_a_damaged_state_is_reported_or_still_a_learner(damage: int, content: bytes) -> None:
    learner, _ = clocked()
    taught(learner, 5)
    state = learner.state()
    at = damage % len(state)
    try:
        again = Learner.restore(state[:at] + content + state[at + len(content) :])
    except StoreError as error:
        assert error.code == "learner_damaged"
        return
    assert 0 <= again.belief("good", X, 0.5).mean <= 1


@pytest.mark.parametrize("state", [b"", b"{}", b"[]", b"null", b'{"version": 99}', b'{"version": 1}', b"\xff"])
def test_what_is_no_state_is_refused(state: bytes) -> None:
    with pytest.raises(StoreError, match="damaged or of another version"):
        Learner.restore(state)


def test_another_version_is_refused() -> None:
    learner, _ = clocked()
    numbers = json.loads(learner.state()) | {"version": VERSION + 1}
    with pytest.raises(StoreError):
        Learner.restore(json.dumps(numbers).encode())


def test_the_state_names_nobody_and_forgets_a_key() -> None:
    learner, _ = clocked()
    rate(learner, "edge", -1, "ada-lovelace")
    rate(learner, "edge", -1, "grace")
    assert b"ada-lovelace" not in learner.state()
    below = learner.belief("edge", X, 0.8, "ada-lovelace").mean
    learner.forget("ada-lovelace")
    assert len(learner.numbers()["own"]) == 1 and learner.belief("edge", X, 0.8, "ada-lovelace").mean > below


def test_a_key_alone_moves_its_own_routing() -> None:
    learner, _ = clocked()
    for _ in range(60):
        rate(learner, "edge", -1, "only")
    assert learner.belief("edge", X, 0.8, "only").mean < 0.5


@pytest.mark.slow
@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_a_thousand_lies_of_one_key_hardly_move_what_others_get(seed: int) -> None:
    """The same honest history, with and without the lies."""
    quiet, _ = clocked()
    lied, _ = clocked()
    rng = random.Random(seed)
    moved = asked = 0
    for number in range(1_400):
        x = tuple(rng.gauss(0, 0.4) for _ in range(3))
        key, target = f"k{min(int(rng.paretovariate(1.0)) - 1, 9)}", rng.choice(["good", "fair"])
        rating = 1 if rng.random() < {"good": 0.85, "fair": 0.7}[target] else -1
        for learner in (quiet, lied):
            rate(learner, target, rating, key, x)
        if number >= 400:
            rate(lied, "good", -1, "liar", x)
            best = [max(("good", "fair"), key=lambda a: one.belief(a, x, 0.75, key).mean) for one in (quiet, lied)]
            moved, asked = moved + (best[0] != best[1]), asked + 1
    assert moved / asked < 0.01


def test_odd_features_do_no_harm() -> None:
    learner, _ = clocked()
    for x in ((), (float("nan"), 1.0), (float("inf"),), (1e300,) * 40):
        rate(learner, "edge", 1, x=x)
        assert 0 < learner.belief("edge", x, 0.8).mean < 1
