"""Answers on the wire: server-sent events, whole answers, and what happens when the caller hangs up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import aclosing
from typing import Any, TypeVar, cast

import orjson
from fastapi import Response
from starlette.types import Receive, Scope, Send

from netgpt.errors import NetGPTError
from netgpt.web.errors import unforeseen

__all__ = ["CallerGone", "EventStream", "until_hangup"]

T = TypeVar("T")

LOOK_AFTER_S = 0.1
"""Seconds of work before a hang-up is looked for."""


class CallerGone(Exception):
    """The caller hung up; the work was cancelled."""


async def until_hangup(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """Run `work`; when the caller hangs up first, cancel it (which closes the upstream call) and raise CallerGone.

    A hang-up is looked for after `LOOK_AFTER_S` only: most answers are there before, and need no second task.
    """
    watch = _Watch(receive)
    try:
        return await work
    except asyncio.CancelledError:
        if watch.gone and watch.task.uncancel() == 0:
            raise CallerGone from None
        raise
    finally:
        watch.end()


class _Watch:
    """Cancels the task that made it when the caller hangs up."""

    def __init__(self, receive: Receive) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.task: asyncio.Task[Any] = task
        self.gone = False
        self._receive = receive
        self._looking: asyncio.Task[None] | None = None
        self._timer = asyncio.get_running_loop().call_later(LOOK_AFTER_S, self._begin)

    def _begin(self) -> None:
        self._looking = asyncio.ensure_future(self._look())

    async def _look(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        self.task.cancel()

    def end(self) -> None:
        self._timer.cancel()
        if self._looking is not None:
            self._looking.cancel()


class EventStream(Response):
    """A response that sends chunks as server-sent events and ends by the stream contract.

    A clean answer ends with `data: [DONE]`. One that broke ends with an in-band `{"error": ...}` and no `[DONE]`.
    """

    def __init__(
        self,
        chunks: AsyncIterator[Mapping[str, Any]],
        headers: Mapping[str, str],
        *,
        limit_s: float | None = None,
        broken: Callable[[], Mapping[str, Any]] | None = None,
    ) -> None:
        """`limit_s`: a caller that has not taken the whole answer within these seconds is cut off. `broken`: what is
        told beside the error, as `netgpt`, where it breaks."""
        super().__init__(headers=headers, media_type="text/event-stream; charset=utf-8")
        self.chunks, self.broken = chunks, broken
        self.limit_s = limit_s
        del self.headers["content-length"]
        self.headers["cache-control"] = "no-store"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await until_hangup(receive, self._timely(send))
        except (CallerGone, OSError):
            return  # nobody is left to tell; the exchange records it as cancelled

    async def _timely(self, send: Send) -> None:
        """Sending waits for the caller to read: one that does not must not keep its place for ever."""
        async with asyncio.timeout(self.limit_s):  # its TimeoutError is an OSError: like a caller that is gone
            await self._pump(send)

    async def _pump(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        async with aclosing(cast(Any, self.chunks)) as chunks:
            try:
                async for chunk in chunks:
                    await send(_event(orjson.dumps(chunk)))
                last = _event(b"[DONE]")
            except NetGPTError as error:
                last = self._error(error)
            except OSError:
                raise  # the caller's socket
            except Exception as error:  # noqa: BLE001 - a stream that breaks says so in-band, whatever broke it
                last = self._error(unforeseen(error, "a stream"))
        await send({**last, "more_body": False})

    def _error(self, error: NetGPTError) -> dict[str, Any]:
        told = {"netgpt": self.broken()} if self.broken is not None else {}
        return _event(orjson.dumps({**error.as_openai(), **told}))


def _event(data: bytes) -> dict[str, Any]:
    return {"type": "http.response.body", "body": b"data: " + data + b"\n\n", "more_body": True}
