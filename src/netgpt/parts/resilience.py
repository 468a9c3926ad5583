"""What the box falls back on when nobody can answer, made from the settings. Put together by `build.py`."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from netgpt.exchange import Request
from netgpt.stages.generate import LastAnswer
from netgpt.store.answers import CachedAnswer
from netgpt.store.store import Store
from netgpt.types import Fact, Person

__all__ = ["last_answer"]


def last_answer(store: Store, stale_s: float) -> LastAnswer:
    """`stale_s`: no answer older than this, in seconds, is given again; 0: none is."""

    async def last(person: Person, request: Request, facts: Sequence[Fact]) -> CachedAnswer | None:
        if stale_s <= 0 or request.may_wait:  # who may wait gets a new answer, later
            return None
        now = datetime.now(UTC)
        since = now - timedelta(seconds=stale_s)
        return await store.answers.last(person, request.body, [(fact.source, fact.text) for fact in facts], now, since)

    return last
