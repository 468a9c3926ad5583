"""`netgpt bench blackout`: the link to the cloud is cut for a while under streams: what do callers see, what is kept?

A real gateway process; a cloud behind a relay that falls silent, as a lost radio link does; a scripted edge.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from netgpt_bench.harness import Counting, LabRequest, ask, gateway
from netgpt_bench.link_emulator import ShapedLink

SILENCE_S = 3.0
"""Seconds without a byte after which the gateway takes the cloud for stalled."""
ANSWER = "a cloud answer of many words. " * 60


async def run(
    *, streams: int, stored: int, cut_s: float, progress: Callable[[str], None] = lambda _t: None
) -> dict[str, Any]:
    """`streams` callers stream without a pause; the link is cut for `cut_s`, in which `stored` requests that may wait
    come too."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Counting(reply=_reply, chunk_size=30, delay_s=0.05) as cloud,
        Counting(reply="the edge says so", delay_s=0.01) as edge,
    ):
        async with ShapedLink(cloud.port) as link:
            settings = {
                "NETGPT_CLOUD__BASE_URL": f"http://127.0.0.1:{link.port}/v1",
                "NETGPT_CLOUD__TRUSTED": "true",
                "NETGPT_CLOUD__TIMEOUT": str(SILENCE_S),
                "NETGPT_CLOUD__CONNECT_TIMEOUT_S": "2",
                "NETGPT_CLOUD__BREAKER_RESET_S": "2",
                "NETGPT_EDGE__BASE_URL": edge.base_url,
                "NETGPT_COMPLETION__MODE": "off",
                "NETGPT_WAITING__PER_MINUTE": "6000",
            }
            async with gateway(Path(folder), settings) as (port, _pid):
                return await _measured(port, link, cloud, streams, stored, cut_s, progress)


def _reply(body: Any) -> str:
    text = str(body["messages"][-1]["content"])
    return f"kept: {text}" if text.startswith("stored") else ANSWER


async def _measured(
    port: int,
    link: ShapedLink,
    cloud: Counting,
    streams: int,
    stored: int,
    cut_s: float,
    progress: Callable[[str], None],
) -> dict[str, Any]:
    asked: list[LabRequest] = []
    stop = asyncio.Event()
    callers = [asyncio.create_task(_caller(port, n, asked, stop)) for n in range(streams)]
    await asyncio.sleep(4.0)
    progress(f"the link is cut for {cut_s:g} s")
    cut_at = time.monotonic()
    link.cut()
    await asyncio.sleep(min(cut_s / 2, SILENCE_S + 2.5))
    kept = await asyncio.gather(*(_store(port, n) for n in range(stored)))
    await asyncio.sleep(max(0.0, cut_at + cut_s - time.monotonic()))
    link.restore()
    restored_at = time.monotonic()
    progress("the link is back")
    recovered = await _until(lambda: any(_by_cloud(one) and one.ended > restored_at for one in asked), 60)
    ids = [id for id in kept if id is not None]
    delivered = await _delivered(port, ids)
    stop.set()
    await asyncio.gather(*callers)
    return _result(asked, cut_at, restored_at, recovered, ids, delivered, cloud, stored)


async def _caller(port: int, number: int, asked: list[LabRequest], stop: asyncio.Event) -> None:
    """Streams one answer after the other; every other one may be finished by the edge (an everyday request)."""
    turn = 0
    while not stop.is_set():
        asked.append(await ask(port, f"stream {number} {turn}", limit_s=60))
        turn += 1


async def _store(port: int, number: int) -> str | None:
    told = await ask(port, f"stored {number:04d}", stream=False, may_wait=True)
    return json.loads(told.body)["id"] if told.status == 202 else None


async def _until(is_so: Callable[[], bool], limit_s: float) -> float | None:
    began = time.monotonic()
    while time.monotonic() - began < limit_s:
        if is_so():
            return time.monotonic() - began
        await asyncio.sleep(0.05)
    return None


async def _delivered(port: int, ids: list[str]) -> dict[str, str]:
    """How each of them ended."""
    states: dict[str, str] = {}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
        until = time.monotonic() + 90
        while time.monotonic() < until:
            rows = (await client.get("/v1/waiting", params={"limit": 200})).json()["data"]
            states = {row["id"]: row["status"] for row in rows if row["id"] in ids}
            if not {"waiting", "sending", "sent"} & set(states.values()):
                break
            await asyncio.sleep(0.2)
    return states


def _by_cloud(one: LabRequest) -> bool:
    return one.done and "x-netgpt-route: cloud" in one.head and b'"finished_by"' not in one.body


def _result(
    asked: list[LabRequest],
    cut_at: float,
    restored_at: float,
    recovered: float | None,
    ids: list[str],
    states: dict[str, str],
    cloud: Counting,
    stored: int,
) -> dict[str, Any]:
    across = [one for one in asked if one.ended - one.seconds < cut_at < one.ended]
    during = [one for one in asked if cut_at <= one.ended - one.seconds < restored_at]
    whole = len(ANSWER)
    rows = [_row("under way at the cut", across, whole), _row("begun while it was cut", during, whole)]
    counts = [n for text, n in cloud.came.items() if text.startswith("stored")]
    return {
        "rows": rows,
        "streams_in_all": len(asked),
        "recovered_after_s": None if recovered is None else round(recovered, 2),
        "stored": len(ids),
        "not_stored": stored - len(ids),
        "stored_answered": sum(state == "answered" for state in states.values()),
        "stored_unknown": sum(state == "unknown" for state in states.values()),
        "stored_at_the_cloud_once": sum(n == 1 for n in counts),
        "stored_at_the_cloud_twice": sum(n > 1 for n in counts),
    }


def _row(what: str, asked: list[LabRequest], whole: int) -> dict[str, Any]:
    cut = [one for one in asked if one.done and "x-netgpt-route: cloud" in one.head and _said(one) < whole]
    finished = [one for one in cut if b"the edge says so" in one.body.replace(b'"}', b"") or _finished(one)]
    return {
        "what": what,
        "requests": len(asked),
        "hung": sum(not one.status for one in asked),
        "clean_end_of_a_cut_answer": len(cut) - len(finished),
        "in_band_error": sum(one.status == 200 and one.error for one in asked),
        "answered_by_the_edge": sum(one.done and "x-netgpt-route: edge" in one.head for one in asked),
        "finished_by_the_edge": len(finished),
        "whole_by_the_cloud": sum(_by_cloud(one) for one in asked) - len(cut),
        "refused": sum(one.status >= 400 for one in asked),
        "longest_s": round(max((one.seconds for one in asked), default=0.0), 2),
    }


def _said(one: LabRequest) -> int:
    return len(_words(one))


def _finished(one: LabRequest) -> bool:
    return "the edge says so" in _words(one)


def _words(one: LabRequest) -> str:
    """The text of a streamed answer."""
    said = ""
    for line in one.body.split(b"\n"):
        if line.startswith(b"data: {"):
            event = json.loads(line.removeprefix(b"data: "))
            for choice in event.get("choices") or ():
                said += (choice.get("delta") or {}).get("content") or ""
    return said
