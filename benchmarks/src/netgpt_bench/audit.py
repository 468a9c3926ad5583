"""`netgpt bench audit`: does anything planted reach the cloud? A real gateway, a cloud that logs every byte.

Invented people (see `people.py`) keep a profile on the box and send requests with their data at every place where a
request can carry text, pictures' metadata included. Then the log of the cloud is read: raw, unescaped, folded,
decoded. With `--faults` the detector is killed, stopped and fed texts made to slow a search down meanwhile.
"""

from __future__ import annotations

import asyncio
import os
import signal
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import suppress
from itertools import cycle
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import httpx

from netgpt.privacy.detectors import search
from netgpt.privacy.registry import DETECTORS
from netgpt.testing.server import FaultyCloud, last_user_text
from netgpt_bench.harness import Progress, children, gateway, until_ready
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
    "NAME": "is called {}",
}
"""How a person states each kind of fact: the box must find the value inside."""


OPENINGS: Final = ("Hello", "Hi, can you help me?", "你好", "Please continue.")
"""With these words many conversations begin."""
_NAMED: Final[tuple[dict[str, Any], ...]] = ({}, {"user": "one"}, {"netgpt": {"conversation": "c-1"}})
"""How a caller may say who it is, or not."""
_PROBE = " ".join(
    f"[{kind}_{number}] {kind}_{number}"
    for kind in ("PERSON", "EMAIL", "PHONE", "CARD", "IBAN", "ADDRESS", "PLACE", "PRIVATE", "DIET", "CAR", "PET")
    for number in range(1, 10)
)


def echo_or_probe(body: Mapping[str, Any]) -> str:
    """The cloud's reply: what was said; to a mere opening every placeholder that others may have been given."""
    said = last_user_text(body)
    return _PROBE if said in OPENINGS else said


class _Audit:
    """Posts the requests and counts what happened."""

    def __init__(self, url: str, progress: Progress) -> None:
        self.url, self.progress = url, progress
        self.routes: Counter[str] = Counter()
        self.statuses: Counter[int] = Counter()
        self.slowest_s = 0.0
        self.late = 0
        self.disturbed = 0
        """How often the detector was killed or stopped."""
        self.probed, self.given_to_others = 0, 0
        """Callers who only said an opening, and values of others in their answers."""

    async def disturb(self, gateway_pid: int, kill_every_s: float | None, hold_every_s: float | None) -> None:
        """Kill the detector every so often, or stop it for half of the time, until cancelled."""
        while every_s := kill_every_s or hold_every_s:
            await asyncio.sleep(every_s if kill_every_s else every_s / 2)
            detectors = [pid for pid, command in children(gateway_pid).items() if "netgpt.privacy.worker" in command]
            if kill_every_s:
                self.disturbed += _signal(detectors, signal.SIGKILL)
                continue
            self.disturbed += _signal(detectors, signal.SIGSTOP)
            try:
                await asyncio.sleep(every_s / 2)
            finally:
                _signal(detectors, signal.SIGCONT)

    async def ask_all(self, requests: list[Planted]) -> None:
        queue = list(enumerate(requests))[::-1]
        async with httpx.AsyncClient(base_url=self.url, timeout=60) as client:
            await asyncio.gather(*(self._work(client, queue, len(requests)) for _ in range(WORKERS)))

    async def ask_pairs(self, planter: Planter) -> None:
        """Two callers for each opening, and each way to be named or not: what does the second get of the first's?"""
        async with httpx.AsyncClient(base_url=self.url, timeout=60) as client:
            for opening in OPENINGS:
                for named in _NAMED:
                    person = planter.person()
                    text = f"I am {person.name}, write to {person.email} or ring {person.phone}, card {person.card}."
                    values = {kind: of_kind for kind, of_kind in person.values().items() if of_kind[0] in text}
                    begun = [{"role": "user", "content": opening}, {"role": "assistant", "content": "Yes?"}]
                    asked = {"model": "netgpt/cloud", **named}
                    messages = [*begun, {"role": "user", "content": text}]
                    await client.post("/v1/chat/completions", json={**asked, "messages": messages})
                    for other in _NAMED:
                        body = {"model": "netgpt/cloud", **other, "messages": begun[:1]}
                        answer = await client.post("/v1/chat/completions", json=body)
                        self.probed += 1
                        self.given_to_others += sum(leaks(answer.content, values).values())

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
    *, requests: int, seed: int, kill_every_s: float | None, progress: Progress, hold_every_s: float | None = None,
    pathological: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """Ask `requests` times, a new person each; return what leaked by kind, and where the answers came from.

    `hold_every_s`: seconds between stops of the detector, each half as long. `pathological`: characters of the text
    that each request carries beside what is planted.
    """
    planter = Planter(seed)
    planted = [*planter.requests(requests), *examples_of_detectors()]
    if pathological:
        _add_pathological(planted, pathological)
    with FaultyCloud(echo_or_probe) as cloud, FaultyCloud("the edge") as edge, tempfile.TemporaryDirectory() as home:
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
            audit = _Audit(f"http://127.0.0.1:{port}", progress)
            await until_ready("the detector", audit.url, 60, ("detector",))
            disturbing = asyncio.create_task(audit.disturb(process, kill_every_s, hold_every_s))
            try:
                await audit.ask_all(planted)
            finally:
                disturbing.cancel()
                with suppress(asyncio.CancelledError):
                    await disturbing
            await audit.ask_pairs(planter)
        return _counted(planted, cloud, audit)


