"""How long a test waits: a quiet machine's seconds, stretched by how slow this machine is just now, and by a while in
which it stands still.

No test may fail because the machine was busy: events are waited for, calls are counted, and limits that are not what is
tested are generous. Where seconds are what is tested, `in_time` forgives a stall, and `unhurried` begins again.

Nothing here is asked while all goes well: the machine is measured only when a limit was missed, so that patience costs
a quiet machine nothing. Work of this process is counted in its own seconds of CPU, which others cannot take away.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

__all__ = ["STALL_S", "cpu_seconds", "in_time", "slowness", "unhurried", "until", "wait_until"]

_ROUNDS = 2_000_000
_QUIET_S = 0.08
"""Seconds that `_ROUNDS` additions take on a quiet machine of today."""
STALL_S = 6.0
"""Seconds that the machine may stand still without failing a test: what is told from what by its time lies further
apart than that."""
_TRIES = 5


def slowness() -> float:
    """How many times longer than on a quiet machine a piece of work takes now; at least 1. Costs 0.1 s or more."""
    began = time.perf_counter()
    sum(range(_ROUNDS))
    for _ in range(_ROUNDS):
        pass
    return max(1.0, (time.perf_counter() - began) / _QUIET_S)


def in_time(took_s: float, limit_s: float, stall_s: float = STALL_S) -> bool:
    """Whether something ended within `limit_s` seconds of a quiet machine; slowness is forgiven, and a stall, which a
    median or one of several attempts need not be (`stall_s=0`)."""
    return took_s < limit_s + stall_s or took_s < limit_s * 2 * slowness() + stall_s


async def unhurried(attempt: Callable[[], Awaitable[None]]) -> None:
    """For what is measured in tenths of a second: a stall spoils one attempt, not each of five. Each begins anew."""
    for _ in range(_TRIES - 1):
        try:
            return await attempt()
        except Exception:  # noqa: BLE001 - whatever a stall did to it; the last attempt tells
            continue
    await attempt()


def cpu_seconds(work: Callable[[], object]) -> float:
    """Seconds of CPU that this thread needed for `work`: the same however busy the machine is."""
    began = time.thread_time()
    work()
    return time.thread_time() - began


async def until(true: Callable[[], object], limit_s: float = 30.0) -> float:
    """Wait for a condition; the seconds that it took. Fails after `limit_s`, which is only met when it never comes."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < limit_s, "it did not come true"
        await asyncio.sleep(0.01)
    return time.monotonic() - began


def wait_until(true: Callable[[], object], limit_s: float = 30.0) -> float:
    """`until` for tests without a loop."""
    began = time.monotonic()
    while not true():
        assert time.monotonic() - began < limit_s, "it did not come true"
        time.sleep(0.01)
    return time.monotonic() - began
