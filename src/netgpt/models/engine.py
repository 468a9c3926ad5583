"""The supervised engine: starts llama.cpp in a child process, watches it, restarts it, drains it.

The child is another process on purpose: a crash in C++ takes an answer down, never the gateway.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import secrets
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from netgpt.errors import AdapterRefused, ModelUnavailable, RequestError
from netgpt.models.base import Endpoint, Health
from netgpt.models.errors import Backoff
from netgpt.models.gguf import check_weights


class EngineLog:
    """Appends bytes to `path` (0600); at `max_bytes` the file becomes `path.1` and a new one begins.

    Keeps the last lines in memory, so that an error can say why the engine did not start. A log that cannot be
    written (full disk) is dropped and never stops the engine.
    """

    def __init__(self, path: Path, max_bytes: int = 1_000_000) -> None:
        self.path, self.max_bytes = path, max_bytes
        self._last: deque[str] = deque(maxlen=40)
        self._cut_line = ""

    def write(self, data: bytes) -> None:
        """Append `data`."""
        *lines, self._cut_line = (self._cut_line + data.decode("utf-8", "replace")).split("\n")
        self._last.extend(line for line in lines if line.strip())
        self._cut_line = self._cut_line[:1000]
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if self.path.exists() and self.path.stat().st_size + len(data) > self.max_bytes:
                self.path.replace(self.path.with_name(self.path.name + ".1"))
            handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            with os.fdopen(handle, "ab") as file:
                file.write(data[-self.max_bytes :])
        except OSError:
            return

    def forget(self) -> None:
        """A new engine starts: what the last one said is no longer its reason."""
        self._last.clear()
        self._cut_line = ""

    def bad_adapter(self) -> str | None:
        """The file of the adapter that llama.cpp could not load since the start, when that was the fault."""
        found = (re.search(r"failed to load lora adapter '(.+)'", line) for line in self._last)
        return next((match[1] for match in found if match), None)

    def reason(self) -> str:
        """The first error that llama.cpp wrote since the start, in its words; empty when there is none."""
        for line in self._last:
            stamp, mark, words = line.partition(" E ")
            if mark and stamp[:1].isdigit():
                return words.split(": ", 1)[-1].strip()[:300]
        return ""


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
    thinking: bool = False
    """Whether a template that can let the model think aloud does so, where a request does not say."""


class EngineProcess:
    """One run: a started child and its endpoint, with a new port and a new random key. `Engine` restarts it."""

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
            hello = json.loads(line) if line else {}
        except json.JSONDecodeError:
            hello = {}
        if "address" in hello:
            return str(hello["address"])
        code = await self.wait()
        reason, bad = self._log.reason() or str(hello.get("error", "")), self._log.bad_adapter()
        if not reason:
            reason = "killed, most likely for want of memory" if code == -9 else f"it ended with code {code}"
        why = f"The engine could not load {bad or settings.model_path}: {reason}. Its log is {self._log.path}."
        raise AdapterRefused(why, bad) if bad else ModelUnavailable(why)

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
        "thinking": settings.thinking,
    }


def _environment() -> dict[str, str]:
    """The environment without our own settings: the engine reads foreign files and needs no cloud key.

    Its threads wait asleep instead of spinning: on a busy box spinning threads starve each other. Measured with
    SmolLM2-135M on two cores, written tokens/s: idle box 127 spinning, 42 asleep, 68-80 with one thread; beside
    other work 2-8 spinning, 38-60 asleep, 37-50 with one thread. The owner's own OMP_WAIT_POLICY wins.
    """
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("NETGPT_", "OPENAI_", "HF_"))}
    return {"OMP_WAIT_POLICY": "passive", **ours}


CHATML_TOOLS = Path(__file__).with_name("chatml_tools.jinja")


def with_tools(template: str) -> str | None:
    """The template to use instead of `template`, or None when that knows tools or is not ChatML.

    Small models often ship a ChatML template that ignores `tools`: the model would never see the request's functions.
    llama.cpp parses (and constrains) answers the way the template writes tool calls, so a template that writes them
    is enough. Without tools the model's own template is used.
    """
    if "tools" in template or "<|im_start|>" not in template:
        return None
    ours = CHATML_TOOLS.read_text(encoding="utf-8").rstrip("\n")
    return "{%- if tools %}" + ours + "{%- else %}" + template + "{%- endif %}"


STABLE_S = 60.0
"""An engine that lived this long was healthy: earlier deaths are forgotten."""
QUICK_DEATHS = 8
"""After so many deaths in a row it counts as failed; it is still tried, but slowly."""
SLOW_RETRY_S = 60.0


class Engine:
    """Keeps one llama.cpp server running. `state`: stopped, starting, ready, restarting, failed.

    `on_event` gets "started", "died", "restarted", "not restarted", "failed", "stopped"; it is called in the event
    loop and must return at once; `fault` is then the reason of the last failed start. `probe_s`: seconds between two
    looks at whether the child still answers (0: never).
    """

    def __init__(
        self,
        model_path: Path,
        *,
        context_tokens: int = 4096,
        slots: int = 4,
        threads: int = 0,
        log_path: Path,
        on_event: Callable[[str], None] | None = None,
        adapters: Sequence[tuple[Path, float]] = (),
        thinking: bool = False,
        start_timeout_s: float = 180.0,
        probe_s: float = 10.0,
        backoff: Backoff | None = None,
    ) -> None:
        self.settings = EngineSettings(
            model_path, context_tokens, slots, threads, tuple(adapters), thinking=thinking
        )  # fmt: skip
        self.state = "stopped"
        self.restarts = 0
        self.in_flight = 0
        self.fault: ModelUnavailable | None = None
        self.start_timeout_s, self.probe_s = start_timeout_s, probe_s
        self._log = EngineLog(log_path)
        self._on_event = on_event or (lambda event: None)
        self._backoff = backoff or Backoff()
        self._run: EngineProcess | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._starting = asyncio.Lock()
        self._why = "it was not started"

    @property
    def pid(self) -> int | None:
        """The child's process id, None while there is none."""
        return self._run.pid if self._run and self._ready.is_set() else None

    def endpoint(self) -> Endpoint:
        """Where to ask now. Changes with each restart, so ask for it per request. Raises ModelUnavailable."""
        if self._run is None or not self._ready.is_set():
            raise ModelUnavailable(f"The edge model is not ready ({self.state}): {self._why}", retry_after=1.0)
        return self._run.endpoint

    def health(self) -> Health:
        """Known state in one sentence."""
        if self._ready.is_set():
            return Health(True, f"{self.settings.model_path.stem} is ready, {self.restarts} restarts")
        return Health(False, f"{self.state}: {self._why}")

    @contextlib.contextmanager
    def track(self) -> Iterator[None]:
        """Wrap a call to the engine, so that `stop` waits for it."""
        self.in_flight += 1
        try:
            yield
        finally:
            self.in_flight -= 1

    async def start(self) -> None:
        """Start and return when it answers. Raises ModelUnavailable that says why not; nothing is running then."""
        async with self._starting:
            if self._watcher is not None:
                return
            self.state, self._why = "starting", "it is loading the weights"
            try:
                await self._launch()
            except ModelUnavailable as error:
                self.state, self._why = "failed", error.message
                raise
            except BaseException:
                self.state, self._why = "stopped", "its start was cancelled"
                raise
            self._watcher = asyncio.create_task(self._watch())
        self._on_event("started")

    async def wait_ready(self, timeout_s: float) -> None:
        """Wait until it answers (also through a restart). Raises ModelUnavailable after `timeout_s` seconds."""
        try:
            await asyncio.wait_for(self._ready.wait(), timeout_s)
        except TimeoutError:
            raise ModelUnavailable(f"The edge model is {self.state} after {timeout_s:g} s: {self._why}") from None

    async def stop(self, drain_s: float = 5.0) -> None:
        """Refuse new work, let what runs finish for at most `drain_s` seconds, then end the child."""
        watcher, self._watcher = self._watcher, None
        was_ready = self._ready.is_set()
        self._ready.clear()
        if watcher is not None:
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)
        self._ready.clear()  # a restart may have ended in this very moment
        self.state, self._why = "stopped", "it was stopped"
        run, self._run = self._run, None
        if run is not None:
            if was_ready:
                await self._drain(run, drain_s)
            await run.end()
        if watcher is not None:
            self._on_event("stopped")

    async def _launch(self) -> None:
        try:
            info = await asyncio.to_thread(check_weights, self.settings.model_path)
        except RequestError as error:
            raise ModelUnavailable(error.message) from None
        settings = replace(self.settings, chat_template=with_tools(info.chat_template))
        self._run = await EngineProcess.launch(settings, self._log, self.start_timeout_s)
        self._ready.set()
        self.state, self._why = "ready", ""

    async def _watch(self) -> None:
        """Wait for the child's death, again and again."""
        while self._run is not None:
            run, born = self._run, time.monotonic()
            probe = asyncio.create_task(self._probe(run))
            try:
                code = await run.wait()
            finally:
                probe.cancel()
            self._ready.clear()
            self.state, self._why = "restarting", f"the engine died (exit code {code})"
            self._on_event("died")
            if time.monotonic() - born >= STABLE_S:
                self._backoff.reset()
            await self._relaunch()

    async def _relaunch(self) -> None:
        """Try until a new child answers."""
        while True:
            wait = self._backoff.next()
            if self._backoff.failures > QUICK_DEATHS:
                if self.state != "failed":
                    self.state = "failed"
                    self._on_event("failed")
                wait = SLOW_RETRY_S
            await asyncio.sleep(wait)
            try:
                await self._launch()
            except ModelUnavailable as error:
                self.fault, self._why = error, error.message
                self._on_event("not restarted")
                continue
            self.restarts += 1
            self._on_event("restarted")
            return

    async def _probe(self, run: EngineProcess) -> None:
        """Kill a child that lives but no longer answers; `_watch` then starts a new one."""
        silent = 0
        while self.probe_s:
            await asyncio.sleep(self.probe_s)
            silent = silent + 1 if await _get(run.endpoint, "/health", max(0.5, self.probe_s / 2)) is None else 0
            if silent >= 3:
                await run.kill()

    async def _drain(self, run: EngineProcess, drain_s: float) -> None:
        """Wait while any slot is generating; a child that cannot say so is not waited for."""
        end = time.monotonic() + drain_s
        while time.monotonic() < end:
            slots = await _get(run.endpoint, "/slots", 2.0)
            if not self.in_flight and not any(slot["is_processing"] for slot in slots or ()):
                return
            await asyncio.sleep(0.05)


async def _get(endpoint: Endpoint, path: str, timeout_s: float) -> Any:
    """The JSON that the engine answers beside `/v1`; None: it does not answer, or not with 200."""
    headers = {"Authorization": f"Bearer {endpoint.api_key}"}
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=timeout_s, headers=headers) as client:
            answer = await client.get(endpoint.base_url.removesuffix("/v1") + path)
            return answer.json() if answer.status_code == 200 else None
    except (httpx.HTTPError, ValueError):
        return None
