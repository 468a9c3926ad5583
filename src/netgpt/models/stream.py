"""Reads answers of OpenAI-compatible servers: streamed or whole bytes in, checked chunks out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, Final, cast

from netgpt.errors import BrokenStream, ModelTimeout
from netgpt.models.answers import LONGEST_TEXT, TEXTS, AnswerChecker, joins, portions, split_choice
from netgpt.models.base import AnswerReader
from netgpt.models.errors import Peer, error_in_answer, no_answer
from netgpt.models.habits import is_beat, is_done
from netgpt.models.reading import BYTE_ORDER_MARK, DOCUMENT, PAGE, kind_of, parsed, read_json, tells
from netgpt.types import Chunk

MAX_EVENT_BYTES = 4_000_000


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its data lines joined by newlines, and its name (`message` unless the server gave one)."""

    data: bytes
    name: str = "message"


class EventParser:
    """Server-sent events (WHATWG HTML, section 9.2): bytes in, events out. However the bytes are cut, the events are
    the same.

    Lines may end with LF, CRLF or CR. An event is complete at its empty line, or where another object begins; what
    follows the last of them is dropped. Only `data` and `event` are read, and objects in lines of their own; comments
    (pings), `id`, `retry` and unknown fields are passed over.
    """

    def __init__(self, max_event_bytes: int = MAX_EVENT_BYTES, source: str = "the stream") -> None:
        """`source` names the stream in errors."""
        self._source, self._max_bytes = source, max_event_bytes
        self._line = bytearray()
        """Of the line that has not ended."""
        self._data: list[bytes] = []
        self._data_bytes = 0
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
        self._line += text
        if len(self._line) + self._data_bytes > self._max_bytes:
            raise BrokenStream(f"one event of {self._source} is larger than {self._max_bytes} bytes")

    def _end_line(self) -> Event | None:
        line = bytes(self._line)
        self._line.clear()
        if self._first_line:
            self._first_line = False
            line = line.removeprefix(BYTE_ORDER_MARK)
        if not line:
            return self._end_event()
        if line.startswith(b"{"):  # an object without a field's name: lines of JSON, or an error in a hurry
            return Event(line)
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            early = self._end_event() if self._is_next(value) else None
            self._data.append(value)
            self._data_bytes += len(value) + 1
            return early
        elif field == b"event":
            self._name = value.decode("utf-8", "replace")
        return None

    def _is_next(self, value: bytes) -> bool:
        """Whether a line of data begins an event although none has ended: some servers leave the empty line out."""
        before = self._data[-1] if self._data else b""
        return before.startswith(b"{") and before.endswith(b"}") and value.startswith((b"{", b"[DONE]"))

    def _end_event(self) -> Event | None:
        data, name = self._data, self._name
        self._data, self._data_bytes, self._name = [], 0, ""
        return Event(b"\n".join(data), name or "message") if data else None


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


class _Pieces(list[str]):
    """A text so far: joined once, when it is asked for."""


class _Calls(dict[int, dict[str, Any]]):
    """Tool calls so far, by their index."""

    def __init__(self) -> None:
        self.by_id: dict[Any, int] = {}
        self.last = 0

    def known(self, call: Mapping[str, Any]) -> dict[str, Any]:
        """The call of the same index; of the same id, where a server sends no index; of the last one without both."""
        index, id = call.get("index"), call.get("id")
        if index is None:
            index = self.last if id is None else self.by_id.get(id, len(self))
        if id is not None:
            self.by_id.setdefault(id, index)
        self.last = index
        return self.setdefault(index, {"index": index})


class Joiner:
    """Joins the chunks of one answer while they pass, in time that is linear. `answer()` may be asked at any time."""

    def __init__(self) -> None:
        self._head: dict[str, Any] = {}
        self._choices: dict[int, dict[str, Any]] = {}
        self.empty = True

    def add(self, chunk: Chunk) -> None:
        self.empty = False
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
        elif name == "logprobs" and value:
            so_far = joined.get(name) or {}
            joined[name] = so_far
            for part, entries in value.items():
                so_far.setdefault(part, []).extend(entries or ())
        elif value is not None or name not in joined:
            joined[name] = value


def _add_delta(message: dict[str, Any], delta: Mapping[str, Any]) -> None:
    for name, value in delta.items():
        so_far = message.get(name)
        if name == "tool_calls" and value:
            message[name] = so_far = so_far or _Calls()
            for call in value:
                _add_call(so_far.known(call), call)
        elif name == "function_call" and isinstance(so_far, dict) and isinstance(value, dict):
            _add_function(so_far, value)
        elif name in TEXTS and isinstance(value, str):
            _add_text(message, name, value)
        elif isinstance(so_far, list) and isinstance(value, list) and name not in TEXTS:
            so_far.extend(value)
        elif value is not None or name not in message:
            message[name] = _copied(value)


