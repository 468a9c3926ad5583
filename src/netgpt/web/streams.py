"""How an answer reaches the caller: as server-sent events, until the end, until it breaks, or until the caller goes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import aclosing
from typing import Any, TypeVar, cast

from fastapi import Response
from starlette.types import Receive, Scope, Send

from netgpt.dialects import EventWriter
from netgpt.errors import NetGPTError, Overloaded
from netgpt.types import Chunk
from netgpt.web.errors import unforeseen

T = TypeVar("T")

LOOK_AFTER_S = 0.1
"""Seconds of work before the first look whether the caller hung up: most answers are there before."""


class CallerGone(Exception):
    """The caller hung up; the work was cancelled."""


async def until_hangup(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """Run `work`; when the caller hangs up first, cancel it (which closes the upstream call) and raise CallerGone."""
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
    """A response that sends what a writer makes of chunks, and ends by the stream contract: a clean answer with the
    writer's `end`, one that broke with its `broken` instead."""

    def __init__(
        self,
        chunks: AsyncIterator[Chunk],
        writer: EventWriter,
        headers: Mapping[str, str],
        *,
        limit_s: float | None = None,
        comment_s: float | None = None,
        broken: Callable[[], Mapping[str, Any]] = dict,
        is_stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        """`limit_s`: a caller that has not taken the whole answer within these seconds is cut off. `comment_s`: silent
        for so long, it says that it lives. `broken`: what the writer is told of an answer that breaks, for its
        `netgpt`."""
        super().__init__(headers=headers, media_type="text/event-stream; charset=utf-8")
        self.chunks, self.writer, self.broken, self.limit_s = chunks, writer, broken, limit_s
        self.is_stopping, self.comment_s = is_stopping, comment_s
        del self.headers["content-length"]
        self.headers["cache-control"] = "no-store"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await until_hangup(receive, self._pump(send))
        except (CallerGone, OSError):
            return  # the exchange records it as cancelled
        except asyncio.CancelledError:
            if not self.is_stopping():
                raise
            last = self.writer.broken(stopped(), self.broken())
            await send({"type": "http.response.body", "body": last, "more_body": False})

    async def _pump(self, send: Send) -> None:
        """Sending waits for the caller to read: one that does not must not keep its permit for ever."""
        async with asyncio.timeout(self.limit_s):  # its TimeoutError is an OSError: like a caller that is gone
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            add, comments = self.writer.add, _Comments(send, self.comment_s)
            async with aclosing(cast(Any, self.chunks)) as chunks:
                try:
                    async for chunk in chunks:
                        if events := add(chunk):
                            comments.sent()
                            await send({"type": "http.response.body", "body": events, "more_body": True})
                    last = self.writer.end()
                except NetGPTError as error:
                    last = self.writer.broken(error, self.broken())
                except OSError:
                    raise  # the caller's socket
                except Exception as error:  # noqa: BLE001 - a stream that breaks says so in-band, whatever broke it
                    last = self.writer.broken(unforeseen(error, "a stream"), self.broken())
                finally:
                    comments.end()
            await send({"type": "http.response.body", "body": last, "more_body": False})


class _Comments:
    """Says in a comment (WHATWG HTML, section 9.2.6) that a silent stream lives, for proxies and impatient clients."""

    def __init__(self, send: Send, every_s: float | None) -> None:
        self._send, self._every_s = send, every_s
        self._saying: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.sent()

    def sent(self) -> None:
        """Something was said just now."""
        self._said_at = asyncio.get_running_loop().time()
        if self._timer is None and self._every_s is not None:
            self._timer = asyncio.get_running_loop().call_at(self._said_at + self._every_s, self._look)

    def _look(self) -> None:
        loop, self._timer = asyncio.get_running_loop(), None
        assert self._every_s is not None
        if loop.time() - self._said_at >= self._every_s - 0.001:
            if self._saying is None or self._saying.done():  # else it is the caller who does not read
                self._saying = asyncio.ensure_future(self._say())
            self._said_at = loop.time()
        self._timer = loop.call_at(self._said_at + self._every_s, self._look)

    async def _say(self) -> None:
        with contextlib.suppress(OSError):  # the pump finds out
            await self._send({"type": "http.response.body", "body": b": keep-alive\n\n", "more_body": True})

    def end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._saying is not None:
            self._saying.cancel()


def stopped() -> Overloaded:
    """What is told where the box stops, and its time to drain is over."""
    return Overloaded("the box was stopped before the answer ended (server.drain_s); ask again", retry_after=5)


class NoResponse(Response):
    """The caller has gone: nothing is sent."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        return None
