"""A hint is a prior: it fills gaps, is outdone by measurements, and casts doubt on older ones when the line is bad."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netgpt.routing.link_state import Estimate, LinkView
from netgpt.routing.signals import GONE_S, SURE, Hint, Signals, with_hint

NOW = 1000.0


def test_it_fills_in_what_was_never_measured() -> None:
    link = with_hint(LinkView(), Hint("cell 20% full", NOW, rtt_s=0.03, loss=0.01, down_bytes_s=5e6), NOW)
    assert link.rtt_s == Estimate(0.03, 0.0, SURE)
    assert link.loss == Estimate(0.01, 0.0, SURE)
    assert link.down_bytes_s == Estimate(5e6, 0.0, SURE)
    assert link.up_bytes_s is None and link.first_byte_s is None and link.failures is None
    assert link.hint == "cell 20% full"


def test_what_was_measured_is_believed_more() -> None:
    measured = Estimate(0.2, 1.0, 0.9)
    link = with_hint(LinkView(rtt_s=measured), Hint("", NOW, rtt_s=0.03), NOW)
    assert link.rtt_s == measured


def test_a_measurement_of_long_ago_gives_way() -> None:
    link = with_hint(LinkView(rtt_s=Estimate(0.2, 300.0, 0.01)), Hint("", NOW, rtt_s=0.03), NOW)
    assert link.rtt_s is not None and link.rtt_s.value == 0.03


def test_a_bad_line_casts_doubt_on_what_was_measured_before_and_makes_failure_likelier() -> None:
    before = LinkView(first_byte_s=Estimate(0.4, 5.0, 0.8), tokens_s=Estimate(50, 0.0, 0.9))
    link = with_hint(before, Hint("no signal", NOW, grade=0.0), NOW)
    assert link.first_byte_s is not None and link.first_byte_s.confidence == pytest.approx(0.8 * 0.4)
    assert link.tokens_s == before.tokens_s, "measured at this moment"
    assert link.failures == Estimate(0.5, 0.0, SURE)


def test_an_old_hint_fades_and_goes() -> None:
    hint = Hint("poor", NOW, grade=0.2, rtt_s=0.1)
    young, old = with_hint(LinkView(), hint, NOW), with_hint(LinkView(), hint, NOW + 120)
    assert young.rtt_s is not None and old.rtt_s is not None
    assert old.rtt_s.confidence < young.rtt_s.confidence / 5
    assert old.rtt_s.age_s == 120
    assert with_hint(LinkView(), hint, NOW + GONE_S + 1) == LinkView()


def test_words_of_two_sources_stand_side_by_side_and_each_replaces_its_own() -> None:
    signals = Signals(clock=lambda: NOW)
    signals.hinted("cloud", "radio", Hint("cell 90% full", NOW, grade=0.5))
    signals.hinted("cloud", "quality", Hint("signal fair", NOW))
    assert signals.view().links["cloud"].hint == "cell 90% full; signal fair"
    signals.hinted("cloud", "radio", Hint("cell 10% full", NOW))
    assert signals.view().links["cloud"].hint == "cell 10% full; signal fair"


@given(
    st.floats(0, 1), st.floats(0, 400), st.none() | st.floats(0, 1), st.floats(0, 1), st.floats(0, 100),
    st.floats(0, 0.999),
)  # fmt: skip
def test_confidences_stay_shares_and_measured_ones_never_rise(
    grade: float, age: float, loss: float | None, value: float, measured_age: float, sure: float
) -> None:
    known = Estimate(value, measured_age, sure)
    link = with_hint(LinkView(loss=known, rtt_s=known), Hint("", NOW, grade, loss=loss), NOW + age)
    assert link.rtt_s is not None and 0 <= link.rtt_s.confidence <= sure
    assert link.loss is not None and 0 <= link.loss.confidence <= max(sure, SURE)
