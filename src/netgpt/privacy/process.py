"""The detector in a supervised child process: it can hang, die or be killed, and nothing private leaves.

It processes one request at a time; a bounded number of others waits for a bounded time. A request that takes too long
kills the child. While the child is down `detect` raises at once; it is restarted in the background.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import sys
import time
from collections.abc import Sequence
from typing import Any

import orjson

from netgpt.errors import DetectorError
from netgpt.privacy.scripts import ALL, checked
from netgpt.registry import left_out
from netgpt.types import Span

_LONGEST_LINE = 256 * 1024 * 1024
"""Bytes of one reply; `privacy.max_chars` bounds a request to far less."""
_LARGE = 50_000
"""Characters: a timeout of fewer says that something hung, not that they were too many."""
_REMEMBERED_S = 60.0
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""For the child: on a busy box, threads that wait for one another took ten times as long for short texts."""
_BACK_OFF_S = (0.1, 0.5, 1.0, 2.0, 5.0, 10.0)
_CALM_S = 30.0
"""After this lifetime of a child the back-off starts again from the beginning."""


class DetectorProcess:
    """A `Detector` that runs `netgpt.privacy.worker` and survives its faults."""

    def __init__(
        self,
        *,
        names: bool = True,
        languages: Sequence[str] = (ALL,),
        timeout_s: float = 5.0,
        start_timeout_s: float = 60.0,
        max_waiting: int = 64,
        command: Sequence[str] | None = None,
    ) -> None:
        """`languages`: in whose scripts names are looked for. `timeout_s`: of the work on one call, and of the wait
        before it. `command` replaces the child."""
        self._command = list(command) if command else [sys.executable, "-m", "netgpt.privacy.worker"]
        if not command:
            self._command += [f"--off={name}" for name in sorted(left_out())] + ["--no-names"] * (not names)
            self._command += [f"--languages={','.join(checked(languages))}"]
        self._timeout_s = timeout_s
        self._start_timeout_s = start_timeout_s
        self._max_waiting = max_waiting
        self._waiting = 0
        self._turn = asyncio.Lock()
        self._ids = itertools.count(1)
        self._child: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._closing = False
        self._detail = "not started"
        self._too_much, self._until = 0, 0.0
        """Characters that took too long, and until when as many are refused at once."""
        self.restarts = 0

    @property
    def pid(self) -> int | None:
        """Of the child while it is ready, else None."""
        return self._child.pid if self._child is not None else None

    def health(self) -> tuple[bool, str]:
        return self._child is not None, self._detail

    async def start(self) -> None:
        """Start the child and wait until its model is loaded. Raises DetectorError when it does not come up."""
        if self._keeper is not None:
            return
        self._closing = False
        child: asyncio.subprocess.Process | None = None
        try:
            child = await self._spawn()
        finally:  # a failed start is retried with back-off, like a death
            self._keeper = asyncio.create_task(self._keep(child), name="netgpt-detector")

    async def close(self) -> None:
        """End the child and the supervision."""
        self._closing = True
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await keeper
        self._child, self._detail = None, "closed"

    async def detect(
        self, texts: Sequence[str], *, values: Sequence[tuple[str, str]] = (), names: Sequence[bool] | None = None
    ) -> list[list[Span]]:
        """As `Detector.detect`. Raises DetectorError at once when the child is down or too many wait."""
        self._running_child()
        size = sum(map(len, texts))
        if size >= self._too_much and time.monotonic() < self._until:
            raise DetectorError(
                f"the request has {size} characters to search, and {self._too_much} took longer than "
                f"{self._timeout_s:g} s a moment ago (privacy.timeout_s); nothing was sent"
            )
        if self._waiting >= self._max_waiting:
            raise DetectorError("too many requests wait for the detector; nothing was sent", retry_after=1.0)
        self._waiting += 1
        try:
            # A free lock is taken without a timer.
            async with asyncio.timeout(self._timeout_s) if self._turn.locked() else contextlib.nullcontext():
                await self._turn.acquire()
        except TimeoutError:
            raise DetectorError("the detector is busy with other texts; nothing was sent", retry_after=1.0) from None
        finally:
            self._waiting -= 1
        try:
            return await self._ask({"texts": list(texts), "values": [list(v) for v in values], "names": names})
        finally:
            self._turn.release()

    def _running_child(self) -> asyncio.subprocess.Process:
        if self._child is None:
            raise DetectorError(f"the detector is not running ({self._detail}); nothing was sent", retry_after=1.0)
        return self._child

    async def _ask(self, request: dict[str, Any]) -> list[list[Span]]:
        child = self._running_child()
        request["id"] = next(self._ids)
        try:
            async with asyncio.timeout(self._timeout_s):
                reply = await _exchange(child, request)
        except TimeoutError:
            self._drop(child, "took too long and was ended")
            size = sum(map(len, request["texts"]))
            if size >= _LARGE:
                self._too_much, self._until = size, time.monotonic() + _REMEMBERED_S
            raise DetectorError(
                f"the detector took longer than {self._timeout_s:g} s (privacy.timeout_s); nothing was sent"
            ) from None
        except (OSError, ValueError, EOFError, asyncio.LimitOverrunError):
            self._drop(child, "ended unexpectedly")
            raise DetectorError("the detector ended while it was at work; nothing was sent") from None
        return _spans(reply, len(request["texts"]))

    def _drop(self, child: asyncio.subprocess.Process, why: str) -> None:
        """Kill the child; its keeper starts another."""
        if self._child is child:
            self._child, self._detail = None, why
        with contextlib.suppress(ProcessLookupError):
            child.kill()

    async def _spawn(self) -> asyncio.subprocess.Process:
        try:
            child = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.DEVNULL,  # a library's message could quote the text
                limit=_LONGEST_LINE,
                env={**_ONE_THREAD, **os.environ},
            )
        except OSError as error:
            raise DetectorError(f"the detector cannot be started: {error.strerror}") from None
        try:
            line = await asyncio.wait_for(_stdout(child).readline(), self._start_timeout_s)
            reply = json.loads(line) if line else {}
        except BaseException as error:
            await _end(child)
            if isinstance(error, TimeoutError | ValueError):
                raise DetectorError(f"the detector was not ready within {self._start_timeout_s:g} s") from None
            raise
        if reply.get("ready") is not True:
            await _end(child)
            raise DetectorError(f"the detector did not start: {reply.get('error', 'it ended at once')}")
        self._child, self._detail = child, "ready"
        return child

    async def _keep(self, child: asyncio.subprocess.Process | None) -> None:
        """Wait for the child's end and start the next one, with a growing delay while it keeps dying."""
        failures = 0
        try:
            while True:
                if child is not None:
                    began = time.monotonic()
                    await child.wait()
                    self._drop(child, "ended unexpectedly; starting again")
                    failures = 0 if time.monotonic() - began > _CALM_S else failures
                await asyncio.sleep(_BACK_OFF_S[min(failures, len(_BACK_OFF_S) - 1)])
                failures += 1
                child = None
                try:
                    child = await self._spawn()
                    self.restarts += 1
                except DetectorError as error:
                    self._detail = error.message
        finally:
            if child is not None:
                await _end(child)


