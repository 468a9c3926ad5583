"""No adapter leaks into another's answers: 24 turns over one prefix, the cache on, a swap in the middle."""

from pathlib import Path

import pytest
from netgpt_bench import isolation

pytestmark = pytest.mark.slow


async def test_turns_answer_as_cold_runs_do(bundled_weights: Path) -> None:
    questions = isolation.QUESTIONS[5:8]  # those whose cold answers are clear with this seed
    result = await isolation.run(bundled_weights, alternations=24, seed=7, questions=questions, progress=lambda _: None)
    rows = result["rows"]
    assert sum(row["answers"] for row in rows) == 24 and all(row["answers"] and row["cached"] for row in rows)
    assert [row["differ"] for row in rows] == [0, 0, 0, 0], rows
    assert result["swaps in the middle"] == 1
    assert result["tokens taken over"]["with it"] == 0 < result["tokens taken over"]["without the list"]
