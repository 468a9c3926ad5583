"""Swaps under load, end to end: no failed answer, no mixed one, no memory lost, a rollback that works at once."""

from pathlib import Path

import pytest
from netgpt_bench import swap
from netgpt_bench.isolation import QUESTIONS


@pytest.mark.slow
async def test_swaps_under_load(bundled_weights: Path) -> None:
    result = await swap.run(
        bundled_weights, swaps=3, streams=8, promotions=1, seed=7, questions=QUESTIONS[5:8], rollbacks=1,
        progress=lambda _: None,
    )  # fmt: skip
    for row in result["rows"]:
        assert (row["errors"], row["mixed"]) == (0, 0), row
        assert row["answers"] > 0 and len(row["versions"]) > 1
    memory = result["memory"]
    assert abs(memory["rss_growth_percent"]) <= 5 and memory["children"] == [1, 1]
    assert memory["files"][1] <= memory["files"][0] + 4
    assert result["rollback"]["late_answers"] == 0, "the next request after a rollback has the version before"


def test_growth_compares_early_and_late() -> None:
    samples = [{"rss_mb": 100.0 + number / 10, "files": 20, "children": 1} for number in range(200)]
    result = swap.growth(samples)
    assert result["rss_mb"] == [101.1, 119.7] and result["rss_growth_percent"] == pytest.approx(18.4)
    assert swap.growth([]) == {}
