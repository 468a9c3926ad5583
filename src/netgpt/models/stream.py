"""Reads answers of OpenAI-compatible servers: streamed or whole bytes in, checked chunks out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from types import NoneType
from typing import Any, cast

import orjson

from netgpt.errors import BrokenStream, ModelTimeout
from netgpt.models.errors import Peer, error_in_answer
from netgpt.types import Chunk

MAX_EVENT_BYTES = 4_000_000
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its data lines joined by newlines, and its name (`message` unless the server gave one)."""

    data: bytes
    name: str = "message"


class EventParser:
    """Server-sent events (WHATWG HTML, section 9.2): bytes in, events out. However the bytes are cut, the events are
    the same.

    Lines may end with LF, CRLF or CR. An event is complete at its empty line; what follows the last empty line is
    dropped. Only `data` and `event` are read; comments (pings), `id`, `retry` and unknown fields are passed over.
    """

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES, source: str = "the stream") -> None:
        """`source` names the stream in errors."""
        self._source, self._max_bytes = source, max_event_bytes
        self._line: list[bytes] = []
        """Pieces of the line that has not ended. A list, so that many small pieces are joined once."""
        self._data: list[bytes] = []
        self._line_bytes = self._data_bytes = 0
        self._name = ""
        self._first_line, self._after_cr = True, False

    def feed(self, piece: bytes) -> Iterator[Event]:
        """Give out the events that `piece` completes. The iterator must be used up before the next call.

        Raises BrokenStream when one event is larger than `max_event_bytes`.
        """
        if self._after_cr and piece:
            self._after_cr = False
            piece = piece.removeprefix(b"\n")
        lines = piece.splitlines(keepends=True)
        self._after_cr = piece.endswith(b"\r") or (self._after_cr and not piece)
        for line in lines:
            text = line.rstrip(b"\r\n")
            self._take(text)
            if len(text) < len(line) and (event := self._end_line()) is not None:
                yield event

    def _take(self, text: bytes) -> None:
        self._line.append(text)
        self._line_bytes += len(text)
        if self._line_bytes + self._data_bytes > self._max_bytes:
            raise BrokenStream(f"one event of {self._source} is larger than {self._max_bytes} bytes")

    def _end_line(self) -> Event | None:
        line = self._line[0] if len(self._line) == 1 else b"".join(self._line)
        self._line.clear()
        self._line_bytes = 0
        if self._first_line:
            self._first_line = False
            line = line.removeprefix(_BYTE_ORDER_MARK)
        if not line:
            return self._end_event()
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
            self._data_bytes += len(value) + 1
        elif field == b"event":
            self._name = value.decode("utf-8", "replace")
        return None

    def _end_event(self) -> Event | None:
        data, name = self._data, self._name
        self._data, self._data_bytes, self._name = [], 0, ""
        return Event(b"\n".join(data), name or "message") if data else None


_TEXTS = frozenset({"content", "refusal", "reasoning_content", "reasoning"})
"""Fields of a delta that are pieces of one text."""
_CALL_TEXTS = frozenset({"arguments", "input"})
"""Fields of a called function or custom tool that are pieces of one text."""


def as_chunk(answer: Mapping[str, Any]) -> Chunk:
    """A whole `chat.completion` as one chunk: each choice a whole delta with its `finish_reason`, usage kept.

    A choice without `finish_reason` gets "stop": the document arrived whole, so it cannot have been cut.
    """
    chunk = {**answer, "object": "chat.completion.chunk", "choices": []}
    for place, choice in enumerate(answer["choices"]):
        rest = {name: value for name, value in choice.items() if name != "message"}
        rest["index"] = choice.get("index", place)
        rest["finish_reason"] = choice.get("finish_reason") or "stop"
        chunk["choices"].append({**rest, "delta": _numbered(choice.get("message") or {})})
    return chunk


def _numbered(message: Mapping[str, Any]) -> dict[str, Any]:
    """The message as a delta: its tool calls carry their index."""
    delta = dict(message)
    calls = delta.get("tool_calls")
    if calls:
        delta["tool_calls"] = [{"index": place, **call} for place, call in enumerate(calls)]
    return delta


def join_chunks(chunks: Iterable[Chunk]) -> dict[str, Any]:
    """All chunks of one answer as the whole `chat.completion` that a request without `stream` would have got."""
    joiner = Joiner()
    for chunk in chunks:
        joiner.add(chunk)
    return joiner.answer()


