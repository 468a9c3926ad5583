"""`FaultyCloud`: an OpenAI-compatible server on loopback that logs every byte and fails on demand.

For your own tests, and alone as a process: `python -m netgpt.testing.server --port 9999`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import islice
from typing import Any, Self

import httptools
import orjson

from netgpt.errors import NetGPTError
from netgpt.models.stream import split_answer
from netgpt.testing.habits import Habit, WrittenAnswer, refusal, written

_REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests"}
_START_S = 10.0


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """One request as it came in. Header names are lower case."""

    method: str
    path: str
    headers: tuple[tuple[str, str], ...] = field(repr=False)
    body: bytes = field(repr=False)

    def header(self, name: str) -> str | None:
        """The first header of that lower-case name."""
        return next((value for known, value in self.headers if known == name), None)


class Connection(asyncio.Protocol):
    """One client's connection: parses requests, hands each to the server, writes answers."""

    def __init__(self, server: FakeHttp) -> None:
        self._server = server
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._work: asyncio.Task[None] | None = None
        self._url, self._headers, self._body = b"", list[tuple[str, str]](), list[bytes]()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.connections.add(self)
        if self._server.refuses():
            transport.abort()

    def data_received(self, data: bytes) -> None:
        self._server.saw(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.close()

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._server.connections.discard(self)
        if self._work is not None and not self._work.done():
            self._server.hung_up()
            self._work.cancel()

    def on_message_begin(self) -> None:
        self._url, self._headers, self._body = b"", [], []

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.decode("latin-1").lower(), value.decode("latin-1")))

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        method = self._parser.get_method().decode("ascii")
        request = ReceivedRequest(method, self._url.decode("latin-1"), tuple(self._headers), b"".join(self._body))
        self._work = asyncio.get_running_loop().create_task(self._server.serve(request, self))

    def answer(self, status: int, body: bytes, kind: str = "application/json", *, headers: str = "") -> None:
        """Write a whole answer. `headers`: more header lines, each ended by CRLF."""
        self.begin(status, f"content-type: {kind}\r\ncontent-length: {len(body)}\r\n{headers}", body)

    def begin(self, status: int, headers: str, body: bytes = b"") -> None:
        """Write the head of an answer, and what of its body is at hand."""
        self.write(f"HTTP/1.1 {status} {_REASONS.get(status, 'Error')}\r\n{headers}\r\n".encode("latin-1") + body)

    def begin_events(self) -> None:
        self.begin(200, "content-type: text/event-stream\r\ntransfer-encoding: chunked\r\n")

    def chunk(self, data: bytes) -> None:
        """Write one piece of a chunked body; an empty one ends it."""
        self.write(b"%x\r\n%b\r\n" % (len(data), data))

    def write(self, data: bytes) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        """End the connection after what was written, whether or not an answer is complete."""
        self._work = None
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """End the connection at once."""
        self._work = None
        if self._transport is not None:
            self._transport.abort()


