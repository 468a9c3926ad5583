"""What happens to the work when the caller hangs up."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from patience import in_time
from starlette.types import Message
from virtual_time import in_virtual_time

from netgpt.web.chat import ChatWriter
from netgpt.web.streams import CallerGone, EventStream, until_hangup


class Wire:
    """An ASGI `receive`: the caller hangs up after `s` seconds."""

    def __init__(self, s: float) -> None:
        self.s = s
        self.asked = 0

    async def receive(self) -> Message:
        self.asked += 1
        await asyncio.sleep(self.s)
        return {"type": "http.disconnect"}


@in_virtual_time
async def test_work_that_is_done_soon_gives_its_result_and_nobody_listens() -> None:
    wire = Wire(0)
    assert await until_hangup(wire.receive, asyncio.sleep(0.01, "done")) == "done"
    assert wire.asked == 0


@in_virtual_time
async def test_longer_work_gives_its_result_too() -> None:
    wire = Wire(60)
    assert await until_hangup(wire.receive, asyncio.sleep(0.2, "done")) == "done"
    assert wire.asked == 1


@pytest.mark.parametrize("after_s", [0.0, 0.2])
async def test_a_hang_up_cancels_the_work_at_once(after_s: float) -> None:
    ended: list[float] = []

    async def work() -> None:
        try:
            async with asyncio.timeout(30):
                await asyncio.sleep(60)
        finally:
            ended.append(time.monotonic())

    began = time.monotonic()
    with pytest.raises(CallerGone):
        await until_hangup(Wire(after_s).receive, work())
    assert ended and in_time(ended[0] - began, 0.5)
    task = asyncio.current_task()
    assert task is not None and task.cancelling() == 0
    await asyncio.sleep(0)  # no cancellation is left over


async def test_being_cancelled_from_outside_is_no_hang_up() -> None:
    task = asyncio.create_task(until_hangup(Wire(60).receive, asyncio.sleep(60)))
    await asyncio.sleep(0.15)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_an_error_of_the_work_comes_through() -> None:
    async def fails() -> None:
        await asyncio.sleep(0.15)
        raise ValueError("mine")

    with pytest.raises(ValueError, match="mine"):
        await until_hangup(Wire(60).receive, fails())


async def test_a_stream_that_breaks_in_an_unforeseen_way_says_so_in_band() -> None:
    async def chunks() -> AsyncIterator[dict[str, Any]]:
        yield {"choices": [{"index": 0, "delta": {"content": "half"}}]}
        raise KeyError("my private words")

    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(dict(message))

    await EventStream(chunks(), ChatWriter(wants_usage=False), {})({"type": "http"}, Wire(60).receive, send)
    body = b"".join(message.get("body", b"") for message in sent)
    assert b'"internal_error"' in body and b"[DONE]" not in body and b"private" not in body
    assert sent[-1]["more_body"] is False


async def test_a_caller_that_does_not_read_is_cut_off() -> None:
    closed = asyncio.Event()

    async def chunks() -> AsyncIterator[dict[str, Any]]:
        try:
            while True:
                yield {"choices": []}
        finally:
            closed.set()

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body":
            await asyncio.sleep(60)  # the socket's buffer is full

    started = time.monotonic()
    await EventStream(chunks(), ChatWriter(wants_usage=False), {}, limit_s=0.2)({}, Wire(60).receive, send)
    assert in_time(time.monotonic() - started, 5) and closed.is_set()
