"""Finished exchanges: their rows, answers given before, and counts of what became of them."""

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
from sqlalchemy import Connection, Row, and_, select, true, update

from netgpt.errors import RequestError
from netgpt.store.encryption import Sealer, place_of
from netgpt.store.engine import FastInsert
from netgpt.store.entries import tampered
from netgpt.store.keys import book
from netgpt.store.ledger import ledger_in_use, tail, whole
from netgpt.store.listing import older, place_in, with_figures
from netgpt.store.rulings import count_rulings
from netgpt.store.schema import ExchangeRecord, exchanges, finds, of_person, values_of
from netgpt.store.writer import Part
from netgpt.types import Person

CACHED: Final = "cached"
"""A decision whose rule holds this word gave an older answer again, which does not count as a new one."""
_MAY_DIFFER: Final = frozenset(
    (
        "model", "stream", "stream_options", "temperature", "top_p", "top_k", "presence_penalty", "frequency_penalty",
        "seed", "user", "safety_identifier", "prompt_cache_key", "service_tier",
    )
)  # fmt: skip
"""The fields in which the same question may differ. Words of any other may stand in its answer."""
_CLOCK: Final = "clock"
"""Facts of this source differ each time: the age of the answer is given instead."""
_CANDIDATES: Final = 3
_MAX_PAGE: Final = 1000


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


_INSERT, _INSERT_FIND = FastInsert(exchanges), FastInsert(finds)
_NOT_SHOWN: Final = frozenset({"question", "seq", "before", "mac"})
_COST, _PRIVATE, *_FLAGS = (
    list(exchanges.columns.keys()).index(name) for name in ("cost", "private", "estimated", "partial")
)


class Exchanges(Part):
    """The rows of exchanges: methods of the store itself."""

    async def save_exchange(self, row: ExchangeRecord) -> None:
        """Add a row and book its use. Raises StoreError (`conflict`): the id is there; it is never overwritten."""
        await self._submit(partial(_save, sealer=self._sealer, row=row), enters_itself=True)

    async def exchange(self, id: str) -> ExchangeRecord | None:
        """The row, whoever it belongs to: the caller checks `row.person`."""

        def find(connection: Connection) -> ExchangeRecord | None:
            row = connection.execute(select(exchanges).where(exchanges.c.id == id)).one_or_none()
            return None if row is None else with_figures(connection, [_opened(row, self._sealer)])[0]

        return await self._read(find)

    async def exchanges(
        self,
        person: Person | None,
        limit: int = 50,
        before: str | None = None,
        *,
        rating: int | None = None,
        texts: bool = True,
    ) -> list[ExchangeRecord]:
        """Newest first, at most 1,000. `person=None`: everyone's, for the operator. `before`: the id to go on from.

        `rating`: only those rated so. `texts=False` leaves what is sealed closed. Raises NotFound: `before` is unknown.
        """
        if not 1 <= limit <= _MAX_PAGE:
            raise RequestError(f"limit must be 1 to {_MAX_PAGE}", param="limit")
        whose = [] if person is None else [of_person(exchanges, person)]
        whose += [] if rating is None else [exchanges.c.rating == rating]
        query = select(exchanges).where(*whose).order_by(exchanges.c.received.desc(), exchanges.c.id.desc())
        query = query.limit(limit)

        def page(connection: Connection) -> list[ExchangeRecord]:
            since = None if before is None else place_in(connection, and_(true(), *whose), before)
            rows = connection.execute(query.where(*older(exchanges.c.received, exchanges.c.id, since)))
            return with_figures(connection, [_opened(row, self._sealer if texts else None) for row in rows])

        return await self._read(page)

    async def rate_exchange(self, id: str, rating: int) -> bool:
        """Keep what the person thought of the answer (-1, 0, 1). False when there is no such exchange."""
        change = update(exchanges).where(exchanges.c.id == id).values(rating=rating)
        return await self._submit(lambda connection: connection.execute(change).rowcount > 0)

    async def drop_texts(self, id: str) -> bool:
        """Delete what was said in it; its figures stay. False when there is no such exchange."""
        change = update(exchanges).where(exchanges.c.id == id).values(private=None, question=None)
        return await self._submit(lambda connection: connection.execute(change).rowcount > 0, needs_room=False)

    async def outcomes(self, adapter: str, against: str | None, since: datetime) -> dict[str, dict[str, int]]:
        """Counts of what became of exchanges since `since`, with the version `adapter` and without. No text is read.

        `against`: the active version's id; None: exchanges in which no version of the same name had a part. Returns
        {"canary": {...}, "active": {...}}, each with the fields of `adapters.canary.Outcomes`.
        """
        columns = exchanges.c
        query = (
            select(columns.tenant, columns.user, columns.status, columns.rating, columns.timings, columns.adapters)
            .where(columns.received >= since)
            .order_by(columns.received.desc(), columns.id.desc())
            .limit(_MOST)
        )
        rows = await self._read(lambda connection: connection.execute(query).all())
        return count_outcomes(reversed(rows), adapter, against)


