"""What a key may use: minutes as buckets, days and months as budgets, what is under way counted by estimate."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from typing import Any

import pytest
from boxes import fill
from hypothesis import given
from hypothesis import strategies as st

from netgpt.errors import RateLimited
from netgpt.exchange import Exchange, Request
from netgpt.outbound import Outcome
from netgpt.settings.sections import Cloud
from netgpt.store.schema import KeyLimits, KeyUse
from netgpt.types import Caller, Decision, Role, Usage
from netgpt.web.rate_limits import Bucket, Limiter, _duration

CLOUD = Cloud(base_url="https://cloud.example/v1", price_prompt=1.0, price_completion=10.0)
CALLER = Caller("north", Role.USER, "key_1")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Booked:
    """The database's side: what it says was used, and how often it was asked."""

    def __init__(self, **use: Any) -> None:
        self.use: dict[str, Any] = {"day": datetime.now(UTC).date().isoformat(), **use}
        self.asked = 0

    async def __call__(self, key_id: str, now: datetime) -> KeyUse:
        self.asked += 1
        await asyncio.sleep(0)
        return KeyUse(**self.use)


def limiter(booked: Booked | None = None) -> tuple[Limiter, Clock]:
    clock = Clock()
    return Limiter(booked or Booked(), {"cloud": CLOUD}, clock), clock


def ended(tokens: int, *, cloud: bool = False) -> Exchange:
    exchange = Exchange(Request(body={"messages": []}), CALLER)
    usage = Usage(0, tokens)
    worked = {"cloud": usage} if cloud else {}
    return fill(exchange, outcome=Outcome(Decision("edge", "", "short"), usage=usage, worked=worked))


async def refused(limits: Limiter, wanted: KeyLimits) -> RateLimited:
    with pytest.raises(RateLimited) as caught:
        await limits.admit("key_1", wanted)
    return caught.value


async def test_requests_a_minute() -> None:
    limits, clock = limiter()
    wanted = KeyLimits(requests_per_minute=3)
    for left in (2, 1, 0):
        await limits.admit("key_1", wanted)
        assert (b"x-ratelimit-remaining-requests", b"%d" % left) in limits.headers("key_1")
    error = await refused(limits, wanted)
    assert (error.code, error.status, error.retry_after) == ("rate_limit_exceeded", 429, 20)
    assert error.as_openai()["error"]["type"] == "rate_limit_error"
    await limits.admit("key_2", wanted)  # each key has its own
    clock.now += 20
    await limits.admit("key_1", wanted)
    headers = dict(limits.headers("key_1"))
    assert headers[b"x-ratelimit-limit-requests"] == b"3" and headers[b"x-ratelimit-reset-requests"] == b"1m0s"


async def test_tokens_a_minute_are_known_afterwards() -> None:
    limits, clock = limiter()
    wanted = KeyLimits(tokens_per_minute=600)
    await limits.admit("key_1", wanted)
    limits.exchange_ended(ended(900))
    error = await refused(limits, wanted)
    assert error.code == "rate_limit_exceeded" and error.retry_after == pytest.approx(30.1)
    assert dict(limits.headers("key_1"))[b"x-ratelimit-remaining-tokens"] == b"0"
    clock.now += 31
    await limits.admit("key_1", wanted)


async def test_what_is_under_way_counts_until_it_ends() -> None:
    limits, _ = limiter()
    wanted = KeyLimits(tokens_per_day=1000)
    await limits.admit("key_1", wanted)
    hold = await limits.hold("key_1", 400, {"max_tokens": 450, "n": 2})
    assert hold is not None and hold.tokens == 1000
    assert (await refused(limits, wanted)).code == "rate_limit_exceeded"
    hold.release()
    hold.release()
    limits.exchange_ended(ended(10))
    await limits.admit("key_1", wanted)
    assert dict(limits.headers("key_1"))[b"x-ratelimit-remaining-tokens"] == b"990"


async def test_money_by_day_and_month() -> None:
    limits, clock = limiter(Booked(cost=0.4, cost_month=9.5))
    day, month = KeyLimits(cost_per_day=0.5), KeyLimits(cost_per_month=9.8)
    await limits.admit("key_1", day)
    limits.exchange_ended(ended(10_000))  # the box's own work costs nothing
    await limits.admit("key_1", day)
    limits.exchange_ended(ended(10_000, cloud=True))
    await limits.admit("key_1", day)  # for what costs nothing
    error = limits.spent("key_1")
    assert error is not None and (limits.money_left("key_1") or 0) < 0
    assert error.code == "insufficient_quota" and 0 < (error.retry_after or 0) <= 86_400
    await limits.admit("key_1", month)
    limits.exchange_ended(ended(30_000, cloud=True))
    await limits.admit("key_1", month)
    assert "a month" in str(limits.spent("key_1"))
    clock.now += 3  # the database is asked again, and it says otherwise
    await limits.admit("key_1", month)
    assert limits.spent("key_1") is None and limits.spent("nobody's") is None


