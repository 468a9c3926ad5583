"""`netgpt bench blackout`: the link to the cloud is cut for a while under streams: what do callers see, what is kept?

A real gateway process; a cloud behind a relay that falls silent, as a lost radio link does; a scripted edge.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import httpx

from netgpt_bench.harness import Counting, LabRequest, Progress, ask, gateway
from netgpt_bench.link_emulator import ShapedLink

SILENCE_S = 3.0
"""Seconds without a byte after which the gateway takes the cloud for stalled."""
ANSWER = "a cloud answer of many words. " * 60
EDGE_ANSWER = "the edge says so"


async def run(*, streams: int, stored: int, cut_s: float, progress: Progress = lambda _: None) -> dict[str, Any]:
    """`streams` callers stream without a pause; meanwhile the link is cut for `cut_s` seconds.

    During the cut `stored` requests that may wait are sent too.
    """
    with (
        tempfile.TemporaryDirectory() as folder,
        Counting(reply=_reply, chunk_size=30, delay_s=0.05) as cloud,
        Counting(reply=EDGE_ANSWER, delay_s=0.01) as edge,
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
                result = await _measure(port, link, streams, stored, cut_s, progress)
        counts = [n for text, n in cloud.came.items() if text.startswith("stored")]
    once, twice = sum(n == 1 for n in counts), sum(n > 1 for n in counts)
    return {**result, "stored_at_the_cloud_once": once, "stored_at_the_cloud_twice": twice}


def _reply(body: Any) -> str:
    text = str(body["messages"][-1]["content"])
    return f"kept: {text}" if text.startswith("stored") else ANSWER


async def _measure(
    port: int, link: ShapedLink, streams: int, stored: int, cut_s: float, progress: Progress
) -> dict[str, Any]:
    asked: list[LabRequest] = []
    stop = asyncio.Event()

    async def caller(number: int) -> None:
        turn = 0
        while not stop.is_set():
            asked.append(await ask(port, f"stream {number} {turn}", limit_s=60))
            turn += 1

    callers = [asyncio.create_task(caller(number)) for number in range(streams)]
    await asyncio.sleep(4.0)
    progress(f"the link is cut for {cut_s:g} s")
    cut_at = time.monotonic()
    link.cut()
    await asyncio.sleep(min(cut_s / 2, SILENCE_S + 2.5))
    ids = [id for id in await asyncio.gather(*(_store(port, n) for n in range(stored))) if id is not None]
    await asyncio.sleep(max(0.0, cut_at + cut_s - time.monotonic()))
    link.restore()
    restored_at = time.monotonic()
    progress("the link is back")
    recovered = await _until(lambda: any(_by_cloud(one) and one.ended > restored_at for one in asked), 60)
    states = list((await _endings(port, ids)).values())
    stop.set()
    await asyncio.gather(*callers)
    return {
        "rows": [
            _row("under way at the cut", [one for one in asked if _began(one) < cut_at < one.ended]),
            _row("begun while it was cut", [one for one in asked if cut_at <= _began(one) < restored_at]),
        ],
        "streams_in_all": len(asked),
        "recovered_after_s": None if recovered is None else round(recovered, 2),
        "stored": len(ids),
        "not_stored": stored - len(ids),
        "stored_answered": states.count("answered"),
        "stored_unknown": states.count("unknown"),
    }


async def _store(port: int, number: int) -> str | None:
    asked = await ask(port, f"stored {number:04d}", stream=False, may_wait=True)
    return json.loads(asked.body)["id"] if asked.status == 202 else None


async def _until(is_so: Callable[[], bool], limit_s: float) -> float | None:
    began = time.monotonic()
    while time.monotonic() - began < limit_s:
        if is_so():
            return time.monotonic() - began
        await asyncio.sleep(0.05)
    return None


async def _endings(port: int, ids: Sequence[str]) -> dict[str, str]:
    """How each waiting request ended, or where it stands after 90 s."""
    states: dict[str, str] = {}
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=60) as client:
        until = time.monotonic() + 90
        while time.monotonic() < until:
            rows = (await client.get("/v1/waiting", params={"limit": 200})).json()["data"]
            states = {row["id"]: row["status"] for row in rows if row["id"] in ids}
            if not {"waiting", "sending", "sent"} & set(states.values()):
                break
            await asyncio.sleep(0.2)
    return states


def _began(one: LabRequest) -> float:
    return one.ended - one.seconds


def _by_cloud(one: LabRequest) -> bool:
    return one.done and "x-netgpt-route: cloud" in one.head and b'"finished_by"' not in one.body


def _row(what: str, asked: Sequence[LabRequest]) -> dict[str, Any]:
    from_cloud = [_streamed_text(one) for one in asked if one.done and "x-netgpt-route: cloud" in one.head]
    cut = [text for text in from_cloud if len(text) < len(ANSWER)]
    finished = sum(EDGE_ANSWER in text for text in cut)
    return {
        "what": what,
        "requests": len(asked),
        "hung": sum(not one.status for one in asked),
        "clean_end_of_a_cut_answer": len(cut) - finished,
        "in_band_error": sum(one.status == 200 and one.error for one in asked),
        "answered_by_the_edge": sum(one.done and "x-netgpt-route: edge" in one.head for one in asked),
        "finished_by_the_edge": finished,
        "whole_by_the_cloud": sum(_by_cloud(one) for one in asked) - len(cut),
        "refused": sum(one.status >= 400 for one in asked),
        "longest_s": round(max((one.seconds for one in asked), default=0.0), 2),
    }


def _streamed_text(one: LabRequest) -> str:
    text = ""
    for line in one.body.split(b"\n"):
        if line.startswith(b"data: {"):
            for choice in json.loads(line.removeprefix(b"data: ")).get("choices") or ():
                text += (choice.get("delta") or {}).get("content") or ""
    return text
