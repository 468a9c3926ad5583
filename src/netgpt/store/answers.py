"""The newest answer to the same question of the same person, for when nobody can answer: a keyed digest finds it.

No text is stored for this: the digest (HMAC) stands beside the exchange, goes with it, and tells nothing without the
database's secret. Exchanges whose texts are not kept have none.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any, Final

import orjson
from sqlalchemy import Connection, select

from netgpt.store.schema import exchanges
from netgpt.store.seal import Sealer, place_of
from netgpt.store.writer import Read
from netgpt.types import Person

__all__ = ["CACHED", "Answers", "CachedAnswer", "question_of"]

CACHED: Final = "cached"
"""A decision whose rule holds this word gave an older answer again: it is no new answer to be given again."""
_MATTERS: Final = (
    "messages", "tools", "tool_choice", "functions", "function_call", "response_format", "n", "max_tokens",
    "max_completion_tokens", "stop",
)  # fmt: skip
"""The fields of a request that say what is asked. Sampling and streaming say how: the answer of last resort may
differ in them."""
_CLOCK: Final = "clock"
"""Facts of this source differ at each asking: the age of the answer is told instead."""
_LOOKED_AT: Final = 3


@dataclass(frozen=True, slots=True)
class CachedAnswer:
    """A complete answer that was given before."""

    exchange: str
    """The exchange in which it was given."""
    received: datetime
    """When that was asked."""
    age_s: float
    model: str
    answer: dict[str, Any] = field(repr=False)
    """OpenAI's `chat.completion`."""


class Answers:
    """A part of the store: `store.answers`. Raises StoreError as the store's own do."""

    def __init__(self, read: Read, sealer: Sealer) -> None:
        self._read, self._sealer = read, sealer

    async def last(
        self,
        person: Person,
        body: Mapping[str, Any],
        facts: Iterable[tuple[str, str]],
        now: datetime,
        not_before: datetime,
    ) -> CachedAnswer | None:
        """The newest complete answer of `person` to `body` with these facts (source, text), if there is one."""
        told = list(facts)
        query = partial(
            _last, sealer=self._sealer, person=person, body=body, facts=told, now=now, not_before=not_before
        )
        return await self._read(query)


def question_of(sealer: Sealer, tenant: str, user: str, private: Mapping[str, Any] | None) -> str | None:
    """The digest of what an exchange asked; None where no answer is kept that could be given again."""
    if private is None or private.get("answer") is None or not isinstance(private.get("request"), dict):
        return None
    if CACHED in str((private.get("decision") or {}).get("rule")):
        return None
    facts = [(str(fact.get("source")), str(fact.get("text"))) for fact in private.get("facts") or ()]
    return _digest(sealer, Person(tenant, user), private["request"], facts)


def _digest(sealer: Sealer, person: Person, body: Mapping[str, Any], facts: Iterable[tuple[str, str]]) -> str:
    asked = {name: body[name] for name in _MATTERS if body.get(name) is not None}
    known = sorted(text for source, text in facts if source != _CLOCK)
    try:
        words = orjson.dumps([asked, known], option=orjson.OPT_SORT_KEYS).decode()
    except TypeError:  # lone surrogates and huge integers are legal JSON, which orjson refuses
        words = json.dumps([asked, known], sort_keys=True)
    return sealer.digest("question", person.tenant, person.user, words)


def _last(
    connection: Connection,
    sealer: Sealer,
    person: Person,
    body: Mapping[str, Any],
    facts: Iterable[tuple[str, str]],
    now: datetime,
    not_before: datetime,
) -> CachedAnswer | None:
    question = _digest(sealer, person, body, facts)
    query = (
        select(exchanges)
        .where(exchanges.c.question == question, exchanges.c.received >= not_before)
        .order_by(exchanges.c.received.desc())
        .limit(_LOOKED_AT)
    )
    for row in connection.execute(query):
        if row.status != "complete" or row.private is None or (row.tenant, row.user) != (person.tenant, person.user):
            continue
        answer = json.loads(sealer.open(row.private, place_of("exchanges", row.id, row.tenant, row.user))).get("answer")
        if isinstance(answer, dict) and answer.get("choices"):
            age_s = max(0.0, (now - row.received).total_seconds())
            return CachedAnswer(row.id, row.received, age_s, row.model, answer)
    return None
