"""What the box falls back on when nobody can answer, made from the settings. Put together by `build.py`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

from netgpt.exchange import Exchange
from netgpt.store.answers import CachedAnswer
from netgpt.store.store import Store

__all__ = ["LastAnswer", "last_answer"]

LastAnswer = Callable[[Exchange], Awaitable[CachedAnswer | None]]
"""The newest complete answer of the same person to the same question; None: there is none, or it is too old."""


def last_answer(store: Store, stale_s: float) -> LastAnswer:
    """`stale_s`: no answer older than this, in seconds, is given again; 0: none is."""

    async def last(exchange: Exchange) -> CachedAnswer | None:
        if stale_s <= 0 or exchange.request.may_wait:  # who may wait gets a new answer, later
            return None
        facts = [(fact.source, fact.text) for fact in exchange.chosen] if exchange.has("chosen") else []
        now = datetime.now(UTC)
        since = now - timedelta(seconds=stale_s)
        return await store.answers.last(exchange.person, exchange.request.body, facts, now, since)

    return last
