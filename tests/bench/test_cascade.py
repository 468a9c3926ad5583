"""The bench of the cascade: its questions, its arithmetic, and a slice of it on the real engine."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from netgpt_bench.cascade import asserted, cost_at_equal_quality, is_asserted, shipped_prior, summed, unanswerable
from weights import bundled_weights  # noqa: F401

from netgpt.generation.acting import HARMLESS
from netgpt.judgement import TASK_KINDS, UNKNOWN


def test_two_hundred_questions_of_many_kinds_half_of_them_held_out() -> None:
    tune, held = unanswerable("tune"), unanswerable("held")
    assert len(tune) == len(held) == 100 and not {text for _, text in tune} & {text for _, text in held}
    kinds = Counter(kind for kind, _ in tune + held)
    assert kinds.keys() <= TASK_KINDS.keys() | {UNKNOWN} and not kinds.keys() & HARMLESS and len(kinds) >= 14


@pytest.mark.slow
async def test_what_the_bundled_model_cannot_answer_is_not_asserted(bundled_weights: Path) -> None:  # noqa: F811
    rows = await asserted(bundled_weights, shipped_prior(bundled_weights), half="tune", sample=4)
    assert len(rows) >= 4 and not [row["asked"] for row in rows if is_asserted(row)]
    assert summed(rows)[-1]["not asserted"] == 1.0


def test_cost_at_equal_quality_sends_those_first_that_are_trusted_least() -> None:
    right = [True] * 5 + [False] * 5
    knows, blind = [1.0] * 5 + [0.0] * 5, [0.0] * 5 + [1.0] * 5
    first, *_, last = cost_at_equal_quality(right, {"knows": knows, "blind": blind})
    assert first == {"right": 0.75, "at random": 0.5, "knows": 0.3, "blind": 0.8, "who knew which are wrong": 0.3}
    assert last["knows"] == 0.5 and last["blind"] == 1.0
