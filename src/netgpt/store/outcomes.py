"""What became of exchanges, by the adapter that had a part in them: counts alone, no text is read."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime
from statistics import median
from typing import Any

from sqlalchemy import Connection, select

from netgpt.store.schema import exchanges

__all__ = ["count_outcomes", "outcomes_by_adapter"]

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