class Joiner:
    """Joins the chunks of one answer while they pass. `answer()` may be asked at any time."""

    def __init__(self) -> None:
        self._head: dict[str, Any] = {}
        self._choices: dict[int, dict[str, Any]] = {}

    def add(self, chunk: Chunk) -> None:
        for name, value in chunk.items():
            if name not in {"choices", "object"} and (value is not None or name not in self._head):
                self._head[name] = value
        for choice in chunk.get("choices") or ():
            _add_choice(self._choices.setdefault(choice.get("index", 0), {}), choice)

    def answer(self) -> dict[str, Any]:
        """The answer so far; a choice that has not ended has `finish_reason` None."""
        head = dict(self._head)
        if head.get("usage", False) is None:
            del head["usage"]
        choices = [_whole_choice(index, self._choices[index]) for index in sorted(self._choices)]
        return {"id": "", **head, "object": "chat.completion", "choices": choices}


def _add_choice(joined: dict[str, Any], choice: Mapping[str, Any]) -> None:
    for name, value in choice.items():
        if name == "delta":
            _add_delta(joined.setdefault("message", {}), value or {})
        elif name == "logprobs":
            joined[name] = _joined_logprobs(joined.get(name), value)
        elif value is not None or name not in joined:
            joined[name] = value


def _add_delta(message: dict[str, Any], delta: Mapping[str, Any]) -> None:
    for name, value in delta.items():
        so_far = message.get(name)
        if name == "tool_calls" and value:
            calls = message.get(name) or []
            message[name] = calls
            for call in value:
                _add_call(calls, call)
        elif name == "function_call" and isinstance(so_far, dict) and isinstance(value, dict):
            _add_function(so_far, value)
        elif _are_pieces(name, so_far, value):
            message[name] = so_far + value
        elif value is not None or name not in message:
            message[name] = dict(value) if isinstance(value, dict) else value


def _are_pieces(name: str, so_far: Any, more: Any) -> bool:
    if isinstance(so_far, str):
        return isinstance(more, str) and name in _TEXTS
    return isinstance(so_far, list) and isinstance(more, list)


def _add_call(calls: list[dict[str, Any]], call: Mapping[str, Any]) -> None:
    """Merge a piece of a tool call into the call of the same index; of the same id, where a server sends no index."""
    index = call.get("index")
    if index is None:
        index = next((known["index"] for known in calls if call.get("id") in {None, known.get("id")}), len(calls))
    known = next((each for each in calls if each["index"] == index), None)
    if known is None:
        known = {"index": index}
        calls.append(known)
    for name, value in call.items():
        if isinstance(value, dict) and isinstance(known.get(name), dict):
            _add_function(known[name], value)
        elif isinstance(value, dict):
            known[name] = dict(value)
        elif value not in (None, ""):
            known[name] = value


def _add_function(known: dict[str, Any], piece: Mapping[str, Any]) -> None:
    for name, value in piece.items():
        so_far = known.get(name)
        if name in _CALL_TEXTS and isinstance(so_far, str) and isinstance(value, str):
            known[name] = so_far + value
        elif value not in (None, "") or name not in known:
            known[name] = value


def _joined_logprobs(so_far: Any, more: Any) -> Any:
    if not so_far or not more:
        return so_far or more
    return {name: [*(so_far.get(name) or ()), *(more.get(name) or ())] or None for name in {**so_far, **more}}


def _whole_choice(index: int, joined: Mapping[str, Any]) -> dict[str, Any]:
    message = {"role": "assistant", "content": None, **joined.get("message", {})}
    if message.get("tool_calls"):
        calls = sorted(message["tool_calls"], key=lambda call: call["index"])
        message["tool_calls"] = [{name: value for name, value in call.items() if name != "index"} for call in calls]
    rest = {name: value for name, value in joined.items() if name not in {"index", "message"}}
    return {"index": index, "message": message, "finish_reason": None, **rest}


def split_answer(answer: Mapping[str, Any], size: int) -> Iterator[Chunk]:
    """A whole answer as the chunks of a stream, texts cut into pieces of `size` characters; the usage comes last.

    The opposite of `join_chunks`; the shipped fakes speak with it. Choices take turns, as real servers' do.
    """
    whole = as_chunk(answer)
    head = {name: value for name, value in whole.items() if name not in {"choices", "usage"}}
    turns = [_split_choice(choice, size) for choice in whole["choices"]]
    while turns:
        for turn in list(turns):
            piece = next(turn, None)
            if piece is None:
                turns.remove(turn)
            else:
                yield {**head, "choices": [piece]}
    if "usage" in whole:
        yield {**head, "choices": [], "usage": whole["usage"]}