def _counted(planted: list[Planted], cloud: FaultyCloud, audit: _Audit) -> dict[str, Any]:
    """Read the log: each person's values against all that arrived (a value could leave in another's request)."""
    everything = [request.body for request in cloud.received if request.body]
    everyone: dict[str, list[str]] = defaultdict(list)
    for one in planted:
        for kind, values in one.values.items():
            everyone[kind] += values
    # Values are drawn from small sets, so each body is held against the values of all people at once.
    distinct = {kind: sorted(set(values)) for kind, values in everyone.items()}
    leaked: Counter[str] = Counter()
    for body in everything:
        leaked.update(leaks(body, distinct))
    return {
        "rows": [
            {"row": kind, "planted": len(everyone[kind]), "left in the log": leaked[kind]} for kind in sorted(everyone)
        ],
        "requests": len(planted),
        "reached the cloud": len(everything),
        "routes": dict(audit.routes),
        "statuses": {str(status): count for status, count in audit.statuses.items()},
        "slowest_s": round(audit.slowest_s, 2),
        "over the deadline": audit.late,
        "detector kills": audit.disturbed,
        "openings probed": audit.probed,
        "restored to others": audit.given_to_others,
        "not_shown": "names, places and organisations of kinds and languages that the generator does not make. "
        "SCRIPT_PROSE are names in twelve other scripts that nothing but the name finder can find",
    }


def _signal(pids: list[int], number: signal.Signals) -> int:
    """Send a signal to those that still live; returns to how many."""
    reached = 0
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)
            reached += 1
    return reached


def examples_of_detectors() -> Iterator[Planted]:
    """A request for each example that a detector declares, built in or plugged in."""
    for each in (each for group in DETECTORS.values() for each in group):
        for example in each.examples:
            values = [example[span.start : span.end] for span in search(example, (each,))]
            body = {"messages": [{"role": "user", "content": example}]}
            yield Planted(body, {each.kind: values}, (), f"example of {each.name}")


def _add_pathological(planted: list[Planted], characters: int) -> None:
    """A text of so many characters at the beginning of each request, every one of PATHOLOGICAL in turn.

    Never as the last message: some are blanks alone, and a gateway refuses an empty prompt.
    """
    for one, (_, text) in zip(planted, cycle(pathological_texts(characters)), strict=False):
        messages = one.body["messages"]
        messages.insert(min(1, len(messages) - 1), {"role": "user", "content": text})


FAULTS: Final[dict[str, dict[str, Any]]] = {
    "killed once a second": {"kill_every_s": 1.0},
    "stopped half of the time": {"kill_every_s": None, "hold_every_s": 1.0},
    "fed long pathological texts": {"kill_every_s": None},
    "fed short pathological texts": {"kill_every_s": None},
}
FOUND_BY_MODEL: Final = frozenset(("PERSON", "SCRIPT_PROSE"))
"""Kinds that have no form: only the name finder finds them."""
_SHORTER = 100
"""How many times shorter the short texts are: of the long ones, most are kept at the edge for taking too long."""


async def run_faults(*, requests: int, seed: int, characters: int, progress: Progress) -> dict[str, Any]:
    """One audit for each of FAULTS with so many requests; `characters`: length of a pathological text.

    Names are counted apart: a language model finds them, and it misses some.
    """
    rows = []
    for number, (fault, how) in enumerate(FAULTS.items()):
        progress(fault)
        length = characters // (_SHORTER if "short" in fault else 1) if "pathological" in fault else 0
        result = await run(requests=requests, seed=seed + number, pathological=length, progress=progress, **how)
        rows.append(_row(fault, result))
    return {"rows": rows, "deadline_s": DEADLINE_S, "characters": characters}


def _row(fault: str, result: dict[str, Any]) -> dict[str, Any]:
    named = [row for row in result["rows"] if row["row"] in FOUND_BY_MODEL]
    others = [row for row in result["rows"] if row["row"] not in FOUND_BY_MODEL]
    return {
        "row": fault,
        "requests": result["requests"],
        "reached the cloud": result["reached the cloud"],
        "planted": sum(row["planted"] for row in others),
        "left": sum(row["left in the log"] for row in others),
        "names left": sum(row["left in the log"] for row in named),
        "worst s": result["slowest_s"],
        "over the deadline": result["over the deadline"],
        "not 200": sum(count for status, count in result["statuses"].items() if status != "200"),
    }