def _add_text(known: dict[str, Any], name: str, piece: str) -> None:
    so_far = known.get(name)
    if isinstance(so_far, _Pieces):
        so_far.append(piece)
    else:
        known[name] = _Pieces([piece])


def _copied(value: Any) -> Any:
    """What will grow, as a copy: the chunks stay as they are."""
    if isinstance(value, dict):
        copy: dict[str, Any] = {}
        _add_function(copy, value)
        return copy
    return list(value) if isinstance(value, list) else value


def _add_call(known: dict[str, Any], call: Mapping[str, Any]) -> None:
    for name, value in call.items():
        if isinstance(value, dict) and isinstance(known.get(name), dict):
            _add_function(known[name], value)
        elif isinstance(value, dict):
            known[name] = _copied(value)
        elif value not in (None, "") and name != "index":
            known[name] = value


def _add_function(known: dict[str, Any], piece: Mapping[str, Any]) -> None:
    for name, value in piece.items():
        if name in _CALL_TEXTS and isinstance(value, str):
            _add_text(known, name, value)
        elif name == "name" and isinstance(value, str):  # it may come in pieces, and is said once
            known[name] = (known.get(name) or "") + value
        elif value not in (None, "") or name not in known:
            known[name] = value


def _joined(value: Any) -> Any:
    """What grew, as JSON: texts joined, calls in their order."""
    if isinstance(value, _Pieces):
        return "".join(value)
    if isinstance(value, _Calls):
        calls = (value[index] for index in sorted(value))
        return [{name: _joined(each) for name, each in call.items() if name != "index"} for call in calls]
    if isinstance(value, dict):
        return {name: "".join(each) if isinstance(each, _Pieces) else each for name, each in value.items()}
    return value


def _whole_choice(index: int, joined: Mapping[str, Any]) -> dict[str, Any]:
    said = {name: _joined(value) for name, value in joined.get("message", {}).items()}
    rest = {name: value for name, value in joined.items() if name not in {"index", "message"}}
    if rest.get("logprobs"):
        rest["logprobs"] = {name: list(entries) or None for name, entries in rest["logprobs"].items()}
    return {"index": index, "message": {"role": "assistant", "content": None, **said}, "finish_reason": None, **rest}


def split_answer(answer: Mapping[str, Any], size: int) -> Iterator[Chunk]:
    """A whole answer as the chunks of a stream, texts cut into pieces of `size` characters; the usage comes last.

    The opposite of `join_chunks`; the shipped fakes speak with it. Choices take turns, as real servers' do.
    """
    whole = as_chunk(answer)
    head = {name: value for name, value in whole.items() if name not in {"choices", "usage"}}
    turns = [split_choice(choice, size) for choice in whole["choices"]]
    while turns:
        for turn in list(turns):
            piece = next(turn, None)
            if piece is None:
                turns.remove(turn)
            else:
                yield {**head, "choices": [piece]}
    if "usage" in whole:
        yield {**head, "choices": [], "usage": whole["usage"]}


_LINGER_S = 0.25
"""How long to wait for the end of a stream that said it is done, so that its connection can be used again."""


_PORTION_BYTES: Final = 16_384
"""So much of a stream is read before others have their turn."""
_PORTION_CHUNKS: Final = 64
"""And so many chunks are passed on."""
_MOST_LATE: Final = 2_000
"""Chunks of a choice that has ended; all of them wait for the row that says so."""


