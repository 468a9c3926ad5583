"""Short runs of the three stress benches: a real gateway process, real HTTP."""

from __future__ import annotations

import pytest
from netgpt_bench import blackout, overload, soak
from patience import in_time

pytestmark = pytest.mark.slow


async def test_nothing_piles_up() -> None:
    result = await soak.run(requests=90, hangups=0.4, connections=8, seed=3)
    assert result["not_answered_whole"] == 0 and result["still_open_at_the_cloud"] == 0
    assert result["hung_up"] > 20 and result["hung_up_before_the_first_word"] > 5
    assert in_time(result["cancelled_within_ms_most"] / 1000, 1.0)
    assert len(result["rows"]) == 4


async def test_a_greedy_key_is_refused_and_the_box_stays() -> None:
    """The edge is slow, so that few requests are five times its capacity, on a busy machine too."""
    result = await overload.run(slots=8, service_s=1.0, times=5, seconds=4, unloaded_s=4, seed=3)
    unloaded, everybody, greedy, modest = result["rows"]
    assert unloaded["answered"] == 1 and result["answers_after_it"] and result["other_endings"] == 0
    assert greedy["refused_429"] > 0 and result["refused_with_retry_after"] == 1
    assert modest["answered"] > 2 * greedy["answered"]
    assert everybody["asked"] > 150


async def test_a_cut_link() -> None:
    result = await blackout.run(streams=6, stored=5, cut_s=9)  # time enough for each to find that nobody is there
    for row in result["rows"]:
        assert row["requests"] and not row["hung"] and not row["clean_end_of_a_cut_answer"]
    assert result["recovered_after_s"] is not None
    assert (result["stored"], result["stored_answered"], result["stored_at_the_cloud_once"]) == (5, 5, 5)
    assert result["stored_at_the_cloud_twice"] == 0