async def _exchange(child: asyncio.subprocess.Process, request: dict[str, Any]) -> dict[str, Any]:
    """Write the request, read its reply; replies to abandoned calls are skipped."""
    assert child.stdin is not None
    try:
        line = orjson.dumps(request)
    except TypeError:  # a lone surrogate, which only the standard library can write
        line = json.dumps(request).encode("ascii")
    child.stdin.write(line + b"\n")
    await child.stdin.drain()
    while line := await _stdout(child).readline():
        reply = orjson.loads(line)
        if isinstance(reply, dict) and reply.get("id") == request["id"]:
            return reply
    raise EOFError


def _spans(reply: dict[str, Any], count: int) -> list[list[Span]]:
    if "error" in reply:
        raise DetectorError(reply.get("message") or f"the detector failed ({reply['error']}); nothing was sent")
    try:
        spans = [[Span(*span) for span in of_text] for of_text in reply["spans"]]
    except (KeyError, TypeError):
        raise DetectorError("the detector gave a malformed reply; nothing was sent") from None
    if len(spans) != count:
        raise DetectorError("the detector did not answer for every text; nothing was sent")
    return spans


def _stdout(child: asyncio.subprocess.Process) -> asyncio.StreamReader:
    assert child.stdout is not None
    return child.stdout


async def _end(child: asyncio.subprocess.Process) -> None:
    if child.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            child.kill()
    with contextlib.suppress(asyncio.CancelledError):
        await child.wait()
