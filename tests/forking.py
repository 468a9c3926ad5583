"""`netgpt` as a process of its own without its imports: forked from a server that has them already.

Half of the suite's time went into starting Python and importing the same packages, hundreds of times. Here one server
a test process imports them once; each command is a real process of its own: its own pid, environment, folder, files and
signals. Where the start itself is what is tested, a test starts `sys.executable` as anyone would.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

__all__ = ["Forked", "netgpt_script", "run_netgpt"]

_server: Server | None = None


class Server:
    """The process that has imported everything; started at the first command, ends with this one."""

    def __init__(self) -> None:
        self.owner = os.getpid()
        self.process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()


def address() -> str:
    """Of this process's server, which is started where there is none."""
    global _server
    if _server is None or _server.owner != os.getpid() or _server.process.poll() is not None:
        _server = Server()
    return _server.address


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
        server: str | None = None,
    ) -> None:
        self.args, self.returncode = ["netgpt", *args], None
        order = {"args": list(args), "env": dict(os.environ if env is None else env), "cwd": str(cwd or Path.cwd())}
        content = json.dumps(order).encode()
        self._news = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._news.connect("\0" + (server or address()))
        with Path(os.devnull).open("rb") as empty:
            files = [(empty if isinstance(stdin, int) else stdin).fileno(), stdout.fileno(), stderr.fileno()]
            socket.send_fds(self._news, [len(content).to_bytes(4, "big")], files)
        self._news.sendall(content)
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
    with _temporary() as output, _temporary() as errors, _temporary() as given:
        given.write(input.encode() if isinstance(input, str) else input)
        given.seek(0)
        command = Forked(args, env=env, cwd=cwd, stdin=given, stdout=output, stderr=errors)
        try:
            code = command.wait(timeout)
        except subprocess.TimeoutExpired:
            command.kill()
            command.wait()
            raise
        out, err = _text(output), _text(errors)
    done = subprocess.CompletedProcess(command.args, code, out, err)
    if check:
        done.check_returncode()
    return done


def netgpt_script(folder: Path) -> Path:
    """A file `netgpt` for shell lines, in a folder that is put on PATH."""
    script = folder / "netgpt"
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -I -S {__file__} {address()} "$@"\n')
    script.chmod(0o755)
    return script


def _temporary() -> IO[bytes]:
    return os.fdopen(os.memfd_create("netgpt-test"), "w+b")


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


def _preload() -> None:
    from netgpt.cli import main  # noqa: F401
    from netgpt.cli.ask import ask  # noqa: F401
    from netgpt.cli.serve import serve  # noqa: F401
    from netgpt.store.store import open_store  # noqa: F401
    from netgpt.web.app import create_app  # noqa: F401


def _serve() -> dict[str, Any] | None:
    """Fork for each order. The child returns its order with its files in place; the server None, at the end."""
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(f"\0netgpt-tests-{os.getpid()}")
    server.listen(64)
    print(f"netgpt-tests-{os.getpid()}", flush=True)
    running: dict[int, tuple[int, socket.socket]] = {}  # the child's pidfd: its pid, who waits for its end
    while True:
        ready: list[int] = select.select([0, server.fileno(), *running], [], [])[0]
        if 0 in ready:
            return None
        for one in ready:
            if one == server.fileno():
                caller, _ = server.accept()
                order, files = _ordered(caller)
                pid = os.fork()
                if pid == 0:
                    for number in range(3):
                        os.dup2(files[number], number)
                    for line in (server, caller, *(line for _, line in running.values())):
                        line.close()
                    for number in (*files, *running):
                        os.close(number)
                    return order
                for number in files:
                    os.close(number)
                caller.sendall(f"{pid}\n".encode())
                running[os.pidfd_open(pid)] = (pid, caller)
            else:
                pid, caller = running.pop(one)
                os.close(one)
                code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
                with contextlib.suppress(OSError), caller:
                    caller.sendall(f"{code}\n".encode())


def _ordered(caller: socket.socket) -> tuple[dict[str, Any], list[int]]:
    head, files, _, _ = socket.recv_fds(caller, 4, 3)
    content = b""
    while len(content) < int.from_bytes(head, "big"):
        content += caller.recv(1 << 20)
    return json.loads(content), files


def _become(order: dict[str, Any]) -> None:
    os.environ.clear()
    os.environ.update(order["env"])
    os.chdir(order["cwd"])
    time.tzset()
    sys.argv = ["netgpt", *order["args"]]
    code: Any = 0
    try:
        runpy.run_module("netgpt", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        code = end.code
    if code is None or isinstance(code, int):
        _leave(code or 0)
    sys.exit(code)


def _leave(code: int) -> None:
    """End as the interpreter does, but leave what the server imported as it is: to free it copies all its pages."""
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for file in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            file.flush()
    os._exit(code)


if __name__ == "__main__" and len(sys.argv) > 1:  # in place of the script `netgpt`: the server's address, ARGS
    here = Forked(
        sys.argv[2:], stdin=sys.stdin.buffer, stdout=sys.stdout.buffer, stderr=sys.stderr.buffer, server=sys.argv[1]
    )
    sys.exit(here.wait())
elif __name__ == "__main__":
    _preload()
    gc.freeze()  # what is shared is not looked through for garbage
    ordered = _serve()
    if ordered is not None:
        _become(ordered)
