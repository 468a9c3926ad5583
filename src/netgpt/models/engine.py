"""The supervised engine: starts llama.cpp in a child process, watches it, restarts it, drains it.

The child is another process on purpose: a crash in C++ takes an answer down, never the gateway.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import httpx

from netgpt.errors import ModelUnavailable, RequestError
from netgpt.models.backoff import Backoff
from netgpt.models.base import Health
from netgpt.models.chat_template import with_tools
from netgpt.models.endpoint import Endpoint
from netgpt.models.engine_log import EngineLog
from netgpt.models.engine_process import EngineProcess, EngineSettings
from netgpt.models.gguf import check_weights

__all__ = ["Engine"]

STABLE_S = 60.0
"""An engine that lived this long was healthy: earlier deaths are forgotten."""
QUICK_DEATHS = 8
"""After so many deaths in a row it counts as failed; it is still tried, but slowly."""
SLOW_RETRY_S = 60.0


class Engine:
    """Keeps one llama.cpp server running. `state`: stopped, starting, ready, restarting, failed.

    `on_event` hears "started", "died", "restarted", "not restarted", "failed", "stopped"; it is called in the event
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
        start_timeout_s: float = 180.0,
        probe_s: float = 10.0,
        backoff: Backoff | None = None,
    ) -> None:
        self.settings = EngineSettings(model_path, context_tokens, slots, threads, tuple(adapters))
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
        settings = EngineSettings(
            self.settings.model_path, self.settings.context_tokens, self.settings.slots, self.settings.threads,
            self.settings.adapters, with_tools(info.chat_template),
        )  # fmt: skip
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
            silent = 0 if await _answers(run.endpoint, max(0.5, self.probe_s / 2)) else silent + 1
            if silent >= 3:
                await run.kill()

    async def _drain(self, run: EngineProcess, drain_s: float) -> None:
        end = time.monotonic() + drain_s
        while time.monotonic() < end and (self.in_flight or await _busy(run.endpoint)):  # noqa: ASYNC110  it sends no event
            await asyncio.sleep(0.05)


async def _answers(endpoint: Endpoint, timeout_s: float) -> bool:
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=timeout_s) as client:
            return (await client.get(endpoint.base_url.removesuffix("/v1") + "/health")).status_code == 200
    except httpx.HTTPError:
        return False


async def _busy(endpoint: Endpoint) -> bool:
    """Whether any slot is generating; a child that cannot say so is not waited for."""
    try:
        async with httpx.AsyncClient(trust_env=False, timeout=2.0) as client:
            answer = await client.get(
                endpoint.base_url.removesuffix("/v1") + "/slots",
                headers={"Authorization": f"Bearer {endpoint.api_key}"},
            )
            return any(slot["is_processing"] for slot in answer.json())
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return False
