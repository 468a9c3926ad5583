"""`netgpt serve --workers N`: one process that binds the socket, has the engine, and keeps N gateways running.

It answers no request. A worker that ends is started again, later each time; when none of them stays, it says so and
ends. SIGTERM and SIGINT drain all, SIGHUP is passed on. A worker whose supervisor is gone drains and ends by itself.
"""

from __future__ import annotations

import asyncio
import json
import logging
import secrets
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import typer

from netgpt.app.switchboard import Switchboard, Worker
from netgpt.cli.common import console
from netgpt.cli.serving import BACKLOG, OwnLog, introduce, is_service, listen, log_to, prepared
from netgpt.models.base import NoModel
from netgpt.settings import Settings
from netgpt.web.lifecycle import CLOSING_S
from netgpt.web.protocol import places

log = logging.getLogger(__name__)

WORKER: Final = (sys.executable, "-P", "-m", "netgpt.cli.worker")
"""Its number follows, for who looks at the processes; what it is it reads on its standard input."""
STEADY_S: Final = 20.0
"""A worker that lived for so long did not die of its start."""
MOST_TRIES: Final = 5
"""So many in a row that died of their start, while no other one answers, and it is given up."""
FIRST_PAUSE_S: Final = 0.2
LONGEST_PAUSE_S: Final = 30.0
LOGS_EVERY_S: Final = 5.0


def supervise(settings: Settings, given: dict[str, Any]) -> None:
    """Run until told to stop. `given`: settings of the command line. Exits with 1 where no worker stays."""
    _, remarks = prepared(settings)
    if code := asyncio.run(_run(settings, given, remarks)):
        raise typer.Exit(code)


async def _run(settings: Settings, given: dict[str, Any], remarks: list[str]) -> int:
    supervisor = Supervisor(settings, given)
    try:
        log_to(settings.log_file)
        has_keys = await supervisor.board.store.has_keys()
        supervisor.listener = listen(settings, has_keys)
        supervisor.listener.listen(BACKLOG)
        edge = supervisor.board.edge
        why = edge.why if isinstance(edge, NoModel) else ""
        most = places(settings.server) * settings.server.workers
        tell = partial(introduce, settings, supervisor.listener, why, remarks, has_keys, most)
        return await supervisor.run(tell)
    finally:
        await supervisor.board.close()


class Supervisor:
    """Starts workers, watches them, and ends them."""

    def __init__(self, settings: Settings, given: dict[str, Any], command: Sequence[str] = WORKER) -> None:
        """Raises StoreError, ModelUnavailable: no worker could be started."""
        self.settings, self.given, self.command = settings, given, command
        self.board = Switchboard(settings, self._is_ready)
        self.listener: socket.socket | None = None
        self.closing_s = CLOSING_S + 1.0
        """After `server.drain_s`, for a worker to close; then it is killed."""
        self._secret = secrets.token_hex(32)
        self._processes: dict[int, asyncio.subprocess.Process] = {}
        self._ready: set[int] = set()
        self._failures: Counter[int] = Counter()
        """How often in a row each worker died of its start."""
        self._first = asyncio.Event()
        self._end = asyncio.Event()
        self._code = 0

    async def run(self, tell: Any) -> int:
        """Until told to stop; the exit code. `tell` is called when the first worker answers."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop, number)
        if is_service():
            loop.add_signal_handler(signal.SIGHUP, self._pass_on, signal.SIGHUP)
        self.board.start()
        keeping = [asyncio.create_task(self._keep(n)) for n in range(1, self.settings.server.workers + 1)]
        others = [asyncio.create_task(self._introduce(tell)), asyncio.create_task(self._turn_log())]
        try:
            await asyncio.gather(*keeping)
        finally:
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)
        return self._code

    async def _introduce(self, tell: Any) -> None:
        await self._first.wait()
        tell()

    def _is_ready(self, number: int) -> None:
        self._ready.add(number)
        self._first.set()

    # one worker

    async def _keep(self, number: int) -> None:
        """Keep one worker running until it is time to end."""
        while not self._end.is_set():
            began = time.monotonic()
            worker, process = await self._start(number)
            code = await process.wait()
            self._processes.pop(number, None)
            self._ready.discard(number)
            await self.board.gone(worker)
            if self._end.is_set():
                return
            lived_s = time.monotonic() - began
            failures = self._failures[number] = 0 if lived_s >= STEADY_S else self._failures[number] + 1
            if failures >= MOST_TRIES and not self._ready:
                self._give_up(number, code)
                return
            pause_s = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** max(0, failures - 1))
            log.error(
                "worker %d ended after %.0f s (%s); another one starts in %.2g s", number, lived_s, _how(code), pause_s
            )
            await self._pause(pause_s)
            self.board.restarts[number] += 1

    async def _start(self, number: int) -> tuple[Worker, asyncio.subprocess.Process]:
        assert self.listener is not None
        ours, theirs = socket.socketpair()
        owner = f"worker-{number}-{secrets.token_hex(6)}"
        order = {
            "number": number, "count": self.settings.server.workers, "owner": owner, "secret": self._secret,
            "listener": self.listener.fileno(), "line": theirs.fileno(), "given": self.given, "service": is_service(),
        }  # fmt: skip
        with theirs:
            process = await asyncio.create_subprocess_exec(
                *self.command, str(number), stdin=asyncio.subprocess.PIPE,
                pass_fds=(self.listener.fileno(), theirs.fileno()), start_new_session=True,
            )  # fmt: skip
        self._processes[number] = process
        assert process.stdin is not None
        process.stdin.write(json.dumps(order).encode())
        process.stdin.close()
        worker = await self.board.join(number, process.pid, owner, ours)
        if self._end.is_set():  # told to stop meanwhile
            process.terminate()
        return worker, process

    def _give_up(self, number: int, code: int) -> None:
        self._code = 1
        console.print(
            f"[red]error:[/red] worker {number} ended {MOST_TRIES} times in a row soon after its start (the last time: "
            f"{_how(code)}), and no other one answers. What they said stands above and in {self.settings.log_file}: "
            "mend that, and start again.", highlight=False, soft_wrap=True,
        )  # fmt: skip
        self._stop(signal.SIGTERM)

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._end.wait()
        except TimeoutError:
            pass

    # all of them

    def _pass_on(self, number: int) -> None:
        for process in self._processes.values():
            try:
                process.send_signal(number)
            except ProcessLookupError:
                continue

    def _stop(self, number: int) -> None:
        if not self._end.is_set():
            self._end.set()
            limit_s = self.settings.server.drain_s + self.closing_s
            asyncio.get_running_loop().call_later(limit_s, self._pass_on, signal.SIGKILL)
        self._pass_on(number)

    async def _turn_log(self) -> None:
        """Begin the log file anew when it is long: workers follow."""
        while True:
            await asyncio.sleep(LOGS_EVERY_S)
            for handler in logging.getLogger().handlers:
                if isinstance(handler, OwnLog):
                    await asyncio.to_thread(_turn, handler)


def _turn(handler: OwnLog) -> None:
    path = Path(handler.baseFilename)
    if path.exists() and path.stat().st_size >= handler.maxBytes:
        handler.acquire()
        try:
            handler.doRollover()
        finally:
            handler.release()


def _how(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
