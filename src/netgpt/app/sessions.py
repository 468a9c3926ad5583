"""Conversations and loops with tools, told to the route stage: each answer before its end is sent, those of before a
restart from the rows of the store.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any, Final

from netgpt.app.routing import RoutingService
from netgpt.exchange import Exchange
from netgpt.models.stream import Joiner
from netgpt.routing.sessions import CALLS_S, Sessions
from netgpt.stages.record import Record
from netgpt.store.exchanges import CACHED
from netgpt.store.schema import ExchangeRecord
from netgpt.store.store import Store
from netgpt.types import Person

log = logging.getLogger(__name__)

RESTORED: Final = 200
"""So many of the last exchanges are read after a restart: loops with tools that were open go on."""


class SessionService:
    """Made and started with the gateway."""

    def __init__(self, store: Store, routing_service: RoutingService, record: Record, key: bytes | None = None) -> None:
        """`key`: of the digests, where several processes know the same conversations."""
        self.store = store
        self.sessions = routing_service.context.sessions = Sessions(key=key)
        record.before_end.append(self._heard)

    async def start(self) -> None:
        """Learn who answered before the restart. Raises StoreError; without texts in the store nothing is known."""
        now = datetime.now(UTC)
        before = len(self.sessions)
        for row in reversed(await self.store.exchanges(None, RESTORED)):
            age_s = max(0.0, (now - row.received).total_seconds())
            if age_s < CALLS_S:
                self._read(row, age_s)
        log.info("sessions: %d locks of before the restart", len(self.sessions) - before)

    def forget(self, person: Person) -> None:
        """Drop what is known of a person's conversations."""
        self.sessions.forget(person)

    def _heard(self, exchange: Exchange, answer: Joiner) -> None:
        """An answer, or what came of it: a caller may have seen its calls although it broke off."""
        if answer.empty or exchange.request.dry_run or not exchange.has("outcome"):
            return
        if exchange.outcome.cached_age_s is not None:
            return  # nobody gave this answer now
        self.sessions.answered(
            exchange.person, exchange.caller.key_id, exchange.request.body, exchange.request.conversation,
            answer.answer(), exchange.outcome.answered_by.name,
        )  # fmt: skip

    def _read(self, row: ExchangeRecord, age_s: float) -> None:
        private: dict[str, Any] = row.private or {}
        request, answer = private.get("request"), private.get("answer")
        if isinstance(request, dict) and isinstance(answer, dict) and row.target != CACHED:
            self.sessions.answered(row.person, row.key_id, request, None, answer, row.target, age_s=age_s)
