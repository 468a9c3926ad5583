"""`netgpt bench neighbours`: two boxes that help each other out, the link between them cut and restored.

Both are `netgpt serve`, each the other's `[[upstreams]]` of kind "neighbour"; their edges are servers of known speed.
Four phases: A has little to do; A has more than it can do; the same with the link cut; the same with it restored. B has
a little of its own all the time. Which target answered is read from each exchange's explanation.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import psutil

from netgpt.errors import SettingsError
from netgpt.types import Role
from netgpt_bench.harness import Progress, free_port, listening, make_keys, until_ready
from netgpt_bench.link_emulator import LinkShape, ShapedLink
from netgpt_bench.report import percentile, yes_or_no

# --- Two places on one machine and the link between them. Namespaces show what two machines would: each box has its own
# addresses, and the cable between them (a veth pair, its rate set by tc) can be pulled. They need root. Over loopback
# the link is two shaped relays, one each way.

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
            for link in (to_a, to_b):
                link.cut()

        def restore() -> None:
            for link in (to_a, to_b):
                link.restore()

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
    net = _free_net()
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


def _free_net() -> int:
    """A third byte of 10.214.x and 10.215.x that nothing here has, not even what a killed run left behind."""
    taken = {address.address for each in psutil.net_if_addrs().values() for address in each}
    nets = ((os.getpid() + step) % 250 for step in range(250))
    return next(net for net in nets if not {f"10.214.{net}.1", f"10.215.{net}.1"} & taken)


async def _run(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    _, said = await process.communicate()
    if process.returncode:
        words = said.decode("utf-8", "replace").strip().splitlines()
        raise SettingsError(f"`{' '.join(command)}` failed: {words[-1] if words else process.returncode}")


# --- The two boxes as processes: `netgpt serve`, each with its edge beside it and a key.

NEIGHBOUR = "neighbour"
"""The name of the other box among each one's upstreams."""
READY_S = 60.0
PATIENCE_S = 20.0


@dataclass(frozen=True, slots=True)
class RunningBox:
    """A box that runs."""

    name: str
    url: str
    key: str = field(repr=False)

    def client(self) -> httpx.AsyncClient:
        headers = {"authorization": f"Bearer {self.key}"}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=PATIENCE_S, trust_env=False)


@asynccontextmanager
async def served(net: LinkedSpots, slots: int) -> AsyncIterator[list[RunningBox]]:
    """Both boxes, ready. Raises ModelUnavailable when one does not become so."""
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="netgpt-neighbours-")))
        # Keys first: beyond loopback a gateway listens only when one exists.
        keys = [(await make_keys(folder / spot.name, ("bench",), Role.ADMIN))["bench"] for spot in net.spots]
        for spot, others_key in zip(net.spots, reversed(keys), strict=True):
            home = folder / spot.name
            (home / "netgpt.toml").write_text(_settings(spot, slots, others_key), encoding="utf-8")
            settings = {"NETGPT_HOME": str(home), "NETGPT_CONFIG": str(home / "netgpt.toml")}
            edge = ("netgpt_bench.link_lab", "--port", str(spot.edge_port), "--slots", str(slots))
            for module in (edge, ("netgpt", "serve")):
                command = [*spot.prefix, sys.executable, "-P", "-m", *module]
                await stack.enter_async_context(listening(module[0], command, None, settings))
        boxes = [RunningBox(spot.name, spot.url, key) for spot, key in zip(net.spots, keys, strict=True)]
        await asyncio.gather(*(until_ready(f"the box {box.name}", box.url, READY_S, ()) for box in boxes))
        yield boxes


def _settings(spot: Spot, slots: int, neighbours_key: str) -> str:
    return f"""
[server]
host = "{spot.host}"
port = {spot.port}
[edge]
base_url = "http://127.0.0.1:{spot.edge_port}/v1"
model = "small"
slots = {slots}
[completion]
mode = "off"
[[upstreams]]
name = "{NEIGHBOUR}"
kind = "neighbour"
base_url = "{spot.neighbour_url}"
api_key = "{neighbours_key}"
trusted = true
"""


@dataclass(frozen=True, slots=True)
class Phase:
    """One part of the run. Rates in requests a second."""

    name: str
    a: float
    b: float
    cut: bool = False


@dataclass(frozen=True, slots=True)
class NeighboursPlan:
    """How much is run. One answer takes an edge about a second; it writes `slots` at once."""

    seconds: float = 15.0
    """Of each phase."""
    slots: int = 2
    deadline_s: float = 10.0
    """What each request gives the box: a neighbour that is gone is not waited for longer than half of it."""
    phases: tuple[str, ...] = ("quiet", "busy", "cut", "restored")


PHASES = (Phase("quiet", 0.4, 0.2), Phase("busy", 1.5, 0.2), Phase("cut", 0.8, 0.2, cut=True),
          Phase("restored", 1.5, 0.2))  # fmt: skip
"""Rates as shares of the slots: 1 keeps an edge busy all the time."""


