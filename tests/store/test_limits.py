"""What keys may use and have used: booked with the exchange, by day and month, forgotten with the person."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netgpt.errors import NotFound
from netgpt.store.keys import KEPT_DAYS, new_key, token_id
from netgpt.store.schema import KeyLimits, KeyRow, KeyUse
from netgpt.store.store import Store
from netgpt.types import Person, Role

NOON = datetime(2025, 3, 15, 12, tzinfo=UTC)


async def make_key(store: Store, **fields: Any) -> KeyRow:
    id, _, hash = new_key()
    row = KeyRow(
        id, hash, **{"tenant": "local", "role": Role.USER, "user": None, "name": "", "created": NOON, **fields}
    )
    await store.add_key(row)
    return row


async def test_exchanges_are_booked_by_day_and_month(store: Store, make_row: Any) -> None:
    used = {"key_id": "k1", "prompt_tokens": 10, "completion_tokens": 5, "cost": 0.25}
    for when in (NOON, NOON + timedelta(hours=1), NOON - timedelta(days=3), NOON - timedelta(days=20)):
        await store.save_exchange(make_row(received=when, **used))
    await store.save_exchange(make_row(received=NOON, **{**used, "key_id": "k2"}))
    await store.save_exchange(make_row(received=NOON, **{**used, "key_id": None}))
    assert await store.limits.use("k1", NOON) == KeyUse("2025-03-15", 2, 30, 0.5, 0.75)
    assert await store.limits.use("k1", NOON + timedelta(days=1)) == KeyUse("2025-03-16", 0, 0, 0.0, 0.75)
    assert (await store.limits.use("k1", NOON + timedelta(days=30))).cost_month == 0
    assert set(await store.limits.all_use(NOON)) == {"k1", "k2"}
    assert await store.limits.use("never", NOON) == KeyUse()


async def test_a_day_begins_at_midnight_utc_wherever_the_caller_is(store: Store, make_row: Any) -> None:
    east = NOON.replace(hour=23).astimezone(tz=None)
    await store.save_exchange(make_row(received=east, key_id="k1", prompt_tokens=1, completion_tokens=1))
    assert (await store.limits.use("k1", NOON)).tokens == 2


async def test_limits_and_scopes_change_one_by_one(store: Store) -> None:
    row = await make_key(store, limits=KeyLimits(requests_per_minute=5, cost_per_day=1.5), scopes=("chat",))
    changed = await store.limits.change(row.id, {"cost_per_day": None, "tokens_per_day": 100}, None)
    assert changed == KeyLimits(requests_per_minute=5, tokens_per_day=100)
    (kept,) = await store.keys()
    assert (kept.limits, kept.scopes) == (changed, ("chat",))
    await store.limits.change(row.id, {}, ("models", "chat"))
    assert (await store.keys())[0].scopes == ("models", "chat")
    await store.limits.change(row.id, {}, ())
    assert (await store.keys())[0].scopes is None and (await store.keys())[0].limits == changed
    with pytest.raises(NotFound, match="netgpt keys list"):
        await store.limits.change("key_none", {}, None)


async def test_days_that_no_budget_asks_about_go(store: Store, make_row: Any) -> None:
    now = datetime.now(UTC)
    for days in (0, KEPT_DAYS - 1, KEPT_DAYS + 2):
        await store.save_exchange(make_row(received=now - timedelta(days=days), key_id="k1", cost=1.0))
    await store.delete_expired(now, maps_days=1000, exchanges_days=1000)
    used = [await store.limits.use("k1", now - timedelta(days=days)) for days in (0, KEPT_DAYS - 1, KEPT_DAYS + 2)]
    assert [each.requests for each in used] == [1, 1, 0]


async def test_a_forgotten_persons_keys_and_their_use_go_and_nobody_elses(store: Store, make_row: Any) -> None:
    ada = Person("local", "ada")
    theirs = await make_key(store, user="ada", name="ada's laptop")
    others = [await make_key(store, user="bob"), await make_key(store), await make_key(store, user="ada", tenant="far")]
    ids = [theirs.id, *(row.id for row in others), token_id(ada), token_id(Person("far", "ada"))]
    for id in ids:
        await store.save_exchange(make_row(user="bob", key_id=id, received=NOON))
    assert set(await store.limits.all_use(NOON)) == set(ids)
    assert (await store.forget(ada))["keys"] == 1
    # What a token used stays: who forgets himself has no new budget. Its id is a digest, and goes with its month.
    assert set(await store.limits.all_use(NOON)) == set(ids) - {theirs.id}
    rows = {row.id: row for row in await store.keys()}
    gone = rows.pop(theirs.id)
    assert gone.user is None and gone.revoked is not None and "ada" not in gone.name
    forgotten = [(rows[row.id].user, rows[row.id].revoked, rows[row.id].tenant) for row in others]
    assert forgotten == [("bob", None, "local"), (None, None, "local"), ("ada", None, "far")]


@given(*[st.text(st.characters(exclude_categories=["Cs"]), max_size=12)] * 4)
def test_no_two_people_share_a_token_id(tenant: str, user: str, other_tenant: str, other_user: str) -> None:
    one, two = Person(tenant, user), Person(other_tenant, other_user)
    assert (token_id(one) == token_id(two)) == (one == two)
    assert token_id(one).startswith("oidc_") and (len(user) < 4 or user not in token_id(one))