def _split_choice(choice: Mapping[str, Any], size: int) -> Iterator[dict[str, Any]]:
    start = {"index": choice["index"], "finish_reason": None}
    delta = choice["delta"]
    texts = {name: delta[name] for name in delta if name in _TEXTS and isinstance(delta[name], str)}
    calls = delta.get("tool_calls") or []
    plain = {name: value for name, value in delta.items() if name not in texts and not (name == "tool_calls" and calls)}
    yield {**start, "delta": {**plain, **dict.fromkeys(texts, "")}}
    for name, text in texts.items():
        for at in range(0, len(text), size):
            yield {**start, "delta": {name: text[at : at + size]}}
    for call in calls:
        for piece in _split_call(call, size):
            yield {**start, "delta": {"tool_calls": [piece]}}
    rest = {name: value for name, value in choice.items() if name != "delta"}
    yield {**rest, "delta": {}}


def _split_call(call: Mapping[str, Any], size: int) -> Iterator[dict[str, Any]]:
    kind = "custom" if "custom" in call else "function"
    function = call.get(kind, {})
    text_name = "input" if kind == "custom" else "arguments"
    text = function.get(text_name)
    if not isinstance(text, str):
        yield dict(call)
        return
    yield {**call, kind: {**function, text_name: ""}}
    for at in range(0, len(text), size):
        yield {"index": call["index"], kind: {text_name: text[at : at + size]}}


_LINGER_S = 0.25
"""How long to wait for the end of a stream that said it is done, so that its connection can be used again."""


async def read_chunks(
    pieces: AsyncGenerator[bytes, None], kind: str, peer: Peer, choices: int
) -> AsyncGenerator[Chunk, None]:
    """The chunks of one answer of content type `kind`; `choices` is how many were asked for.

    A whole answer becomes one chunk, whatever the request said: some servers do not stream.
    Raises BrokenStream, ModelTimeout, and what an in-band error stands for.
    """
    if kind == "text/event-stream":
        async with aclosing(_read_stream(pieces, peer, choices)) as chunks:
            async for chunk in chunks:
                yield chunk
    elif kind == "application/json":
        document = await read_document(pieces, peer)
        _check_whole(document, peer)
        yield check_chunk(as_chunk(document), peer)
    else:
        raise BrokenStream(f"{peer} answered with content type {kind}; expected JSON or an event stream")


async def read_document(pieces: AsyncGenerator[bytes, None], peer: Peer) -> dict[str, Any]:
    """A whole JSON object that is no error."""
    body = b"".join([piece async for piece in pieces])
    document = _loads(body, peer)
    if not isinstance(document, dict):
        raise BrokenStream(f"{peer} sent JSON that is not an object")
    return document


def _check_whole(document: dict[str, Any], peer: Peer) -> None:
    choices = document.get("choices")
    if not isinstance(choices, list) or not choices or not all(_is_whole(choice) for choice in choices):
        raise BrokenStream(f"{peer} sent an answer without choices or messages")


def _is_whole(choice: Any) -> bool:
    return isinstance(choice, dict) and isinstance(choice.get("message"), dict) and _is_delta(choice["message"])


def _loads(data: bytes, peer: Peer) -> Any:
    """Parse JSON; raises BrokenStream, or what an error object in it stands for."""
    try:
        document = orjson.loads(data)
    except ValueError:
        raise BrokenStream(f"{peer} sent a line that is not JSON") from None
    error = error_in_answer(peer, document)
    if error is not None:
        raise error
    return document


class _Progress:
    """Which choices of a stream have begun, which have said words, and which have ended."""

    def __init__(self, choices: int) -> None:
        self._asked = choices
        self._begun: set[int] = set()
        self._said: set[int] = set()
        self._called: set[int] = set()
        self._ended: set[int] = set()
        self._last: Chunk = {}

    def see(self, chunk: Chunk) -> None:
        self._last = chunk
        for choice in chunk["choices"]:
            index, delta = choice["index"], choice.get("delta") or {}
            self._begun.add(index)
            if delta.get("content") or delta.get("refusal"):
                self._said.add(index)
            if delta.get("tool_calls") or delta.get("function_call"):
                self._called.add(index)
            if choice.get("finish_reason"):
                self._ended.add(index)

    def unnamed_ends(self) -> Iterator[Chunk]:
        """After `[DONE]`: the end of choices that said words and got no `finish_reason`, as some servers leave it out.

        Not of a called tool: half of its arguments could be valid, and somebody would run it.
        """
        left = self._begun - self._ended
        if left and left <= self._said - self._called:
            head = {name: value for name, value in self._last.items() if name not in {"choices", "usage"}}
            ends = [{"index": index, "delta": {}, "finish_reason": "stop"} for index in sorted(left)]
            yield {**head, "choices": ends}

    def may_end(self, said_done: bool) -> bool:
        """Whether the answer is whole. A server that says so may have given fewer choices than asked for."""
        if not self._begun or self._begun != self._ended:
            return False
        return said_done or len(self._ended) >= self._asked

    def check_end(self, peer: Peer, *, said_done: bool) -> None:
        if not self.may_end(said_done):
            raise BrokenStream(f"{peer} cut its answer: the stream ended before every choice had a finish_reason")


