"""How long to wait before another try."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from clouds import Says, chat, cloud_model, everything
from hypothesis import given
from hypothesis import strategies as st
from outbounds import send

from netgpt.errors import NetGPTError
from netgpt.models.errors import RetryPolicy, read_retry_after

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@given(st.integers(0, 30), st.integers(0, 2**32))
def test_the_back_off_is_jittered_within_its_bounds(tried: int, seed: int) -> None:
    policy = RetryPolicy(31, base_s=0.25, cap_s=8.0, random=random.Random(seed))
    wait = policy.wait_s(tried)
    assert wait is not None and 0 <= wait <= min(8.0, 0.25 * 2**tried)


def test_the_same_seed_gives_the_same_waits() -> None:
    first, second = (RetryPolicy(5, random=random.Random(7)) for _ in range(2))
    waits = [first.wait_s(tried) for tried in range(5)]
    assert waits == [second.wait_s(tried) for tried in range(5)]
    assert len(set(waits)) == 5


@given(st.floats(0, 20))
def test_retry_after_is_waited_out(asked: float) -> None:
    wait = RetryPolicy(1).wait_s(0, asked)
    assert wait is not None and asked <= wait <= asked + 0.25


def test_gives_up_after_the_last_try_and_beyond_its_patience() -> None:
    assert RetryPolicy(2).wait_s(2) is None
    assert RetryPolicy(0).wait_s(0) is None
    assert RetryPolicy(2).wait_s(0, 21.0) is None


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": " 1.5 "}, 1.5),
        ({"retry-after": "7", "retry-after-ms": "250"}, 0.25),
        ({"retry-after": "Sun, 01 Mar 2026 12:00:09 GMT"}, 9.0),
        ({"retry-after": "Sun, 01 Mar 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after": "Sun, 01 Mar 2026 12:00:09 -0000"}, 9.0),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "1e9"}, None),
        ({"retry-after": "²"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "9" * 400}, 86_400.0),
        ({"retry-after-ms": "9" * 400}, 86_400.0),
        ({"retry-after": "Sun, 01 Mar 9999 12:00:09 GMT"}, 86_400.0),
        ({"retry-after": "Sun, 01 Mar 99999 12:00:09 GMT"}, None),
    ],
)
def test_the_header_is_read(headers: dict[str, str], seconds: float | None) -> None:
    assert read_retry_after(headers, NOW) == seconds


@pytest.mark.parametrize(
    ("status", "error", "tries"),
    [
        (409, {}, 3),
        (425, {}, 3),
        (520, {}, 3),
        (524, {}, 3),
        (529, {"type": "overloaded_error"}, 3),
        (429, {"code": "insufficient_quota"}, 1),
        (429, {"message": "You exceeded your current quota, please check your plan. Retry in 1 ms."}, 3),  # Gemini's
        (402, {"message": "Insufficient credits"}, 1),
        (500, {"message": "This model's maximum context length is 4096 tokens."}, 1),
        (501, {}, 1),
    ],
)
async def test_which_statuses_are_tried_again(status: int, error: dict[str, Any], tries: int) -> None:
    with Says(orjson.dumps({"error": error}), "application/json", status, "retry-after-ms: 1\r\n") as server:
        model = cloud_model(server.base_url, retries=2)
        with pytest.raises(NetGPTError):
            await everything(send(model, chat("hello")))
        assert len(server.requests) == tries
        await model.close()
