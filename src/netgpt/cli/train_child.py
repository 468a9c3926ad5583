"""The child of `app/training.py`: trains as `netgpt train` does, and tells in a file how far it is. Not a command.

What to train comes as one JSON object on standard input, whose end means that the box is gone.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from netgpt.app.training import STOPPED, WantedTraining, file_of, wanted_of
from netgpt.cli.common import opened, read_settings
from netgpt.cli.train import trained
from netgpt.errors import NetGPTError, StoreError
from netgpt.models.download import write_whole
from netgpt.settings import Settings
from netgpt.training.example import Summary
from netgpt.training.lora.recipe import Recipe, Step
from netgpt.training.service import TrainingJob, TrainingProgress, TrainingResult

_NICENESS: Final = 10
_WRITE_EVERY_S: Final = 0.5
_MOST_POINTS: Final = 240
"""Of the curve of the loss: past this every second one is left out."""


class WrittenProgress(TrainingProgress):
    """Writes how far it is into the file, every half second at most."""

    def __init__(self, file: Path, first: Mapping[str, Any]) -> None:
        self._file, self._written = file, float("-inf")
        self.state: dict[str, Any] = {**first, "pid": os.getpid(), "points": []}
        self.write()

    def write(self, *, soon: bool = False, **changed: Any) -> None:
        """Change the state and write it; `soon`: only when the last time is long enough ago."""
        self.state |= changed
        if not soon or time.monotonic() - self._written >= _WRITE_EVERY_S:
            self._written = time.monotonic()
            write_whole(self._file, json.dumps(self.state), StoreError)

    def gathered(self, summary: Summary, skipped: Mapping[str, int], notes: Sequence[str]) -> None:
        """The examples by origin and by slice, and why others were left out."""
        self.write(summary=asdict(summary), skipped=dict(skipped), notes=list(notes))

    def begun(self, resumes: bool) -> None:
        self.write(state="training", resumes=resumes)

    def step(self, step: Step) -> None:
        points = self.state["points"]
        points.append([round(step.done_tokens / max(1, step.total_tokens), 4), round(step.loss, 4), step.held_out_loss])
        if len(points) > _MOST_POINTS:
            del points[1:-1:2]
        self.write(soon=True, step=asdict(step))

    def judging(self, part: str, done: int, whole: int) -> None:
        self.write(soon=self.state["state"] == "judging", state="judging", judging=[part, done, whole])

    def ended(self, state: str, **told: Any) -> None:
        """What became of it."""
        self.write(state=state, ended=datetime.now(UTC).isoformat(timespec="seconds"), **told)


def main() -> None:
    """Read what to do, do it, and tell the end."""
    with suppress(OSError):
        os.nice(_NICENESS)
    told = json.loads(sys.stdin.buffer.readline())
    settings = read_settings()
    told_to = WrittenProgress(file_of(settings), told["first"])
    try:
        result = asyncio.run(_run(settings, wanted_of(told["wanted"]), told_to))
    except asyncio.CancelledError:
        told_to.ended("stopped", message=STOPPED)
    except NetGPTError as error:
        if error.code == "training_forgotten" and told["wanted"]["person"] is not None:
            file_of(settings).unlink(missing_ok=True)
        else:
            told_to.ended("failed", message=error.message)
    except Exception as error:  # noqa: BLE001 - the border: told without any text of the examples
        told_to.ended("failed", message=f"the training failed ({type(error).__name__}). Report this fault.")
    else:
        gate, figures = result.gate, result.figures
        told_to.ended(result.state, made=result.adapter, gate=gate, figures=figures, message=result.next)


async def _run(settings: Settings, wanted: WantedTraining, told: WrittenProgress) -> TrainingResult:
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    assert task is not None
    loop.add_signal_handler(signal.SIGTERM, task.cancel)
    threading.Thread(target=_end_with_parent, args=(loop, task), daemon=True).start()
    limits = settings.training
    recipe = Recipe(
        epochs=wanted.epochs, rank=wanted.rank, alpha=2.0 * wanted.rank, learning_rate=wanted.learning_rate,
        layers=wanted.layers, memory_mb=limits.memory_mb, threads=limits.threads,
    )  # fmt: skip
    recipe.check()
    job = TrainingJob(
        "site" if wanted.person is None else "user", recipe, wanted.person, dry_run=wanted.dry_run, fresh=wanted.fresh
    )
    async with opened(settings) as store:
        return await trained(settings, job, store, told)


def _end_with_parent(loop: asyncio.AbstractEventLoop, task: asyncio.Task[Any]) -> None:
    """Wait for the end of standard input, which comes when the box is gone, however it ended."""
    sys.stdin.buffer.read()
    loop.call_soon_threadsafe(task.cancel)


if __name__ == "__main__":
    main()
