"""`netgpt bench chaos`: a gateway is broken at random, again and again, under callers who stream and callers who wait.

A real gateway with its detector and its store, callers who tell of themselves, a cloud that logs every byte, and a
relay before it. One fault at a time, drawn by seed, each for a few seconds. Afterwards is counted:

- lost: an exchange whose end a caller saw, and of which the store has no row, or a row that does not say so;
- false ends: an answer that ended like a complete one and was none;
- leaked: a value of a caller among the bytes at the cloud; mixed up: a value in the answer of somebody else;
- hung: a caller who heard nothing for 60 s;
- receipts: whether the chain of what left verifies over all of it;
- and for each kind of fault how soon after its end somebody was answered whole again.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import re
import resource
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil

from netgpt.errors import ModelUnavailable, RequestError
from netgpt.testing.server import Fault, FaultyCloud, last_user_text
from netgpt_bench.fleet import Relay, relayed
from netgpt_bench.harness import LabRequest, Progress, ask, free_port, until_ready
from netgpt_bench.people import PersonMaker
from netgpt_bench.report import percentile

LIMIT_S: Final = 60.0
FAULT_S: Final = (1.5, 5.0)
PAUSE_S: Final = (2.0, 5.0)
LAST_S: Final = 15.0
"""At the end nothing new is broken, so that recovering is seen."""
END: Final = "That is the whole answer."
"""The last words of each: an answer that ends well without them is none."""


@dataclass
class Lab:
    """The box under test, and what can be broken about it."""

    home: Path
    settings: Mapping[str, str]
    cloud: FaultyCloud
    relay: Relay
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        """Start the gateway, or start it again; returns when it can answer."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("NETGPT_")}
        self.process = subprocess.Popen(  # noqa: ASYNC220 - returns at once
            [sys.executable, "-m", "netgpt", "serve", "--port", str(self.port)],
            env={**inherited, "NETGPT_HOME": str(self.home), **self.settings},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        await until_ready("netgpt serve", f"http://127.0.0.1:{self.port}", LIMIT_S, ("store",))

    async def end(self, how: signal.Signals) -> None:
        """Stop it by this signal, and wait until it is gone."""
        assert self.process is not None
        with suppress(ProcessLookupError):
            self.process.send_signal(how)
        await asyncio.to_thread(self.process.wait)

    @property
    def pid(self) -> int:
        """Of the gateway that runs now."""
        assert self.process is not None
        return self.process.pid


Breaking = Callable[[Lab, float], Any]
"""Breaks something for so many seconds; whole again when it returns."""


async def killed(lab: Lab, seconds: float) -> None:
    """`kill -9`, and started again after the time."""
    await lab.end(signal.SIGKILL)
    await asyncio.sleep(seconds / 2)
    await lab.start()


async def restarted(lab: Lab, _seconds: float) -> None:
    """Asked to stop, and started again."""
    await lab.end(signal.SIGTERM)
    await lab.start()


async def frozen(lab: Lab, seconds: float) -> None:
    """Stopped by the system for a while."""
    os.kill(lab.pid, signal.SIGSTOP)
    await asyncio.sleep(seconds)
    os.kill(lab.pid, signal.SIGCONT)


async def detector_killed(lab: Lab, _seconds: float) -> None:
    """Its children, the detector among them, die."""
    for child in psutil.Process(lab.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            child.kill()


async def cloud_cut(lab: Lab, seconds: float) -> None:
    """The link to the cloud is gone."""
    lab.relay.cut()
    await asyncio.sleep(seconds)
    lab.relay.heal()


def cloud_says(*faults: Fault) -> Breaking:
    """The cloud answers wrongly, each time in another of these ways."""

    async def breaking(lab: Lab, seconds: float) -> None:
        lab.cloud.schedule(*(faults * 200))
        await asyncio.sleep(seconds)
        lab.cloud.unschedule()

    return breaking


async def database_locked(lab: Lab, seconds: float) -> None:
    """Another program holds the database's write lock."""

    def hold() -> None:
        connection = sqlite3.connect(lab.home / "netgpt.db", isolation_level=None, timeout=30)
        try:
            connection.execute("BEGIN IMMEDIATE")
            time.sleep(seconds)
            connection.execute("ROLLBACK")
        finally:
            connection.close()

    await asyncio.to_thread(hold)


async def disk_full(lab: Lab, seconds: float) -> None:
    """No file of the gateway may grow."""
    with limited(lab.pid, resource.RLIMIT_FSIZE, 4_096):
        await asyncio.sleep(seconds)


async def out_of_files(lab: Lab, seconds: float) -> None:
    """Not one more file or connection can be opened."""
    with limited(lab.pid, resource.RLIMIT_NOFILE, psutil.Process(lab.pid).num_fds()):
        await asyncio.sleep(seconds)


class limited:
    """A limit of a running process, for a while."""

    def __init__(self, pid: int, what: int, soft: int) -> None:
        self.pid, self.what, self.soft = pid, what, soft

    def __enter__(self) -> None:
        self.before = resource.prlimit(self.pid, self.what)
        resource.prlimit(self.pid, self.what, (self.soft, self.before[1]))

    def __exit__(self, *_: object) -> None:
        with suppress(ProcessLookupError):
            resource.prlimit(self.pid, self.what, self.before)


FAULTS: Final[Mapping[str, Breaking]] = {
    "gateway killed": killed,
    "gateway restarted": restarted,
    "gateway frozen": frozen,
    "detector killed": detector_killed,
    "link to the cloud cut": cloud_cut,
    "cloud cuts its answers": cloud_says(Fault.CUT, Fault.HANGUP),
    "cloud falls silent": cloud_says(Fault.STALL),
    "cloud refuses": cloud_says(Fault.RATE_LIMIT, Fault.SERVER_ERROR),
    "cloud talks nonsense": cloud_says(Fault.MALFORMED, Fault.ERROR_IN_200, Fault.WRONG_CONTENT_TYPE),
    "database locked": database_locked,
    "disk full": disk_full,
    "out of files": out_of_files,
}


async def run(
    *, seconds: float, callers: int, seed: int, faults: Sequence[str] = (), progress: Progress = lambda _: None
) -> dict[str, Any]:
    """`callers` ask without a pause for so long, while faults come and go. Rows by kind of fault, and counts.

    Raises RequestError: no such fault.
    """
    if wrong := sorted(set(faults) - FAULTS.keys()):
        raise RequestError(f'no fault "{wrong[0]}"; there are {", ".join(FAULTS)}', param="fault")
    chance = random.Random(seed)
    async with _lab() as lab:
        asked: list[Told] = []
        until = time.monotonic() + seconds
        people = [asyncio.create_task(_caller(lab, n, chance.random(), until, asked)) for n in range(callers)]
        spans = await _break(lab, until, faults or sorted(FAULTS), chance, progress)
        await asyncio.gather(*people)
        rows = await asyncio.to_thread(_rows_of, lab.home)
        verified = await asyncio.to_thread(_verified, lab)
        received = lab.cloud.all_bytes()
    return {"rows": _recovery(spans, asked), **_counts(asked, rows, received), "receipts": verified, "seed": seed}


@asynccontextmanager
async def _lab() -> AsyncIterator[Lab]:
    with tempfile.TemporaryDirectory() as folder, FaultyCloud(_reply, chunk_size=24, delay_s=0.01) as cloud:
        async with AsyncExitStack() as stack:
            relay = await stack.enter_async_context(relayed(cloud.port))
            settings = {
                "NETGPT_CLOUD__BASE_URL": f"http://127.0.0.1:{relay.here}/v1",
                "NETGPT_CLOUD__TIMEOUT": "3", "NETGPT_CLOUD__CONNECT_TIMEOUT_S": "2",
                "NETGPT_CLOUD__BREAKER_RESET_S": "1", "NETGPT_ROUTING__FALLBACK": "never",
                "NETGPT_COMPLETION__MODE": "off", "NETGPT_ENCODER__MODEL": "off", "NETGPT_EDGE__MODEL": "off",
            }  # fmt: skip
            lab = Lab(Path(folder), settings, cloud, relay)
            await lab.start()
            try:
                yield lab
            finally:
                await lab.end(signal.SIGTERM)


def _reply(body: Mapping[str, Any]) -> str:
    return f"You wrote: {last_user_text(body)} {END}"


@dataclass(frozen=True)
class Told:
    """One request: what its caller wrote, whose values were in it, and what became of it."""

    number: int
    values: Mapping[str, list[str]]
    request: LabRequest

    @property
    def exchange(self) -> str | None:
        """The id that the answer's head gave."""
        lines = self.request.head.split("\r\n")
        return next((line.partition(":")[2].strip() for line in lines if line.startswith("x-netgpt-exchange:")), None)

    @property
    def words(self) -> str:
        """The text of the answer, streamed or whole."""
        body = self.request.body.decode("utf-8", "replace")
        said = ""
        for line in body.split("\n"):
            data = line[line.find("{") :] if "{" in line else ""
            with suppress(ValueError, KeyError, IndexError, TypeError):
                choice = json.loads(data)["choices"][0]
                said += (choice.get("delta") or choice.get("message") or {}).get("content") or ""
        return said


async def _caller(lab: Lab, number: int, seed: float, until: float, asked: list[Told]) -> None:
    """Asks again and again, every other time as a stream, about a person that nobody else asks about."""
    maker, turn = PersonMaker(random.Random(f"{number} {seed}")), 0
    while time.monotonic() < until:
        turn += 1
        person = maker.person()
        mark = f"note {number:03d}-{turn:04d}"
        text = f"{mark}: write to {person.email}, card {person.card}, account {person.iban}"
        values = {"EMAIL": [person.email], "CARD": [person.card], "IBAN": [person.iban]}
        one = await ask(lab.port, text, stream=turn % 2 == 0, limit_s=LIMIT_S)
        asked.append(Told(number, values, one))
        if one.status != 200:
            await asyncio.sleep(min(one.retry_after or 0.2, 1.0))


async def _break(
    lab: Lab, until: float, faults: Sequence[str], chance: random.Random, progress: Progress
) -> list[tuple[str, float, float]]:
    """One fault after the other, in rounds of all kinds; (kind, begun, whole again)."""
    spans, left = list[tuple[str, float, float]](), list[str]()
    while time.monotonic() < until - LAST_S or not spans:
        await asyncio.sleep(chance.uniform(*PAUSE_S))
        left = left or chance.sample(faults, len(faults))
        kind = left.pop()
        began = time.monotonic()
        progress(f"{kind} ({until - began:.0f} s left)")
        await FAULTS[kind](lab, chance.uniform(*FAULT_S))
        spans.append((kind, began, time.monotonic()))
    return spans


def _rows_of(home: Path) -> dict[str, str]:
    """Status of each exchange that the store has."""
    with sqlite3.connect(f"file:{home / 'netgpt.db'}?mode=ro", uri=True) as connection:
        return dict(connection.execute("SELECT id, status FROM exchanges"))


def _verified(lab: Lab) -> str:
    """What `netgpt receipts verify` says of the whole chain."""
    told = subprocess.run(
        [sys.executable, "-m", "netgpt", "receipts", "verify"], env={**os.environ, "NETGPT_HOME": str(lab.home)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if told.returncode:
        return f"NO: {(told.stdout + told.stderr).strip()[:200]}"
    return "verify"


def _counts(asked: list[Told], rows: Mapping[str, str], received: bytes) -> dict[str, Any]:
    whole = [each for each in asked if each.request.done and not each.request.error]
    if not whole:
        raise ModelUnavailable("nobody was answered: nothing was measured")
    answers = {id(each): each.words for each in whole}
    own = {id(each): {_plain(value) for kind in each.values.values() for value in kind} for each in asked}
    everybodys = set().union(*own.values())
    found = {id(each): _values_in(answers[id(each)]) for each in whole}
    return {
        "asked": len(asked),
        "answered whole": len(whole),
        "ended with an error told": sum(each.request.error for each in asked),
        "refused": sum(each.request.status >= 400 for each in asked),
        "broken off": sum(each.request.status in (0, 200) and not each.request.done and not each.request.error
                          and each.request.seconds < LIMIT_S - 1 for each in asked),
        "hung": sum(each.request.seconds >= LIMIT_S - 1 for each in asked),
        "lost": sum(each.exchange is None or rows.get(each.exchange) != "complete" for each in whole),
        "twice": len(whole) - len({each.exchange for each in whole}),
        "false ends": sum(END not in answers[id(each)] for each in whole),
        "own words not put back": sum(
            any(value not in answers[id(each)] for kind in each.values.values() for value in kind) for each in whole
        ),
        "mixed up": sum(bool(found[id(each)] & everybodys - own[id(each)]) for each in whole),
        "leaked": len(_values_in(received.decode("utf-8", "replace")) & everybodys),
        "p50 s": round(statistics.median(each.request.seconds for each in whole), 2),
    }  # fmt: skip


_VALUE: Final = re.compile(
    r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+|\b[A-Z]{2}\d{2}(?:[ ]?[A-Z0-9]{1,4}){3,9}|\d(?:[ -]?\d){12,18}"
)
"""What has the form of an e-mail address, an account or a card."""


def _plain(value: str) -> str:
    return re.sub(r"[\s-]", "", value).casefold()


def _values_in(text: str) -> set[str]:
    """All of these forms in a text, each also without what may stand right after it."""
    found = {_plain(match[0]) for match in _VALUE.finditer(text)}
    return found | {value.rstrip(".,:") for value in found}


def _recovery(spans: list[tuple[str, float, float]], asked: list[Told]) -> list[dict[str, Any]]:
    """By kind of fault: how often, and how soon after it somebody who asked since was answered whole."""
    good = sorted(
        (each.request.ended, each.request.ended - each.request.seconds) for each in asked if each.request.done
    )
    after: dict[str, list[float]] = {}
    for kind, _began, ended in spans:
        first = next((done - ended for done, began in good if began >= ended), None)
        after.setdefault(kind, []).append(first if first is not None else float("inf"))
    return [
        {"fault": kind, "times": len(found), "answered again after s": round(statistics.median(found), 2),
         "worst s": round(percentile(found, 1.0), 2)}
        for kind, found in sorted(after.items())
    ]  # fmt: skip
