"""The objective: monotone in each part, the sum of what the parts say, and calm before anything is known."""

from dataclasses import replace

import pytest
from decisions import CLOUD_TARGET, EDGE_TARGET, SITUATIONS, TEXTS, link, links, situation
from hypothesis import given
from hypothesis import strategies as st

from netgpt.routing.candidates import Situation, Target
from netgpt.routing.link_state import SignalsView, SystemView
from netgpt.routing.router import parts_of_lead
from netgpt.routing.scoring import PRESETS, Weights, expect, prior_of, value_of
from netgpt.types import Expected

SHARE = st.floats(0, 1)
WEIGHTS = st.builds(Weights, *(st.floats(0, 10) for _ in range(5)), worth=st.floats(0.001, 1))
EXPECTED = st.builds(
    Expected,
    st.just("a"),
    st.just("cloud"),
    SHARE,
    st.floats(0, 100),
    st.floats(0, 1),
    st.floats(0, 1000),
    SHARE,
    st.just(0.0),
)  # fmt: skip


@given(EXPECTED, WEIGHTS, st.floats(0.001, 10))
def test_more_of_what_is_bad_is_never_worth_more(one: Expected, weights: Weights, more: float) -> None:
    value = value_of(one, weights)
    for field in ("latency_s", "cost", "energy_j", "exposure"):
        assert value_of(replace(one, **{field: getattr(one, field) + more}), weights) <= value + 1e-9
    assert value_of(replace(one, p_ok=one.p_ok + more), weights) >= value - 1e-9


@given(EXPECTED, EXPECTED, WEIGHTS)
def test_the_parts_of_a_lead_add_up_to_it(one: Expected, other: Expected, weights: Weights) -> None:
    lead = value_of(one, weights) - value_of(other, weights)
    assert sum(parts_of_lead(one, other, weights).values()) == pytest.approx(lead, abs=1e-6)


@given(SITUATIONS)
def test_what_is_expected_is_within_its_bounds(one: Situation) -> None:
    for target in one.targets:
        report = expect(target, one, one.signals, prior_of(target, one), PRESETS["balanced"])
        assert 0 <= report.p_ok <= 1 and report.latency_s > 0 and report.cost >= 0 and report.energy_j >= 0
        assert report.value == pytest.approx(value_of(report, PRESETS["balanced"]))
        assert (report.energy_j > 0) is (target.name == "edge")


@given(st.sampled_from(TEXTS), st.floats(0.01, 0.99), st.floats(0.01, 0.99))
def test_an_easier_text_is_never_less_trusted_to_a_small_model(text: str, p: float, q: float) -> None:
    lower, higher = (prior_of(EDGE_TARGET, situation(text, p_edge_ok=each)) for each in sorted((p, q)))
    assert 0 < lower <= higher < 1
    assert prior_of(CLOUD_TARGET, situation(text, p_edge_ok=p)) == CLOUD_TARGET.quality


def test_a_neighbour_is_as_able_as_the_edge() -> None:
    neighbour = Target("garage", kind="neighbour", quality=0.99)
    for text in TEXTS:
        assert prior_of(neighbour, situation(text)) == prior_of(EDGE_TARGET, situation(text))


def test_what_looks_hard_is_less_trusted() -> None:
    easy, long, code = (prior_of(EDGE_TARGET, situation(text)) for text in ("hi", "word " * 60, "a python function"))
    assert easy > long > code


def test_a_deadline_makes_late_answers_worth_less_before_it_is_reached() -> None:
    one = situation("hi", signals=links(cloud=link(0.05, first_byte_s=2)))
    chances = [
        expect(CLOUD_TARGET, replace(one, deadline_s=deadline), one.signals, 0.9, PRESETS["balanced"]).p_ok
        for deadline in (1, 4, 5, 6, 60)
    ]
    assert chances == sorted(chances) and chances[0] < 0.01 and chances[-1] == pytest.approx(0.9)


def test_failing_calls_and_the_boxes_watts_count() -> None:
    failing = links(cloud=link(0.05, failures=0.5))
    one = situation("hi", signals=failing)
    assert expect(CLOUD_TARGET, one, failing, 0.9, PRESETS["balanced"]).p_ok == pytest.approx(0.45)
    usual, hungry = (SignalsView({}, SystemView(power_w=watts)) for watts in (15.0, 150.0))
    small, large = (expect(EDGE_TARGET, one, view, 0.9, PRESETS["balanced"]).energy_j for view in (usual, hungry))
    assert large == pytest.approx(10 * small)
