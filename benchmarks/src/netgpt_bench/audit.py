"""`netgpt bench audit`: does anything planted reach the cloud? A real gateway, a cloud that logs every byte.

Invented people (see `people.py`) keep a profile on the box and send requests with their data at every place
that a request can carry text, pictures' metadata included. Then the log of the cloud is read: raw, unescaped, folded,
decoded. With `kill_every_s` the detector process is killed again and again while requests are under way, with
`hold_every_s` it is stopped for half of the time, and with `pathological` each request carries a text made to take a
search for ever.
"""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx

from netgpt.errors import ModelUnavailable
from netgpt.privacy.detectors import search
from netgpt.privacy.registry import DETECTORS
from netgpt.testing.server import FaultyCloud
from netgpt_bench.harness import gateway
from netgpt_bench.people import Planted, Planter, leaks, pathological_texts

WORKERS = 8
DEADLINE_S = 30.0
"""`server.deadline_s` of the gateway under test."""
PHRASES: Mapping[str, str] = {
    "DIET": "is {}",
    "ALLERGY": "is allergic to {}",
    "CAR": "drives a {}",
    "PET": "has a pet called {}",
    "BUDGET": "has a budget of {}",
    "HEALTH": "has {}",
}
"""How a person states each kind of fact: the box must find the value inside."""


class _Audit:
    """Posts the requests and counts what happened."""

    def __init__(self, url: str, cloud: FaultyCloud, progress: Callable[[str], None]) -> None:
        self.url, self.cloud, self.progress = url, cloud, progress
        self.routes: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self.slowest_s = 0.0
        self.late = 0

    async def ask_all(self, requests: list[Planted]) -> None:
        queue = list(enumerate(requests))[::-1]
        async with httpx.AsyncClient(base_url=self.url, timeout=60) as client:
            await asyncio.gather(*(self._work(client, queue, len(requests)) for _ in range(WORKERS)))

    async def _work(self, client: httpx.AsyncClient, queue: list[tuple[int, Planted]], count: int) -> None:
        clock = asyncio.get_running_loop().time
        while queue:
            number, planted = queue.pop()
            user = str(planted.body.get("user") or f"person-{number}")
            for kind, value in planted.profile:
                fact = {"text": PHRASES[kind].format(value), "kind": kind.lower()}
                (await client.post(f"/v1/profiles/{quote(user, safe='')}/facts", json=fact)).raise_for_status()
            started = clock()
            body = {**planted.body, "model": "netgpt/cloud", "user": user}
            answer = await client.post("/v1/chat/completions", json=body)
            self.slowest_s = max(self.slowest_s, clock() - started)
            self.late += clock() - started > DEADLINE_S
            self.statuses[answer.status_code] += 1
            self.routes[answer.headers.get("x-netgpt-route", "none")] += 1
            if number % 50 == 0:
                self.progress(f"{number} of {count}")


async def run(
    *,
    requests: int,
    seed: int,
    kill_every_s: float | None,
    progress: Callable[[str], None],
    hold_every_s: float | None = None,
    pathological: int = 0,
) -> dict[str, Any]:
    """Ask `requests` times, a new person each; return what leaked by kind, and where the answers came from.

    `hold_every_s`: seconds between stops of the detector, each half as long. `pathological`: characters of the text
    that each request carries beside what is planted.
    """
    planted = [*Planter(seed).requests(requests), *examples_of_detectors()]
    if pathological:
        _add_pathological(planted, pathological)
    with FaultyCloud() as cloud, FaultyCloud("the edge") as edge, tempfile.TemporaryDirectory() as home:
        settings = {
            "NETGPT_CLOUD__BASE_URL": cloud.base_url,
            "NETGPT_EDGE__BASE_URL": edge.base_url,
            "NETGPT_COMPLETION__MODE": "off",
            "NETGPT_PRIVACY__MEDIA": "send",
            "NETGPT_LOG_LEVEL": "error",
            "NETGPT_SERVER__DEADLINE_S": str(DEADLINE_S),
            "NETGPT_SERVER__MAX_BODY_BYTES": "64000000",
            "NETGPT_PRIVACY__MAX_CHARS": "4000000",
        }
        async with gateway(Path(home), settings) as (port, process):
            audit = _Audit(f"http://127.0.0.1:{port}", cloud, progress)
            await _detector_ready(audit.url)
            every_s = kill_every_s or hold_every_s
            fault = _kill if kill_every_s else _hold
            task = asyncio.create_task(fault(process, every_s)) if every_s else None
            try:
                await audit.ask_all(planted)
            finally:
                kills = await _stopped(task)
        return _counted(planted, cloud, audit, kills)


