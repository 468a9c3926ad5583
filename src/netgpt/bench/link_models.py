"""Models of known speed as real HTTP servers: what the link lab puts at the edge and behind the link.

Alone as a process: `python -m netgpt.bench.link_models --port 9999 --slots 2`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from dataclasses import dataclass, replace
from typing import Any, Self

import orjson

from netgpt.models.fake_http import Connection, FakeHttp, ReceivedRequest

__all__ = ["CLOUD", "EDGE", "PacedServer", "Speed", "main"]


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast a server answers."""

    first_s: float
    """Before it reads the prompt."""
    prompt_tokens_s: float
    tokens_s: float
    """Of one answer."""
    slots: int | None = None
    """Answers at once, others wait in line; None: as many as come."""
    tells: bool = False
    """Whether it tells how fast it reads, as llama.cpp does (`timings`); hosted models do not."""


EDGE = Speed(0.05, 3000.0, 25.0, slots=8, tells=True)
"""A small model on an office's box."""
CLOUD = Speed(0.35, 20_000.0, 60.0)
"""A hosted model."""
EVENT_TOKENS = 2
"""Tokens a streamed event."""
_FILLER = "fp_" + "0" * 150
"""Brings an event to the 170 to 200 bytes a token that hosted models send."""


class PacedServer(FakeHttp):
    """Answers each chat request with `max_tokens` words at a known speed, on the running loop."""

    def __init__(self, name: str, speed: Speed, port: int = 0) -> None:
        super().__init__(port)
        self.name, self.speed = name, speed
        self.answered = 0
        """Answers written to their end."""
        self.begun = 0
        self._slots = asyncio.Semaphore(speed.slots) if speed.slots else None
        self._server: asyncio.Server | None = None

    @property
    def base_url(self) -> str:
        """What to configure as `base_url`."""
        return f"http://127.0.0.1:{self.port}/v1"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.get_running_loop().create_server(lambda: Connection(self), "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        while self.connections:
            for connection in list(self.connections):
                connection.abort()
            await asyncio.sleep(0)

    async def serve(self, request: ReceivedRequest, connection: Connection) -> None:
        if request.method != "POST" or not request.path.endswith("/chat/completions"):
            connection.answer(200, b'{"object":"list","data":[{"id":"paced","object":"model"}]}')
            return
        body = json.loads(request.body)
        self.begun += 1
        if self._slots is None:
            await self._answer(body, connection)
        else:
            async with self._slots:
                await self._answer(body, connection)

    async def _answer(self, body: dict[str, Any], connection: Connection) -> None:
        prompt = sum(len(str(message.get("content"))) for message in body["messages"]) // 4
        wanted = int(body.get("max_tokens") or 16)
        speed = self.speed
        clock = asyncio.get_running_loop().time
        due = clock() + speed.first_s + prompt / speed.prompt_tokens_s
        connection.begin_events()
        for done in range(1 - EVENT_TOKENS, wanted, EVENT_TOKENS):  # one token first, as soon as there is one
            count = min(done + EVENT_TOKENS, wanted) - max(done, 0)
            due += count / speed.tokens_s
            await asyncio.sleep(max(0.0, due - clock()))
            connection.chunk(_event({"delta": {"role": "assistant", "content": "word " * count}}))
        self.answered += 1
        told: dict[str, Any] = {
            "usage": {"prompt_tokens": prompt, "completion_tokens": wanted, "total_tokens": prompt + wanted}
        }
        if speed.tells:
            told["timings"] = {"prompt_n": prompt, "prompt_ms": 1000 * prompt / speed.prompt_tokens_s}
        connection.chunk(_event({"delta": {}, "finish_reason": "stop"}, **told) + b"data: [DONE]\n\n")
        connection.chunk(b"")


def _event(choice: dict[str, Any], **more: Any) -> bytes:
    chunk = {
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "paced",
        "system_fingerprint": _FILLER, "choices": [{"index": 0, "finish_reason": None, **choice}], **more,
    }  # fmt: skip
    return b"data: " + orjson.dumps(chunk) + b"\n\n"


def main() -> None:
    """Serve at the edge's speed until the process is ended."""
    parser = argparse.ArgumentParser(prog="python -m netgpt.bench.link_models", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--slots", type=int, default=EDGE.slots, help="answers at once")
    given = parser.parse_args()

    async def serve() -> None:
        async with PacedServer("edge", replace(EDGE, slots=given.slots), given.port):
            await asyncio.Event().wait()

    asyncio.run(serve())


if __name__ == "__main__":
    main()
