"""Detector processes that share their memory: one that has loaded everything gives copies of itself.

The template reads weights and patterns once and sees no text. A copy (`fork`) shares all pages that neither writes to,
so a further detector takes 26 MB instead of 82, and is there in milliseconds: also after one was ended for its time.
Linux only (`pidfd_open`), and not where plug-ins search too: their libraries may not survive a copy.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
from collections.abc import Sequence
from typing import Any, Final

from netgpt.errors import DetectorError

LONGEST_LINE: Final = 256 * 1024 * 1024
"""Bytes of one reply; `privacy.max_chars` bounds a request to far less."""
_ASK: Final = b"f"
_ANSWER_BYTES: Final = 65_536


def can_copy() -> bool:
    """Whether this system tells when a process ends that is not our own child."""
    if not hasattr(os, "pidfd_open"):
        return False
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return False
    return True


class ForkedChild:
    """A copy of the template, with what `asyncio.subprocess.Process` offers."""

    def __init__(self, pid: int, handle: int, stdout: asyncio.StreamReader, stdin: asyncio.StreamWriter) -> None:
        """`handle`: the process's `pidfd`, which means this process alone, also when its number is given anew."""
        self.pid, self.stdout, self.stdin = pid, stdout, stdin
        self.returncode: int | None = None
        self._handle = handle
        self._ended = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(handle, self._end)

    def _end(self) -> None:
        self._loop.remove_reader(self._handle)
        os.close(self._handle)
        self.returncode = -signal.SIGKILL  # nobody tells more of a grandchild
        self.stdin.close()
        self._ended.set()

    def kill(self) -> None:
        """Raises ProcessLookupError: it has ended."""
        if self.returncode is not None:
            raise ProcessLookupError
        signal.pidfd_send_signal(self._handle, signal.SIGKILL)

    async def wait(self) -> int:
        await self._ended.wait()
        return self.returncode or 0


class DetectorTemplate:
    """Starts the template at the first `child()`, and again when it has died. `close` ends it, not its copies."""

    def __init__(self, command: Sequence[str], environment: dict[str, str]) -> None:
        self._command, self._environment = [*command, "--template"], environment
        self._lock = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._line: socket.socket | None = None

    async def child(self, timeout_s: float) -> ForkedChild:
        """A copy that is ready. Raises DetectorError: the template does not come up within so many seconds."""
        async with self._lock:
            try:
                async with asyncio.timeout(timeout_s):
                    return await self._child()
            except BaseException as error:
                self._hang_up()  # also where nobody waits any more: what it would still say is nobody's answer
                if isinstance(error, TimeoutError):
                    raise DetectorError(f"the detector was not ready within {timeout_s:g} s") from None
                if isinstance(error, OSError | ValueError | KeyError):
                    raise DetectorError(f"the detector cannot be started: {type(error).__name__}") from None
                raise

    async def _child(self) -> ForkedChild:
        if self._process is None or self._process.returncode is not None or self._line is None:
            await self._drop()
            await self._start()
        assert self._line is not None
        ours, theirs = socket.socketpair()
        try:
            with theirs:
                socket.send_fds(self._line, [_ASK], [theirs.fileno()])
            pid = int((await self._answer())["pid"])
            handle = os.pidfd_open(pid)
        except BaseException:
            ours.close()
            raise
        reader, writer = await asyncio.open_connection(sock=ours, limit=LONGEST_LINE)
        return ForkedChild(pid, handle, reader, writer)

    async def _start(self) -> None:
        self._line, theirs = socket.socketpair()
        self._line.setblocking(False)
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, stdin=theirs.fileno(), stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL, env=self._environment,
            )  # fmt: skip
        reply = await self._answer()
        if reply.get("ready") is not True:
            raise DetectorError(f"the detector did not start: {reply.get('error', 'it ended at once')}")

    async def _answer(self) -> dict[str, Any]:
        """One line of JSON. Raises ValueError: it has ended, or speaks otherwise."""
        assert self._line is not None
        data = await asyncio.get_running_loop().sock_recv(self._line, _ANSWER_BYTES)
        answer = json.loads(data)
        if not isinstance(answer, dict):
            raise ValueError("no answer of a template")
        return answer

    async def _drop(self) -> None:
        process, self._process = self._process, None
        self._hang_up()
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    def _hang_up(self) -> None:
        if self._line is not None:
            self._line.close()
            self._line = None

    async def close(self) -> None:
        """End it. A later `child()` starts another."""
        async with self._lock:
            await self._drop()


def serve_copies(ready: dict[str, Any]) -> bool:
    """In the template: say that it is ready, and give a copy for each socket that comes in. True: this is a copy, whose
    input and output are that socket; False: nobody wants any more."""
    line = socket.socket(fileno=os.dup(0))
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # copies are nobody's to wait for
    line.sendall(json.dumps(ready).encode())
    while True:
        asked, sockets, _, _ = socket.recv_fds(line, 1, 1)
        if not asked or not sockets:
            return False
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            line.close()
            os.dup2(sockets[0], 0)
            os.dup2(sockets[0], 1)
            os.close(sockets[0])
            return True
        os.close(sockets[0])
        line.sendall(json.dumps({"pid": pid}).encode())
