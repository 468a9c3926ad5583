"""`netgpt` as a process of its own without its imports: forked from a server that has them already.

Half of the suite's time went into starting Python and importing the same packages, hundreds of times. Here one server
a test process imports them once; each command is a real process of its own: its own pid, environment, folder, files and
signals. Where the start itself is what is tested, a test starts `sys.executable` as anyone would.
"""

from __future__ import annotations

import contextlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

__all__ = ["Forked", "run_netgpt"]

_LARGEST = 4 * 1024 * 1024
_server: Server | None = None


class Server:
    """The process that has imported everything; started at the first command, ends with this one."""

    def __init__(self) -> None:
        self.line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        self.process = subprocess.Popen(
            [sys.executable, __file__, str(theirs.fileno())], pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL
        )
        self.owner = os.getpid()
        theirs.close()

    def start(self, order: dict[str, Any], files: Sequence[int]) -> None:
        content = json.dumps(order).encode()
        socket.send_fds(self.line, [len(content).to_bytes(4, "big")], files)
        self.line.sendall(content)


def _started_server() -> Server:
    global _server
    if _server is None or _server.owner != os.getpid() or _server.process.poll() is not None:
        _server = Server()
    return _server


class Forked:
    """A running `netgpt ARGS`, with what tests use of `subprocess.Popen`."""

    def __init__(
        self,
        args: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | str | None = None,
        stdin: IO[bytes] | int = subprocess.DEVNULL,
        stdout: IO[bytes],
        stderr: IO[bytes],
    ) -> None:
        self.args, self.returncode = ["netgpt", *args], None
        self._news, theirs = socket.socketpair()
        empty = os.open(os.devnull, os.O_RDONLY)
        first = empty if isinstance(stdin, int) else stdin.fileno()
        order = {"args": list(args), "env": dict(os.environ if env is None else env), "cwd": str(cwd or Path.cwd())}
        _started_server().start(order, [first, stdout.fileno(), stderr.fileno(), theirs.fileno()])
        theirs.close()
        os.close(empty)
        self._words = self._news.makefile("r")
        self.pid = int(self._words.readline())

    returncode: int | None

    def poll(self) -> int | None:
        if self.returncode is None and select.select([self._news], [], [], 0)[0]:
            self.returncode = int(self._words.readline() or -signal.SIGKILL)
            self._words.close()
            self._news.close()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, a signal's as -N. Raises subprocess.TimeoutExpired."""
        if self.returncode is None and not select.select([self._news], [], [], timeout)[0]:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        code = self.poll()
        assert code is not None
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def run_netgpt(
    *args: str,
    env: Mapping[str, str] | None = None,
    cwd: Path | str | None = None,
    input: str | bytes = b"",
    timeout: float = 120,
    check: bool = False,
) -> subprocess.CompletedProcess[str]:
    """`netgpt ARGS` to its end, as `subprocess.run(..., capture_output=True, text=True)` would."""
    with _temporary() as told, _temporary() as errors, _temporary() as given:
        given.write(input.encode() if isinstance(input, str) else input)
        given.seek(0)
        command = Forked(args, env=env, cwd=cwd, stdin=given, stdout=told, stderr=errors)
        try:
            code = command.wait(timeout)
        except subprocess.TimeoutExpired:
            command.kill()
            command.wait()
            raise
        out, err = _text(told), _text(errors)
    done = subprocess.CompletedProcess(command.args, code, out, err)
    if check:
        done.check_returncode()
    return done


def _temporary() -> IO[bytes]:
    return os.fdopen(os.memfd_create("netgpt-test"), "w+b")


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def _preload() -> None:
    from netgpt.build import open_store  # noqa: F401
    from netgpt.cli import main  # noqa: F401
    from netgpt.web.app import create_app  # noqa: F401


def _serve(line: socket.socket) -> dict[str, Any] | None:
    """Fork for each order. The child returns its order with its files in place; the server None, at the end."""
    running: dict[int, tuple[int, int]] = {}  # the child's pidfd: its pid, where its end is told
    while True:
        ready, _, _ = select.select([line, *running], [], [])
        for one in ready:
            if one is line:
                head, files, _, _ = socket.recv_fds(line, 4, 4)
                if not head:
                    return None
                content = b""
                while len(content) < int.from_bytes(head, "big"):
                    content += line.recv(_LARGEST)
                order: dict[str, Any] = json.loads(content)
                pid = os.fork()
                if pid == 0:
                    for number in range(3):
                        os.dup2(files[number], number)
                    line.detach()
                    os.closerange(3, max([*files, *running, *(news for _, news in running.values())]) + 1)
                    return order
                for number in files[:3]:
                    os.close(number)
                os.write(files[3], f"{pid}\n".encode())
                running[os.pidfd_open(pid)] = (pid, files[3])
            else:
                pid, news = running.pop(one)
                code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                with contextlib.suppress(BrokenPipeError):
                    os.write(news, f"{code}\n".encode())
                os.close(news)
                os.close(one)


def _become(order: dict[str, Any]) -> None:
    os.environ.clear()
    os.environ.update(order["env"])
    os.chdir(order["cwd"])
    time.tzset()
    sys.argv = ["netgpt", *order["args"]]
    runpy.run_module("netgpt", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _preload()
    ordered = _serve(socket.socket(fileno=int(sys.argv[1])))
    if ordered is not None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        _become(ordered)
