from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from netgpt_bench.routing import run, svg
from netgpt_bench.routing_sets import Deciding, family_of, reworded

from netgpt.errors import NotFound
from netgpt.routing.difficulty import Difficulty
from netgpt.sorts import TaskKinds


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
def test_every_benchmark_is_judged_without_its_labels_and_drawn(tmp_path: Path):
    result = run(invented(tmp_path), folds=True, seed=7, progress=lambda _: None)
    found = {(row["benchmark"], row["router"]): row for row in result["rows"]}
    assert found["MMLU", "NetGPT"]["rows"] == 99, "the contaminated row is dropped"
    assert found["MMLU", "prompt length"]["APGR"] > 0.55 and found["MMLU", "random"]["APGR"] == 0.5
    assert {row["router"] for row in result["in sample"]} >= {"an expert of `netgpt route train`", "oracle"}
    assert all(0 <= row["same decision, %"] <= 100 for row in result["robustness"])
    drawn = ElementTree.fromstring(svg(result["curves"]))
    assert len(drawn.findall(".//{*}polyline")) == sum(map(len, result["curves"].values()))


def test_missing_sets_are_named(tmp_path: Path):
    with pytest.raises(NotFound, match="routellm_mmlu_dev"):
        run(tmp_path, folds=False, seed=7, progress=lambda _: None)


def test_a_decision_does_not_depend_on_the_wording():
    difficulty = Difficulty.shipped()
    deciding = Deciding(difficulty, TaskKinds(difficulty.sorts))
    pairs = [(says[0], other) for _, says in reworded() for other in says[1:]]
    same = [deciding.decide(one)[0] == deciding.decide(other)[0] for one, other in pairs]
    assert sum(same) >= 0.9 * len(same)


@pytest.mark.parametrize(
    ("text", "family"),
    [
        ("Q: There are 4 houses in a row, numbered 1 on the left.", "zebra puzzles"),
        ("oak, ash, elm, fir, yew, box, bay, fig, may, asp", "lists of words"),
        ("Write a function to add two numbers.", "MBPP"),
        (r"Compute $\sin 30^\circ$.", "MATH"),
        ("when did the first train run", "NaturalQuestions"),
        ("Plants need", "OpenBookQA"),
    ],
)
def test_a_family_is_told_by_its_form(text: str, family: str):
    assert family_of(text) == family
