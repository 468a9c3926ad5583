"""Cuts, losses and traces on the shaped link: nothing is lost, nothing overtakes, nothing is too fast."""

from __future__ import annotations

import asyncio
import time

import pytest
from echoing import echo
from hypothesis import given, settings
from hypothesis import strategies as st
from netgpt_bench.link_emulator import Direction, Flow, LinkShape, ShapedLink, Trace, point
from patience import in_time, unhurried, until


class Noted(ShapedLink):
    """A link that notes each of its states."""

    def __init__(self, to_port: int) -> None:
        super().__init__(to_port)
        self.seen: list[tuple[bool, float | None]] = []

    def cut(self, *, reset: bool = False, refuse: bool = False) -> None:
        super().cut(reset=reset, refuse=refuse)
        self.seen.append((self.is_open, self.shape.rate_mbit))

    def restore(self) -> None:
        super().restore()
        self.seen.append((self.is_open, self.shape.rate_mbit))


async def opened(link: ShapedLink, limit_s: float = 60.0):
    return await asyncio.wait_for(asyncio.open_connection("127.0.0.1", link.port), limit_s)


async def test_a_cut_holds_back_what_is_sent_and_loses_none_of_it() -> None:
    content = bytes(range(256)) * 40
    async with echo() as port, ShapedLink(port) as link:
        reader, writer = await opened(link)
        link.cut()
        writer.write(content)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.readexactly(1), 0.2)
        assert not link.is_open
        link.restore()
        assert await asyncio.wait_for(reader.readexactly(len(content)), 60) == content
        writer.close()


async def test_over_a_cut_link_new_connections_hang_and_come_through_after_it() -> None:
    async with echo() as port, ShapedLink(port) as link:
        link.cut()
        link.cut()
        waiting = asyncio.create_task(opened(link))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        link.restore()
        reader, writer = await waiting  # at the kernel's next try, a second after the first
        writer.write(b"x")
        assert await asyncio.wait_for(reader.readexactly(1), 60) == b"x"
        writer.close()


async def test_a_cut_may_refuse_and_reset() -> None:
    async with echo() as port, ShapedLink(port) as link:
        reader, writer = await opened(link)
        writer.write(b"x")
        assert await reader.readexactly(1) == b"x"
        link.cut(reset=True, refuse=True)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(1), 60)
        with pytest.raises(ConnectionRefusedError):
            await opened(link)
        before = link.port
        link.restore()
        assert link.port == before
        _, again = await opened(link)
        again.close()
        writer.close()


async def test_a_link_may_start_cut() -> None:
    async with echo() as port:
        link = ShapedLink(port)
        link.cut()
        async with link:
            with pytest.raises(TimeoutError):
                await opened(link, 0.2)


async def test_up_and_down_may_differ() -> None:
    content = bytes(50_000)

    async def attempt() -> None:
        async with echo() as port, ShapedLink(port, LinkShape(), down=LinkShape(rate_mbit=1)) as link:
            reader, writer = await opened(link)
            began = time.perf_counter()
            writer.write(content)
            await reader.readexactly(len(content))
            took = time.perf_counter() - began
            assert took >= 0.39 and in_time(took, 0.7, stall_s=0)
            writer.close()

    await unhurried(attempt)


async def test_it_follows_a_trace_and_comes_back_after_a_cut() -> None:
    steps = (point(0.0, 10, 10, rtt_ms=2), point(0.2, 0, 0, rtt_ms=2), point(0.4, 5, 5, rtt_ms=4))

    async def attempt() -> None:
        async with echo() as port, Noted(port) as link:
            began = time.perf_counter()
            link.follow(Trace("test", "steps", steps, 0.6), loop=False)
            await until(lambda: len(link.seen) == 3, 10)
            assert link.seen == [(True, 10), (False, 10), (True, 5)] and time.perf_counter() - began >= 0.39
            assert (link.is_open, link.shape.rate_mbit) == (True, 5)

    await unhurried(attempt)


@settings(max_examples=60)
@given(
    sizes=st.lists(st.integers(1, 20_000), min_size=1, max_size=60),
    rate=st.floats(0.05, 500),
    loss=st.floats(0, 0.5),
    jitter=st.floats(0, 50),
    burst=st.integers(0, 20_000),
    seed=st.integers(0, 99),
)
def test_losses_keep_order_and_rate_and_every_byte(sizes, rate, loss, jitter, burst, seed) -> None:
    shape = LinkShape(rate, 10, jitter, burst, loss)

    def schedule():
        direction = Direction(seed)
        flows = [Flow(direction), Flow(direction)]
        sent = []
        for number, size in enumerate(sizes):
            sent.append((number % 2, size, *flows[number % 2].schedule(size, 1000 + number / 1000, shape, 0.02)))
        return direction, sent

    direction, sent = schedule()
    assert direction.bytes == sum(sizes)
    for flow in (0, 1):
        arrivals = [arrives for of, _, _, arrives in sent if of == flow]
        assert arrivals == sorted(arrivals)
    carried = 0
    for _, size, leaves, arrives in sorted(sent, key=lambda one: one[2]):
        carried += size
        assert arrives >= leaves + 0.0099
        assert carried <= burst + rate * 125_000 * (leaves - 1000) + max(sizes) + 1
    assert schedule()[1] == sent  # the same seed, the same schedule


def test_a_loss_costs_a_retransmission_and_half_the_rate_for_a_while() -> None:
    shape, sound = LinkShape(8, 50, loss=1.0), LinkShape(8, 50)
    flow = Flow(Direction(0))
    assert flow.schedule(1000, 0.0, shape, 0.1)[1] == pytest.approx(0.001 + 0.05 + 0.2)
    slowed = flow.schedule(100_000, 0.01, sound, 0.1)
    assert slowed[0] == pytest.approx(0.01 + 0.2)  # 100 kB at 4 instead of 8 Mbit/s
    assert flow.schedule(100_000, 2.0, sound, 0.1)[0] == pytest.approx(2.1)


async def test_losses_change_no_byte() -> None:
    content = bytes(range(256)) * 200
    async with echo() as port, ShapedLink(port, LinkShape(rate_mbit=50, loss=0.02), seed=3) as link:
        reader, writer = await opened(link)
        writer.write(content)
        assert await asyncio.wait_for(reader.readexactly(len(content)), 60) == content
        assert link.lost > 0
        writer.close()
