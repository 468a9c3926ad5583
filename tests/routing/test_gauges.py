"""The estimator: bounded by what was measured, quick to follow a change, less sure as it grows old."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netgpt.routing.link_state import Gauge

values = st.floats(0, 1e6, allow_nan=False)
steps = st.lists(st.tuples(values, st.floats(0, 100), st.floats(0.01, 1)), min_size=1, max_size=40)


def fed(measured: list[tuple[float, float, float]]) -> tuple[Gauge, float]:
    gauge, now = Gauge(), 0.0
    for value, gap, weight in measured:
        now += gap
        gauge.observe(value, now, weight)
    return gauge, now


@given(steps)
def test_never_outside_of_what_was_measured(measured: list[tuple[float, float, float]]) -> None:
    gauge, now = fed(measured)
    estimate = gauge.estimate(now)
    assert estimate is not None
    assert min(m[0] for m in measured) <= estimate.value <= max(m[0] for m in measured)


@given(steps, st.lists(st.floats(0, 1000), min_size=2, max_size=5))
def test_confidence_is_a_share_and_falls_with_age(
    measured: list[tuple[float, float, float]], later: list[float]
) -> None:
    gauge, now = fed(measured)
    report = [gauge.estimate(now + wait) for wait in sorted(later)]
    sure = [each.confidence for each in report if each is not None]
    assert len(sure) == len(later)
    assert all(0 <= each < 1 for each in sure)
    assert sure == sorted(sure, reverse=True)
    assert [each.age_s for each in report if each] == pytest.approx(sorted(later))


def test_nothing_is_known_before_the_first_measurement() -> None:
    gauge = Gauge()
    assert gauge.estimate(5.0) is None
    assert gauge.value() is None


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_no_number_changes_nothing(value: float) -> None:
    gauge = Gauge()
    gauge.observe(1.0, 0.0)
    gauge.observe(value, 1.0)
    assert gauge.value() == 1.0
    assert gauge.at == 0.0


def test_a_measurement_of_no_weight_tells_nothing() -> None:
    gauge = Gauge()
    gauge.observe(1.0, 0.0, 0.0)
    assert gauge.value() is None


@pytest.mark.parametrize(("before", "after"), [(0.05, 0.5), (0.5, 0.05), (40.0, 4.0), (0.0, 1.0)])
def test_a_change_is_followed_by_the_third_measurement_after_it(before: float, after: float) -> None:
    gauge, noise = Gauge(), random.Random(1)
    for second in range(60):
        gauge.observe(before * noise.uniform(0.9, 1.1), float(second))
    for second in range(60, 63):
        gauge.observe(after * noise.uniform(0.9, 1.1), float(second))
    value = gauge.value()
    assert value is not None
    assert abs(value - after) < 0.25 * abs(before - after)


def test_one_far_measurement_alone_is_no_change() -> None:
    gauge = Gauge()
    for second in range(30):
        gauge.observe(1.0, float(second))
    gauge.observe(10.0, 30.0)
    gauge.observe(1.0, 31.0)
    value = gauge.value()
    assert value is not None
    assert value < 1.5


def test_noise_is_averaged_rather_than_followed() -> None:
    gauge, noise = Gauge(), random.Random(2)
    report = []
    for tenth in range(300):
        gauge.observe(noise.gauss(1.0, 0.1), tenth / 10)
        report.append(gauge.value() or 0.0)
    assert max(abs(value - 1.0) for value in report[100:]) < 0.1


def test_after_a_long_silence_the_new_measurement_counts_almost_alone() -> None:
    gauge = Gauge(memory_s=30)
    for second in range(30):
        gauge.observe(1.0, float(second))
    gauge.observe(1.2, 330.0)
    assert gauge.value() == pytest.approx(1.2, rel=0.01)


def test_a_clock_that_steps_back_is_taken_as_standing_still() -> None:
    gauge = Gauge()
    gauge.observe(1.0, 10.0)
    gauge.observe(2.0, 5.0)
    estimate = gauge.estimate(7.0)
    assert estimate is not None
    assert estimate.age_s == 0.0
    assert gauge.at == 10.0


def test_a_share_of_noughts_and_ones_jumps_both_ways() -> None:
    gauge = Gauge(far=0.5)
    report = []
    for second, outcome in enumerate([0.0] * 30 + [1.0] * 3 + [0.0] * 2):
        gauge.observe(outcome, float(second))
        report.append(gauge.value())
    assert report[30] == pytest.approx(0.0, abs=0.1)
    assert report[32] == 1.0
    assert report[34] == 0.0
