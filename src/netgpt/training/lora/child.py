"""A training in its own process: its memory is freed when it ends, and a fault in it harms nothing else.

The task comes as one JSON object on standard input (so no text is in a file or an argument); the child answers with
JSON lines: `{"step": ...}` after each step, then `{"done": ...}` or `{"error": ...}`. It ends when nobody reads them.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

from netgpt import errors
from netgpt.errors import NetGPTError, SettingsError
from netgpt.training.example import Example
from netgpt.training.lora.recipe import Recipe, Step, TrainedAdapter

_LONGEST_LINE: Final = 1024 * 1024
_NICENESS: Final = 10
"""Answering people comes first: the training takes what is left of the processor."""


def train(
    base: Path, examples: Sequence[Example], recipe: Recipe, work: Path, *,
    progress: Callable[[Step], None] = lambda step: None, resume: bool = True,
) -> TrainedAdapter:  # fmt: skip
    """Train an adapter for `base` (a GGUF file or a Hugging Face folder) and write it to `work`/adapter.

    `work` (0700) also holds the checkpoint: a run that was killed goes on from it when base, data and recipe are the
    same, and starts anew otherwise. The same seed, format and number of threads give the same bytes on a CPU.

    Raises SettingsError (extra missing, recipe wrong, memory too small: the message says what would fit), NotFound
    or RequestError (unusable base or examples), StoreError (the disk is full).
    """
    recipe.check()
    # A thread that waits for another sleeps instead of spinning: on a box that also serves, spinning made steps ten
    # times slower (docs/log.md). It has an effect only before torch is loaded.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        import safetensors
        import torch  # noqa: F401
    except ImportError:
        raise SettingsError("training needs the extra: pip install 'netgpt[train]'") from None
    del safetensors
    from netgpt.training.lora.trainer import Training

    return Training(base, examples, recipe, work, progress, resume).run()


async def train_in_child(
    base: Path, examples: Sequence[Example], recipe: Recipe, work: Path, *,
    progress: Callable[[Step], None], resume: bool = True, lock: int | None = None,
) -> TrainedAdapter:  # fmt: skip
    """As `train`, in a child process that is killed when the caller is cancelled or `progress` raises.

    `lock`: a descriptor that the child holds open too, so that its lock lasts as long as the child. Raises what
    `train` raises, and SettingsError when the child dies.
    """
    recipe.check()
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "netgpt.training.lora.child",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        start_new_session=True, pass_fds=() if lock is None else (lock,), limit=_LONGEST_LINE,
    )  # fmt: skip
    task = {"base": str(base), "work": str(work), "recipe": asdict(recipe), "resume": resume,
            "examples": [example.as_row() for example in examples]}  # fmt: skip
    try:
        await _send_task(child, task)
        return await _read_result(child, progress)
    finally:
        with suppress(ProcessLookupError):
            child.kill()
        await child.wait()


async def _send_task(child: asyncio.subprocess.Process, task: dict[str, Any]) -> None:
    assert child.stdin is not None
    with suppress(BrokenPipeError, ConnectionResetError):  # it died: `_read_result` says why
        child.stdin.write(json.dumps(task).encode("ascii") + b"\n")
        await child.stdin.drain()  # and stays open: its end tells the child that nobody waits any more


async def _read_result(child: asyncio.subprocess.Process, progress: Callable[[Step], None]) -> TrainedAdapter:
    assert child.stdout is not None
    while line := await child.stdout.readline():
        message = json.loads(line)
        if "step" in message:
            progress(Step(**message["step"]))
        elif "done" in message:
            return TrainedAdapter(**message["done"] | {"folder": Path(message["done"]["folder"])})
        else:
            raise _error(message["error"])
    code = await child.wait()
    how = f"signal {-code}" if code < 0 else f"code {code}"
    raise SettingsError(
        f"the training process ended ({how}). The machine may be short of memory: lower --memory-mb, or close other "
        "programs; the same command goes on where it stopped."
    )


def _error(payload: dict[str, str]) -> NetGPTError:
    """The error that the child raised, of the same class."""
    kind = getattr(errors, payload["class"], None)
    known = isinstance(kind, type) and issubclass(kind, NetGPTError)
    return (kind if known else NetGPTError)(payload["message"])  # type: ignore[misc]


def main() -> None:
    """The child: reads the task, trains, reports."""
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb", buffering=0)
    sys.stdout = sys.stderr  # what a library prints must not garble the lines
    with suppress(OSError):
        os.nice(max(0, _NICENESS - os.nice(0)))

    def send(**line: Any) -> None:
        try:
            out.write(json.dumps(line).encode("ascii") + b"\n")
        except BrokenPipeError:
            os._exit(1)  # nobody reads any more; the checkpoint is on the disk

    try:
        task = json.loads(sys.stdin.buffer.readline())
        threading.Thread(target=_end_with_parent, daemon=True).start()
        recipe = Recipe(**task["recipe"] | {"targets": tuple(task["recipe"]["targets"])})
        trained = train(
            Path(task["base"]), [Example.from_row(row) for row in task["examples"]], recipe, Path(task["work"]),
            progress=lambda step: send(step=asdict(step)), resume=task["resume"],
        )  # fmt: skip
    except NetGPTError as error:
        send(error={"class": type(error).__name__, "message": error.message})
    except MemoryError:
        send(error={"class": "SettingsError", "message": "not enough memory for this training: lower --memory-mb"})
    except Exception as error:  # noqa: BLE001 - the border: reported without any text of the examples
        send(error={"class": "NetGPTError", "message": f"the training failed ({_where(error)}). Report this fault."})
    else:
        send(done=asdict(trained) | {"folder": str(trained.folder)})


def _end_with_parent() -> None:
    """Wait for the end of standard input, which comes when the parent is gone, however it ended."""
    sys.stdin.buffer.read()
    os._exit(1)


def _where(error: Exception) -> str:
    """Class, file and line: enough to find the fault, without any text of the examples."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}"


if __name__ == "__main__":
    main()
