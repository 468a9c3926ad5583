"""The training benchmark on a tiny random model: both sides learn from the same tokens, every figure is there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from training.tiny_models import tiny_llama

pytest.importorskip("torch", reason="needs the extra: pip install 'netgpt[train]'")

from netgpt_bench.training import OURS, PLAIN, run, site_examples

from netgpt.training.example import held_out


def test_examples_are_seeded_and_differ() -> None:
    rows = site_examples(60, seed=3)
    assert [row.id for row in rows] == [row.id for row in site_examples(60, seed=3)]
    assert len({row.id for row in rows}) == 60
    assert 0 < sum(held_out(row, 0.1) for row in rows) < 20


@pytest.mark.slow
def test_both_sides_are_measured(tmp_path: Path) -> None:
    base = tiny_llama(tmp_path / "model", layers=3, max_position_embeddings=1024)
    recipe = replace(OURS, layers=2, dtype="float32", memory_mb=None, max_tokens=1024, batch_tokens=4096)
    result = run(base, examples=24, epochs=2, repeats=1, threads=1, recipe=recipe, plain=replace(PLAIN, rate=1e-3))
    plain, ours, times = result["rows"]
    assert [row["row"] for row in result["rows"]][:2] == ["plain PEFT loop", "netgpt train"]
    for row in (plain, ours):
        assert row["tokens_per_s"] > 0
        assert row["peak_mb"] > 100
        assert 0 < row["held_out_loss"] < 8
    assert plain["s_to_plain_loss"] is not None
    assert times["tokens_per_s"] == pytest.approx(ours["tokens_per_s"] / plain["tokens_per_s"], rel=0.05)
    assert "not_shown" in result
