"""The two sides of a split model, each in a process of its own: `python -m netgpt_bench.split_process edge|cloud`.

Edge to cloud, one message a step: one byte (1: a text begins, 0: it goes on), four bytes length (little-endian), the
hidden states. Cloud to edge: four bytes, the token. The edge reads what to write as JSON lines on its stdin and
answers each with a JSON line; both sides end when their stdin does.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import struct
import sys
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from netgpt.errors import ModelUnavailable, NetGPTError
from netgpt_bench.harness import end_with_parent, own_stdout

HEAD = struct.Struct("<BI")
TOKEN = struct.Struct("<I")
START_S = 300.0


@dataclass(frozen=True, slots=True)
class Written:
    """What one text cost: the tokens, and milliseconds from its first step to the first and to the last token."""

    tokens: list[int]
    first_token_ms: float
    whole_ms: float


class _Child:
    """A process of this module. Async context manager; `line` is the first line that it printed."""

    def __init__(self, side: str, folder: Path, *words: str) -> None:
        self._command = [sys.executable, "-P", "-m", "netgpt_bench.split_process", side, str(folder), *words]
        self._process: asyncio.subprocess.Process | None = None
        self.line: dict[str, Any] = {}

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def __aenter__(self) -> Any:
        pipe = asyncio.subprocess.PIPE
        # Both sides take turns on the same cores: threads that wait awake would starve the other side.
        environment = {"OMP_WAIT_POLICY": "passive", **os.environ}
        self._process = await asyncio.create_subprocess_exec(
            *self._command, stdin=pipe, stdout=pipe, stderr=asyncio.subprocess.DEVNULL, env=environment
        )
        try:
            self.line = await asyncio.wait_for(self.read_line(), START_S)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *error: object) -> None:
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.close()
        try:
            await asyncio.wait_for(self._process.wait(), 5)
        except TimeoutError:
            with suppress(ProcessLookupError):
                self._process.send_signal(signal.SIGKILL)
            await self._process.wait()

    async def read_line(self) -> dict[str, Any]:
        """The next line. Raises ModelUnavailable: the process ended, or sent an error."""
        assert self._process is not None and self._process.stdout is not None
        line = await self._process.stdout.readline()
        message: dict[str, Any] = json.loads(line) if line else {"error": "it ended"}
        if "error" in message:
            raise ModelUnavailable(f"one side of the split model failed: {message['error']}")
        return message

    async def write_line(self, line: dict[str, Any]) -> None:
        assert self._process is not None and self._process.stdin is not None
        self._process.stdin.write(json.dumps(line).encode() + b"\n")
        await self._process.stdin.drain()


class CloudProcess(_Child):
    """The side with the remaining layers; it listens on `port`."""

    def __init__(self, folder: Path) -> None:
        super().__init__("cloud", folder)

    @property
    def port(self) -> int:
        return int(self.line["port"])


class EdgeProcess(_Child):
    """The side with the first layers, connected to the cloud (or a link to it) on `port`."""

    def __init__(self, folder: Path, port: int) -> None:
        super().__init__("edge", folder, str(port))

    async def ask(self, prompt: Sequence[int], max_tokens: int, ends: Collection[int] = ()) -> Written:
        """Write one text. Raises ModelUnavailable when either side is gone."""
        await self.write_line({"prompt": list(prompt), "max_tokens": max_tokens, "ends": list(ends)})
        return Written(**await self.read_line())


def main(words: Sequence[str]) -> None:
    """Run one side until stdin ends."""
    answers = own_stdout()
    try:
        if words[0] == "cloud":
            _serve_cloud(Path(words[1]), answers)
        else:
            _serve_edge(Path(words[1]), int(words[2]), answers)
    except (NetGPTError, OSError, ValueError) as error:
        _answer(answers, {"error": f"{type(error).__name__}: {error}"})


def _serve_cloud(folder: Path, answers: Any) -> None:
    from netgpt_bench.splitting import CloudHalf

    half = CloudHalf(folder)
    end_with_parent()
    with socket.create_server(("127.0.0.1", 0)) as server:
        _answer(answers, {"port": server.getsockname()[1]})
        while True:
            connection, _ = server.accept()
            with connection, suppress(EOFError, ConnectionError):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                while True:
                    first, size = HEAD.unpack(_read(connection, HEAD.size))
                    token = half.next_token(_read(connection, size), first=bool(first))
                    connection.sendall(TOKEN.pack(token))


def _serve_edge(folder: Path, port: int, answers: Any) -> None:
    from netgpt_bench.splitting import EdgeHalf, generate

    half = EdgeHalf(folder)
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def cloud(hidden: bytes, first: bool) -> int:
            connection.sendall(HEAD.pack(first, len(hidden)) + hidden)
            return int(TOKEN.unpack(_read(connection, TOKEN.size))[0])

        _answer(answers, {"ready": True})
        for line in sys.stdin:
            asked, times = json.loads(line), [time.perf_counter()]

            def noted(token: int, times: list[float] = times) -> None:
                times.append(time.perf_counter())

            tokens = generate(half, cloud, asked["prompt"], asked["max_tokens"], asked["ends"], noted)
            first, whole = ((times[place] - times[0]) * 1000 for place in (1, -1))
            _answer(answers, {"tokens": tokens, "first_token_ms": first, "whole_ms": whole})


def _answer(answers: Any, line: dict[str, Any]) -> None:
    with suppress(BrokenPipeError):
        answers.write(json.dumps(line) + "\n")
        answers.flush()


def _read(connection: socket.socket, size: int) -> bytes:
    """Exactly `size` bytes. Raises EOFError: the other side closed."""
    content = bytearray()
    while len(content) < size:
        piece = connection.recv(size - len(content))
        if not piece:
            raise EOFError("the other side of the split model closed the connection")
        content += piece
    return bytes(content)


if __name__ == "__main__":
    main(sys.argv[1:])
