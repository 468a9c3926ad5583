from __future__ import annotations

import json
import math
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save

from netgpt.errors import SettingsError
from netgpt.judgement import TaskKind
from netgpt.routing.difficulty import Difficulty
from netgpt.routing.expert import NAMES

MODEL = Difficulty.shipped()
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


@pytest.mark.parametrize(
    ("harder", "easier"),
    [
        ("A shopkeeper sells a coat at a loss of 12%. Had he got 90 more he would have gained 6%. What did it cost?",
         "Is this review positive or negative? The soup was cold and the waiter rude."),
        ("Given an array of n integers, print the number of pairs whose sum is divisible by k. 1 <= n <= 10^5",
         "Summarise in one sentence: The library opens late on Monday, for the boiler is being repaired."),
        ("Let $p$ be a prime with $p^2 + 2$ prime. Find all such $p$.", "Where would you put a wet umbrella?"),
        ("A plane flies 900 km with the wind in 2 hours and back in 3. How fast is the wind?",
         "Translate into Dutch: I have lost my keys."),
    ],
)  # fmt: skip
def test_what_needs_steps_gains_more_from_a_large_model(harder: str, easier: str):
    assert MODEL.p_edge_ok(harder) < MODEL.p_edge_ok(easier) - 0.05


WRAPPERS = (
    "{}",
    "You are a helpful assistant. Answer the following question.\n\nQuestion: {}\n\nLet's think step by step.",
    "Question: Which is a fruit?\nAnswer: the apple\n\nQuestion: {}\nAnswer:",
    '{{"instruction": "", "input": "{}"}}',
    "[INST] {} [/INST]",
    "Please read the question and give the final answer in \\boxed{{}}. {}",
)


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_a_wrapper_changes_nothing(wrapper: str):
    for text in (
        "How far is it from Lima to Cusco by road?",
        "Ann has 12 pens and gives a third to Bo. How many are left?",
    ):
        assert MODEL.p_edge_ok(wrapper.format(text)) == pytest.approx(MODEL.p_edge_ok(text), abs=0.02)


def test_every_sort_has_a_row_of_the_table():
    assert set(MODEL.table.sorts) == set(MODEL.sorts.names)
    assert (MODEL.table.gain >= 0).all() and (MODEL.table.groups.sum(axis=1) == 1).all()


def test_a_usual_request_of_a_hard_kind_is_harder():
    [words, chat] = MODEL.usual(
        [TaskKind("word-problems", 1.0, (("word-problems", 1.0),)), TaskKind("chat", 1.0, (("chat", 1.0),))]
    )
    assert 0 < words < chat < 1 and words < MODEL.usual([TaskKind()])[0] < chat


def test_a_damaged_or_strange_file_is_refused(tmp_path: Path):
    path = tmp_path / "own.safetensors"
    with pytest.raises(SettingsError, match=r"own\.safetensors.*No such file"):
        Difficulty.load(path)
    path.write_bytes(save({"own.mean": np.zeros(3, np.float32)}))
    card = {"sha256": sha256(path.read_bytes()).hexdigest(), "traits": list(NAMES)}
    for wrong, report in (
        (card | {"sha256": "0"}, "not the one"),
        (card | {"traits": []}, "another version"),
        ([], "not the one"),
        (card, r"lacks 'own\.spread'"),
    ):
        path.with_suffix(".json").write_text(json.dumps(wrong), encoding="utf-8")
        with pytest.raises(SettingsError, match=report):
            Difficulty.load(path)
    path.write_bytes(b"\xff" * 40)
    with pytest.raises(SettingsError, match="route train"):
        Difficulty.load(path)
