from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netgpt.training.difficulty import apgr, cpt, recovered

GAIN = np.array([1.0, 0, 0, -1, 1, 0, 0, 1])


def test_the_ends_of_the_curve_are_edge_only_and_cloud_only() -> None:
    curve = recovered(np.arange(8.0), GAIN)
    assert curve[0] == 0 and curve[-1] == pytest.approx(1) and len(curve) == 9


def test_a_router_that_tells_nothing_recovers_half() -> None:
    assert apgr(np.zeros(8), GAIN) == pytest.approx(0.5)
    assert cpt(np.zeros(8), GAIN, 0.5) == 50 and cpt(np.zeros(8), GAIN, 0.8) == 87.5  # 7 of 8: the first beyond 0.8


def test_the_oracle_by_hand() -> None:
    # 3 of 8 gain one each, 4 nothing, 1 loses one: recovered 0, 1/2, 1, 3/2 (five times), 1; trapezoids of width 1/8
    assert recovered(GAIN, GAIN).tolist() == [0, 0.5, 1, 1.5, 1.5, 1.5, 1.5, 1.5, 1]
    assert apgr(GAIN, GAIN) == pytest.approx((0.5 + 1 + 1.5 * 5 + 0.5) / 8)
    assert cpt(GAIN, GAIN, 0.5) == 12.5 and cpt(GAIN, GAIN, 0.8) == 25


@given(st.lists(st.floats(-5, 5, width=16), min_size=8, max_size=8))
def test_the_mirror_of_a_router_recovers_what_it_misses(values: list[float]) -> None:
    hardness = np.array(values)
    assert apgr(hardness, GAIN) + apgr(-hardness, GAIN) == pytest.approx(1)
    assert apgr(hardness, GAIN) <= apgr(GAIN, GAIN) + 1e-9


def test_no_gap_is_refused() -> None:
    with pytest.raises(ValueError, match="no gap"):
        apgr(np.zeros(2), np.array([0.0, -1.0]))
