"""One call to an OpenAI-compatible server: breaker, transport and reading, watched."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AbstractContextManager, aclosing, nullcontext
from typing import Any

from netgpt.calls import LOAD_HEADER, Load
from netgpt.errors import BrokenStream
from netgpt.models.breaker import Breaker
from netgpt.models.failures import content_type
from netgpt.models.observing import SILENT, watched
from netgpt.models.reading import read_chunks, read_document
from netgpt.models.transport import CallTarget, Transport
from netgpt.types import Chunk

__all__ = ["ModelCall"]


class ModelCall:
    """One call: breaker, transport, reading. The answer's connection is closed when the iterator is."""

    def __init__(self, transport: Transport, breaker: Breaker | None = None) -> None:
        self.transport = transport
        self.breaker = breaker
        self.arm, self.observer = "", SILENT
        self.hear_load: Callable[[Load], None] | None = None
        """Told how busy the server says it is, where it is a neighbour that does."""

    async def chat(
        self,
        target: CallTarget,
        content: bytes,
        choices: int,
        before: Callable[[], Awaitable[None]] | None = None,
        *,
        streams: bool = True,
        once: str | None = None,
    ) -> AsyncGenerator[Chunk, None]:
        """`before` is awaited once, when a connection is open and nothing was sent yet. `streams`: as was asked.
        `once`: see `Transport.post`."""
        with self._guard(target) as answers, watched(self.observer, self.arm) as call:
            call.notes.whole = not streams
            async with self.transport.post(target, "/chat/completions", content, before, call, once) as response:
                answers()
                if self.hear_load is not None and (load := Load.read(response.headers.get(LOAD_HEADER))) is not None:
                    self.hear_load(load)
                kind = content_type(response)
                call.notes.whole = kind == "application/json"
                pieces = self.transport.pieces(target, response, call)
                chunks = read_chunks(pieces, kind, target.peer, choices)
                async with aclosing(pieces), aclosing(chunks):
                    async for chunk in chunks:
                        call.chunk(chunk)
                        yield chunk

    async def document(self, target: CallTarget, path: str, content: bytes) -> dict[str, Any]:
        with self._guard(target):
            async with self.transport.post(target, path, content) as response:
                kind = content_type(response)
                if kind != "application/json":
                    raise BrokenStream(f"{target.peer} answered with content type {kind}; expected JSON")
                async with aclosing(self.transport.pieces(target, response)) as pieces:
                    return await read_document(pieces, target.peer)

    def _guard(self, target: CallTarget) -> AbstractContextManager[Callable[[], None]]:
        return self.breaker.guard(str(target.peer)) if self.breaker else nullcontext(lambda: None)
