"""One run of the engine: start the child, hear its address, end it. Watching and restarting is `Engine`'s work."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import secrets
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from netgpt.errors import AdapterRefused, ModelUnavailable
from netgpt.models.endpoint import Endpoint
from netgpt.models.engine_log import EngineLog

__all__ = ["EngineProcess", "EngineSettings"]


@dataclass(frozen=True)
class EngineSettings:
    """What one engine runs: `context_tokens` is per slot; `threads` 0 leaves the number to llama.cpp."""

    model_path: Path
    context_tokens: int = 4096
    slots: int = 4
    threads: int = 0
    adapters: Sequence[tuple[Path, float]] = ()
    """LoRA files and their scale; their order gives them their ids. Fixed for the life of the process."""
    chat_template: str | None = field(default=None, repr=False)
    """Used instead of the model's own."""


class EngineProcess:
    """A started child and its endpoint. Each has a new port and a new random key."""

    def __init__(self, process: asyncio.subprocess.Process, log: EngineLog, key: str) -> None:
        self._process = process
        self._key = key
        self._log = log
        self._log_pump = asyncio.create_task(self._pump_log())
        self.endpoint: Endpoint

    @property
    def pid(self) -> int:
        return self._process.pid

    @classmethod
    async def launch(cls, settings: EngineSettings, log: EngineLog, start_timeout_s: float) -> EngineProcess:
        """Start a child and wait until it serves. Raises ModelUnavailable with the engine's own reason.

        AdapterRefused, when an adapter is at fault.
        """
        log.forget()
        run = cls(await _spawn(), log, secrets.token_urlsafe(32))
        try:
            address = await asyncio.wait_for(run._handshake(settings), start_timeout_s)
        except TimeoutError:
            await run.kill()
            raise ModelUnavailable(
                f"The engine did not load {settings.model_path.name} in {start_timeout_s:.0f} s; see {log.path}"
            ) from None
        except BaseException:  # also a cancelled start must not leave a child behind
            await run.kill()
            raise
        run.endpoint = Endpoint(f"{address}/v1", run._key)
        return run

    async def _handshake(self, settings: EngineSettings) -> str:
        assert self._process.stdin and self._process.stdout
        with contextlib.suppress(ConnectionError):
            self._process.stdin.write(json.dumps(_for_child(settings, self._key)).encode() + b"\n")
            await self._process.stdin.drain()
        line = await self._process.stdout.readline()
        try:
            told = json.loads(line) if line else {}
        except json.JSONDecodeError:
            told = {}
        if "address" in told:
            return str(told["address"])
        why = await self._why_not(settings, str(told.get("error", "")))
        bad = self._log.bad_adapter()
        raise AdapterRefused(why, bad) if bad else ModelUnavailable(why)

    async def _why_not(self, settings: EngineSettings, told: str) -> str:
        code = await self.wait()
        reason = self._log.reason() or told
        if not reason:
            reason = "killed, most likely for want of memory" if code == -9 else f"it ended with code {code}"
        what = self._log.bad_adapter() or settings.model_path
        return f"The engine could not load {what}: {reason}. Its log is {self._log.path}."

    async def _pump_log(self) -> None:
        assert self._process.stderr
        while data := await self._process.stderr.read(65_536):
            self._log.write(data)

    async def wait(self) -> int:
        """The exit code, once the child has ended and its last words are in the log."""
        code = await self._process.wait()
        await asyncio.wait([self._log_pump])  # unlike awaiting it, this does not cancel it along with the caller
        return code

    async def end(self, grace_s: float = 2.0) -> None:
        """Ask it to end, then make it."""
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        try:
            await asyncio.wait_for(self._process.wait(), grace_s)
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        """End it now."""
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self.wait()


async def _spawn() -> asyncio.subprocess.Process:
    """A child in its own session, so that Ctrl-C in a terminal reaches the gateway alone, which drains it."""
    pipe = asyncio.subprocess.PIPE
    try:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-P", "-m", "netgpt.models.engine_child",
            stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True, env=_environment(),
        )  # fmt: skip
    except OSError as error:
        raise ModelUnavailable(f"The engine's process could not be started: {error.strerror}.") from None


def _for_child(settings: EngineSettings, key: str) -> dict[str, Any]:
    return {
        "model": str(settings.model_path),
        "alias": settings.model_path.stem,
        "api_key": key,
        "context_tokens": settings.context_tokens,
        "slots": settings.slots,
        "threads": settings.threads,
        "adapters": [(str(path), scale) for path, scale in settings.adapters],
        "chat_template": settings.chat_template,
    }


def _environment() -> dict[str, str]:
    """The environment without our own settings: the engine reads foreign files and needs no cloud key.

    Its threads wait asleep instead of spinning: on a busy box spinning threads starve each other. Measured with
    SmolLM2-135M on two cores, written tokens/s: idle box 127 spinning, 42 asleep, 68-80 with one thread; beside
    other work 2-8 spinning, 38-60 asleep, 37-50 with one thread. The owner's own OMP_WAIT_POLICY wins.
    """
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("NETGPT_", "OPENAI_"))}
    return {"OMP_WAIT_POLICY": "passive", **ours}