def _counted(planted: list[Planted], cloud: FaultyCloud, audit: _Audit, kills: int) -> dict[str, Any]:
    """Read the log: each person's values against all that arrived (a value could leave in another's request)."""
    everything = [request.body for request in cloud.received if request.body]
    leaked: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for one in planted:
        total.update({kind: len(values) for kind, values in one.values.items()})
    # Values are drawn from small sets, so each body is held against the values of all people at once.
    everyone: dict[str, list[str]] = {}
    for one in planted:
        for kind, values in one.values.items():
            everyone.setdefault(kind, []).extend(values)
    distinct = {kind: sorted(set(values)) for kind, values in everyone.items()}
    for body in everything:
        leaked.update(leaks(body, distinct))
    return {
        "rows": [{"row": kind, "planted": total[kind], "left in the log": leaked[kind]} for kind in sorted(total)],
        "requests": len(planted),
        "reached the cloud": len(everything),
        "routes": dict(audit.routes),
        "statuses": {str(status): count for status, count in audit.statuses.items()},
        "slowest_s": round(audit.slowest_s, 2),
        "over the deadline": audit.late,
        "detector kills": kills,
        "not_shown": "names, places and organisations of kinds and languages that the generator does not make",
    }


async def _detector_ready(url: str) -> None:
    async with httpx.AsyncClient(timeout=5) as client:
        for _ in range(600):
            with suppress(httpx.HTTPError):
                if (await client.get(f"{url}/readyz")).json()["parts"]["detector"]["ok"]:
                    return
            await asyncio.sleep(0.1)
    raise ModelUnavailable("the detector was not ready within a minute")


async def _kill(gateway_pid: int, every_s: float) -> int:
    """Kill the detector whenever it is there, until cancelled; returns how often."""
    kills = 0
    try:
        while True:
            await asyncio.sleep(every_s)
            kills += _signal(_children(gateway_pid, "netgpt.privacy.worker"), signal.SIGKILL)
    except asyncio.CancelledError:
        return kills


async def _hold(gateway_pid: int, every_s: float) -> int:
    """Stop the detector for half of each `every_s` seconds, until cancelled; returns how often."""
    holds = 0
    held: list[int] = []
    try:
        while True:
            await asyncio.sleep(every_s / 2)
            held = _children(gateway_pid, "netgpt.privacy.worker")
            holds += _signal(held, signal.SIGSTOP)
            await asyncio.sleep(every_s / 2)
            _signal(held, signal.SIGCONT)
    except asyncio.CancelledError:
        _signal(held, signal.SIGCONT)
        return holds


def _signal(pids: list[int], number: signal.Signals) -> int:
    """Send a signal to those that still live; returns to how many."""
    told = 0
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
            told += 1
    return told


def examples_of_detectors() -> Iterator[Planted]:
    """A request for each example that a detector declares, built in or plugged in."""
    for each in (each for group in DETECTORS.values() for each in group):
        for example in each.examples:
            values = [example[span.start : span.end] for span in search(example, (each,))]
            body = {"messages": [{"role": "user", "content": example}]}
            yield Planted(body, {each.kind: values}, (), f"example of {each.name}")


def _add_pathological(planted: list[Planted], characters: int) -> None:
    """A text of so many characters at the beginning of each request, every one of PATHOLOGICAL in turn."""
    for one, (_, text) in zip(planted, cycle(pathological_texts(characters)), strict=False):
        one.body["messages"].insert(1, {"role": "user", "content": text})


async def _stopped(killer: asyncio.Task[int] | None) -> int:
    if killer is None:
        return 0
    killer.cancel()
    return await killer


def _children(pid: int, marker: str) -> list[int]:
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
                if parent == pid and marker in (entry / "cmdline").read_text().replace("\0", " "):
                    found.append(int(entry.name))
    return found


# --- `netgpt bench audit --faults`: the byte audit while the detector is killed, held up and fed texts made to hurt it.

FAULTS: Final[dict[str, dict[str, Any]]] = {
    "killed once a second": {"kill_every_s": 1.0},
    "stopped half of the time": {"kill_every_s": None, "hold_every_s": 1.0},
    "fed long pathological texts": {"kill_every_s": None},
    "fed short pathological texts": {"kill_every_s": None},
}
_SHORTER = 100
"""How many times shorter the short texts are: of the long ones, most are kept at the edge for taking too long."""


async def run_audit_faults(
    *, requests: int, seed: int, characters: int, progress: Callable[[str], None]
) -> dict[str, Any]:
    """One audit for each of FAULTS with so many requests; `characters`: length of a pathological text.

    Names are counted apart: a language model finds them, and it misses some.
    """
    rows = []
    for number, (fault, how) in enumerate(FAULTS.items()):
        progress(fault)
        length = characters // (_SHORTER if "short" in fault else 1) if "pathological" in fault else 0
        told = await run(requests=requests, seed=seed + number, pathological=length, progress=progress, **how)
        rows.append(_row(fault, told))
    return {"rows": rows, "deadline_s": DEADLINE_S, "characters": characters}


def _row(fault: str, told: dict[str, Any]) -> dict[str, Any]:
    named = [row for row in told["rows"] if row["row"] == "PERSON"]
    others = [row for row in told["rows"] if row["row"] != "PERSON"]
    return {
        "row": fault,
        "requests": told["requests"],
        "reached the cloud": told["reached the cloud"],
        "planted": sum(row["planted"] for row in others),
        "left": sum(row["left in the log"] for row in others),
        "names left": sum(row["left in the log"] for row in named),
        "worst s": told["slowest_s"],
        "over the deadline": told["over the deadline"],
        "not 200": sum(count for status, count in told["statuses"].items() if status != "200"),
    }
