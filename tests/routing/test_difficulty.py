from __future__ import annotations

import json
import math
import shutil
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netgpt.errors import SettingsError
from netgpt.routing.difficulty import SHIPPED, Difficulty

MODEL = Difficulty.shipped()
PROMPTS = Path(__file__).parents[3] / "shared" / "data"
EXAM = "Let $G$ be a finite group of order 105. How many Sylow 7-subgroups?\nA. 1\nB. 15\nC. 1 or 15\nD. 7\nAnswer:"
SUM = (
    "Ann buys 3 boxes of 12 pens at $4 a box and sells half of the pens for $0.80 each and the rest at a 25% discount. "
    "After paying a fee of 10% of what she took in, how much profit is left in 2 weeks if she does so 3 times a week?"
)


@given(st.text(alphabet=st.characters()))
@settings(max_examples=150, deadline=None)
def test_any_text_has_a_chance_and_numbers(text: str):
    chance, numbers = MODEL.assess(text)
    assert 0 <= chance <= 1
    assert len(numbers) <= 16 and all(math.isfinite(number) and -3 <= number <= 3 for number in numbers)


@pytest.mark.parametrize(
    "text", ["", " ", "\n\nA. \nB. ", "\ud800", "word " * 200_000, "\u0301" * 1000, "1" * 5000, "\0"]
)
def test_odd_texts_have_a_chance(text: str):
    assert 0 <= MODEL.p_edge_ok(text) <= 1


def test_many_at_once_are_as_one_by_one_and_twice_the_same():
    texts = ["hello", EXAM, SUM, "", "play some jazz"] * 150
    together = MODEL.p_edge_oks(texts)
    assert together.shape == (750,)
    assert np.allclose(together[:5], [MODEL.p_edge_ok(text) for text in texts[:5]], atol=1e-5)
    assert np.array_equal(together, Difficulty.shipped().p_edge_oks(texts))
    assert MODEL.p_edge_oks([]).shape == (0,)
    assert MODEL.assess(SUM) == (MODEL.p_edge_ok(SUM), MODEL.x(SUM))


def test_everyday_requests_look_easier_than_a_long_sum():
    easy = MODEL.p_edge_oks(["play some jazz", "what time is it", "turn off the kitchen light", "hi"])
    assert easy.min() > MODEL.p_edge_ok(SUM) + 0.05


def test_everyday_requests_look_easier_than_exams():
    if not PROMPTS.is_dir():
        pytest.skip("no ../shared/data here")
    exams = _column(PROMPTS / "routing" / "routellm_mmlu_dev.jsonl", "prompt")
    sums = _column(PROMPTS / "routing" / "routellm_gsm8k_dev.jsonl", "prompt")
    said = _column(PROMPTS / "prompts" / "snips_dev.jsonl", "text")  # not among the requests it learnt from
    exam, arithmetic, everyday = (float(np.median(MODEL.p_edge_oks(texts))) for texts in (exams, sums, said))
    assert arithmetic < exam < everyday


def test_the_file_is_the_one_its_card_tells_of():
    content = SHIPPED.read_bytes()
    card = json.loads(SHIPPED.with_suffix(".json").read_text(encoding="utf-8"))
    assert card["sha256"] == sha256(content).hexdigest() and card["bytes"] == len(content) < 3_000_000
    assert set(card["kinds"]) == {"mmlu", "gsm8k", "open"}
    assert all("licence" in kind and kind["left out"]["APGR"] > 0.6 for kind in card["kinds"].values())


def test_a_damaged_or_strange_file_is_refused(tmp_path: Path):
    path = tmp_path / "own.safetensors"
    with pytest.raises(SettingsError, match=r"own\.safetensors.*No such file"):
        Difficulty.load(path)
    shutil.copy(SHIPPED, path)
    card = json.loads(SHIPPED.with_suffix(".json").read_text(encoding="utf-8"))
    for wrong, report in (
        (card | {"sha256": "0"}, "not the one"),
        (card | {"traits": []}, "another version"),
        ([], "not the one"),
    ):
        path.with_suffix(".json").write_text(json.dumps(wrong), encoding="utf-8")
        with pytest.raises(SettingsError, match=report):
            Difficulty.load(path)
    path.with_suffix(".json").write_text(json.dumps(card | {"kinds": {"other": {}}}), encoding="utf-8")
    with pytest.raises(SettingsError, match=r"lacks 'other\.mean'"):
        Difficulty.load(path)
    path.write_bytes(b"\xff" * 40)
    with pytest.raises(SettingsError, match="route train"):
        Difficulty.load(path)


def _column(path: Path, field: str) -> list[str]:
    with path.open(encoding="utf-8") as lines:
        return [json.loads(line)[field] for _, line in zip(range(300), lines, strict=False)]
