"""Training the tagger: from a seed, and without keeping the words that it learned from."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from netgpt_bench.detector_synthetic import (
    Inventor,
    TaggedText,
)
from netgpt_bench.detector_train import (
    Bench,
    Course,
)

CANARY = "Zorvex Quillhammer"


@pytest.mark.slow
def test_a_planted_name_cannot_be_read_and_the_same_seed_gives_the_same_numbers() -> None:
    torch.set_num_threads(1)
    bench = Bench(None, 3)
    text = f"please call {CANARY} about the rent"
    at = text.index(CANARY)
    planted = [TaggedText(text, ((at, at + len(CANARY), "PERSON"),), "planted")] * 20
    course = Course(epochs=2, width=24, invented=300, seed=3)
    first = bench.weights(planted, course, lambda epoch, loss: None)
    again = bench.weights(planted, course, lambda epoch, loss: None)
    assert all(np.array_equal(first[name], again[name]) for name in first)
    content = b"".join(array.tobytes() for array in first.values()).lower()
    assert b"zorvex" not in content and b"quillhammer" not in content
    assert "zorvex" not in bench.lists["last"]


def test_invented_spans_hold_what_was_invented() -> None:
    inventor = Inventor(["London", "Lyon"], ["France"], 5)
    examples = [inventor.example() for _ in range(300)]
    assert any(not example.spans for example in examples)
    for example in examples:
        for start, end, kind in example.spans:
            assert kind and example.text[start:end].strip()
            assert start == 0 or not (example.text[start - 1].isalnum() and example.text[start].isalnum())
