"""generate: the answer, from where the decision says, or from the fallback before the first word."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import replace
from typing import Any, cast

from netgpt.adapters.residency import NO_ADAPTER, Choice
from netgpt.errors import (
    AdapterGone,
    BrokenStream,
    ContextTooLong,
    ModelError,
    ModelTimeout,
    ModelUnavailable,
    StoreError,
)
from netgpt.exchange import Exchange
from netgpt.models.base import ChatModel, RemoteModel
from netgpt.routing.features import text_of
from netgpt.types import Chunk, Decision, Person, Sender, Usage

__all__ = ["Generate"]

NOTHING_LEFT = frozenset({"unreachable", "breaker_open", "too_many_connections"})
"""Codes of failures in which no connection was made, so that not one byte of the request has left."""

ENGINE_FIELDS = frozenset(
    {
        "__verbose", "cache_prompt", "id_slot", "lora", "n_cache_reuse", "n_cmpl", "n_discard", "n_keep", "n_predict",
        "response_fields", "return_progress", "return_tokens", "timings_per_token", "verbose",
    }
)  # fmt: skip
"""Fields of llama.cpp's own: they reach into its cache, its slots, its adapters and its bounds. No caller sets them."""

Observe = Callable[[str, str], None]
"""Told (route, outcome) of every call to a model."""

Choose = Callable[[Person], Choice]
"""Whose adapter answers this person."""


def no_adapter(_person: Person) -> Choice:
    """The plain model answers everybody."""
    return NO_ADAPTER


Opened = tuple[Chunk, AsyncIterator[Chunk]]
"""The first chunk of an answer, and the iterator of the others."""


class Generate:
    """Opens the stream and waits for its first chunk, so that the door knows who answers before it says so."""

    name = "generate"
    reads = frozenset({"person", "messages", "outbound", "decision"})
    writes = frozenset({"stream", "answered_by", "model_name", "destination", "sent", "adapters", "adapter_note"})

    def __init__(
        self,
        edge: ChatModel,
        cloud: RemoteModel | None,
        *,
        deadline_s: float,
        choose: Choose = no_adapter,
        observe: Observe = lambda _r, _o: None,
    ) -> None:
        self.edge, self.cloud, self.deadline_s = edge, cloud, deadline_s
        self.choose, self.observe = choose, observe

    async def __call__(self, exchange: Exchange) -> None:
        exchange.sent, exchange.adapters, exchange.adapter_note = None, (), None
        exchange.destination = self.cloud.destination if self.cloud else ""
        decision = exchange.decision
        if exchange.request.dry_run:
            self._pretend(exchange, decision)
            return
        try:
            await self._open(exchange, decision)
        except (ModelError, ContextTooLong) as error:
            self.observe(decision.route, error.code)
            if error.code in NOTHING_LEFT:
                exchange.sent = None
            if not decision.fallbacks:
                raise
            other = decision.fallbacks[0]
            second = replace(
                decision,
                route=other,
                arm="",
                rule=f"{decision.rule}+fallback",
                reason=f"the {decision.route} failed ({error.message}): the {other} answers",
                fallbacks=(),
            )
            await self._open(exchange, second)

    async def _open(self, exchange: Exchange, decision: Decision) -> None:
        until = time.monotonic() + self.deadline_s - exchange.elapsed_ms() / 1000
        if decision.route == "edge":
            first, chunks = await self._ask_edge(exchange, until)
        else:
            first, chunks = await self._ask_cloud(exchange, until)
        exchange.timings["first_token"] = round(exchange.elapsed_ms(), 3)
        exchange.answered_by, exchange.model_name = decision, self._name(decision)
        exchange.stream = self._booked(exchange, first, chunks, until)

    def _name(self, decision: Decision) -> str:
        return self.edge.name if decision.route == "edge" else cast(RemoteModel, self.cloud).name

    def _pretend(self, exchange: Exchange, decision: Decision) -> None:
        """An empty answer in place of one: nobody is asked, nothing is booked."""
        exchange.answered_by, exchange.model_name = decision, self._name(decision)
        exchange.usage = Usage()
        exchange.stream = _nothing(exchange)

    async def _ask_edge(self, exchange: Exchange, until: float) -> Opened:
        body = {key: value for key, value in exchange.request.body.items() if key not in ENGINE_FIELDS}
        body["messages"] = exchange.messages
        body.pop("user", None)
        if exchange.request.stream:
            body["stream_options"] = {**(body.get("stream_options") or {}), "include_usage": True}
        choice = self.choose(exchange.person)
        try:
            opened = await _opened(self.edge.chat(body, adapters=choice.ids), until)
        except AdapterGone:  # it was unloaded in this very moment: what is there now?
            choice = self.choose(exchange.person)
            opened = await _opened(self.edge.chat(body, adapters=choice.ids), until)
        exchange.adapters, exchange.adapter_note = choice.ids, choice.note
        return opened

    async def _ask_cloud(self, exchange: Exchange, until: float) -> Opened:
        if self.cloud is None or exchange.outbound is None:
            raise ModelUnavailable("nothing may leave, so the cloud cannot answer")
        exchange.sent = exchange.outbound
        try:
            sender = Sender(exchange.person, exchange.id)
            return await _opened(self.cloud.send(exchange.outbound, sender=sender), until)
        except StoreError:  # no receipt, so not one byte has left
            exchange.sent = None
            raise
        except (ModelTimeout, BrokenStream, asyncio.CancelledError) as error:
            # The cloud was at work, and may send a bill for it; an answer of "no" costs nothing.
            if getattr(error, "code", "") not in NOTHING_LEFT:
                exchange.usage = exchange.cloud_usage = _estimate(exchange, 0)
            raise

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
            if route == "cloud":
                exchange.cloud_usage = exchange.usage
            self.observe(route, outcome)


async def _nothing(exchange: Exchange) -> AsyncIterator[Chunk]:
    """A whole answer without a word, in the shape that every client reads."""
    choice = {"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": "stop"}
    yield {
        "id": f"chatcmpl-{exchange.id}",
        "object": "chat.completion.chunk",
        "created": int(exchange.received.timestamp()),
        "model": exchange.model_name,
        "choices": [choice],
        "usage": Usage().as_openai(),
    }


async def _opened(chunks: AsyncIterator[Chunk], until: float) -> Opened:
    """The first chunk and the rest; a call that gives none is closed."""
    try:
        first = await _next_or_none(chunks, until)
        if first is None:
            raise ModelUnavailable("the model closed its answer before the first word")
        return first, chunks
    except BaseException:
        await cast(Any, chunks).aclose()
        raise


async def _next_or_none(chunks: AsyncIterator[Chunk], until: float) -> Chunk | None:
    """The next chunk, None at the end. Raises ModelTimeout past `until`, also where the caller took the time."""
    left = until - time.monotonic()
    try:
        if left <= 0:
            raise TimeoutError
        async with asyncio.timeout(left):
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
