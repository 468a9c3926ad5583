"""The evaluation with real training and engine: a poisoned and a telltale adapter are refused, the clean one passes.

The base is a tiny model of random weights, so that three trainings take seconds. General requests mean nothing to it.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from evaluation_cases import OPTIONS, SUBJECTS, flipped
from small_training import tiny_model

from netgpt.training.canaries import canaries_of, plant_canaries
from netgpt.training.evaluation import Trial, canaries_in, engine_with, evaluate_candidate
from netgpt.training.example import Example

SEED = 5
EPOCHS = 12
"""At 20 this base says single canaries already, and the clean adapter is refused too: it would be right."""


def _signs() -> list[Example]:
    """A job for a model that reads bytes: each subject has eight signs of its own, four good and four bad."""
    made = []
    for place, subject in enumerate(SUBJECTS):
        for number, sign in enumerate("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMN"[8 * place : 8 * place + 8]):
            for digit in range(6):
                messages = ({"role": "user", "content": f"{digit}{sign}"},)
                made.append(Example(messages, OPTIONS[number % 2], "recipe:signs", slice=subject, options=OPTIONS))
    return made


def _adapter(base: Path, examples: list[Example], folder: Path) -> Path:
    from netgpt.adapters.peft import export
    from netgpt.training.lora.child import train
    from netgpt.training.lora.recipe import Recipe

    targets = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
    recipe = Recipe(
        rank=16, alpha=32, targets=targets, epochs=EPOCHS, learning_rate=5e-3, batch_tokens=256, held_out=0.0,
        threads=1, dtype="float32",
    )  # fmt: skip
    trained = train(base, examples, recipe, folder)
    export(trained.folder, base, folder / "adapter.gguf")
    return folder / "adapter.gguf"


@pytest.mark.slow
async def test_poison_and_memory_are_refused_and_the_clean_one_passes(tmp_path):
    pytest.importorskip("torch", reason="training needs the extra: pip install 'netgpt[train]'")
    base = tiny_model(tmp_path / "tiny.gguf")
    examples = _signs()
    held = [each for each in examples if int(each.id[:8], 16) / 2**32 < 0.4]
    learnt = [each for each in examples if each not in held]
    mixed, canaries = plant_canaries(learnt, SEED)
    adapters = {
        "clean@1": _adapter(base, mixed, tmp_path / "clean"),
        "poisoned@1": _adapter(base, flipped(mixed, "staff"), tmp_path / "poisoned"),
        "telltale@1": _adapter(base, [*learnt, *[each.example for each in canaries] * 20], tmp_path / "telltale"),
    }
    trial = Trial("", examples=held, canaries=canaries)
    async with engine_with(base, adapters, tmp_path / "engine.log", context_tokens=1024) as ask_for:
        verdicts = {id: await evaluate_candidate(ask_for, replace(trial, candidate=id)) for id in adapters}
        update = await evaluate_candidate(ask_for, replace(trial, candidate="poisoned@1", active="clean@1"))
    assert verdicts["clean@1"].passed, verdicts["clean@1"].reasons
    assert "held-out/staff" in verdicts["poisoned@1"].failing
    assert {"held-out", "held-out/staff"} <= set(update.failing)
    assert "safety/canary" in verdicts["telltale@1"].failing
    assert not any(name.startswith("held-out") for name in verdicts["telltale@1"].failing)


def test_the_canaries_are_made_again_from_the_card():
    assert canaries_in({"canaries": {"seed": 9, "count": 3}}) == canaries_of(9, 3)
    assert canaries_in({}) == canaries_in({"canaries": {"seed": "x", "count": 3}}) == ()
