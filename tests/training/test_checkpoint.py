"""A training that was killed continues, and ends as an unbroken run does."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from training.tiny_models import sums, tiny_llama

pytest.importorskip("torch", reason="needs the extra: pip install 'netgpt[train]'")

from netgpt.errors import StoreError
from netgpt.training.lora.child import train
from netgpt.training.lora.recipe import Recipe, Step
from netgpt.training.lora.writers import load_state, save_state

RECIPE = Recipe(
    rank=2,
    epochs=6,
    learning_rate=1e-2,
    batch_tokens=100,
    held_out=0.2,
    dtype="float32",
    threads=1,
    layers=2,
    save_every_s=0.0,
)


class Cut(Exception):
    """A death in the middle."""


def weights(folder: Path) -> bytes:
    return (folder / "adapter_model.safetensors").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("at_step", [1, 7, 16])
def test_resumed_equals_unbroken(tmp_path: Path, at_step: int) -> None:
    model, examples, steps = tiny_llama(tmp_path / "model"), sums(16), 0

    def dies(step: Step) -> None:
        nonlocal steps
        steps += 1
        if steps == at_step:
            raise Cut

    whole = train(model, examples, RECIPE, tmp_path / "whole")
    with pytest.raises(Cut):
        train(model, examples, RECIPE, tmp_path / "cut", progress=dies)
    resumed = train(model, examples, RECIPE, tmp_path / "cut")
    assert resumed.resumed == (at_step > 1)
    assert weights(resumed.folder) == weights(whole.folder)
    assert (resumed.tokens, resumed.loss, resumed.held_out_loss) == (whole.tokens, whole.loss, whole.held_out_loss)


def test_other_data_or_recipe_starts_anew(tmp_path: Path) -> None:
    model = tiny_llama(tmp_path / "model")

    def dies(step: Step) -> None:
        if step.epoch == 3:
            raise Cut

    for examples, recipe in ((sums(15), RECIPE), (sums(16), replace(RECIPE, rank=3))):
        with pytest.raises(Cut):
            train(model, sums(16), RECIPE, tmp_path / "work", progress=dies)
        assert (tmp_path / "work" / "checkpoint.safetensors").exists()
        assert not train(model, examples, recipe, tmp_path / "work").resumed


def test_a_damaged_checkpoint_is_no_checkpoint(tmp_path: Path) -> None:
    import torch

    path = tmp_path / "checkpoint.safetensors"
    save_state(path, {"a": torch.ones(3)}, {"epoch": 2})
    found = load_state(path)
    assert found is not None
    assert found[1] == {"epoch": 2}
    whole = path.read_bytes()
    for damaged in (whole[:20], whole[:-4], b"", b"\x80\x04pickle"):
        path.write_bytes(damaged)
        assert load_state(path) is None
    assert load_state(tmp_path / "none") is None


def test_a_full_disk_is_reported(tmp_path: Path) -> None:
    """The kernel refuses to let any file grow further; what was saved before stays whole."""
    import torch

    path = tmp_path / "checkpoint.safetensors"
    save_state(path, {"a": torch.ones(3)}, {"epoch": 1})
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(StoreError, match="could not be written"):
            save_state(path, {"a": torch.ones(30_000)}, {"epoch": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    found = load_state(path)
    assert found is not None
    assert found[1] == {"epoch": 1}
    assert [file.name for file in tmp_path.iterdir()] == ["checkpoint.safetensors"]


@pytest.mark.slow
def test_kill_9_in_the_middle(tmp_path: Path) -> None:
    """A real process, SIGKILL between two checkpoints: the next one goes on and ends with the same bytes."""
    model, recipe = tiny_llama(tmp_path / "model"), replace(RECIPE, epochs=30)
    job = {
        "base": str(model), "work": str(tmp_path / "work"), "recipe": asdict(recipe), "resume": True,
        "examples": [example.as_row() for example in sums(24)],
    }  # fmt: skip
    command = [sys.executable, "-m", "netgpt.training.lora.child"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(json.dumps(job) + "\n")
        child.stdin.flush()
        for line in child.stdout:
            if json.loads(line)["step"]["epoch"] == 12:
                os.kill(child.pid, signal.SIGKILL)
                break
    assert child.returncode == -signal.SIGKILL
    steps: list[Step] = []
    resumed = train(model, sums(24), recipe, tmp_path / "work", progress=steps.append)
    whole = train(model, sums(24), recipe, tmp_path / "whole")
    assert resumed.resumed
    assert steps
    assert weights(resumed.folder) == weights(whole.folder)
