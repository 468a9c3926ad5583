"""Answers on the wire: server-sent events, whole answers, and what happens when the caller hangs up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import aclosing
from typing import Any, TypeVar, cast

import orjson
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from netgpt.errors import NetGPTError

__all__ = ["CallerGone", "EventStream", "until_hangup"]

T = TypeVar("T")


class CallerGone(Exception):
    """The caller hung up; the work was cancelled."""


async def until_hangup(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """Run `work`; when the caller hangs up first, cancel it (which closes the upstream call) and raise CallerGone."""
    task = asyncio.ensure_future(work)
    watcher = asyncio.ensure_future(_hangup(receive))
    try:
        await asyncio.wait((task, watcher), return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            return task.result()
        raise CallerGone
    finally:
        watcher.cancel()
        if not task.done():
            task.cancel()
            await asyncio.wait((task,))


async def _hangup(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class EventStream(Response):
    """A response that sends chunks as server-sent events and ends by the stream contract.

    A clean answer ends with `data: [DONE]`. One that broke ends with an in-band `{"error": ...}` and no `[DONE]`.
    """

    def __init__(self, chunks: AsyncIterator[Mapping[str, Any]], headers: Mapping[str, str]) -> None:
        super().__init__(headers=headers, media_type="text/event-stream; charset=utf-8")
        self.chunks = chunks
        del self.headers["content-length"]
        self.headers["cache-control"] = "no-store"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await until_hangup(receive, self._pump(send))
        except (CallerGone, OSError):
            return  # nobody is left to tell; the exchange records it as cancelled

    async def _pump(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        async with aclosing(cast(Any, self.chunks)) as chunks:
            try:
                async for chunk in chunks:
                    await send(_event(orjson.dumps(chunk)))
                last = _event(b"[DONE]")
            except NetGPTError as error:
                last = _event(orjson.dumps(error.as_openai()))
        await send({**last, "more_body": False})


def _event(data: bytes) -> dict[str, Any]:
    return {"type": "http.response.body", "body": b"data: " + data + b"\n\n", "more_body": True}