class FakeHttp:
    """The smallest HTTP/1.1 server that a fake needs: keep-alive, chunked answers, every byte seen. Subclasses answer.

    It runs on its own event loop in its own thread, so that a test may start and stop it from any loop or from none,
    and twice.
    """

    def __init__(self, port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.port = port
        """0 takes a free one at the start."""
        self.tls = tls
        self.connections: set[Connection] = set()
        self._thread: threading.Thread | None = None
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: Callable[[], object] = lambda: None
        self._fault: OSError | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self.stop)

    async def serve(self, request: ReceivedRequest, connection: Connection) -> None:
        """Answer one request; runs on the server's own loop."""
        raise NotImplementedError

    def refuses(self) -> bool:
        """Whether to hang up on a connection as it is made."""
        return False

    def saw(self, data: bytes) -> None:
        """Every byte received passes here."""

    def hung_up(self) -> None:
        """A client left while its answer was under way."""

    def start(self) -> None:
        """Return when the port answers. Raises NetGPTError when it cannot be had."""
        if self._thread is not None:
            return
        self._ready.clear()
        self._fault = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._listen()), name="fake-cloud", daemon=True)
        self._thread.start()
        started = self._ready.wait(_START_S)
        if self._fault is not None or not started:
            self._thread = None
            raise NetGPTError(f"the fake cloud cannot listen on 127.0.0.1:{self.port}; is the port taken?")

    def stop(self) -> None:
        """End every connection and the thread."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._stop()
            thread.join(_START_S)

    async def _listen(self) -> None:
        loop, stopped = asyncio.get_running_loop(), asyncio.Event()
        try:
            server = await loop.create_server(lambda: Connection(self), "127.0.0.1", self.port, ssl=self.tls)
        except OSError as error:
            self._fault = error
            self._ready.set()
            return
        self.port = server.sockets[0].getsockname()[1]
        self._stop = lambda: loop.call_soon_threadsafe(stopped.set)
        self._ready.set()
        await stopped.wait()
        server.close()
        while self.connections:
            for connection in list(self.connections):
                connection.abort()
            await asyncio.sleep(0)


Reply = str | Callable[[Mapping[str, Any]], str | dict[str, Any]]
"""A fixed text, or a function of the request's body that returns a text, a message (`{"tool_calls": [...]}`), or a
whole answer (with `choices`)."""

_CREATED = 1_700_000_000
"""Every answer claims this second, so that two runs give the same bytes."""


def last_user_text(body: Mapping[str, Any]) -> str:
    """The text of the last message of the user; the texts of its parts joined, when it has parts."""
    for message in reversed(body.get("messages") or []):
        if message.get("role") == "user":
            return _text(message.get("content"))
    return ""


def echo(body: Mapping[str, Any]) -> str:
    """The default reply: what the user said last, so that a test can see what came in come back."""
    return last_user_text(body)


def calls_tool(name: str, arguments: Mapping[str, Any]) -> Callable[[Mapping[str, Any]], str | dict[str, Any]]:
    """A reply that calls the tool once, and after its result says what the tool said."""

    def reply(body: Mapping[str, Any]) -> str | dict[str, Any]:
        messages = body.get("messages") or [{}]
        if messages[-1].get("role") == "tool":
            return _text(messages[-1].get("content"))
        text = json.dumps(arguments, ensure_ascii=False)
        call = {"id": "call_1", "type": "function", "function": {"name": name, "arguments": text}}
        return {"content": None, "tool_calls": [call]}

    return reply


def answer_to(body: Mapping[str, Any], reply: Reply, number: int = 1) -> dict[str, Any]:
    """The whole `chat.completion`: the reply in each of the `n` choices. A "token" of its usage is a word."""
    said = reply if isinstance(reply, str) else reply(body)
    if isinstance(said, dict) and "choices" in said:
        return said
    message = {"role": "assistant", **({"content": said} if isinstance(said, str) else said)}
    finish = "tool_calls" if message.get("tool_calls") else "stop"
    count = body.get("n") or 1
    choices = [{"index": place, "message": message, "finish_reason": finish} for place in range(count)]
    prompt, completion = _words(body.get("messages")), _words(message) * count
    usage = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    model = body.get("model") or "scripted"
    head = {"id": f"chatcmpl-{number}", "object": "chat.completion", "created": _CREATED, "model": model}
    return {**head, "choices": choices, "usage": usage}


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(part.get("text") or "" for part in content if isinstance(part, dict))
    return content if isinstance(content, str) else ""


def _words(value: Any) -> int:
    """Words of the texts in a message, or in a list of messages."""
    if isinstance(value, list):
        return sum(_words(each) for each in value)
    if not isinstance(value, dict):
        return 0
    calls = [call.get("function", {}).get("arguments", "") for call in value.get("tool_calls") or ()]
    return len(" ".join([_text(value.get("content")), *calls]).split())


def embeddings_of(body: Mapping[str, Any]) -> dict[str, Any]:
    """OpenAI's embeddings answer: eight numbers in [-1, 1] a text, the same for the same text."""
    given = body.get("input")
    texts = given if isinstance(given, list) else [given]
    data = []
    for index, text in enumerate(texts):
        digest = hashlib.sha256(str(text).encode("utf-8", "replace")).digest()
        vector = [byte / 127.5 - 1 for byte in digest[:8]]
        data.append({"object": "embedding", "index": index, "embedding": vector})
    tokens = sum(len(str(text).split()) for text in texts)
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    return {"object": "list", "data": data, "model": body.get("model") or "fake", "usage": usage}


class Fault(StrEnum):
    """What can go wrong with one request. Error answers repeat the request's text and key, as careless servers do."""

    CUT = "cut"
    """Closes in the middle of the answer."""
    STALL = "stall"
    """Stops sending in the middle of the answer and keeps the connection."""
    MALFORMED = "malformed"
    """Sends a line that is not JSON."""
    ERROR_IN_200 = "error_in_200"
    """Sends an error object where (the rest of) the answer should be, with status 200."""
    RATE_LIMIT = "rate_limit"
    """429 with Retry-After."""
    SERVER_ERROR = "server_error"
    """500."""
    REFUSED = "refused"
    """401: the key is not accepted."""
    TOO_LONG = "too_long"
    """400 with the code `context_length_exceeded`."""
    SLOW_FIRST_BYTE = "slow_first_byte"
    """Waits `slow_s` before the first byte, then answers well."""
    WRONG_CONTENT_TYPE = "wrong_content_type"
    """An HTML page with status 200."""
    HANGUP = "hangup"
    """Closes a new connection at once, or a used one when the request comes."""
    BAD_USAGE = "bad_usage"
    """Answers well, but without usage."""
    NO_DONE = "no_done"
    """Streams a whole answer, but ends it without `[DONE]`."""
    JSON_INSTEAD_OF_STREAM = "json_instead_of_stream"
    """Ignores `stream` and sends one JSON document."""


