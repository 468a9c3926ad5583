"""`netgpt bench console`: a store that is full, every page of the API that the console reads, and many who look on.

The store is filled through its writer, so that its proofs hold. Pages are asked one after the other, as a person does.
Then chats come at a fixed rate, each timed from when it was due, without viewers of the live list and with them, in
turns; the viewers are a process of their own.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from pathlib import Path
from random import Random
from typing import Any, Final

import httpx

from netgpt.settings import load_settings
from netgpt.store.schema import ExchangeRecord
from netgpt.store.store import open_store
from netgpt.types import Role
from netgpt_bench.harness import (
    LoadTarget,
    Progress,
    answer_parent,
    fake_cloud,
    gateway,
    make_keys,
    read_answer,
    resident_mb,
    result_of,
    until_ready,
)
from netgpt_bench.report import percentile

AT_ONCE: Final = 1_000
PERSON: Final = "person-7"
REASONS: Final = (
    "it looks like a task of the kind code: the cloud does for 87% of such requests, the box for 15%",
    "the box expects to do as well, and nothing leaves",
    "the caller asked for the cloud",
    "it was completed with personal facts, which stay on the box",
)
NEEDLE: Final = "a reason that hardly anything has"
WORDS: Final = "What is to be said of the hinge of the third gate? " * 8


@dataclass(frozen=True)
class ConsolePlan:
    """How much is in the store, and who comes."""

    exchanges: int = 1_000_000
    people: int = 2_000
    days: float = 30.0
    samples: int = 60
    viewers: int = 50
    rate: float = 100.0
    seconds: float = 15.0
    rounds: int = 2


def id_of(number: int) -> str:
    """Of the exchange that was written as this one."""
    return f"ex_{number:032x}"


def rows_of(plan: ConsolePlan, now: datetime) -> Iterator[ExchangeRecord]:
    """Made-up exchanges, oldest first, spread evenly over the days."""
    random, step = Random(7), timedelta(days=plan.days) / max(1, plan.exchanges)
    for number in range(plan.exchanges):
        cloud = random.random() < 0.6
        rare = number % 5_000 == 17
        yield ExchangeRecord(
            id=id_of(number),
            tenant="local",
            user=f"person-{random.randrange(plan.people)}",
            key_id=None,
            received=now - timedelta(days=plan.days) + number * step,
            status="failed" if random.random() < 0.02 else "complete",
            model="rare-model" if rare else "large" if cloud else "small",
            route="cloud" if cloud else "edge",
            reason=NEEDLE if rare else random.choice(REASONS),
            prompt_tokens=60,
            completion_tokens=120,
            estimated=False,
            cost=0.0004 if cloud else 0.0,
            timings={"desensitize": 2.0, "generate": 300.0, "first_token": 310.0, "total": random.uniform(200, 2000)},
            private={"request": {"messages": [{"role": "user", "content": WORDS}]}, "answer": None},
            target="cloud" if cloud else "edge",
            finds={"IBAN": 1} if rare else {"EMAIL": 1} if cloud and random.random() < 0.3 else {},
        )


async def fill(home: Path, plan: ConsolePlan, progress: Progress) -> float:
    """Fill the store; how many seconds it took, the sums by hour included."""
    store, began, done = open_store(load_settings(environment={}, home=home)), time.perf_counter(), 0
    try:
        rows = rows_of(plan, datetime.now(UTC))
        while group := list(islice(rows, AT_ONCE)):
            await asyncio.gather(*map(store.save_exchange, group))
            done += len(group)
            if done % (50 * AT_ONCE) == 0:
                progress(f"{done:,} exchanges written, {done / (time.perf_counter() - began):,.0f} a second")
        await store.usage.count()
    finally:
        await store.close()
    return time.perf_counter() - began


def pages(middle: str, one: str) -> dict[str, tuple[str, str]]:
    """Each page of the API: who asks, and what. `middle`: an id far back; `one`: an exchange of `PERSON`'s."""
    user = f"user={PERSON}"
    return {
        "exchanges, the first page": ("operator", "/v1/exchanges?limit=50"),
        "exchanges, far back": ("operator", f"/v1/exchanges?limit=50&before={middle}"),
        "exchanges that failed, far back": ("operator", f"/v1/exchanges?limit=50&status=failed&before={middle}"),
        "exchanges of a rare model": ("operator", "/v1/exchanges?limit=50&model=rare-model"),
        "exchanges that hid a rare kind": ("operator", "/v1/exchanges?limit=50&hidden=IBAN"),
        "exchanges, four filters": (
            "operator", "/v1/exchanges?limit=50&status=failed&route=cloud&model=large&hidden=EMAIL",
        ),
        "exchanges, common words of the reason": ("operator", "/v1/exchanges?limit=50&words=personal+facts"),
        "exchanges, rare words of the reason": ("operator", "/v1/exchanges?limit=50&words=hardly+anything"),
        "one person's exchanges, with what was asked": ("app", f"/v1/exchanges?limit=50&asked=true&{user}"),
        "one exchange": ("app", f"/v1/exchanges/{one}?{user}"),
        "figures by hour": ("operator", "/v1/usage?by=hour&last=24"),
        "figures by day": ("operator", "/v1/usage?by=day&last=30"),
        "one person's figures by hour": ("app", f"/v1/usage?by=hour&last=24&{user}"),
        "receipts": ("operator", "/v1/receipts?limit=50"),
        "one profile": ("app", f"/v1/profiles/{PERSON}"),
        "signals": ("operator", "/v1/signals"),
        "reports": ("operator", "/v1/reports"),
    }  # fmt: skip


