"""One training beside the running box: started, followed and stopped; what `netgpt train` does, in a child process.

    training/now.json    how far the last one is or what became of it; figures, no text and nobody's name
    training/now.lock    held by the child while it lives; the kernel drops it, however it ends

The child works at low priority and ends with the box. Every process of the box reads the same two files, and so does
the box after a restart: a training whose lock is free and that told no end was cut; started again it goes on there.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import logging
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

from netgpt.adapters.card import user_adapter_name
from netgpt.errors import RequestError, StoreError
from netgpt.models.download import write_whole
from netgpt.settings import Settings
from netgpt.training.lora.run import NOW
from netgpt.types import Person

log = logging.getLogger(__name__)

CHILD: Final = "netgpt.cli.train_child"
STOPPED: Final = "it was stopped; the same training goes on where it was"
_STOP_S: Final = 10.0
"""Seconds that a child may take to end before it is killed."""
_TRIES: Final = 5
_TRIES_AFTER_END: Final = 500
"""To take the lock, 20 ms apart."""
_MOST_BYTES: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class WantedTraining:
    """What is to be trained: the site, or a person; the rest as options of `netgpt train`."""

    person: Person | None = None
    epochs: int = 8
    rank: int = 8
    learning_rate: float = 1e-3
    layers: int | None = None
    fresh: bool = False
    dry_run: bool = False

    @property
    def adapter(self) -> str:
        """The name of what it makes; of a person a digest."""
        return "site" if self.person is None else user_adapter_name(self.person)


class TrainingJobs:
    """The trainings of this home: one at a time, whichever process of the box started it."""

    def __init__(self, settings: Settings, *, built_in: bool) -> None:
        """`built_in`: the model on the box is the built-in engine's."""
        self._settings, self._built_in = settings, built_in
        self._file, self._lock = settings.training_dir / NOW, settings.training_dir / "now.lock"
        self._child: asyncio.subprocess.Process | None = None

    def cannot(self) -> str | None:
        """Why nothing can be trained here, with the cure; None: it can."""
        if not self._built_in:
            return "adapters are for the built-in engine, and this box has another ([edge] base_url) or none"
        if any(find_spec(each) is None for each in ("torch", "safetensors")):
            return "training needs the extra: pip install 'netgpt[train]', then start the box again"
        return None

    def now(self) -> dict[str, Any] | None:
        """How far the last training is, or what became of it; None: there was none. `state`: gathering, training,
        judging; then candidate, rejected, "dry run", failed, stopped, or cut (the box or the machine ended)."""
        try:
            with self._file.open("rb") as file:
                told = json.loads(file.read(_MOST_BYTES))
        except (OSError, ValueError):
            return None
        if not isinstance(told, dict):
            return None
        if told.get("ended") is None and not self._runs():  # and told no end before it went
            told |= {"state": "cut", "message": "the box or the machine ended meanwhile; the same training goes on "
                     "where it was when it is started again"}  # fmt: skip
        told.pop("pid", None)
        return {**told, "runs": told.get("ended") is None and told.get("state") != "cut"}

    async def start(self, wanted: WantedTraining, by: str) -> dict[str, Any]:
        """Start a child that trains. Raises RequestError: one runs, or nothing can be trained here; StoreError."""
        if why := self.cannot():
            raise RequestError(why, code="training_not_here", status=501)
        lock = await self._taken()
        try:
            first = {"id": f"train_{token_hex(6)}", "adapter": wanted.adapter, "by": by, "state": "gathering",
                     "dry_run": wanted.dry_run, "started": datetime.now(UTC).isoformat(timespec="seconds")}  # fmt: skip
            child = await asyncio.create_subprocess_exec(
                sys.executable, "-m", CHILD, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL, start_new_session=True, pass_fds=(lock,),
                env={**os.environ, "NETGPT_HOME": str(self._settings.home)},
            )  # fmt: skip
        finally:
            os.close(lock)  # the child holds it from here on
        await self.close()  # lets go of the one before, which has ended
        self._child = child
        write_whole(self._file, json.dumps({**first, "pid": child.pid}), StoreError)
        assert child.stdin is not None
        with suppress(BrokenPipeError, ConnectionResetError):  # it died: the lock says so
            # Standard input stays open: its end tells the child that the box is gone. Names are in no argument.
            child.stdin.write(json.dumps({"first": first, "wanted": asdict(wanted)}).encode("ascii") + b"\n")
            await child.stdin.drain()
        log.info("training: %s of %s was started by %s", first["id"], wanted.adapter, by)
        return self.now() or first

    async def stop(self, by: str) -> bool:
        """End the training that runs; False: none does. What was learnt so far stays for when it is started again."""
        pid = self._pid()
        if pid is None or not self._runs():
            return False
        log.info("training: stopped by %s", by)
        for sign in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, sign)
            for _ in range(int(_STOP_S * 10)):
                if not self._runs():
                    self._end_stopped()
                    return True
                await asyncio.sleep(0.1)
        return False

    def _end_stopped(self) -> None:
        """Say so where the child had not begun to listen, and could not."""
        told = self.now()
        if told is not None and told["state"] == "cut":
            ended = {"state": "stopped", "message": STOPPED, "ended": datetime.now(UTC).isoformat(timespec="seconds")}
            write_whole(self._file, json.dumps(told | ended), StoreError)

    async def close(self) -> None:
        """End the child that this process started."""
        child, self._child = self._child, None
        if child is None:
            return
        assert child.stdin is not None
        child.stdin.close()
        try:
            await asyncio.wait_for(child.wait(), _STOP_S)
        except TimeoutError:
            with suppress(ProcessLookupError):
                child.kill()
            await child.wait()

    async def _taken(self) -> int:
        """The lock, for the child. Raises RequestError: another holds it; StoreError."""
        lock = self._opened()
        told = self.now()
        # Whoever looks whether one runs holds it for a moment; a child that told its end, until it is gone.
        for _ in range(_TRIES if told is None or told["runs"] else _TRIES_AFTER_END):
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                return lock
        os.close(lock)
        raise RequestError("a training runs already: wait for it, or stop it", code="training_runs", status=409)

    def _runs(self) -> bool:
        if not self._lock.exists():
            return False
        lock = self._opened()
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(lock)
        return False

    def _opened(self) -> int:
        try:
            self._lock.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            return os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"{self._lock}: cannot be opened: {error.strerror}") from None

    def _pid(self) -> int | None:
        try:
            pid = json.loads(self._file.read_bytes()).get("pid")
        except (OSError, ValueError, AttributeError):
            return None
        return pid if isinstance(pid, int) and pid > 1 else None


def wanted_of(told: Mapping[str, Any]) -> WantedTraining:
    """What `start` wrote to the child."""
    person = told["person"]
    return WantedTraining(**{**told, "person": None if person is None else Person(**person)})


def file_of(settings: Settings) -> Path:
    """Where a child tells how far it is."""
    return settings.training_dir / NOW
