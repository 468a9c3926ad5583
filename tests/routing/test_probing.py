"""Probes over real sockets: when they are made, that they send nothing, and what they tell."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

from patience import in_time, until

from netgpt.routing.probes import Address, Prober, opened_in
from netgpt.routing.signals import Signals
from netgpt.testing.server import FaultyCloud
from netgpt.types import CallFacts


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def looking(port: int, **more: Any) -> tuple[Prober, Signals, Clock]:
    """A prober of one upstream, in use since now."""
    clock = Clock()
    signals = Signals(clock=clock)
    down = more.pop("down", lambda: False)
    prober = Prober(signals, (Address("cloud", "127.0.0.1", port, down),), every_s=10, **more)
    signals.for_request()
    return prober, signals, clock


def report(signals: Signals, failed: bool = False) -> None:
    signals.observed(CallFacts("cloud", 0.0, "unreachable" if failed else "ok", failed=failed, rtt_s=0.01))


def closed_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


async def test_a_probe_opens_and_closes_and_sends_nothing() -> None:
    async with FaultyCloud() as cloud:
        prober, signals, _ = looking(cloud.port)
        await prober.probe_due()
        await until(lambda: not cloud.connections)
        assert cloud.all_bytes() == b""
    link = signals.view().links["cloud"]
    assert prober.made == 3
    assert link.rtt_s is not None and link.rtt_s.value > 0 and in_time(link.rtt_s.value, 0.1)
    assert link.jitter_s is not None and link.loss is not None
    assert link.loss.value == 0.0
    assert link.failures is not None and link.failures.value == 0.0


async def test_nobody_there_is_reported_after_two_tries() -> None:
    prober, signals, _ = looking(closed_port())
    await prober.probe_due()
    failures = signals.view().links["cloud"].failures
    assert prober.made == 2
    assert failures is not None and failures.value == 1.0


async def test_a_link_that_is_back_is_noticed_without_a_request() -> None:
    async with FaultyCloud() as cloud:
        prober, signals, clock = looking(cloud.port)
        for _ in range(3):
            report(signals, failed=True)
        before = signals.view().links["cloud"].failures
        clock.now += 11
        await prober.probe_due()
        after = signals.view().links["cloud"].failures
    assert before is not None and before.value > 0.9
    assert after is not None and after.value < 0.1


def test_no_probe_while_calls_tell_or_are_under_way() -> None:
    prober, signals, clock = looking(1)
    report(signals)
    assert prober.due() == []
    clock.now += 9
    assert prober.due() == []
    clock.now += 2
    assert [address.target for address in prober.due()] == ["cloud"]
    call = signals.began("cloud")
    assert prober.due() == []
    call.end()
    assert prober.due() != []


def test_no_probe_while_the_box_is_not_in_use() -> None:
    prober, _, clock = looking(1)
    assert prober.due() != []
    clock.now += 61
    assert prober.due() == []


def test_an_open_breaker_is_looked_behind_even_when_calls_told_of_it_just_now() -> None:
    prober, signals, clock = looking(1, down=lambda: True)
    report(signals, failed=True)
    assert prober.due() != []
    clock.now += 1
    assert prober.due() != []


async def test_a_link_in_trouble_is_looked_at_every_second() -> None:
    prober, signals, clock = looking(closed_port())
    signals.observed(CallFacts("cloud", 0.0, "ok", first_byte_s=0.3))
    for _ in range(3):
        report(signals, failed=True)
    clock.now += 1.1
    assert prober.due() != []
    await prober.probe_due()
    assert prober.due() == []
    clock.now += 1.1
    assert prober.due() != []
    for _ in range(2):
        signals.observed(CallFacts("cloud", 0.0, "ok", first_byte_s=0.3))
    clock.now += 1.1
    assert prober.due() == [], "it has answered"


async def test_looks_are_as_far_apart_as_configured() -> None:
    prober, _, clock = looking(closed_port(), down=lambda: True)
    await prober.probe_due()
    assert prober.due() == []
    clock.now += 10
    assert prober.due() != []


async def test_probes_can_be_turned_off() -> None:
    prober = Prober(Signals(), (Address("cloud", "127.0.0.1", 1),), every_s=0)
    assert prober.due() == []
    await prober.run()
    assert prober.made == 0


async def test_a_server_that_never_accepts_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as server:
        port = server.getsockname()[1]
        full = [socket.socket() for _ in range(4)]
        for sock in full:  # more than its queue takes: the next handshake is not answered
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", port))
        await asyncio.sleep(0.05)
        rtt_s, lost = await opened_in("127.0.0.1", port, limit_s=0.3)
        for sock in full:
            sock.close()
    assert rtt_s is None
    assert lost == 1.0


async def test_a_name_that_nobody_knows_is_a_failure() -> None:
    assert await opened_in("no-such-host.invalid", 80, limit_s=30) == (None, 1.0)
