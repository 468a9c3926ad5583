"""Expected times: from the signals as far as they are trusted, from what is usual for the rest."""

from dataclasses import replace

import pytest
from decisions import CLOUD_TARGET, EDGE_TARGET, link, situation, sure
from hypothesis import given
from hypothesis import strategies as st

from netgpt.routing.link_state import Estimate, SystemView
from netgpt.routing.scoring import UNKNOWN_LINK, blended, edge_busy_s, first_byte_s, rtt_of, seconds, wait_s, with_rtt
from netgpt.types import Load

HERE = situation("tell me a joke")


@given(st.floats(1e-6, 1e6), st.floats(1e-3, 1e3), st.floats(0, 1))
def test_an_estimate_counts_by_its_confidence(value: float, usual: float, confidence: float) -> None:
    report = blended(Estimate(value, 0.0, confidence), usual)
    assert min(value, usual) * 0.999 <= report <= max(value, usual) * 1.001
    assert blended(Estimate(value, 0.0, 1.0), usual) == pytest.approx(value)
    assert blended(Estimate(value, 0.0, 0.0), usual) == blended(None, usual) == usual


@given(st.floats(0.001, 5), st.floats(0.001, 5), st.floats(1, 200))
def test_a_slower_link_never_answers_sooner(rtt: float, more: float, rate: float) -> None:
    here = seconds(CLOUD_TARGET, HERE, link(rtt, tokens_s=rate), SystemView())
    assert seconds(CLOUD_TARGET, HERE, link(rtt + more, tokens_s=rate), SystemView()) >= here
    assert seconds(CLOUD_TARGET, HERE, link(rtt, tokens_s=rate / 2), SystemView()) > here


def test_a_queue_makes_the_box_wait() -> None:
    idle, full = SystemView(engine_slots=2, engine_busy=1), SystemView(engine_slots=2, engine_busy=2)
    longer = replace(full, engine_waiting=4)
    assert wait_s(HERE, idle) == 0.0 < wait_s(HERE, full) < wait_s(HERE, longer)
    assert seconds(EDGE_TARGET, HERE, UNKNOWN_LINK, longer) == wait_s(HERE, longer) + edge_busy_s(HERE, longer)


def test_the_pace_of_the_engine_counts() -> None:
    slow, fast = (SystemView(engine_tokens_s=rate, engine_prompt_tokens_s=10 * rate) for rate in (5.0, 100.0))
    assert edge_busy_s(HERE, slow) == pytest.approx(20 * edge_busy_s(HERE, fast))


def test_a_short_answer_is_sooner_there() -> None:
    short = replace(HERE, answer_tokens=5)
    sooner, later = (seconds(CLOUD_TARGET, one, UNKNOWN_LINK, SystemView()) for one in (short, HERE))
    assert sooner < later
    assert replace(HERE, answer_tokens=10_000).expected_tokens == HERE.expected_tokens


@given(st.floats(0.001, 5), st.floats(0.001, 5))
def test_another_round_trip_moves_the_first_byte_with_it(rtt: float, other: float) -> None:
    here = link(rtt, first_byte_s=rtt + 1)
    there = with_rtt(here, other)
    assert rtt_of(there) == pytest.approx(other)
    assert first_byte_s(there) - first_byte_s(here) == pytest.approx(other - rtt, abs=1e-6)
    assert first_byte_s(with_rtt(UNKNOWN_LINK, other)) > other and with_rtt(UNKNOWN_LINK, 1.0).rtt_s == sure(1.0)


def test_a_neighbour_that_says_it_is_busy_is_taken_at_its_word() -> None:
    garage = replace(CLOUD_TARGET, name="garage", kind="neighbour")
    idle, full, queued = (
        seconds(garage, HERE, replace(link(0.002, first_byte_s=9), load=Load(2, busy, waiting)), SystemView())
        for busy, waiting in ((1, 0), (2, 0), (2, 4))
    )
    assert idle < full < queued