async def _read_stream(pieces: AsyncGenerator[bytes, None], peer: Peer, choices: int) -> AsyncGenerator[Chunk, None]:
    progress, parser = _Progress(choices), EventParser(source=str(peer))
    try:
        async for piece in pieces:
            for event in parser.feed(piece):
                if event.data == b"[DONE]":
                    for chunk in progress.unnamed_ends():
                        progress.see(chunk)
                        yield chunk
                    progress.check_end(peer, said_done=True)
                    await _linger(pieces)
                    return
                chunk = _read_event(event, peer)
                progress.see(chunk)
                yield chunk
    except (BrokenStream, ModelTimeout):
        if not progress.may_end(said_done=False):
            raise
    progress.check_end(peer, said_done=False)


async def _linger(pieces: AsyncGenerator[bytes, None]) -> None:
    """Read what little follows `[DONE]`: only a connection read to its end goes back to the pool."""
    try:
        async with asyncio.timeout(_LINGER_S):
            async for _ in pieces:
                pass
    except (TimeoutError, BrokenStream, ModelTimeout):
        return


def _read_event(event: Event, peer: Peer) -> Chunk:
    document = _loads(event.data, peer)
    if event.name == "error":
        error = error_in_answer(peer, {"error": document or "unnamed"})
        assert error is not None
        raise error
    return check_chunk(document, peer)


def check_chunk(raw: Any, peer: Peer) -> Chunk:
    """The chunk, when it has the shape that the later stages rely on; raises BrokenStream otherwise.

    Two habits of real servers are put right: a usage chunk without `choices`, and choices without an index.
    """
    if isinstance(raw, dict):
        if raw.get("choices") is None and isinstance(raw.get("usage"), dict):
            raw["choices"] = []
        choices = raw.get("choices")
        if isinstance(choices, list) and all(_is_choice(choice) for choice in choices):
            return raw
    raise BrokenStream(f"{peer} sent a chunk that does not have OpenAI's shape")


def _is_choice(choice: Any) -> bool:
    if not isinstance(choice, dict):
        return False
    if choice.setdefault("index", 0).__class__ is not int:
        return False
    if not isinstance(choice.get("finish_reason"), str | None) or not _are_logprobs(choice.get("logprobs")):
        return False
    delta = choice.get("delta")
    if delta is None:
        choice["delta"] = {}
        return True
    return isinstance(delta, dict) and _is_delta(delta)


def _is_delta(delta: dict[str, Any]) -> bool:
    calls = delta.get("tool_calls")
    if calls is not None and not (isinstance(calls, list) and all(_is_call(call) for call in calls)):
        return False
    if not isinstance(delta.get("function_call"), dict | None):
        return False
    return isinstance(delta.get("content"), str | None) and isinstance(delta.get("refusal"), str | None)


def _is_call(call: Any) -> bool:
    if not isinstance(call, dict) or call.get("index").__class__ not in {int, NoneType}:
        return False
    return isinstance(call.get("function"), dict | None) and isinstance(call.get("custom"), dict | None)


def _are_logprobs(value: Any) -> bool:
    return value is None or (isinstance(value, dict) and all(isinstance(each, list | None) for each in value.values()))


async def close(chunks: AsyncIterator[Chunk]) -> None:
    """End a call at once, wherever it is."""
    await cast(Any, chunks).aclose()


def characters_of(chunk: Chunk) -> int:
    """How much a chunk says, in characters of texts and of arguments."""
    count = 0
    for choice in chunk.get("choices") or ():
        delta = choice.get("delta") or {}
        count += len(delta.get("content") or "")
        count += sum(len((call.get("function") or {}).get("arguments") or "") for call in delta.get("tool_calls") or ())
    return count
