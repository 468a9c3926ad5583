"""Two places on one machine for two boxes, and the link between them, which can be cut: network namespaces or loopback.

Namespaces show what two machines would: each box has its own addresses, and the cable between them (a veth pair, its
rate set by tc) can be pulled. They need root. Over loopback the link is two shaped relays, one each way.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from netgpt.bench.link import LinkShape, ShapedLink
from netgpt.bench.servers import free_port
from netgpt.errors import SettingsError

__all__ = ["LinkedSpots", "Spot", "loopback", "namespaces", "namespaces_permitted"]

BOX_PORT = 8080
EDGE_PORT = 9090
RATE_MBIT = 20.0


@dataclass(frozen=True, slots=True)
class Spot:
    """Where one box stands."""

    name: str
    prefix: tuple[str, ...]
    """Before a command that shall run there."""
    host: str
    """What the box listens on."""
    port: int
    edge_port: int
    url: str
    """The box as the benchmark reaches it, whatever becomes of the link."""
    neighbour_url: str
    """The other box as this one reaches it, over the link."""


@dataclass(frozen=True, slots=True)
class LinkedSpots:
    """Two spots and the link between them."""

    kind: str
    spots: tuple[Spot, Spot]
    cut: Callable[[], object]
    restore: Callable[[], object]


@asynccontextmanager
async def loopback() -> AsyncIterator[LinkedSpots]:
    """Both on 127.0.0.1; each reaches the other through a relay."""
    ports = (free_port(), free_port())
    shape = LinkShape(RATE_MBIT, 1.0)
    async with ShapedLink(ports[1], shape) as to_b, ShapedLink(ports[0], shape) as to_a:
        spots = tuple(
            Spot(name, (), "127.0.0.1", port, free_port(), f"http://127.0.0.1:{port}", f"http://127.0.0.1:{link.port}/v1")
            for name, port, link in (("a", ports[0], to_b), ("b", ports[1], to_a))
        )  # fmt: skip

        def cut() -> None:
            to_a.cut()
            to_b.cut()

        def restore() -> None:
            to_a.restore()
            to_b.restore()

        yield LinkedSpots("loopback", (spots[0], spots[1]), cut, restore)


async def namespaces_permitted() -> str | None:
    """None where network namespaces can be made; else why not, in words."""
    if os.geteuid() != 0:
        return "network namespaces need root: run as root, or use --loopback"
    if not shutil.which("ip") or not shutil.which("tc"):
        return "network namespaces need the programs ip and tc (iproute2), or use --loopback"
    name = f"netgpt-try-{os.getpid()}"
    try:
        await _run("ip", "netns", "add", name)
        await _run("ip", "netns", "del", name)
    except SettingsError as error:
        return f"{error.message}: use --loopback"
    return None


@asynccontextmanager
async def namespaces() -> AsyncIterator[LinkedSpots]:
    """Each in its own network namespace; all made here is removed. Raises SettingsError where that is not permitted."""
    if why := await namespaces_permitted():
        raise SettingsError(why)
    stem = f"ng{os.getpid() % 100_000}"
    names = (f"{stem}a", f"{stem}b")
    net = os.getpid() % 250
    made: list[str] = []
    try:
        for name in names:
            await _run("ip", "netns", "add", name)
            made.append(name)
            await _run("ip", "-n", name, "link", "set", "lo", "up")
        await _cable(names, ("10.213", net))
        for number, name in enumerate(names):
            await _to_bench(name, number, net)
        yield LinkedSpots(
            "namespaces", _spots(names, net), lambda: _switch(names[0], "down"), lambda: _switch(names[0], "up")
        )
    finally:
        for name in made:  # their ends of the cables go with them, and so do the others
            await _run("ip", "netns", "del", name)


async def _cable(names: tuple[str, str], where: tuple[str, int]) -> None:
    """The link between the two: a veth pair with a rate."""
    await _run("ip", "link", "add", "between", "netns", names[0], "type", "veth", "peer", "name", "between", "netns",
               names[1])  # fmt: skip
    for number, name in enumerate(names):
        await _run("ip", "-n", name, "addr", "add", f"{where[0]}.{where[1]}.{number + 1}/30", "dev", "between")
        await _run("ip", "-n", name, "link", "set", "between", "up")
        await _run("ip", "netns", "exec", name, "tc", "qdisc", "add", "dev", "between", "root", "tbf", "rate",
                   f"{RATE_MBIT:g}mbit", "burst", "32kb", "latency", "100ms")  # fmt: skip


async def _to_bench(name: str, number: int, net: int) -> None:
    """A cable of its own to the benchmark, which is never cut."""
    here = f"{name}m"
    await _run("ip", "link", "add", here, "type", "veth", "peer", "name", "bench", "netns", name)
    await _run("ip", "addr", "add", f"10.{214 + number}.{net}.1/30", "dev", here)
    await _run("ip", "link", "set", here, "up")
    await _run("ip", "-n", name, "addr", "add", f"10.{214 + number}.{net}.2/30", "dev", "bench")
    await _run("ip", "-n", name, "link", "set", "bench", "up")


def _spots(names: tuple[str, str], net: int) -> tuple[Spot, Spot]:
    first, second = (
        Spot(
            letter,
            ("ip", "netns", "exec", name),
            "0.0.0.0",  # noqa: S104 - within its namespace, which only the other box and the benchmark reach
            BOX_PORT,
            EDGE_PORT,
            f"http://10.{214 + number}.{net}.2:{BOX_PORT}",
            f"http://10.213.{net}.{2 - number}:{BOX_PORT}/v1",
        )
        for number, (letter, name) in enumerate(zip("ab", names, strict=True))
    )
    return first, second


def _switch(name: str, how: str) -> asyncio.Task[None]:
    return asyncio.get_running_loop().create_task(_run("ip", "-n", name, "link", "set", "between", how))


async def _run(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate()
    if process.returncode:
        words = said.decode("utf-8", "replace").strip().splitlines()
        raise SettingsError(f"`{' '.join(command)}` failed: {words[-1] if words else process.returncode}")