async def read_chunks(
    pieces: AsyncGenerator[bytes, None],
    kind: str,
    peer: Peer,
    choices: int,
    reader: AnswerReader | None = None,
    *,
    streams: bool = True,
) -> AsyncGenerator[Chunk, None]:
    """The chunks of one answer; `choices` is how many were asked for; `reader`: of a server with another dialect. Its
    first bytes say what it is, and its content type `kind` where they do not.

    A whole answer becomes one chunk (several, where its texts are long), whatever the request said: some servers do not
    stream, and some always do. One that was not to be streamed (`streams`) is joined. Others have their turn meanwhile,
    however the answer is made. Raises BrokenStream, ModelTimeout, and what an in-band error stands for.
    """
    checker = AnswerChecker(peer, choices)
    beginning = b""
    async for piece in pieces:
        beginning += piece
        if tells(beginning):
            break
    found, pieces = kind_of(kind, beginning), _from(beginning, pieces)
    if found in (None, PAGE):
        raise no_answer(peer, "text/html" if found else kind)
    if found == DOCUMENT:
        body = await _whole_body(pieces)
        if not _is_lines(body):
            document = await _document(body, peer)
            document = document if reader is None else reader.whole(document)
            for number, chunk in enumerate(portions(checker.whole(document))):
                if number:
                    await asyncio.sleep(0)
                yield chunk
            return
        pieces = _from(body, pieces)
    joiner = Joiner()
    async with aclosing(_read_stream(pieces, peer, checker, choices, reader)) as chunks:
        async for chunk in chunks:
            if streams:
                yield chunk
            else:
                joiner.add(chunk)
    if not streams:
        for chunk in portions(as_chunk(joiner.answer())):
            yield chunk


