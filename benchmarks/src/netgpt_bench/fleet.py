"""`netgpt bench fleet`: boxes under one control, cut off and healed at random; and a day of many more, by simulation.

Measured: real boxes, a real control that looks every two seconds, new rules now and then, people who ask all the while.
How soon does a box follow once it can be reached, what passes between it and its control, and is a word of anybody's in
it? What a look and a push cost here feeds the simulation of up to 100,000 boxes (`fleet_simulation`), whose answer for
the measured fleet stands beside the measured one.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from netgpt.cli.fleet import WATCH_S
from netgpt.fleet.box import policy_file
from netgpt.fleet.control import Control, KnownBox
from netgpt.policy import own_text
from netgpt.testing.server import FaultyCloud
from netgpt_bench.fleet_simulation import Costs, followed_after, simulate
from netgpt_bench.harness import Progress, ask, gateway
from netgpt_bench.report import spread

PLANTED: Final = ("Zbigniew Brzezicki", "+44 20 7946 0018", "zb@mill.example")
ORDER_EVERY_S: Final = 12.0
CUT_S: Final = (3.0, 15.0)


@dataclass
class Relay:
    """Between the control and a box: carries bytes, keeps them, and is cut for a while."""

    port: int
    seen: bytearray = field(default_factory=bytearray)
    is_cut: bool = False
    healed_at: float = 0.0
    here: int = 0
    _open: set[asyncio.StreamWriter] = field(default_factory=set)

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of the control."""
        if self.is_cut:
            writer.close()
            return
        with contextlib.suppress(OSError):
            there, back = await asyncio.open_connection("127.0.0.1", self.port)
            self._open |= {writer, back}
            await asyncio.gather(self._pump(reader, back), self._pump(there, writer))
            self._open -= {writer, back}

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65_536):
                self.seen += data
                writer.write(data)
                await writer.drain()
        writer.close()

    def cut(self) -> None:
        """Nothing passes."""
        self.is_cut = True
        for writer in self._open:
            writer.close()

    def heal(self) -> None:
        """All passes again."""
        self.is_cut, self.healed_at = False, time.monotonic()


@asynccontextmanager
async def relayed(port: int) -> AsyncIterator[Relay]:
    """A relay before the box at `port`."""
    relay = Relay(port)
    async with await asyncio.start_server(relay.carry, "127.0.0.1", 0) as server:
        relay.here = server.sockets[0].getsockname()[1]
        yield relay


