"""Reads answers of OpenAI-compatible servers: streamed or whole bytes in, checked chunks out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from types import NoneType
from typing import Any

import orjson

from netgpt.errors import BrokenStream, ModelTimeout
from netgpt.models.answers import as_chunk
from netgpt.models.failures import Peer, error_in_answer
from netgpt.models.sse import Event, EventParser
from netgpt.types import Chunk

__all__ = ["check_chunk", "read_chunks", "read_document"]

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
    """Which choices of a stream have begun and which have ended."""

    def __init__(self, choices: int) -> None:
        self._asked = choices
        self._begun: set[int] = set()
        self._ended: set[int] = set()

    def see(self, chunk: Chunk) -> None:
        for choice in chunk["choices"]:
            self._begun.add(choice["index"])
            if choice.get("finish_reason"):
                self._ended.add(choice["index"])

    def may_end(self, said_done: bool) -> bool:
        """Whether the answer is whole. A server that says so may have given fewer choices than asked for."""
        if not self._begun or self._begun != self._ended:
            return False
        return said_done or len(self._ended) >= self._asked


async def _read_stream(pieces: AsyncGenerator[bytes, None], peer: Peer, choices: int) -> AsyncGenerator[Chunk, None]:
    progress, parser = _Progress(choices), EventParser(source=str(peer))
    try:
        async for piece in pieces:
            for event in parser.feed(piece):
                if event.data == b"[DONE]":
                    _check_end(progress, peer, said_done=True)
                    await _linger(pieces)
                    return
                chunk = _read_event(event, peer)
                progress.see(chunk)
                yield chunk
    except (BrokenStream, ModelTimeout):
        if not progress.may_end(said_done=False):
            raise
    _check_end(progress, peer, said_done=False)


def _check_end(progress: _Progress, peer: Peer, *, said_done: bool) -> None:
    if not progress.may_end(said_done):
        raise BrokenStream(f"{peer} cut its answer: the stream ended before every choice had a finish_reason")


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
