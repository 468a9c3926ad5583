from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from netgpt_bench.routing import run, svg

from netgpt.errors import NotFound


def invented(folder: Path) -> Path:
    """Small sets of the same form: the longer the question, the likelier that the weak model fails."""
    draw = np.random.default_rng(5)

    def judged(count: int, ending: str) -> list[dict[str, object]]:
        sizes = draw.integers(1, 20, count)
        right = draw.random(count) > sizes / 22
        return [
            {"prompt": f"Question {n} of {n * 7}? " + "one more step " * int(size) + ending, "weak_correct": bool(yes),
             "strong_correct": bool(yes) or n % 4 > 0, "contaminated": n == 3}
            for n, (size, yes) in enumerate(zip(sizes, right, strict=True))
        ]  # fmt: skip

    nine = [{"prompt": f"Who wrote book {n}, and why?", "scores": [n % 3 == 0, n % 2, 1.0]} for n in range(80)]
    sets: dict[str, list[Any]] = {
        "routellm_mmlu_dev": judged(100, "\nA. 1\nB. 2"),
        "routellm_gsm8k_dev": judged(80, ""),
        "llmrouter9_dev": nine,
    }
    for name, rows in sets.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    (folder / "llmrouter9_models.json").write_text('["tiny-3b", "huge-70b", "other-49b"]', encoding="utf-8")
    return folder


@pytest.mark.slow
def test_every_setting_is_judged_and_drawn(tmp_path: Path):
    result = run(invented(tmp_path), splits=1, seed=7, progress=lambda _: None)
    found = {(row["benchmark"], row["labels seen"], row["router"]): row for row in result["rows"]}
    assert found["mmlu", "all dev labels", "NetGPT"]["judged rows"] == 99, "the contaminated row is dropped"
    assert found["mmlu", "all dev labels", "NetGPT"]["APGR"] > 0.55
    assert found["gsm8k", "no labels", "NetGPT, learnt from mmlu"]["APGR"] > 0.55
    assert found["mmlu", "none", "random"]["APGR"] == 0.5
    assert found["gsm8k", "none", "oracle"]["APGR"] >= max(
        row.get("APGR", 0) for key, row in found.items() if key[0] == "gsm8k"
    )
    assert {row["asked for, % cloud"] for row in result["calibration"]} == {10, 30, 50}
    drawn = ElementTree.fromstring(svg(result["curves"]))
    assert len(drawn.findall(".//{*}polyline")) == sum(map(len, result["curves"].values()))


def test_missing_sets_are_named(tmp_path: Path):
    with pytest.raises(NotFound, match="routellm_mmlu_dev"):
        run(tmp_path, splits=1, seed=7, progress=lambda _: None)
