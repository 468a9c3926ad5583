"""The detector in a supervised child process: it can hang, die or be killed, and nothing private leaves.

It processes one request at a time; a bounded number of others waits for a bounded time, keys in turn. A request that
takes too long kills the child, which is started again at once; the same texts of the same key are refused from then on.
While a child that died by itself is down `detect` raises at once; it is restarted in the background.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import secrets
import sys
import time
from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

import orjson

from netgpt.errors import DetectorError
from netgpt.privacy.scripts import ALL, checked
from netgpt.privacy.turns import ASKED_BY, SharedTurns, Turn
from netgpt.registry import left_out
from netgpt.types import Span

_LONGEST_LINE = 256 * 1024 * 1024
"""Bytes of one reply; `privacy.max_chars` bounds a request to far less."""
_REMEMBERED_S = 600.0
"""How long texts are refused that took too long; the machine may have been busy with something else."""
_REMEMBERED = 1_000
"""Requests of which that is known."""
_LONG_REPLY = 50_000
"""Bytes of a reply that is not read on the event loop."""
_WAITS = 2
"""Times the timeout that a request waits for its turn: two others may have to end first."""
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
        self._turns = SharedTurns("the detector", max_waiting)
        self._ids = itertools.count(1)
        self._child: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._closing = False
        self._detail = "not started"
        self._up = asyncio.Event()
        """Another child is there, or could not be started."""
        self._overdue = False
        """Whether the child was ended for the time that it took: another is on its way."""
        self._too_much: OrderedDict[bytes, float] = OrderedDict()
        """Fingerprints of what took too long, and when."""
        self._secret = secrets.token_bytes(16)
        self.niceness = 0
        """Of the child towards other processes of the box."""
        self.restarts = 0

    @property
    def pid(self) -> int | None:
        """Of the child while it is ready, else None."""
        return self._child.pid if self._child is not None else None

    @property
    def is_started(self) -> bool:
        """Whether it was started and not closed, be its child at work or on its way."""
        return self._keeper is not None

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
        self, texts: Sequence[str], *, values: Sequence[tuple[str, str]] = (), names: Sequence[int] | None = None
    ) -> list[list[Span]]:
        """As `Detector.detect`. Raises DetectorError at once when the child is down or too many wait."""
        if not self._overdue:
            self._running_child()
        fingerprint = self._fingerprint(texts)
        if self._took_too_long(fingerprint):
            raise DetectorError(
                f"these texts ({sum(map(len, texts))} characters) took the detector longer than {self._timeout_s:g} s "
                "a moment ago (privacy.timeout_s); nothing was sent"
            )
        turn = await self._turns.enter(_WAITS * self._timeout_s)
        request = {"texts": list(texts), "values": [list(v) for v in values], "names": names}
        work = asyncio.create_task(self._in_turn(request, fingerprint, turn))
        work.add_done_callback(lambda ended: ended.cancelled() or ended.exception())
        # Who hangs up leaves the child at work, in this turn: it must not be somebody else's time.
        return await asyncio.shield(work)

    def _fingerprint(self, texts: Sequence[str]) -> bytes:
        """Of the text that makes up most of a request, else of all, for the key that asks."""
        digest = blake2b(ASKED_BY.get().encode(), digest_size=16, key=self._secret)
        longest = max(texts, key=len, default="")
        for text in (longest,) if 2 * len(longest) > sum(map(len, texts)) else texts:
            digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
        return digest.digest()

    def _took_too_long(self, fingerprint: bytes) -> bool:
        return time.monotonic() - self._too_much.get(fingerprint, -_REMEMBERED_S) < _REMEMBERED_S

    def _running_child(self) -> asyncio.subprocess.Process:
        if self._child is None:
            raise DetectorError(f"the detector is not running ({self._detail}); nothing was sent", retry_after=1.0)
        return self._child

    async def _in_turn(self, request: dict[str, Any], fingerprint: bytes, turn: Turn) -> list[list[Span]]:
        with turn:
            if self._child is None and self._overdue:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._up.wait(), self._start_timeout_s)
            child = self._running_child()
            request["id"] = next(self._ids)
            try:
                async with asyncio.timeout(self._timeout_s):
                    reply, size = await _exchange(child, request)
            except TimeoutError:
                self._overdue = True
                self._drop(child, "took too long and was ended")
                self._remember(fingerprint)
                raise DetectorError(
                    f"the detector took longer than {self._timeout_s:g} s (privacy.timeout_s); nothing was sent"
                ) from None
            except (OSError, ValueError, EOFError, asyncio.LimitOverrunError):
                self._drop(child, "ended unexpectedly")
                raise DetectorError("the detector ended while it was at work; nothing was sent") from None
        count = len(request["texts"])
        return await asyncio.to_thread(_spans, reply, count) if size > _LONG_REPLY else _spans(reply, count)

    def _remember(self, fingerprint: bytes) -> None:
        self._too_much[fingerprint] = time.monotonic()
        self._too_much.move_to_end(fingerprint)
        if len(self._too_much) > _REMEMBERED:
            self._too_much.popitem(last=False)

    def _drop(self, child: asyncio.subprocess.Process, why: str) -> None:
        """Kill the child; its keeper starts another."""
        if self._child is child:
            self._child, self._detail = None, why
            self._up.clear()
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
        if self.niceness:
            with contextlib.suppress(OSError):  # it has ended
                os.setpriority(os.PRIO_PROCESS, child.pid, os.getpriority(os.PRIO_PROCESS, 0) + self.niceness)
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
        self._child, self._detail, self._overdue = child, "ready", False
        self._up.set()
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
                    failures = 0 if self._overdue or time.monotonic() - began > _CALM_S else failures
                if not self._overdue:  # only who dies by itself may be broken
                    await asyncio.sleep(_BACK_OFF_S[min(failures, len(_BACK_OFF_S) - 1)])
                    failures += 1
                child = None
                try:
                    child = await self._spawn()
                    self.restarts += 1
                except DetectorError as error:
                    self._detail, self._overdue = error.message, False
                    self._up.set()
        finally:
            if child is not None:
                await _end(child)


async def _exchange(child: asyncio.subprocess.Process, request: dict[str, Any]) -> tuple[dict[str, Any], int]:
    """Write the request, read its reply, and how long that is; replies to other calls are skipped."""
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
            return reply, len(line)
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
