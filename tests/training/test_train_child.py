"""A training in a child process: what it reports, how it ends, and that it continues after a kill."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from netgpt.errors import NetGPTError, SettingsError
from netgpt.training.lora.child import train_in_child
from netgpt.training.lora.recipe import Recipe, Step

pytest.importorskip("torch", reason="needs the extra `train`")
pytestmark = pytest.mark.slow

RECIPE = Recipe(rank=2, epochs=3, threads=1, dtype="float32", held_out=0.0, batch_tokens=64)


@pytest.fixture
def base(tmp_path: Path) -> Path:
    from training.tiny_models import tiny_llama

    return tiny_llama(tmp_path / "tiny", layers=2)


async def test_it_trains_tells_its_steps_and_goes_on_after_a_stop(base: Path, tmp_path: Path) -> None:
    from training.tiny_models import sums

    steps: list[Step] = []

    def until_the_second_epoch(step: Step) -> None:
        steps.append(step)
        if step.epoch == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await train_in_child(base, sums(12), RECIPE, tmp_path / "work", progress=until_the_second_epoch)
    trained = await train_in_child(base, sums(12), RECIPE, tmp_path / "work", progress=steps.append)
    assert trained.resumed and trained.stopped == "epochs" and trained.examples == 12
    assert (trained.folder / "adapter_model.safetensors").is_file()
    assert {step.epoch for step in steps} == {1, 2, 3} and steps[-1].done_tokens == steps[-1].total_tokens


async def test_errors_are_the_same_as_in_one_process(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="rank must be"):
        await train_in_child(tmp_path, [], Recipe(rank=0), tmp_path / "work", progress=print)
    with pytest.raises(NetGPTError) as error:
        await train_in_child(tmp_path / "none.gguf", [], RECIPE, tmp_path / "work", progress=print)
    assert "none.gguf" in error.value.message


async def test_it_ends_with_its_caller(base: Path, tmp_path: Path) -> None:
    """A killed parent leaves no orphan behind that holds memory and lock."""
    script = tmp_path / "parent.py"
    script.write_text(
        "import asyncio, sys\n"
        f"sys.path[:0] = {sys.path!r}\n"
        "from pathlib import Path\n"
        "from training.tiny_models import sums\n"
        "from netgpt.training.lora.recipe import Recipe\n"
        "from netgpt.training.lora.child import train_in_child\n"
        "recipe = Recipe(rank=2, epochs=100_000, threads=1, dtype='float32', held_out=0.0)\n"
        f"work = train_in_child(Path({str(base)!r}), sums(12), recipe, Path({str(tmp_path / 'work')!r}), "
        "progress=lambda step: print('step', flush=True))\n"
        "asyncio.run(work)\n"
    )
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    assert await asyncio.to_thread(lambda: parent.stdout is not None and parent.stdout.readline())
    child = int(Path(f"/proc/{parent.pid}/task/{parent.pid}/children").read_text().split()[0])
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    until = time.monotonic() + 30
    while alive(child) and time.monotonic() < until:
        await asyncio.sleep(0.1)
    assert not alive(child)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False
