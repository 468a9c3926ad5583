"""The model of many boxes: its limits are where arithmetic says."""

from __future__ import annotations

import statistics

import numpy as np
import pytest
from netgpt_bench.fleet_simulation import SERVED, SLOTS, Costs, _wait, followed_after, simulate

COSTS = Costs(look_s=0.001, push_s=0.1, look_bytes=800, watch_s=2.0)


def test_a_place_is_waited_for_as_erlang_says() -> None:
    assert _wait(np.array([0.0]))[0] == 0.0
    one = 3.2  # requests a second for eight places of two seconds: load 6.4 of 8; Erlang's C is .4472 there
    assert _wait(np.array([one]))[0] == pytest.approx(
        0.4472 * SERVED["edge_s"] / (SLOTS - one * SERVED["edge_s"]), rel=0.03
    )


def test_a_box_follows_half_a_round_after_its_cut_in_the_middle() -> None:
    after = followed_after(COSTS, 5, samples=4_000, seed=1)
    assert statistics.median(after) == pytest.approx(0.1 + (0.1 + 2.0) / 2, abs=0.05)
    assert max(after) <= 0.1 + 0.1 + 2.0


def test_what_is_asked_is_answered_or_refused_and_more_boxes_take_longer() -> None:
    few, many = (simulate(COSTS, boxes, 1_000, seed=3) for boxes in (10, 100_000))
    assert few["answered"] == "100.0000%" and few["controls for 5 s"] == 1
    assert many["controls for 5 s"] > 20 and many["a round of one control, s"] == pytest.approx(100, abs=1)
    crowded = simulate(COSTS, 10, 200_000, seed=3)
    assert float(crowded["worst minute refused"].rstrip("%")) > 1 and float(crowded["answered"].rstrip("%")) < 100