STATUSES = {Fault.RATE_LIMIT: 429, Fault.SERVER_ERROR: 500, Fault.REFUSED: 401, Fault.TOO_LONG: 400}
_CODES = {
    Fault.RATE_LIMIT: "rate_limit_exceeded", Fault.SERVER_ERROR: "server_error", Fault.REFUSED: "invalid_api_key",
    Fault.TOO_LONG: "context_length_exceeded", Fault.ERROR_IN_200: "server_error",
}  # fmt: skip


def error_body(fault: Fault | None, body: Mapping[str, Any], request: ReceivedRequest) -> bytes:
    """The error that the fault answers with; empty for a fault that answers no error."""
    if fault not in _CODES:
        return b""
    message = f"{request.header('authorization')} asked: {last_user_text(body)}"
    kind = "invalid_request_error" if fault in {Fault.REFUSED, Fault.TOO_LONG} else _CODES[fault]
    error = {"message": message, "type": kind, "code": _CODES[fault], "param": message}
    return json.dumps({"error": error}).encode("ascii")


_FOREVER_S = 86_400.0


class FaultyCloud(FakeHttp):
    """A real HTTP server: `/v1/chat/completions`, `/v1/models`, `/v1/embeddings`. A context manager, sync and async.

    reply:       what it says; by default the last user message (see `Reply`).
    faults:      one for each chat request to come, in order, None for a good answer; then all is well. A request
                 may also name its own fault in the model's name: `any+cut`.
    chunk_size:  characters per streamed chunk.
    delay_s:     seconds before each chunk of a stream.
    retry_after: the header of `rate_limit`, in seconds or as an HTTP date.
    slow_s:      seconds that `slow_first_byte` waits.
    key:         the only key accepted; None accepts any.
    keep_log:    whether to keep what is received; a benchmark does without.
    habit:       how good answers are written (see `Habit`); a model's name may name one as well: `any+no_index`.
    refuses:     fields that it does not take, and in whose words it says so (see `habits.REFUSALS`).
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
        habit: Habit | None = None,
        refuses: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(port)
        self.reply = reply
        self.habit, self.disliked = habit, dict(refuses or {})
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
        elif (refused := refusal(self.disliked, body)) is not None:
            connection.answer(*refused)
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
            if (habit := self._habit(body)) is not None:
                self._write(written(habit, answer, stream=bool(body.get("stream")), size=self.chunk_size), connection)
            elif body.get("stream") and fault is not Fault.JSON_INSTEAD_OF_STREAM:
                await self._stream(answer, fault, error_body(fault, body, request), connection)
            else:
                await self._whole(answer, fault, error_body(fault, body, request), connection)

    def _next_fault(self, body: Mapping[str, Any]) -> Fault | None:
        named = str(body.get("model")).partition("+")[2]
        if named:
            with suppress(ValueError):
                return Fault(named)
        return self._faults.popleft() if self._faults else None

    def _habit(self, body: Mapping[str, Any]) -> Habit | None:
        with suppress(ValueError):
            return Habit(str(body.get("model")).partition("+")[2])
        return self.habit

    def _write(self, answer: WrittenAnswer, connection: Connection) -> None:
        kind = f"content-type: {answer.kind}\r\n" if answer.kind else ""
        connection.begin(200, f"{kind}transfer-encoding: chunked\r\n")
        for piece in filter(None, answer.pieces):
            connection.chunk(piece)
        connection.chunk(b"")

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
        body = json.loads(content)  # orjson refuses lone surrogates, which are legal JSON
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def main() -> None:
    """Serve until interrupted; the base URL is the first line of the output."""
    import argparse
    import sys

    parser = argparse.ArgumentParser(prog="python -m netgpt.testing.server", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--reply", help="a fixed text; by default the last user message")
    parser.add_argument("--chunk-size", type=int, default=8, help="characters per streamed chunk")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds before each chunk")
    parser.add_argument("--log", action="store_true", help="keep all that is received, in memory")
    given = parser.parse_args()
    reply = echo if given.reply is None else given.reply
    cloud = FaultyCloud(reply, chunk_size=given.chunk_size, delay_s=given.delay, keep_log=given.log, port=given.port)
    with cloud, suppress(KeyboardInterrupt):
        sys.stdout.write(cloud.base_url + "\n")
        sys.stdout.flush()
        while True:
            time.sleep(_FOREVER_S)


if __name__ == "__main__":
    main()