async def _from(beginning: bytes, pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """The bytes with their beginning put back."""
    if beginning:
        yield beginning
    async for piece in pieces:
        yield piece


async def _portioned(pieces: AsyncGenerator[bytes, None]) -> AsyncGenerator[bytes, None]:
    """The bytes in portions; after each others have their turn, also where all of them are here already."""
    since = 0
    async for piece in pieces:
        for at in range(0, len(piece), _PORTION_BYTES):
            portion = piece[at : at + _PORTION_BYTES]
            yield portion
            since += len(portion)
            if since >= _PORTION_BYTES:
                since = 0
                await asyncio.sleep(0)


async def read_document(pieces: AsyncGenerator[bytes, None], peer: Peer) -> dict[str, Any]:
    """A whole JSON object that is no error."""
    return await _document(await _whole_body(pieces), peer)


async def _whole_body(pieces: AsyncGenerator[bytes, None]) -> bytes:
    body = bytearray()
    async for piece in _portioned(pieces):
        body += piece
    return bytes(body)


async def _document(body: bytes, peer: Peer) -> dict[str, Any]:
    document = await read_json(body, peer)
    if isinstance(document, list) and len(document) == 1:
        (document,) = document
        if (error := error_in_answer(peer, document)) is not None:
            raise error
    if not isinstance(document, dict):
        raise BrokenStream(f"{peer} sent JSON that is not an object")
    return document


def _is_lines(body: bytes) -> bool:
    """Whether it is no document but a line of JSON for each chunk, whatever its content type says."""
    first, _, rest = body.lstrip().partition(b"\n")
    return first.rstrip().endswith(b"}") and rest.lstrip().startswith(b"{")


class _Progress:
    """Which choices of a stream have begun, which have said words, and which have ended."""

    def __init__(self, choices: int, could_run: Callable[[int], bool]) -> None:
        """`could_run`: see `AnswerChecker.could_run`."""
        self._asked, self._could_run = choices, could_run
        self._begun: set[int] = set()
        self._said: set[int] = set()
        self._called: set[int] = set()
        self._ended: set[int] = set()
        self._last: Chunk = {}
        self.late = 0
        """Chunks after an end: of a choice that has ended, or of none."""

    def see(self, chunk: Chunk) -> None:
        self._last = chunk
        choices = chunk["choices"]
        if self._ended and (not choices or any(choice["index"] in self._ended for choice in choices)):
            self.late += 1
        for choice in choices:
            index, delta = choice["index"], choice.get("delta") or {}
            self._begun.add(index)
            if delta.get("content") or delta.get("refusal"):
                self._said.add(index)
            if delta.get("tool_calls") or delta.get("function_call"):
                self._called.add(index)
            if choice.get("finish_reason"):
                self._ended.add(index)

    def skip(self) -> None:
        """An event that says nothing."""
        self.late += bool(self._ended)

    def unnamed_ends(self) -> Iterator[Chunk]:
        """After `[DONE]`: the end of choices that said words or called tools, and got no `finish_reason`, as some
        servers leave it out.

        A called tool must have a name and whole arguments: half of them could be valid, and somebody would run it.
        """
        left = self._begun - self._ended
        whole = {index for index in self._called if self._could_run(index)}
        if left and left <= (self._said - self._called) | whole:
            head = {name: value for name, value in self._last.items() if name not in {"choices", "usage"}}
            reasons = ((index, "tool_calls" if index in whole else "stop") for index in sorted(left))
            yield {**head, "choices": [{"index": index, "delta": {}, "finish_reason": why} for index, why in reasons]}

    def may_end(self, said_done: bool) -> bool:
        """Whether the answer is whole. A server that says so may have given fewer choices than asked for."""
        if not self._begun or self._begun != self._ended:
            return False
        return said_done or len(self._ended) >= self._asked

    def check_end(self, peer: Peer, *, said_done: bool) -> None:
        if not self.may_end(said_done):
            raise BrokenStream(f"{peer} cut its answer: the stream ended before every choice had a finish_reason")


async def _read_stream(
    pieces: AsyncGenerator[bytes, None], peer: Peer, checker: AnswerChecker, choices: int, reader: AnswerReader | None
) -> AsyncGenerator[Chunk, None]:
    progress, parser, passed = _Progress(choices, checker.could_run), EventParser(source=str(peer)), 0
    try:
        async for portion in _portioned(pieces):
            read = _chunks(parser.feed(portion), checker, peer, progress, reader)
            for event in _read_events(read, portion.count(b"\n\n")):
                if event is None:
                    for chunk in progress.unnamed_ends():
                        progress.see(chunk)
                        yield chunk
                    progress.check_end(peer, said_done=True)
                    await _linger(pieces)
                    return
                progress.see(event)
                yield event
                passed += 1
                if passed % _PORTION_CHUNKS == 0:
                    await asyncio.sleep(0)
            if progress.late > _MOST_LATE:
                break
    except (BrokenStream, ModelTimeout):
        if not progress.may_end(said_done=False):
            raise
    if progress.late > _MOST_LATE:
        raise BrokenStream(f"{peer} goes on and on after the end of its answer")
    progress.check_end(peer, said_done=False)


def _chunks(
    events: Iterator[Event], checker: AnswerChecker, peer: Peer, progress: _Progress, reader: AnswerReader | None
) -> Iterator[tuple[Chunk | None, int]]:
    """Each event as chunks, with its bytes; None: the answer is whole."""
    for event in events:
        if is_done(event.data, event.name):
            yield None, 0
        elif reader is not None:
            said = [] if is_beat(event.data) else reader.read(_foreign(event, peer))
            read = [None if each is None else checker.chunk(each) for each in said]
            yield from ((chunk, len(event.data)) for chunk in read)
            if not read:
                progress.skip()
        elif is_beat(event.data) or (chunk := _read_event(event, checker, peer)) is None:
            progress.skip()
        else:
            yield chunk, len(event.data)


def _read_events(chunks: Iterator[tuple[Chunk | None, int]], many: int) -> Iterator[Chunk | None]:
    """The chunks, None for the end. Of very `many` small ones at once the words are joined: they come faster than
    anybody reads."""
    last: Chunk | None = None
    for chunk, size in chunks:
        if chunk is None:
            if last is not None:
                yield last
            yield None
            return
        if many > _PORTION_CHUNKS and size < LONGEST_TEXT:
            if last is None or not joins(last, chunk):
                if last is not None:
                    yield last
                last = chunk
            continue
        if last is not None:
            yield last
            last = None
        if size > LONGEST_TEXT or len(chunk["choices"]) > 1:
            yield from portions(chunk)
        else:
            yield chunk
    if last is not None:
        yield last


async def _linger(pieces: AsyncGenerator[bytes, None]) -> None:
    """Read what little follows `[DONE]`: only a connection read to its end goes back to the pool."""
    left = _PORTION_BYTES
    try:
        async with asyncio.timeout(_LINGER_S):
            async for piece in pieces:
                left -= len(piece)
                if left < 0:
                    return
    except (TimeoutError, BrokenStream, ModelTimeout):
        return


def _read_event(event: Event, checker: AnswerChecker, peer: Peer) -> Chunk | None:
    """An event as a chunk; None: it says nothing of the answer (a sign of life, an event of the server's own)."""
    failed = event.name == "error"
    try:
        document = parsed(event.data, peer)
    except BrokenStream:
        if not failed and event.name == "message":
            raise
        document = event.data.decode("utf-8", "replace") if failed else None
    if failed:
        error = error_in_answer(peer, {"error": document or "unnamed"})
        assert error is not None
        raise error
    is_own = event.name != "message" and not (isinstance(document, dict) and "choices" in document)
    if document is None or is_own:
        return None
    chunk = checker.chunk(document)
    return chunk if chunk.get("usage") or document.get("choices") is not None else None


def _foreign(event: Event, peer: Peer) -> Any:
    """The document of an event in another dialect. Raises what an error in it stands for."""
    document = parsed(event.data, peer)
    if event.name == "error":
        error = error_in_answer(peer, {"error": document or "unnamed"})
        assert error is not None
        raise error
    return document


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
