"""generate: the answer, from where the decision says, or from the fallback before the first word."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any, cast

from netgpt.errors import ContextTooLong, ModelError, ModelTimeout, ModelUnavailable
from netgpt.exchange import Exchange
from netgpt.models.base import ChatModel, RemoteModel
from netgpt.routing.features import text_of
from netgpt.types import Chunk, Decision, Usage

__all__ = ["Generate"]

NOTHING_LEFT = frozenset({"unreachable", "breaker_open", "too_many_connections"})
"""Codes of failures in which no connection was made, so that not one byte of the request has left."""

Observe = Callable[[str, str], None]
"""Told (route, outcome) of every call to a model."""


class Generate:
    """Opens the stream and waits for its first chunk, so that the door knows who answers before it says so."""

    name = "generate"
    reads = frozenset({"messages", "outbound", "decision"})
    writes = frozenset({"stream", "answered_by", "model_name", "sent"})

    def __init__(
        self, edge: ChatModel, cloud: RemoteModel | None, *, deadline_s: float, observe: Observe = lambda _r, _o: None
    ) -> None:
        self.edge, self.cloud, self.deadline_s, self.observe = edge, cloud, deadline_s, observe

    async def __call__(self, exchange: Exchange) -> None:
        exchange.sent = None
        decision = exchange.decision
        try:
            await self._open(exchange, decision)
        except (ModelError, ContextTooLong) as error:
            self.observe(decision.route, error.code)
            if error.code in NOTHING_LEFT:
                exchange.sent = None
            if decision.fallback is None:
                raise
            second = replace(
                decision,
                route=decision.fallback,
                rule=f"{decision.rule}+fallback",
                reason=f"the {decision.route} failed ({error.message}): the {decision.fallback} answers",
                fallback=None,
            )
            await self._open(exchange, second)

    async def _open(self, exchange: Exchange, decision: Decision) -> None:
        chunks = self._call(exchange, decision)
        until = time.monotonic() + self.deadline_s - exchange.elapsed_ms() / 1000
        try:
            first = await _next(chunks, until)
        except BaseException:
            await cast(Any, chunks).aclose()
            raise
        exchange.timings["first_token"] = round(exchange.elapsed_ms(), 3)
        exchange.answered_by = decision
        exchange.model_name = self.edge.name if decision.route == "edge" else cast(RemoteModel, self.cloud).name
        exchange.stream = self._booked(exchange, first, chunks, until)

    def _call(self, exchange: Exchange, decision: Decision) -> AsyncIterator[Chunk]:
        if decision.route == "edge":
            body = {**exchange.request.body, "messages": exchange.messages}
            body.pop("user", None)
            if exchange.request.stream:
                body["stream_options"] = {**(body.get("stream_options") or {}), "include_usage": True}
            return self.edge.chat(body)
        if self.cloud is None or exchange.outbound is None:
            raise ModelUnavailable("nothing may leave, so the cloud cannot answer")
        exchange.sent = exchange.outbound
        return self.cloud.send(exchange.outbound)

    async def _booked(
        self, exchange: Exchange, first: Chunk, chunks: AsyncIterator[Chunk], until: float
    ) -> AsyncIterator[Chunk]:
        """Pass the chunks on, keep count, and hold the whole to its deadline. Usage is booked in every case."""
        route, told, characters = exchange.answered_by.route, None, 0
        outcome = "cancelled"
        try:
            async with aclosing(cast(Any, chunks)):
                chunk: Chunk | None = first
                while chunk is not None:
                    told = Usage.from_openai(chunk.get("usage")) or told
                    characters += _characters(chunk)
                    yield chunk
                    chunk = await _next_or_none(chunks, until)
            outcome = "ok"
        except ModelError as error:
            outcome = error.code
            raise
        finally:
            exchange.usage = told or _estimate(exchange, characters)
            self.observe(route, outcome)


async def _next(chunks: AsyncIterator[Chunk], until: float) -> Chunk:
    chunk = await _next_or_none(chunks, until)
    if chunk is None:
        raise ModelUnavailable("the model closed its answer before the first word")
    return chunk


async def _next_or_none(chunks: AsyncIterator[Chunk], until: float) -> Chunk | None:
    left = until - time.monotonic()
    try:
        async with asyncio.timeout(max(left, 0.001)):
            return await anext(chunks, None)
    except TimeoutError:
        raise ModelTimeout("the answer took longer than server.deadline_s allows") from None


def _characters(chunk: Chunk) -> int:
    count = 0
    for choice in chunk.get("choices") or ():
        delta = choice.get("delta") or {}
        count += len(delta.get("content") or "")
        count += sum(len((call.get("function") or {}).get("arguments") or "") for call in delta.get("tool_calls") or ())
    return count


def _estimate(exchange: Exchange, characters: int) -> Usage:
    """Four characters a token, when the model did not say (a cut stream): booked, and marked as estimated."""
    asked = sum(len(text_of(m.get("content"))) for m in exchange.messages)
    return Usage((asked + 3) // 4, (characters + 3) // 4, estimated=True)