@dataclass(slots=True)
class RequestOutcome:
    """What became of one request. `record`: the exchange as /v1/exchanges has it."""

    ok: bool
    took_s: float
    user: str
    exchange: str = ""
    record: dict[str, Any] = field(default_factory=dict)

    @property
    def target(self) -> str:
        """Who answered."""
        return str(self.record.get("arm") or self.record.get("route") or "")


async def run(plan: NeighboursPlan, *, over: str, progress: Progress) -> dict[str, Any]:
    """Run all phases; `over`: "namespaces" or "loopback". Raises SettingsError and ModelUnavailable."""
    async with AsyncExitStack() as stack:
        net = await stack.enter_async_context(namespaces() if over == "namespaces" else loopback())
        boxes = await stack.enter_async_context(served(net, plan.slots))
        rows: list[dict[str, Any]] = []
        explanation: dict[str, Any] = {}
        for phase in (one for one in PHASES if one.name in plan.phases):
            progress(f"{phase.name}: {plan.seconds:g} s")
            switching = net.cut() if phase.cut else net.restore()
            if isinstance(switching, asyncio.Task):
                await switching
            rates = (phase.a * plan.slots, phase.b * plan.slots)
            answers = await asyncio.gather(*(_ask_all(box, rate, plan) for box, rate in zip(boxes, rates, strict=True)))
            for box, of_box in zip(boxes, answers, strict=True):
                rows.append({"phase": phase.name, "box": box.name, **_row(of_box)})
            explanation = explanation or next((one.record for one in answers[0] if one.target == NEIGHBOUR), {})
        return {"rows": rows, "over": net.kind, "shows": _shows(rows, plan), "an explanation": _few(explanation)}


async def _ask_all(box: RunningBox, rate: float, plan: NeighboursPlan) -> list[RequestOutcome]:
    """`rate` requests a second, evenly, whatever becomes of them; then who answered, from each exchange's record."""
    clock = asyncio.get_running_loop().time
    began = clock()
    async with box.client() as client:
        async with asyncio.TaskGroup() as group:
            tasks = []
            for number in range(max(1, int(rate * plan.seconds))):
                await asyncio.sleep(max(0.0, began + number / rate - clock()))
                tasks.append(group.create_task(_ask(client, plan.deadline_s)))
        outcomes = [task.result() for task in tasks]
        for one in outcomes:
            if one.exchange:
                one.record = (await client.get(f"/v1/exchanges/{one.exchange}", params=_looked(one))).json()
        return outcomes


async def _ask(client: httpx.AsyncClient, deadline_s: float) -> RequestOutcome:
    """Another person each time: who asks the same thing again was not content, and the box would learn from that."""
    user = f"person-{uuid4().hex}"
    body = {"model": "netgpt", "max_tokens": 24, "messages": [{"role": "user", "content": "Name a colour."}],
            "user": user, "netgpt": {"deadline_s": deadline_s}}  # fmt: skip
    began = time.perf_counter()
    try:
        answer = await client.post("/v1/chat/completions", json=body)
    except httpx.HTTPError:
        return RequestOutcome(False, time.perf_counter() - began, user)
    exchange = answer.headers.get("x-netgpt-exchange", "")
    return RequestOutcome(answer.status_code == 200, time.perf_counter() - began, user, exchange)


def _row(outcomes: Sequence[RequestOutcome]) -> dict[str, Any]:
    took = [one.took_s for one in outcomes if one.ok]
    return {
        "requests": len(outcomes),
        "answered": _share([one.ok for one in outcomes]),
        "by its own edge": _share([one.target == "edge" for one in outcomes]),
        "by the neighbour": _share([one.target == NEIGHBOUR for one in outcomes]),
        "median s": round(statistics.median(took), 2) if took else None,
        "p95 s": round(percentile(took, 0.95), 2) if took else None,
    }


def _shows(rows: Sequence[dict[str, Any]], plan: NeighboursPlan) -> dict[str, str]:
    of = {(row["phase"], row["box"]): row for row in rows}
    shows = {}
    for phase, what in (
        ("busy", "a loaded box hands over part"),
        ("restored", "again after the cut, without a restart"),
    ):
        if phase in plan.phases:
            handed = of[phase, "a"]["by the neighbour"]
            shows[what] = yes_or_no(handed, handed > 0)
    if "cut" in plan.phases:
        least = min(of["cut", box]["answered"] for box in "ab")
        shows["both carry on when cut"] = yes_or_no(least, least == 1.0)
    return shows


def _few(record: dict[str, Any]) -> dict[str, Any]:
    """What of an exchange's record says who answered and why."""
    return {name: record[name] for name in ("arm", "route", "rule", "reason", "counterfactual") if record.get(name)}


def _share(found: Sequence[bool]) -> float:
    return round(sum(found) / len(found), 3) if found else 0.0


def _looked(one: RequestOutcome) -> dict[str, str]:
    """The question for one exchange: an admin's key says why it reads another's."""
    return {"user": one.user, "reason": "what became of a request of the benchmark"}