async def test_what_is_left_is_known_to_decisions() -> None:
    limits, _ = limiter(Booked(cost=2.0, cost_month=9.0))
    assert limits.money_left("key_1") is None
    await limits.admit("key_1", KeyLimits(requests_per_minute=5))
    assert limits.money_left("key_1") is None
    await limits.admit("key_1", KeyLimits(cost_per_day=5.0, cost_per_month=10.0))
    assert limits.money_left("key_1") == pytest.approx(1.0)
    limits.exchange_ended(ended(50_000, cloud=True))
    assert limits.money_left("key_1") == pytest.approx(0.5)
    fresh, _ = limiter(Booked(day=""))
    await fresh.admit("key_1", KeyLimits(cost_per_day=5.0))
    assert fresh.money_left("key_1") == 5.0


async def test_the_database_is_asked_once_in_two_seconds_by_all_together() -> None:
    booked = Booked(tokens=100)
    limits, clock = limiter(booked)
    wanted = KeyLimits(tokens_per_day=100)
    outcomes = await asyncio.gather(*(limits.admit("key_1", wanted) for _ in range(20)), return_exceptions=True)
    assert all(isinstance(outcome, RateLimited) for outcome in outcomes), "none slips in before the first reading"
    assert booked.asked == 1
    clock.now += 2.1
    booked.use["tokens"] = 5
    await limits.admit("key_1", wanted)
    assert booked.asked == 2


async def test_yesterdays_use_does_not_count_today() -> None:
    limits, _ = limiter(Booked(day="2020-01-31", tokens=100, cost=1.0, cost_month=1.0))
    await limits.admit("key_1", KeyLimits(tokens_per_day=100, cost_per_day=1.0, cost_per_month=1.0))


async def test_changed_limits_are_in_force_at_once() -> None:
    limits, _ = limiter()
    await limits.admit("key_1", KeyLimits(requests_per_minute=1))
    await refused(limits, KeyLimits(requests_per_minute=1))
    await limits.admit("key_1", KeyLimits(requests_per_minute=2))


async def test_keys_without_limits_cost_nothing() -> None:
    limits, _ = limiter()
    assert await limits.hold("key_1", 400, {}) is None and await limits.hold(None, 400, {}) is None
    assert limits.headers("key_1") == []
    limits.exchange_ended(ended(5))


@given(st.integers(1, 1000), st.lists(st.tuples(st.floats(0, 30), st.integers(0, 2000)), max_size=30))
def test_a_bucket_never_gives_more_than_its_limit_and_the_minutes_since(
    limit: int, steps: list[tuple[float, int]]
) -> None:
    bucket, now, given_out = Bucket(limit, 0.0), 0.0, 0
    for passed, wanted in steps:
        now += passed
        bucket.refill(now)
        if wanted and not bucket.wait_s(wanted):
            bucket.level -= wanted
            given_out += wanted
    assert given_out <= limit + now * limit / 60 + 1e-6


@given(st.floats(0, 3_000_000))
def test_durations_are_written_as_openai_writes_them(seconds: float) -> None:
    left = _duration(seconds)
    parts = re.fullmatch(r"(?:(\d+)h)?(?:(\d+)m)?(?:([\d.]+)s)?(?:(\d+)ms)?", left)
    assert parts is not None and left
    hours, minutes, whole, thousandths = (float(part or 0) for part in parts.groups())
    assert 0 <= hours * 3600 + minutes * 60 + whole + thousandths / 1000 - seconds <= 1.000001


async def test_a_crowd_that_was_let_in_together_meets_the_budget() -> None:
    limits, _ = limiter()
    for _ in range(5):  # their bodies come slowly: all are admitted before the first is counted
        await limits.admit("key_1", KeyLimits(tokens_per_day=1000))
    assert await limits.hold("key_1", 400, {"max_tokens": 400}) is not None
    await limits.hold("key_1", 400, {"max_tokens": 400})
    with pytest.raises(RateLimited):
        await limits.hold("key_1", 400, {"max_tokens": 400})
