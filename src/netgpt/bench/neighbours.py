"""`netgpt bench neighbours`: two boxes that help each other out, the link between them cut and restored.

Both are `netgpt serve`, each the other's `[[upstreams]]` of kind "neighbour"; their edges are servers of known speed.
Four phases: A has little to do; A has more than it can do; the same with the link cut; the same with it restored. B has
a little of its own all the time. Which arm answered is read from each exchange's explanation.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx

from netgpt.bench.neighbours_boxes import NEIGHBOUR, RunningBox, served
from netgpt.bench.neighbours_net import LinkedSpots, loopback, namespaces
from netgpt.bench.report import percentile

__all__ = ["PHASES", "NeighboursPlan", "run"]

PATIENCE_S = 20.0
Progress = Callable[[str], None]


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


@dataclass(frozen=True, slots=True)
class RequestOutcome:
    """What became of one request."""

    ok: bool
    took_s: float
    arm: str
    exchange: str
    user: str = ""


async def run(plan: NeighboursPlan, *, over: str, progress: Progress) -> dict[str, Any]:
    """Run all phases; `over`: "namespaces" or "loopback". Raises SettingsError and ModelUnavailable."""
    async with AsyncExitStack() as stack:
        net = await stack.enter_async_context(namespaces() if over == "namespaces" else loopback())
        boxes = await stack.enter_async_context(served(net, plan.slots))
        rows: list[dict[str, Any]] = []
        shown: dict[str, Any] = {}
        for phase in (one for one in PHASES if one.name in plan.phases):
            progress(f"{phase.name}: {plan.seconds:g} s")
            await _link(net, phase.cut)
            load = (phase.a * plan.slots, phase.b * plan.slots)
            heard = await asyncio.gather(*(_asked(box, rate, plan) for box, rate in zip(boxes, load, strict=True)))
            for box, of_box in zip(boxes, heard, strict=True):
                rows.append({"phase": phase.name, "box": box.name, **_row(of_box)})
                helped = next((one for one in of_box if one.arm == NEIGHBOUR), None)
                if helped is not None and not shown:
                    shown = await boxes[0].explanation(helped.exchange, helped.user) if box is boxes[0] else {}
        return {"rows": rows, "over": net.kind, "shows": _shows(rows, plan), "an explanation": _few(shown)}


async def _link(net: LinkedSpots, cut: bool) -> None:
    done = net.cut() if cut else net.restore()
    if isinstance(done, asyncio.Task):
        await done


async def _asked(box: RunningBox, rate: float, plan: NeighboursPlan) -> list[RequestOutcome]:
    """`rate` requests a second, evenly, whatever becomes of them."""
    clock = asyncio.get_running_loop().time
    began = clock()
    async with httpx.AsyncClient(base_url=box.url, headers=box.headers, timeout=PATIENCE_S, trust_env=False) as client:
        async with asyncio.TaskGroup() as group:
            tasks = []
            for number in range(max(1, int(rate * plan.seconds))):
                await asyncio.sleep(max(0.0, began + number / rate - clock()))
                tasks.append(group.create_task(_ask(client, plan.deadline_s)))
        heard = [task.result() for task in tasks]
        return [await _explained(client, one) for one in heard]


async def _ask(client: httpx.AsyncClient, deadline_s: float) -> RequestOutcome:
    """Another person each time: who asks the same thing again was not content, and the box would learn from that."""
    user = f"person-{uuid4().hex}"
    body = {"model": "netgpt", "max_tokens": 24, "messages": [{"role": "user", "content": "Name a colour."}],
            "user": user, "netgpt": {"deadline_s": deadline_s}}  # fmt: skip
    began = time.perf_counter()
    try:
        answer = await client.post("/v1/chat/completions", json=body)
    except httpx.HTTPError:
        return RequestOutcome(False, time.perf_counter() - began, "", "")
    took = time.perf_counter() - began
    return RequestOutcome(answer.status_code == 200, took, "", answer.headers.get("x-netgpt-exchange", ""), user)


async def _explained(client: httpx.AsyncClient, one: RequestOutcome) -> RequestOutcome:
    """Who answered, as the exchange's record tells."""
    if not one.exchange:
        return one
    told = (await client.get(f"/v1/exchanges/{one.exchange}", params={"user": one.user})).json()
    return RequestOutcome(one.ok, one.took_s, str(told.get("arm") or told.get("route") or ""), one.exchange, one.user)


def _row(heard: Sequence[RequestOutcome]) -> dict[str, Any]:
    took = [one.took_s for one in heard if one.ok]
    return {
        "requests": len(heard),
        "answered": _share([one.ok for one in heard]),
        "by its own edge": _share([one.arm == "edge" for one in heard]),
        "by the neighbour": _share([one.arm == NEIGHBOUR for one in heard]),
        "median s": round(statistics.median(took), 2) if took else None,
        "p95 s": round(percentile(took, 0.95), 2) if took else None,
    }


def _shows(rows: Sequence[dict[str, Any]], plan: NeighboursPlan) -> dict[str, str]:
    of = {(row["phase"], row["box"]): row for row in rows}

    def told(value: float, ok: bool) -> str:
        return f"{value}: {'yes' if ok else 'NO'}"

    shows = {}
    for phase, what in (
        ("busy", "a loaded box hands over part"),
        ("restored", "again after the cut, without a restart"),
    ):
        if phase in plan.phases:
            handed = of[phase, "a"]["by the neighbour"]
            shows[what] = told(handed, handed > 0)
    if "cut" in plan.phases:
        least = min(of["cut", box]["answered"] for box in "ab")
        shows["both carry on when cut"] = told(least, least == 1.0)
    return shows


def _few(explanation: dict[str, Any]) -> dict[str, Any]:
    """What of an exchange's record tells who answered and why."""
    wanted = ("arm", "route", "rule", "reason", "counterfactual")
    return {name: explanation[name] for name in wanted if explanation.get(name)}


def _share(found: Sequence[bool]) -> float:
    return round(sum(found) / len(found), 3) if found else 0.0
