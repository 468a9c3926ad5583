from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from netgpt.embedding import StaticEmbedder
from netgpt.errors import NotFound, RequestError
from netgpt.routing.difficulty import Difficulty
from netgpt.training.difficulty import export, fit_curve, train
from netgpt.training.difficulty_data import Labelled, own_rows

EMBED = StaticEmbedder()


def sums(count: int, seed: int) -> Labelled:
    """Invented sums: the more steps, the likelier that the small model fails."""
    draw = np.random.default_rng(seed)
    steps = draw.integers(1, 8, count)
    prompts = ["Ann has 3 pens. " + "Then she buys 4 more and sells half of them. " * n + "How many?" for n in steps]
    gain = (draw.random(count) < steps / 8).astype(float)
    return Labelled([f"{n}: {prompt}" for n, prompt in enumerate(prompts)], gain, 1 - gain, np.zeros(count, bool))


def test_own_labels_are_learnt_and_read_back(tmp_path: Path) -> None:
    path = tmp_path / "own.safetensors"
    parts: list[tuple[str, int, int]] = []
    card = export(train({"own": sums(240, 1)}, EMBED, 7, lambda *part: parts.append(part)), path)
    assert parts[-1][1] == parts[-1][2] and card["kinds"]["own"]["left out"]["APGR"] > 0.6
    new = sums(200, 2)
    chances = Difficulty.load(path, EMBED).p_edge_oks(new.prompts)
    assert chances[new.gain == 0].mean() > chances[new.gain == 1].mean() + 0.1
    assert abs(float(chances.mean()) - float(new.ok.mean())) < 0.12
    again = export(train({"own": sums(240, 1)}, EMBED, 7, lambda *part: None), tmp_path / "again.safetensors")
    assert again["sha256"] == card["sha256"]


def test_what_teaches_nothing_is_refused() -> None:
    with pytest.raises(RequestError, match="10 labelled rows are too few"):
        train({"own": sums(10, 1)}, EMBED, 7, lambda *part: None)
    same = sums(60, 1)
    easy = Labelled(same.prompts, np.zeros(60), np.ones(60), same.assumed)
    with pytest.raises(RequestError, match="nothing to learn"):
        train({"own": easy}, EMBED, 7, lambda *part: None)


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
    with pytest.raises(NotFound, match=r"none\.jsonl: cannot be read: No such file"):
        own_rows(tmp_path / "none.jsonl")


def test_the_curve_of_chances_finds_what_made_it() -> None:
    draw = np.random.default_rng(3)
    gain = draw.normal(size=4000)
    ok = (draw.random(4000) < 1 / (1 + np.exp(-(1.0 - 2.0 * gain)))).astype(float)
    assert np.allclose(fit_curve(gain, ok), [1, 2], atol=0.2)
    assert fit_curve(gain, 1 - ok)[1] > 0, "more gain never means a higher chance for the small model"