async def run(
    *, boxes: int, seconds: float, seed: int, people: int, progress: Progress = lambda _: None
) -> dict[str, Any]:
    """`boxes` real ones for `seconds`; then the simulation, for `people` at each box a day."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder, FaultyCloud("fine") as cloud:
        control = Control.make(Path(folder) / "control")
        async with AsyncExitStack() as stack:
            relays: dict[str, Relay] = {}
            for number in range(boxes):
                name, home = f"box-{number}", Path(folder) / f"box-{number}"
                port, _ = await stack.enter_async_context(gateway(home, _settings(name, home, control, cloud)))
                relays[name] = await stack.enter_async_context(relayed(port))
                control.add(KnownBox(name=name, url=f"http://127.0.0.1:{relays[name].here}"))
            progress(f"{boxes} boxes under one control, for {seconds:g} s")
            measured = await _measure(control, relays, seconds, rng, Path(folder))
            await control.close()
            measured["CPU of a look, ms"] = round(1000 * await _look_cpu(control, relays), 2)
    look_s, push_s = measured["CPU of a look, ms"] / 1000, measured.pop("_push_s")
    costs = Costs(look_s=look_s, push_s=push_s, look_bytes=measured["bytes a look"], watch_s=WATCH_S)
    predicted = followed_after(costs, boxes, samples=20_000, seed=seed)
    after = measured["followed after a cut, s"]
    return {
        "measured": [measured],
        "model beside measured": [
            {"what": "followed after a cut, s (median)", "measured": after["median"],
             "model": round(statistics.median(predicted), 2), "samples": after["samples"]},
        ],
        "simulated": [simulate(costs, number, people, seed) for number in (10, 1_000, 100_000)],
    }  # fmt: skip


def _settings(name: str, home: Path, control: Control, cloud: FaultyCloud) -> Mapping[str, str]:
    rules = policy_file(home)
    rules.parent.mkdir(parents=True, mode=0o700)
    home.chmod(0o700)
    rules.write_text(own_text("balanced")[0])
    return {
        "NETGPT_FLEET__BOX": name, "NETGPT_FLEET__KEY": control.public_key, "NETGPT_POLICY__SET": str(rules),
        "NETGPT_CLOUD__BASE_URL": cloud.base_url, "NETGPT_EDGE__BASE_URL": cloud.base_url,
        "NETGPT_COMPLETION__MODE": "off", "NETGPT_ENCODER__MODEL": "off",
    }  # fmt: skip


async def _measure(
    control: Control, relays: Mapping[str, Relay], seconds: float, rng: random.Random, folder: Path
) -> dict[str, Any]:
    until = time.monotonic() + seconds
    pushes, states, waits, straight = list[float](), dict[str, int](), list[float](), list[float]()
    ordered_at, newest = time.monotonic(), 0
    asking = asyncio.create_task(_people(relays, until))
    cutting = [asyncio.create_task(_cuts(relay, until, random.Random(rng.random()))) for relay in relays.values()]
    look_bytes = list[float]()
    while time.monotonic() < until or any(states.get(name) != newest for name in relays):
        if (time.monotonic() - ordered_at > ORDER_EVERY_S or not newest) and time.monotonic() < until:
            rules = folder / "rules.cedar"
            rules.write_text(own_text("balanced")[0] + f"\n// {newest + 1}\n")
            newest, ordered_at = control.order(policy=rules).version, time.monotonic()
        before = sum(len(relay.seen) for relay in relays.values())
        began = time.monotonic()
        found = await control.push()
        took = time.monotonic() - began
        quiet = all(each.state in ("current", "cut off") for each in found)
        reached = sum(each.state == "current" for each in found)
        if quiet and reached:
            look_bytes.append((sum(len(relay.seen) for relay in relays.values()) - before) / reached)
        for each in found:
            if each.state == "followed":
                healed = relays[each.name].healed_at
                (waits if healed > ordered_at else straight).append(time.monotonic() - max(healed, ordered_at))
                pushes.append(took)
                states[each.name] = newest
        if time.monotonic() > until + 60:
            break
        await asyncio.sleep(WATCH_S)
    asked = await asking
    await asyncio.gather(*cutting)
    told = b"".join(bytes(relay.seen) for relay in relays.values())
    return {
        "boxes": len(relays),
        "orders": newest,
        "not followed in the end": sum(states.get(name) != newest for name in relays),
        "followed after a cut, s": _short(spread(waits)),
        "followed at once, s": _short(spread(straight)),
        "asked meanwhile": asked,
        "bytes a look": round(statistics.median(look_bytes)),
        "planted words at the control": sum(told.count(word.encode()) for word in PLANTED),
        "_push_s": statistics.median(pushes),
    }  # fmt: skip


async def _look_cpu(control: Control, relays: Mapping[str, Relay], rounds: int = 40) -> float:
    """Seconds of this process for one look at one box, straight: no relay, nobody asks."""
    for name, relay in relays.items():
        control.add(KnownBox(name=name, url=f"http://127.0.0.1:{relay.port}"))
    await control.push()
    began = time.process_time()
    for _ in range(rounds):
        await control.push()
    spent = time.process_time() - began
    await control.close()
    return spent / rounds / len(relays)


def _short(values: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, 2) for name, value in values.items()}


async def _people(relays: Mapping[str, Relay], until: float) -> int:
    """They ask about themselves at every box, about five times a second in all."""
    asked = 0
    while time.monotonic() < until:
        for relay in relays.values():
            await ask(relay.port, f"I am {PLANTED[0]}, {PLANTED[1]}, {PLANTED[2]}; what is new?", limit_s=60)
            asked += 1
            await asyncio.sleep(0.2)
    return asked


async def _cuts(relay: Relay, until: float, rng: random.Random) -> None:
    while True:
        await asyncio.sleep(rng.uniform(4, 20))
        if time.monotonic() > until - CUT_S[1]:
            return
        relay.cut()
        await asyncio.sleep(rng.uniform(*CUT_S))
        relay.heal()
