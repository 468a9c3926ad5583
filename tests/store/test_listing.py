"""Filtered pages of exchanges: the same rows as a plain look at all of them, along an index."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from sqlalchemy import Connection

from netgpt.errors import NotFound
from netgpt.store.listing import EVERYTHING, ListFilter, Page, plan_of
from netgpt.store.receipts import NewReceipt
from netgpt.store.schema import ExchangeRecord
from netgpt.store.store import Store
from netgpt.types import Person

ADA = Person("local", "ada")
FILTERS = (EVERYTHING, ListFilter(status="failed"), ListFilter(model="small", route="edge"), ListFilter(kind="CARD"))
NOW = datetime(2026, 5, 4, 10, 30, tzinfo=UTC)


async def filled(store: Store, make_row: Any, many: int = 300) -> list[ExchangeRecord]:
    """Rows of all sorts, newest first, some of the same moment."""
    random = Random(3)
    rows = [
        make_row(
            received=NOW - timedelta(seconds=number // 2),
            user=random.choice(("ada", "bob")),
            tenant=random.choice(("local", "local", "other")),
            status=random.choice(("complete", "complete", "failed")),
            route=random.choice(("edge", "cloud")),
            model=random.choice(("small", "large")),
            reason=random.choice(("it is easy", "100 % of it is Hard_code", "the link is slow")),
            finds=random.choice(({}, {}, {"EMAIL": 2}, {"EMAIL": 1, "CARD": 1})),
            private=None,
        )
        for number in range(many)
    ]
    for row in rows:
        await store.save_exchange(row)
    return sorted(rows, key=lambda row: (row.received, row.id), reverse=True)


async def all_pages(store: Store, person: Person | None, wanted: ListFilter, limit: int) -> list[ExchangeRecord]:
    pages: list[Page] = [await store.listing.page(person, "local", limit, None, wanted)]
    while pages[-1].next:
        pages.append(await store.listing.page(person, "local", limit, pages[-1].next, wanted))
    return [row for page in pages for row in page.rows]


async def test_every_filter_shows_what_it_says_page_by_page(store: Store, make_row: Any) -> None:
    rows = [row for row in await filled(store, make_row) if row.tenant == "local"]
    parts: dict[str, tuple[str | None, ...]] = {
        "status": (None, "failed"), "route": (None, "cloud"), "model": (None, "small"),
        "kind": (None, "CARD", "EMAIL"), "words": (None, "100 % of", "HARD_", "nowhere"),
    }  # fmt: skip
    for values in itertools.product(*parts.values()):
        wanted = ListFilter(**dict(zip(parts, values, strict=True)))
        for person in (None, ADA):
            meant = [row for row in rows if wanted.matches(row) and person in (None, row.person)]
            assert await all_pages(store, person, wanted, 40) == meant, wanted


async def test_a_rare_match_far_back_is_found_by_going_on(store: Store, make_row: Any) -> None:
    store.listing.scan = 50
    rows = await filled(store, make_row, 120)
    last = next(row for row in reversed(rows) if row.tenant == "local")
    await store.save_exchange(make_row(received=last.received - timedelta(1), reason="a needle"))
    first = await store.listing.page(None, "local", 10, None, ListFilter(words="needle"))
    assert first.rows == [] and first.next is not None
    assert [row.reason for row in await all_pages(store, None, ListFilter(words="needle"), 10)] == ["a needle"]


async def test_rows_tell_how_many_bytes_left(store: Store, make_row: Any) -> None:
    row = make_row(route="cloud", finds={"EMAIL": 1})
    await store.save_exchange(row)
    for content in (b"twelve bytes", b"three"):
        await store.receipts.add(NewReceipt("cloud.example", "large", content, ADA, row.id, {}))
    (shown,) = (await store.listing.page(ADA, "local")).rows
    assert (shown.left, shown.finds, shown.private) == (17, {"EMAIL": 1}, None)
    found = await store.exchange(row.id)
    assert found is not None and found.as_dict()["left_bytes"] == 17
    assert [(seq, each.left) for seq, each in await store.listing.after(0, 10)] == [(1, 17)]


async def test_a_page_goes_on_from_ones_own_rows_alone(store: Store, make_row: Any) -> None:
    await store.save_exchange(make_row(user="bob"))
    with pytest.raises(NotFound):
        await store.listing.page(ADA, "local", before="ex_000001")
    with pytest.raises(NotFound):
        await store.listing.page(None, "other", before="ex_000001")


async def test_pages_and_filters_follow_an_index(store: Store, make_row: Any) -> None:
    """What SQLite says it will do: no table is read whole, and nothing is sorted."""
    rows = await filled(store, make_row, 40)
    since, seen = (rows[5].received, rows[5].id), list[str]()

    def explained(connection: Connection) -> None:
        for person, wanted in itertools.product((None, ADA), FILTERS):
            query, _ = plan_of(connection, person, "local", wanted, since)
            statement = query.compile(connection, compile_kwargs={"literal_binds": True})
            seen.extend(step[3] for step in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}"))

    await store.listing._read(explained)
    assert len(seen) >= 2 * len(FILTERS)
    assert not [step for step in seen if "TEMP B-TREE" in step or step.startswith("SCAN")]
    assert any("exchanges_by_tenant" in step for step in seen) and any("finds_by_kind" in step for step in seen)
