"""The shaped link: its rate, its delay, its counts, its ends."""

from __future__ import annotations

import asyncio
import time

import pytest
from echoing import echo
from hypothesis import given
from hypothesis import strategies as st
from netgpt_bench.link_emulator import Direction, LinkShape, ShapedLink
from patience import in_time, unhurried


async def round_trip(port: int, content: bytes) -> tuple[float, bytes]:
    """Seconds until all of `content` came back."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    started = time.perf_counter()
    writer.write(content)
    answer = await asyncio.wait_for(reader.readexactly(len(content)), 60)
    took = time.perf_counter() - started
    writer.close()
    return took, answer


async def test_a_plain_link_changes_and_counts_nothing_else() -> None:
    content = bytes(range(256)) * 4000
    async with echo() as port, ShapedLink(port) as link:
        _, answer = await round_trip(link.port, content)
        assert answer == content
        assert (link.up, link.down) == (len(content), len(content))


async def test_each_way_takes_the_delay() -> None:
    async def attempt() -> None:
        async with echo() as port, ShapedLink(port, LinkShape(delay_ms=40)) as link:
            took, _ = await round_trip(link.port, b"x")
            assert took >= 0.080 and in_time(took, 0.120, stall_s=0)

    await unhurried(attempt)


@pytest.mark.parametrize("rate", [4.0, 80.0])
async def test_the_rate_holds(rate: float) -> None:
    content = bytes(int(rate * 125_000 * 0.4))  # 0.4 s of it

    async def attempt() -> None:
        async with echo() as port, ShapedLink(port, LinkShape(rate_mbit=rate)) as link:
            took, _ = await round_trip(link.port, content)
            # The way back runs while the way there does: only its last piece comes after.
            assert took >= 0.40 and in_time(took, 0.52, stall_s=0)

    await unhurried(attempt)


async def test_connections_share_the_rate() -> None:
    async def attempt() -> None:
        async with echo() as port, ShapedLink(port, LinkShape(rate_mbit=8)) as link:
            started = time.perf_counter()
            await asyncio.gather(*(round_trip(link.port, bytes(100_000)) for _ in range(4)))
            took = time.perf_counter() - started
            assert took >= 0.4 and in_time(took, 0.55, stall_s=0)

    await unhurried(attempt)


async def test_the_shape_can_change_while_connected() -> None:
    async def attempt() -> None:
        async with echo() as port, ShapedLink(port) as link:
            quick, _ = await round_trip(link.port, b"x")
            link.shape = LinkShape(delay_ms=50)
            slow, _ = await round_trip(link.port, b"x")
            assert in_time(quick, 0.05, stall_s=0) and slow >= 0.1

    await unhurried(attempt)


async def test_the_end_of_a_stream_travels_behind_its_bytes() -> None:
    async with echo() as port, ShapedLink(port, LinkShape(rate_mbit=8, delay_ms=20)) as link:
        reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
        writer.write(bytes(50_000))
        writer.write_eof()
        assert len(await asyncio.wait_for(reader.read(-1), 60)) == 50_000
        writer.close()


async def test_a_server_that_is_not_there_ends_the_connection() -> None:
    async with echo() as port:
        pass
    async with ShapedLink(port) as link:
        reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(1), 60)
        writer.close()


async def test_closing_cuts_what_is_under_way() -> None:
    async with echo() as port, ShapedLink(port, LinkShape(delay_ms=60_000)) as link:
        reader, writer = await asyncio.open_connection("127.0.0.1", link.port)
        writer.write(b"x")
        await asyncio.sleep(0.05)
        await link.close()
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await asyncio.wait_for(reader.readexactly(1), 60)
        writer.close()


async def test_the_tap_sees_both_directions() -> None:
    seen: dict[str, bytes] = {"up": b"", "down": b""}

    def tap(name, piece):
        seen[name] += piece

    async with echo() as port, ShapedLink(port, tap=tap) as link:
        await round_trip(link.port, b"a planted word")
    assert seen == {"up": b"a planted word", "down": b"a planted word"}


def test_a_link_that_was_not_started_has_no_port() -> None:
    with pytest.raises(RuntimeError, match="not started"):
        _ = ShapedLink(1).port


@given(
    sizes=st.lists(st.integers(1, 5_000), min_size=1, max_size=50),
    rate=st.floats(0.1, 1000),
    burst=st.integers(0, 20_000),
    gaps=st.lists(st.floats(0, 0.01), min_size=50, max_size=50),
)
def test_no_window_carries_more_than_rate_and_burst(sizes, rate, burst, gaps) -> None:
    """The law of a token bucket: by any time after the start, at most burst + rate * elapsed has left."""
    direction, shape, now, carried = Direction(0), LinkShape(rate_mbit=rate, burst_bytes=burst), 1000.0, 0
    for size, gap in zip(sizes, gaps, strict=False):
        leaves, arrives = direction.schedule(size, now, shape)
        carried += size
        assert leaves >= now and arrives == leaves
        assert carried <= burst + rate * 125_000 * (leaves - 1000.0) + 1e-3 * (1 + rate)
        now += gap
    assert direction.bytes == carried


@given(st.integers(0, 2**32), st.floats(0, 50))
def test_jitter_is_bounded_and_seeded(seed: int, jitter: float) -> None:
    one, other, shape = Direction(seed), Direction(seed), LinkShape(delay_ms=10, jitter_ms=jitter)
    arrivals = [one.schedule(1, 0.0, shape)[1] for _ in range(20)]
    assert arrivals == [other.schedule(1, 0.0, shape)[1] for _ in range(20)]
    assert all(0.01 <= arrival <= 0.01 + jitter / 1000 + 1e-9 for arrival in arrivals)
