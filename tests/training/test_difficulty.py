"""The model of difficulty: training, its figures of merit, and the overlap of data sets."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netgpt.errors import NotFound, RequestError
from netgpt.routing.difficulty import Difficulty
from netgpt.training.difficulty import apgr, cpt, export, fit_curve, recovered, train
from netgpt.training.difficulty_data import Labelled, overlapping, own_rows
from netgpt.word_pieces import StaticEmbedder

EMBED = StaticEmbedder()


def sums(count: int, seed: int) -> Labelled:
    """Invented sums: the more steps, the likelier that the small model fails."""
    draw = np.random.default_rng(seed)
    steps = draw.integers(1, 8, count)
    prompts = ["Ann has 3 pens. " + "Then she buys 4 more and sells half of them. " * n + "How many?" for n in steps]
    gain = (draw.random(count) < steps / 8).astype(float)
    return Labelled([f"{n}: {prompt}" for n, prompt in enumerate(prompts)], gain, 1 - gain)


def test_own_labels_are_learnt_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    parts: list[tuple[str, int, int]] = []
    card = export(train(sums(240, 1), EMBED, 7, lambda *part: parts.append(part)), path)
    assert parts[-1][1] == parts[-1][2] and card["kinds"]["own"]["left out"]["APGR"] > 0.6
    new = sums(200, 2)
    chances = Difficulty.load(path, EMBED).p_edge_oks(new.prompts)
    assert chances[new.gain == 0].mean() > chances[new.gain == 1].mean() + 0.1
    assert abs(float(chances.mean()) - float(new.ok.mean())) < 0.12
    again = export(train(sums(240, 1), EMBED, 7, lambda *part: None), tmp_path / "again.safetensors")
    assert again["sha256"] == card["sha256"]


def test_what_teaches_nothing_is_refused() -> None:
    with pytest.raises(RequestError, match="10 labelled rows are too few"):
        train(sums(10, 1), EMBED, 7, lambda *part: None)
    same = sums(60, 1)
    easy = Labelled(same.prompts, np.zeros(60), np.ones(60))
    with pytest.raises(RequestError, match="nothing to learn"):
        train(easy, EMBED, 7, lambda *part: None)


def test_rows_of_ones_own(tmp_path: Path) -> None:
    rows = [{"prompt": "a", "label": 1}, {"prompt": "b", "label": 0}, {"prompt": "c", "weak": 0.5, "strong": 1}]
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    read = own_rows(path)
    assert read.prompts == ["a", "b", "c"] and read.gain.tolist() == [0, 1, 0.5] and read.ok.tolist() == [1, 0, 0.5]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "rows.jsonl:2: not JSON"),
        ("[]", "rows.jsonl:2: not a JSON object"),
        ('{"label": 1}', 'rows.jsonl:2: no text in the field "prompt"'),
        ('{"prompt": "a", "label": "yes"}', 'rows.jsonl:2: the field "label" must be a number'),
        ('{"prompt": "a", "weak": 1}', 'rows.jsonl:2: the field "strong" must be'),
        ('{"prompt": "a", "label": 7}', "0 to 1"),
        ('{"prompt": "a", "label": NaN}', "0 to 1"),
    ],
)
def test_a_faulty_row_is_named_by_its_line(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_text('{"prompt": "a", "label": 1}\n' + line + "\n", encoding="utf-8")
    with pytest.raises(RequestError, match=message):
        own_rows(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match=r"none\.jsonl: no such file"):
        own_rows(tmp_path / "none.jsonl")


def test_the_curve_of_chances_finds_what_made_it() -> None:
    draw = np.random.default_rng(3)
    gain = draw.normal(size=4000)
    ok = (draw.random(4000) < 1 / (1 + np.exp(-(1.0 - 2.0 * gain)))).astype(float)
    assert np.allclose(fit_curve(gain, ok), [1, 2], atol=0.2)
    assert fit_curve(gain, 1 - ok)[1] > 0, "more gain never means a higher chance for the small model"


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


JUDGED = ["A train leaves the old station at nine and arrives at noon; how long did it ride?"]


def test_the_same_question_in_other_words_is_found() -> None:
    reworded = JUDGED[0] + " Think first."
    other = "A bird leaves the old tree at dawn and comes back with a worm for its only child."
    assert overlapping([reworded, other, "short", ""], JUDGED) == [True, False, False, False]


def test_the_ending_that_overlapping_rows_share_reveals_their_siblings() -> None:
    ending = "\nPut your final answer in a box, please, and nothing else."
    judged = [f"Question number {n} asks how many apples {n} friends of mine may eat today?" for n in range(12)]
    prompts = [text + ending for text in judged] + ["Something else altogether" + ending, "Something else altogether"]
    assert overlapping(prompts, judged) == [True] * 13 + [False]
