"""`FaultyCloud`: an OpenAI-compatible server on loopback that logs every byte and fails on demand.

For your own tests, and alone as a process: `python -m netgpt.models.fake_cloud --port 9999`.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from itertools import islice
from typing import Any

import orjson

from netgpt.models.answers import split_answer
from netgpt.models.fake_http import Connection, FakeHttp, ReceivedRequest
from netgpt.models.faults import STATUSES, Fault, error_body
from netgpt.models.script import Reply, answer_to, echo, embeddings_of

__all__ = ["Fault", "FaultyCloud", "ReceivedRequest"]

_FOREVER_S = 86_400.0


class FaultyCloud(FakeHttp):
    """A real HTTP server: `/v1/chat/completions`, `/v1/models`, `/v1/embeddings`. A context manager, sync and async.

    reply:       what it says; by default the last user message (see `models.script.Reply`).
    faults:      one for each chat request to come, in order, None for a good answer; then all is well. A request
                 may also name its own fault in the model's name: `any+cut`.
    chunk_size:  characters per streamed chunk.
    delay_s:     seconds before each chunk of a stream.
    retry_after: the header of `rate_limit`, in seconds or as an HTTP date.
    slow_s:      seconds that `slow_first_byte` waits.
    key:         the only key accepted; None accepts any.
    keep_log:    whether to keep what is received; a benchmark does without.
    """

    def __init__(
        self,
        reply: Reply = echo,
        *,
        faults: Iterable[Fault | str | None] = (),
        chunk_size: int = 8,
        delay_s: float = 0.0,
        retry_after: str = "1",
        slow_s: float = 1.0,
        key: str | None = None,
        keep_log: bool = True,
        port: int = 0,
    ) -> None:
        super().__init__(port)
        self.reply = reply
        self.chunk_size, self.delay_s = chunk_size, delay_s
        self.retry_after, self.slow_s = retry_after, slow_s
        self.key, self.keep_log = key, keep_log
        self.received: list[ReceivedRequest] = []
        self.hangups: list[float] = []
        """When clients left in the middle of an answer, in `time.monotonic()` seconds."""
        self.open_requests = 0
        """Requests under way now."""
        self.answered = 0
        """Chat requests that came in, well answered or not."""
        self._bytes = bytearray()
        self._faults: deque[Fault | None] = deque()
        self.schedule(*faults)

    @property
    def base_url(self) -> str:
        """What to configure as `base_url`."""
        return f"http://127.0.0.1:{self.port}/v1"

    def unschedule(self) -> None:
        """Drop the faults that have not happened yet."""
        self._faults.clear()

    def schedule(self, *faults: Fault | str | None) -> None:
        """Add faults for the requests to come, in order."""
        self._faults.extend(None if fault is None else Fault(fault) for fault in faults)

    def all_bytes(self) -> bytes:
        """Every byte received since the start: request lines, headers and bodies."""
        return bytes(self._bytes)

    def forget(self) -> None:
        """Empty the log."""
        self.received.clear()
        self.hangups.clear()
        self._bytes.clear()

    def refuses(self) -> bool:
        if self._faults and self._faults[0] is Fault.HANGUP:
            self._faults.popleft()
            return True
        return False

    def saw(self, data: bytes) -> None:
        if self.keep_log:
            self._bytes += data

    def hung_up(self) -> None:
        self.hangups.append(time.monotonic())

    async def serve(self, request: ReceivedRequest, connection: Connection) -> None:
        if self.keep_log:
            self.received.append(request)
        self.open_requests += 1
        try:
            await self._serve(request, connection)
        finally:
            self.open_requests -= 1

    async def _serve(self, request: ReceivedRequest, connection: Connection) -> None:
        path = request.path.partition("?")[0]
        if self.key is not None and request.header("authorization") != f"Bearer {self.key}":
            connection.answer(401, error_body(Fault.REFUSED, {}, request))
        elif path == "/v1/models" and request.method == "GET":
            models = [{"id": "fake", "object": "model", "created": 0, "owned_by": "nobody"}]
            connection.answer(200, orjson.dumps({"object": "list", "data": models}))
        elif path not in {"/v1/chat/completions", "/v1/embeddings"} or request.method != "POST":
            connection.answer(404, b'{"error": {"message": "no such path", "code": "not_found"}}')
        elif (body := _object(request.body)) is None:
            connection.answer(400, b'{"error": {"message": "not a JSON object", "type": "invalid_request_error"}}')
        elif path == "/v1/embeddings":
            connection.answer(200, orjson.dumps(embeddings_of(body)))
        else:
            self.answered += 1
            await self._chat(body, request, connection)

    async def _chat(self, body: dict[str, Any], request: ReceivedRequest, connection: Connection) -> None:
        fault = self._next_fault(body)
        if fault is Fault.HANGUP:
            connection.abort()
        elif fault in STATUSES:
            extra = f"retry-after: {self.retry_after}\r\n" if fault is Fault.RATE_LIMIT else ""
            connection.answer(STATUSES[fault], error_body(fault, body, request), headers=extra)
        elif fault is Fault.WRONG_CONTENT_TYPE:
            connection.answer(200, b"<html><body>Log in to the Wi-Fi</body></html>", "text/html; charset=utf-8")
        else:
            if fault is Fault.SLOW_FIRST_BYTE:
                await asyncio.sleep(self.slow_s)
            answer = answer_to(body, self.reply, self.answered)
            if fault is Fault.BAD_USAGE:
                answer.pop("usage", None)
            if body.get("stream") and fault is not Fault.JSON_INSTEAD_OF_STREAM:
                await self._stream(answer, fault, error_body(fault, body, request), connection)
            else:
                await self._whole(answer, fault, error_body(fault, body, request), connection)

    def _next_fault(self, body: Mapping[str, Any]) -> Fault | None:
        named = str(body.get("model")).partition("+")[2]
        if named:
            with suppress(ValueError):
                return Fault(named)
        return self._faults.popleft() if self._faults else None

    async def _whole(self, answer: dict[str, Any], fault: Fault | None, error: bytes, connection: Connection) -> None:
        content = orjson.dumps(answer)
        half = content[: len(content) // 2]
        if fault is Fault.ERROR_IN_200:
            connection.answer(200, error)
        elif fault is Fault.MALFORMED:
            connection.answer(200, half)
        elif fault in {Fault.CUT, Fault.STALL}:
            connection.begin(200, f"content-type: application/json\r\ncontent-length: {len(content)}\r\n", half)
            await self._break(fault, connection)
        else:
            connection.answer(200, content)

    async def _stream(self, answer: dict[str, Any], fault: Fault | None, error: bytes, connection: Connection) -> None:
        chunks = [orjson.dumps(chunk) for chunk in split_answer(answer, self.chunk_size)]
        breaks = fault in {Fault.CUT, Fault.STALL, Fault.MALFORMED, Fault.ERROR_IN_200}
        connection.begin_events()
        for chunk in islice(chunks, len(chunks) // 2 if breaks else None):
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            connection.chunk(b"data: %b\n\n" % chunk)
        if fault is Fault.ERROR_IN_200:
            connection.chunk(b"data: %b\n\n" % error)
        elif fault is Fault.MALFORMED:
            connection.chunk(b"data: %b\n\n" % chunks[-1][:-9])
        elif breaks:
            await self._break(fault, connection)
            return
        if fault is not Fault.NO_DONE:
            connection.chunk(b"data: [DONE]\n\n")
        connection.chunk(b"")

    async def _break(self, fault: Fault | None, connection: Connection) -> None:
        if fault is Fault.STALL:
            await asyncio.sleep(_FOREVER_S)
        connection.close()


def _object(content: bytes) -> dict[str, Any] | None:
    try:
        # orjson refuses lone surrogates, which are legal JSON.
        body = json.loads(content)
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def main() -> None:
    """Serve until interrupted; the base URL is the first line of the output."""
    import argparse
    import sys

    parser = argparse.ArgumentParser(prog="python -m netgpt.models.fake_cloud", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--reply", help="a fixed text; by default the last user message")
    parser.add_argument("--chunk-size", type=int, default=8, help="characters per streamed chunk")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each chunk")
    parser.add_argument("--log", action="store_true", help="keep all that is received, in memory")
    given = parser.parse_args()
    cloud = FaultyCloud(
        echo if given.reply is None else given.reply,
        chunk_size=given.chunk_size,
        delay_s=given.delay,
        keep_log=given.log,
        port=given.port,
    )
    with cloud, suppress(KeyboardInterrupt):
        sys.stdout.write(cloud.base_url + "\n")
        sys.stdout.flush()
        while True:
            time.sleep(_FOREVER_S)


if __name__ == "__main__":
    main()
