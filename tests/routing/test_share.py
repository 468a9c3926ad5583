"""The bound on the cloud's share holds on traffic that nobody foresaw."""

import random
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netgpt.routing.router import CREDIT, CloudShare

Draw = Callable[[random.Random], float]


def shares(
    bound: CloudShare, advantages: Iterator[float], forced: Callable[[int], bool] = lambda _: False
) -> list[bool]:
    """Who went to the cloud."""
    went = []
    for number, advantage in enumerate(advantages):
        if forced(number):
            went.append(True)
            bound.booked(None, True)
            continue
        cloud = advantage < bound.threshold
        went.append(cloud)
        bound.booked(advantage, cloud)
    return went


def share(went: list[bool]) -> float:
    return sum(went) / len(went)


def drawn(seed: int, count: int, draw: Draw) -> Iterator[float]:
    chance = random.Random(seed)
    return (draw(chance) for _ in range(count))


@pytest.mark.parametrize("wanted", [0.0, 0.1, 0.3, 0.5, 0.8])
@pytest.mark.parametrize(
    "draw",
    [
        lambda chance: chance.gauss(-0.3, 0.2),
        lambda chance: chance.uniform(-1, -0.2),
        lambda chance: -chance.expovariate(5) - 0.01,
        lambda chance: -0.25,
        lambda chance: chance.choice([-0.6, -0.1]),
    ],
)
def test_it_holds_within_three_points(draw: Draw, wanted: float) -> None:
    went = shares(CloudShare(wanted), drawn(1, 2_000, draw))
    assert share(went) <= wanted + 0.03
    assert share(went[500:]) == pytest.approx(wanted, abs=0.03)


def test_it_holds_when_the_traffic_shifts() -> None:
    bound, chance = CloudShare(0.3), random.Random(2)
    phases: list[Draw] = [
        lambda c: c.gauss(-0.1, 0.05), lambda c: c.gauss(-0.6, 0.3), lambda c: -abs(c.gauss(0, 0.02)) - 0.001,
        lambda c: c.uniform(-3, -1),
    ]  # fmt: skip
    for draw in phases:
        went = shares(bound, (draw(chance) for _ in range(1_000)))
        assert share(went) == pytest.approx(0.3, abs=0.03)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.05, 0.95), st.floats(-2, -0.3), st.floats(0.01, 0.5))
def test_it_holds_on_any_normal_traffic(seed: int, wanted: float, middle: float, spread: float) -> None:
    went = shares(CloudShare(wanted), drawn(seed, 1_500, lambda chance: chance.gauss(middle, spread)))
    natural = share([advantage < 0 for advantage in drawn(seed, 1_500, lambda chance: chance.gauss(middle, spread))])
    assert share(went) <= wanted + 0.03 and share(went) >= min(wanted, natural) - 0.05


def test_a_share_that_is_not_reached_bounds_nothing() -> None:
    bound = CloudShare(0.5)
    advantages = list(drawn(3, 1_000, lambda chance: chance.choice([0.4, 0.4, 0.4, -0.4])))
    went = shares(bound, iter(advantages))
    assert went[200:] == [advantage < 0 for advantage in advantages[200:]]
    assert bound.threshold >= 0


@given(st.lists(st.floats(-5, 5) | st.none(), max_size=400), st.floats(0, 1))
def test_no_stretch_has_more_than_its_share_and_the_credit(advantages: list[float | None], wanted: float) -> None:
    bound, went = CloudShare(wanted), 0
    for number, advantage in enumerate(advantages, 1):
        cloud = advantage is not None and advantage < bound.threshold
        bound.booked(advantage, cloud)
        went += cloud
        assert went <= wanted * number + CREDIT


def test_requests_that_only_the_cloud_can_answer_count_too() -> None:
    bound = CloudShare(0.4)
    went = shares(bound, drawn(4, 3_000, lambda chance: chance.gauss(-0.4, 0.2)), lambda number: number % 4 == 0)
    assert share(went) == pytest.approx(0.4, abs=0.03)
    over = shares(CloudShare(0.2), drawn(4, 1_000, lambda chance: chance.gauss(-0.4, 0.2)), lambda n: n % 2 == 0)
    assert share(over) == pytest.approx(0.5, abs=0.02)  # the forced half went, and hardly any other


def test_after_a_day_of_forced_requests_the_rest_is_not_starved_for_ever() -> None:
    bound = CloudShare(0.3)
    for _ in range(5_000):
        bound.booked(None, True)
    went = shares(bound, drawn(5, 600, lambda chance: chance.gauss(-0.4, 0.2)))
    assert share(went[300:]) == pytest.approx(0.3, abs=0.06)


def test_without_a_bound_nothing_is_counted() -> None:
    bound = CloudShare(None)
    assert shares(bound, iter([-1.0, 1.0, -1.0])) == [True, False, True] and bound.threshold == 0.0


def test_what_went_in_anothers_place_is_made_up_for() -> None:
    bound, went = CloudShare(0.3), 0
    chance = random.Random(3)
    for _ in range(2_000):
        advantage = chance.uniform(-1, 1)
        cloud = advantage < bound.threshold
        bound.booked(advantage, cloud)
        fell_back = not cloud and chance.random() < 0.1
        if fell_back:
            bound.also_went()
        went += cloud or fell_back
    assert went <= 0.3 * 2_000 + CREDIT
    unbounded = CloudShare(None)
    unbounded.also_went()
    assert unbounded.threshold == 0.0