class Answers(Part):
    """`store.answers`: the newest answer to the same question of the same person, for when nobody can answer.

    A keyed digest finds it: no text is stored for this. Exchanges whose texts are not kept have none.
    """

    async def last(
        self,
        person: Person,
        body: Mapping[str, Any],
        facts: Iterable[tuple[str, str]],
        now: datetime,
        not_before: datetime,
    ) -> CachedAnswer | None:
        """The newest complete answer of `person` to `body` with these facts (source, text), if there is one."""
        question = partial(_digest, self._sealer, person, body, list(facts))

        def find(connection: Connection) -> CachedAnswer | None:
            query = (
                select(exchanges)
                .where(exchanges.c.question == question(), exchanges.c.received >= not_before)
                .order_by(exchanges.c.received.desc())
                .limit(_CANDIDATES)
            )
            for row in connection.execute(query):
                if row.status != "complete" or (row.tenant, row.user) != (person.tenant, person.user):
                    continue
                answer = (_opened(row, self._sealer).private or {}).get("answer")
                if isinstance(answer, dict) and answer.get("choices"):
                    age_s = max(0.0, (now - row.received).total_seconds())
                    return CachedAnswer(row.id, row.received, age_s, row.model, answer)
            return None

        return await self._read(find)


def _question_of(sealer: Sealer, row: ExchangeRecord) -> str | None:
    """The digest of what an exchange asked; None where no answer is kept that could be given again."""
    private = row.private
    if row.status != "complete" or private is None or private.get("answer") is None:
        return None
    if not isinstance(private.get("request"), dict) or CACHED in str((private.get("decision") or {}).get("rule")):
        return None
    facts = [(str(fact.get("source")), str(fact.get("text"))) for fact in private.get("facts") or ()]
    return _digest(sealer, row.person, private["request"], facts)


def _digest(sealer: Sealer, person: Person, body: Mapping[str, Any], facts: Iterable[tuple[str, str]]) -> str:
    """Within a transaction: the database's own secret is in use there."""
    asked = {name: value for name, value in body.items() if name not in _MAY_DIFFER and value is not None}
    known = sorted(text for source, text in facts if source != _CLOCK)
    try:
        question = orjson.dumps([asked, known], option=orjson.OPT_SORT_KEYS).decode()
    except TypeError:  # lone surrogates and huge integers are legal JSON, which orjson refuses
        question = json.dumps([asked, known], sort_keys=True)
    return sealer.digest("question", person.tenant, person.user, question)


def _save(connection: Connection, sealer: Sealer, row: ExchangeRecord) -> None:
    values = values_of(row) | {"question": _question_of(sealer, row)}
    if row.private is not None:
        try:
            texts = orjson.dumps(row.private)
        except TypeError:  # as above
            texts = json.dumps(row.private).encode("ascii")
        values["private"] = sealer.seal(texts, place_of("exchanges", row.id, row.tenant, row.user))
    ledger = ledger_in_use()
    if ledger is None:
        raise tampered("marks", "the secrets are gone")
    values["seq"], values["before"] = ledger.next_exchange(row.id)
    bound = _INSERT.bound(connection, values | {"mac": b""})
    plain = list(bound[:-1])
    plain[_COST], plain[_PRIVATE] = whole(plain[_COST]), tail(plain[_PRIVATE])
    for at in _FLAGS:
        plain[at] = int(plain[at])  # as every engine spells it
    _INSERT.run_bound(connection, (*bound[:-1], ledger.mac("exchanges", row.id, plain)))
    for kind, times in row.finds.items():
        found = {"tenant": row.tenant, "user": row.user, "received": row.received, "kind": kind, "times": times}
        _INSERT_FIND.run(connection, found | {"exchange": row.id})
    count_rulings(connection, row)
    if row.key_id is not None:
        book(connection, ledger, row, values["seq"])
    ledger.booked()


def _opened(row: Row[Any], sealer: Sealer | None) -> ExchangeRecord:
    """`sealer=None` leaves the texts closed, as if they were not kept."""
    values = {name: value for name, value in row._asdict().items() if name not in _NOT_SHOWN}
    values["adapters"] = tuple(row.adapters or ())
    if sealer is None:
        values["private"] = None
    elif row.private is not None:
        values["private"] = sealer.open_json(row.private, "exchanges", row.id, row.tenant, row.user)
    return ExchangeRecord(**values)


PER_PERSON = 10
"""Exchanges of one person that count for one version, the first ones: nobody's habits weigh more than others'."""
SLOW = 2.0
"""Slow: the first word took more than this many times the usual time without the version."""
_MOST = 20_000
"""Rows read, the newest."""


def count_outcomes(rows: Iterable[Any], id: str, against: str | None) -> dict[str, dict[str, int]]:
    """See `Exchanges.outcomes`. `rows`: (tenant, user, status, rating, timings, adapters), oldest first."""
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
