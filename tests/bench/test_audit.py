"""The byte audit: what was planted does not arrive, whatever becomes of the detector."""

from typing import Any

import pytest
from netgpt_bench import audit
from netgpt_bench.people import PLACES
from patience import in_time

pytestmark = pytest.mark.slow

MUST_NOT_LEAVE = {"EMAIL", "PHONE", "CARD", "IBAN", "ADDRESS", "PROFILE", "SCRIPT_KNOWN", "SCRIPT_FIELD"}


def left_of(result: dict[str, Any]) -> dict[str, int]:
    return {row["row"]: row["left in the log"] for row in result["rows"]}


async def test_two_hundred_requests_leave_nothing_planted(record_property: Any) -> None:
    result = await audit.run(requests=200, seed=1, kill_every_s=None, progress=lambda _: None)
    left = left_of(result)
    assert {kind: left[kind] for kind in MUST_NOT_LEAVE} == dict.fromkeys(MUST_NOT_LEAVE, 0)
    assert result["reached the cloud"] > 200 + EXAMPLES and 4 * len(PLACES) <= 200
    assert result["openings probed"] == 36 and result["restored to others"] == 0
    assert result["statuses"] == {"200": 200 + EXAMPLES}
    planted = next(row["planted"] for row in result["rows"] if row["row"] == "PERSON")
    record_property("recall for names", round(1 - left["PERSON"] / planted, 3))
    assert left["PERSON"] < planted * 0.2


async def test_nothing_leaves_while_the_detector_is_killed() -> None:
    result = await audit.run(requests=40, seed=2, kill_every_s=1.0, progress=lambda _: None)
    left = left_of(result)
    assert {kind: left[kind] for kind in MUST_NOT_LEAVE} == dict.fromkeys(MUST_NOT_LEAVE, 0)
    assert result["detector kills"] >= 1
    assert result["routes"].get("edge", 0) >= 1, "a killed detector must send some requests to the edge"
    assert result["statuses"] == {"200": 40 + EXAMPLES} and in_time(result["slowest_s"], 15)


EXAMPLES = len(list(audit.examples_of_detectors()))
"""Those that the detectors declare are asked too."""


@pytest.mark.parametrize("fault", [{"hold_every_s": 1.0}, {"pathological": 5_000}])
async def test_nothing_leaves_while_the_detector_is_held_up(fault: dict[str, Any]) -> None:
    result = await audit.run(requests=48, seed=3, kill_every_s=None, progress=lambda _: None, **fault)
    left = left_of(result)
    assert {kind: left[kind] for kind in MUST_NOT_LEAVE} == dict.fromkeys(MUST_NOT_LEAVE, 0)
    assert result["statuses"] == {"200": 48 + EXAMPLES} and result["over the deadline"] == 0
