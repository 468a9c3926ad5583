"""The rows of finished exchanges."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from statistics import median
from typing import Any, Final

import orjson
from sqlalchemy import Connection, Row, and_, delete, or_, select, update

from netgpt.errors import NotFound
from netgpt.store import keys
from netgpt.store.database import FastInsert
from netgpt.store.encryption import Sealer, place_of
from netgpt.store.schema import ExchangeRecord, exchanges, of_person, values_of
from netgpt.store.writer import Read
from netgpt.types import Person

# --- The newest answer to the same question of the same person, for when nobody can answer: a keyed digest finds it.
#
# No text is stored for this: the digest (HMAC) stands beside the exchange, goes with it, and tells nothing without
# the database's secret. Exchanges whose texts are not kept have none.

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


_INSERT = FastInsert(exchanges)


def save(connection: Connection, sealer: Sealer, row: ExchangeRecord) -> None:
    """Add a row; an id that is there already is refused (StoreError `conflict`), never overwritten."""
    values = values_of(row)
    complete = row.status == "complete"
    values["question"] = question_of(sealer, row.tenant, row.user, row.private) if complete else None
    if row.private is not None:
        values["private"] = sealer.seal(_encoded(row.private), _place(row.id, row.tenant, row.user))
    _INSERT.run(connection, values)
    if row.key_id is not None:
        keys.book(connection, row)


def rate(connection: Connection, id: str, rating: int) -> bool:
    return connection.execute(update(exchanges).where(exchanges.c.id == id).values(rating=rating)).rowcount > 0


def find(connection: Connection, sealer: Sealer, id: str) -> ExchangeRecord | None:
    row = connection.execute(select(exchanges).where(exchanges.c.id == id)).one_or_none()
    return None if row is None else _opened(row, sealer)


def page(
    connection: Connection,
    sealer: Sealer,
    person: Person | None,
    limit: int,
    before: str | None,
    rating: int | None = None,
    tenant: str | None = None,
    texts: bool = True,
) -> list[ExchangeRecord]:
    """Newest first; `before` is the id of the last row of the page before. Raises NotFound for an unknown id."""
    query = select(exchanges).order_by(exchanges.c.received.desc(), exchanges.c.id.desc()).limit(limit)
    if person is not None:
        query = query.where(of_person(exchanges, person))
    if tenant is not None:
        query = query.where(exchanges.c.tenant == tenant)
    if rating is not None:
        query = query.where(exchanges.c.rating == rating)
    if before is not None:
        last = connection.execute(query.where(exchanges.c.id == before)).one_or_none()
        if last is None:
            raise NotFound("no such exchange to list from: start again without `before`", param="before")
        same_moment = and_(exchanges.c.received == last.received, exchanges.c.id < last.id)
        query = query.where(or_(exchanges.c.received < last.received, same_moment))
    return [_opened(row, sealer if texts else None) for row in connection.execute(query)]


def expire(connection: Connection, received_before: datetime) -> int:
    return connection.execute(delete(exchanges).where(exchanges.c.received < received_before)).rowcount


def forget(connection: Connection, person: Person) -> int:
    mine = of_person(exchanges, person)
    return connection.execute(delete(exchanges).where(mine)).rowcount


def _opened(row: Row[tuple[object, ...]], sealer: Sealer | None) -> ExchangeRecord:
    """`sealer=None` leaves the texts closed, as if they were not kept."""
    values = row._asdict()
    del values["question"]
    values["adapters"] = tuple(row.adapters or ())
    if sealer is None:
        values["private"] = None
    elif row.private is not None:
        values["private"] = json.loads(sealer.open(row.private, _place(row.id, row.tenant, row.user)))
    return ExchangeRecord(**values)


def _encoded(private: dict[str, Any]) -> bytes:
    """JSON. orjson refuses lone surrogates and huge integers, which are legal JSON; the slow way takes them."""
    try:
        return orjson.dumps(private)
    except TypeError:
        return json.dumps(private).encode("ascii")


def _place(id: str, tenant: str, user: str) -> bytes:
    return place_of("exchanges", id, tenant, user)


# --- What became of exchanges, by the adapter that had a part in them: counts alone, no text is read.

PER_PERSON = 10
"""Exchanges of one person that count for one version, the first ones: nobody's habits weigh more than others'."""
SLOW = 2.0
"""Slow: the first word came later than this many times the usual time without the version."""
_MOST = 20_000
"""Rows looked at; the newest."""


def outcomes_by_adapter(
    connection: Connection, id: str, against: str | None, since: datetime
) -> dict[str, dict[str, int]]:
    """Counts of exchanges since `since` with the version `id`, and of those it is compared with.

    `against`: the active version's id; None: exchanges in which no version of the name of `id` had a part. Returns
    {"canary": {...}, "active": {...}}, each with the fields of `tuning.canary.Outcomes`.
    """
    columns = exchanges.c
    query = (
        select(columns.tenant, columns.user, columns.status, columns.rating, columns.timings, columns.adapters)
        .where(columns.received >= since)
        .order_by(columns.received.desc(), columns.id.desc())
        .limit(_MOST)
    )
    return count_outcomes(reversed(connection.execute(query).all()), id, against)


def count_outcomes(rows: Iterable[Any], id: str, against: str | None) -> dict[str, dict[str, int]]:
    """The same over rows (tenant, user, status, rating, timings, adapters), oldest first. Pure."""
    groups: dict[str, list[Any]] = {"canary": [], "active": []}
    seen: dict[tuple[str, str, str], int] = defaultdict(int)
    for row in rows:
        group = _group(row[5] or (), id, against)
        if group is None or row[2] not in ("complete", "failed"):
            continue
        seen[group, row[0], row[1]] += 1
        if seen[group, row[0], row[1]] <= PER_PERSON:
            groups[group].append(row)
    usual = [time for row in groups["active"] if (time := _first_word(row)) is not None]
    limit = SLOW * median(usual) if usual else float("inf")
    return {name: _counts(members, limit) for name, members in groups.items()}


def _group(adapters: Iterable[str], id: str, against: str | None) -> str | None:
    used = set(adapters)
    if id in used:
        return "canary"
    if against is not None:
        return "active" if against in used else None
    name = id.partition("@")[0]
    return None if any(each.partition("@")[0] == name for each in used) else "active"


def _first_word(row: Any) -> float | None:
    time = (row[4] or {}).get("first_token")
    return float(time) if isinstance(time, int | float) else None


def _counts(rows: list[Any], limit: float) -> dict[str, int]:
    disliked = [row for row in rows if row[3] is not None and row[3] < 0]
    return {
        "exchanges": len(rows),
        "failed": sum(row[2] == "failed" for row in rows),
        "disliked": len(disliked),
        "slow": sum((_first_word(row) or 0.0) > limit for row in rows),
        "dislikers": len({(row[0], row[1]) for row in disliked}),
    }
