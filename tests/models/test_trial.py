"""Whether weights answer through their own template: what is said of each way to fail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from ggufs import tiny_gguf

from netgpt.models.trial import judged, try_out


def said(content: str | None, thoughts: str | None = None) -> dict[str, Any]:
    return {"choices": [{"message": {"content": content, "reasoning_content": thoughts}}]}


@pytest.mark.parametrize(
    ("answer", "works", "words"),
    [
        (said("The capital of France is Paris."), True, ""),
        (said("Paris.", "They ask for a capital."), True, ""),
        (said("France is a country."), True, "did not say Paris"),
        (said("Paris.<|im_end|>\n<|im_start|>user"), False, "does not fit"),
        (said("Paris<end_of_turn>"), False, "does not fit"),
        (said("[INST] What is"), False, "does not fit"),
        (said("Okay.</think>Paris"), False, "does not fit"),
        (said(None, "First I think of France"), False, "edge.thinking"),
        (said("  \n"), False, "answered nothing"),
        ({"choices": []}, False, "answered nothing"),
    ],
)
def test_an_answer_is_judged(answer: dict[str, Any], works: bool, words: str) -> None:
    trial = judged(answer, 12.0)
    assert trial.works is works and words in trial.why and (bool(words) or not trial.why)
    assert trial.written_per_s == 12.0


async def test_weights_that_do_not_load_are_named_with_the_engines_reason(tmp_path: Path) -> None:
    trial = await try_out(tiny_gguf(tmp_path / "t.gguf"))
    assert not trial.works and "could not load" in trial.why
