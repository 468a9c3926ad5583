"""The breaker opens after failures in a row, lets one call try later, and closes when that one is answered."""

from __future__ import annotations

import pytest

from netgpt.errors import BrokenStream, ContextTooLong, ModelRejected, ModelTimeout, ModelUnavailable
from netgpt.models.errors import Breaker


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(3, 10.0, clock)


def fail(breaker: Breaker, error: BaseException | None = None) -> None:
    error = error or ModelTimeout("silent")
    with pytest.raises(type(error)), breaker.guard("the cloud"):
        raise error


def succeed(breaker: Breaker) -> None:
    with breaker.guard("the cloud"):
        pass


def test_opens_after_failures_in_a_row_only(breaker: Breaker) -> None:
    for _ in range(2):
        fail(breaker)
        fail(breaker, BrokenStream("cut"))
        succeed(breaker)
    assert breaker.state == "closed"
    for _ in range(3):
        fail(breaker)
    assert breaker.state == "open"


def test_an_open_breaker_refuses_at_once_and_says_when(breaker: Breaker, clock: Clock) -> None:
    for _ in range(3):
        fail(breaker)
    clock.now += 4
    with (
        pytest.raises(ModelUnavailable, match="the cloud failed 3 times in a row") as caught,
        breaker.guard("the cloud"),
    ):
        pytest.fail("the call must not run")
    assert caught.value.retry_after == 6.0


@pytest.mark.parametrize("error", [ModelRejected("no", status=400), ContextTooLong("long"), ValueError("ours")])
def test_refusals_and_our_own_faults_do_not_count(breaker: Breaker, error: Exception) -> None:
    for _ in range(5):
        fail(breaker, error)
    assert breaker.state == "closed"


def test_a_cancelled_call_counts_neither_way(breaker: Breaker, clock: Clock) -> None:
    for error in (None, None, KeyboardInterrupt(), GeneratorExit(), None):
        fail(breaker, error)
    assert breaker.state == "open"


def test_half_open_lets_one_call_try(breaker: Breaker, clock: Clock) -> None:
    for _ in range(3):
        fail(breaker)
    clock.now += 10
    assert breaker.state == "half-open"
    with breaker.guard("the cloud"), pytest.raises(ModelUnavailable), breaker.guard("the cloud"):
        pytest.fail("a second call must not run")
    assert breaker.state == "closed"


def test_a_failed_try_opens_it_again(breaker: Breaker, clock: Clock) -> None:
    for _ in range(3):
        fail(breaker)
    clock.now += 10
    fail(breaker)
    assert breaker.state == "open" and breaker.wait_s == 10.0


def test_a_cancelled_try_leaves_the_place_to_another(breaker: Breaker, clock: Clock) -> None:
    for _ in range(3):
        fail(breaker)
    clock.now += 10
    fail(breaker, GeneratorExit())
    assert breaker.state == "half-open"
    succeed(breaker)
    assert breaker.state == "closed"


def test_others_need_not_wait_for_a_long_answer_of_the_try(breaker: Breaker, clock: Clock) -> None:
    for _ in range(3):
        fail(breaker)
    clock.now += 10
    with pytest.raises(BrokenStream), breaker.guard("the cloud") as answers:
        answers()
        assert breaker.state == "closed"
        raise BrokenStream("cut after all")
    assert breaker.state == "open"