async def ask_pages(url: str, keys: Mapping[str, str], plan: ConsolePlan, progress: Progress) -> list[dict[str, Any]]:
    """Ask each page `plan.samples` times, in turns; milliseconds."""
    async with httpx.AsyncClient(base_url=url, timeout=60, trust_env=False) as client:

        async def get(who: str, path: str) -> tuple[float, Any]:
            began = time.perf_counter()
            answer = await client.get(path, headers={"authorization": f"Bearer {keys[who]}"})
            took = 1000 * (time.perf_counter() - began)
            answer.raise_for_status()
            return took, answer.json()

        one = (await get("app", f"/v1/exchanges?limit=1&user={PERSON}"))[1]["data"][0]["id"]
        asked = pages(id_of(plan.exchanges // 10), one)
        took: dict[str, list[float]] = {name: [] for name in asked}
        for number in range(plan.samples):
            progress(f"pages, {number + 1} of {plan.samples}")
            for name, (who, path) in asked.items():
                took[name].append((await get(who, path))[0])
    return [
        {"page": name, **{f"p{int(100 * share)}_ms": round(percentile(times, share), 1) for share in (0.5, 0.95)}}
        for name, times in took.items()
    ]


async def steady(target: LoadTarget, rate: float, seconds: float, connections: int = 32) -> list[float]:
    """Post at this rate; each request's milliseconds from when it was due."""
    took: list[float] = []
    began, numbers = time.perf_counter() + 0.1, count()
    raw, host = target.request(), httpx.URL(target.url)

    async def post() -> None:
        reader, writer = await asyncio.open_connection(host.host, host.port)
        try:
            while (due := began + next(numbers) / rate) < began + seconds:
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                writer.write(raw)
                await read_answer(reader, target.url)
                took.append(1000 * (time.perf_counter() - due))
        finally:
            writer.close()

    await asyncio.gather(*(post() for _ in range(connections)))
    return took


def look_on(asked: dict[str, Any]) -> dict[str, Any]:
    """In a process of its own: so many viewers for so many seconds; how many events they were told."""
    return asyncio.run(_look_on(**asked))


async def _look_on(port: int, key: str, viewers: int, seconds: float) -> dict[str, Any]:
    events = 0

    async def view() -> None:
        nonlocal events
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        head = f"GET /v1/exchanges/stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {key}\r\n\r\n"
        writer.write(head.encode())
        try:
            while content := await reader.read(65_536):
                events += content.count(b"event: exchange")
        finally:
            writer.close()

    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await asyncio.gather(*(view() for _ in range(viewers)))
    return {"events": events}


async def run(plan: ConsolePlan, progress: Progress) -> dict[str, Any]:
    """Fill, ask, look on. Returns tables, and what they do not show."""
    async with AsyncExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="netgpt-bench-")))
        filled_s = await fill(home, plan, progress)
        keys = await make_keys(home, ["operator"], Role.OPERATOR) | await make_keys(home, ["app"])
        url = f"http://127.0.0.1:{await stack.enter_async_context(fake_cloud())}/v1"
        settings = {
            "NETGPT_CLOUD__BASE_URL": url, "NETGPT_EDGE__BASE_URL": url, "NETGPT_COMPLETION__MODE": "off",
            "NETGPT_LOG_LEVEL": "error",
        }  # fmt: skip
        port, process = await stack.enter_async_context(gateway(home, settings))
        await until_ready("netgpt serve", f"http://127.0.0.1:{port}", 60, ("detector", "store"))
        asked = await ask_pages(f"http://127.0.0.1:{port}", keys, plan, progress)
        rates = await _with_and_without(plan, port, keys, process, progress)
    return {
        "tables": {"pages": asked, "viewers": rates},
        "exchanges": plan.exchanges,
        "filled_s": round(filled_s, 1),
        "samples": plan.samples,
        "rate": plan.rate,
        "not_shown": "long texts, many receipts, other disks; generator, viewers and cloud share the cores",
    }


async def _with_and_without(
    plan: ConsolePlan, port: int, keys: Mapping[str, str], process: int, progress: Progress
) -> list[dict[str, Any]]:
    body = json.dumps({"model": "netgpt/cloud", "messages": [{"role": "user", "content": WORDS[:100]}]}).encode()
    bearer = {"Authorization": f"Bearer {keys['app']}"}
    target = LoadTarget(f"http://127.0.0.1:{port}/v1/chat/completions", body, bearer)
    await steady(target, plan.rate, 3.0)  # warm
    took: dict[int, list[list[float]]] = {0: [], plan.viewers: []}
    events, memory = 0, {}
    for number in range(plan.rounds):
        for viewers, runs in took.items():
            progress(f"round {number + 1} of {plan.rounds}: {viewers} viewers at {plan.rate:g} requests a second")
            asked = {"port": port, "key": keys["operator"], "viewers": viewers, "seconds": plan.seconds + 4}
            looking = asyncio.create_task(result_of("the viewers", __name__, asked=asked)) if viewers else None
            await asyncio.sleep(3.0 if viewers else 0.5)
            runs.append(await steady(target, plan.rate, plan.seconds))
            memory[viewers] = resident_mb(process)
            if looking is not None:
                events += (await looking)["events"]
    return [
        {
            "viewers": viewers,
            **{name: round(_median(runs, share), 2) for name, share in (("p50_ms", 0.5), ("p95_ms", 0.95))},
            "requests": sum(map(len, runs)),
            "events_told": events if viewers else 0,
            "memory_mb": round(memory[viewers]),
        }
        for viewers, runs in took.items()
    ]


def _median(runs: Sequence[Sequence[float]], share: float) -> float:
    """Of the rounds' quantiles."""
    return statistics.median(percentile(list(run), share) for run in runs)


if __name__ == "__main__":
    answer_parent(look_on)
