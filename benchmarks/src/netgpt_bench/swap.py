"""`netgpt bench swap`: adapters swapped under a busy gateway: failed and mixed answers, memory, time to roll back.

A gateway (`netgpt serve`) in its own process, real weights, three invented versions of the adapter "site", room for
two: so every promotion of the third one is a swap of engines. Every answer names its version, and must be word for
word what that version answers cold.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import random
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import httpx

from netgpt.adapters.card import Card, EdgeWeights, State, edge_weights
from netgpt.adapters.registry import Registry, shipped_adapters
from netgpt.cli.common import opened
from netgpt.errors import BrokenStream
from netgpt.models.catalog import Catalog
from netgpt.models.hot_swap import Adapter
from netgpt.proofs import FileProof
from netgpt.settings import load_settings
from netgpt_bench.harness import Progress, children, gateway, resident_mb
from netgpt_bench.isolation import QUESTIONS, cold_answers, invent, question

NAME: Final = "site"
VERSIONS: Final = 3
SETTLED_S: Final = 60.0
ROLLBACKS: Final = 5


async def run(
    weights: Path, *, swaps: int, streams: int, promotions: int, seed: int, progress: Progress,
    questions: Sequence[str] = QUESTIONS, rollbacks: int = ROLLBACKS,
) -> dict[str, Any]:  # fmt: skip
    """Rows: `promotions` under `streams` at once, then `swaps` under two; and what the memory did."""
    with tempfile.TemporaryDirectory() as name:
        home = Path(name)
        adapters = invent(weights, home, [str(number + 1) for number in range(VERSIONS)], seed)
        progress("cold runs")
        cold = await cold_answers(weights, adapters, home, questions)
        # In the answers an adapter is "site@1"; the cold runs called it "1@1".
        known = {(f"{NAME}@{ids[0].split('@')[0]}" if ids else "", text): said for (ids, text), said in cold.items()}
        async with opened(load_settings(home=home)) as store:
            registry = _registered(home, weights, adapters, store.files)
            async with gateway(home, _settings(weights, streams)) as (port, process):
                bench = _Bench(f"http://127.0.0.1:{port}", process, registry, known, random.Random(seed))
                await bench.settled(f"{NAME}@1")
                progress(f"{streams} streams, {promotions} promotions")
                crowded = await bench.promote_under(streams, promotions, lambda _: None)
                progress(f"{swaps} swaps")
                memory: list[dict[str, float]] = []
                quiet = await bench.promote_under(2, swaps, lambda number: memory.append(bench.footprint(number)))
                back = await bench.rollbacks(rollbacks)
        rows = [{"part": f"{streams} streams", **crowded}, {"part": "two streams", **quiet}]
        return {"rows": rows, "memory": growth(memory), "rollback": back, "versions": VERSIONS, "seed": seed}


def growth(memory: Sequence[Mapping[str, float]]) -> dict[str, Any]:
    """Early and late figures (medians of five samples, the first ten swaps left out), and the growth in percent."""
    if len(memory) < 2:
        return {}
    start = min(9, len(memory) // 2)
    figures: dict[str, Any] = {}
    for key in ("rss_mb", "files", "children"):
        early = sorted(sample[key] for sample in memory[start : start + 5])
        late = sorted(sample[key] for sample in memory[-5:])
        figures[key] = [early[len(early) // 2], late[len(late) // 2]]
    first, last = figures["rss_mb"]
    return {**figures, "rss_growth_percent": round(100 * (last / first - 1), 2), "samples": len(memory)}


@dataclass
class _Seen:
    """What the callers of one part got."""

    answers: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    mixed: int = 0
    versions: Counter[str] = field(default_factory=Counter)


class _Bench:
    """The gateway under test, asked and operated over HTTP."""

    def __init__(
        self, url: str, process: int, registry: Registry, cold: Mapping[tuple[str, str], str], draw: random.Random
    ) -> None:
        self.url, self.process, self.registry, self.cold, self.draw = url, process, registry, cold, draw
        self.texts = sorted({text for _, text in cold})
        self.client = httpx.AsyncClient(
            base_url=url, timeout=120, trust_env=False, limits=httpx.Limits(max_connections=256)
        )
        self.now = 1
        """The version that is active."""

    async def promote_under(self, streams: int, times: int, after: Callable[[int], None]) -> dict[str, Any]:
        """`after` is called while nobody asks: what is open then belongs to no answer."""
        seen = _Seen()
        waits: list[float] = []
        for number in range(times):
            async with self._asked(streams, seen):
                self.now = self.now % VERSIONS + 1
                started = time.perf_counter()
                answer = await self.client.post(f"/v1/adapters/{NAME}@{self.now}/promote", json={"unjudged": True})
                answer.raise_for_status()
                await self.settled(f"{NAME}@{self.now}")
                waits.append(time.perf_counter() - started)
            after(number + 1)
        waits.sort()
        return {"promotions": times, "answers": seen.answers, "errors": sum(seen.errors.values()), "mixed": seen.mixed,
                "swap_s_median": round(waits[len(waits) // 2], 2) if waits else None, "kinds": dict(seen.errors),
                "versions": dict(sorted(seen.versions.items()))}  # fmt: skip

    @asynccontextmanager
    async def _asked(self, streams: int, seen: _Seen) -> AsyncIterator[None]:
        """Callers that ask without a pause: each has an answer before it begins, and asks once more when it is over."""
        done, answered = asyncio.Event(), [asyncio.Event() for _ in range(streams)]
        tasks = [asyncio.create_task(self._keep_asking(seen, one, done)) for one in answered]
        try:
            await asyncio.gather(*(one.wait() for one in answered))
            yield
        finally:
            done.set()
            await asyncio.gather(*tasks)

    async def _keep_asking(self, seen: _Seen, answered: asyncio.Event, done: asyncio.Event) -> None:
        while not done.is_set():
            await self._ask_once(seen)
            answered.set()
        await self._ask_once(seen)

    async def _ask_once(self, seen: _Seen) -> None:
        text = self.draw.choice(self.texts)
        try:
            version, said = await self.ask(text)
        except (httpx.HTTPError, BrokenStream, ValueError) as error:
            seen.errors[f"{type(error).__name__} {error}"[:80]] += 1
            return
        seen.answers += 1
        seen.versions[version or "none"] += 1
        seen.mixed += said != self.cold.get((version, text))

    async def ask(self, text: str) -> tuple[str, str]:
        """One streamed answer: the version that it names, and what it says. Raises BrokenStream, httpx.HTTPError."""
        body = {**question(text), "model": "netgpt/edge", "stream": True}
        said, whole = "", False
        async with self.client.stream("POST", "/v1/chat/completions", json=body) as answer:
            if answer.status_code != 200:
                raise BrokenStream(f"status {answer.status_code}: {(await answer.aread())[:60]!r}")
            async for line in answer.aiter_lines():
                if line == "data: [DONE]":
                    whole = True
                elif line.startswith("data: "):
                    event = json.loads(line.removeprefix("data: "))
                    if "error" in event:
                        raise BrokenStream(event["error"]["message"])
                    said += "".join(choice["delta"].get("content") or "" for choice in event["choices"])
        if not whole:
            raise BrokenStream("the stream was cut")
        return answer.headers.get("x-netgpt-adapter", ""), said

    async def settled(self, id: str) -> None:
        """Wait until the adapter is loaded and no old engine lives any more."""
        until = time.monotonic() + SETTLED_S
        while time.monotonic() < until:
            answer = (await self.client.get(f"/v1/adapters/{id}")).json()
            if answer.get("resident") and len(children(self.process)) == 1:
                return
            await asyncio.sleep(0.02)
        raise BrokenStream(f"{id} was not loaded within {SETTLED_S:.0f} s")

    async def rollbacks(self, times: int) -> dict[str, Any]:
        """Seconds from a rollback by another process to the end of the first answer of the version before.

        `late_answers`: requests made after the rollback that the version taken back still answered.
        """
        seconds, late = [], 0
        for _ in range(times):
            other = self.now % VERSIONS + 1
            self.registry.promote(f"{NAME}@{other}")
            await self.settled(f"{NAME}@{other}")
            self.registry.rollback(NAME)
            started = time.perf_counter()
            while (await self.ask(self.texts[0]))[0] != f"{NAME}@{self.now}":
                late += 1
            seconds.append(round(time.perf_counter() - started, 3))
        return {"seconds": seconds, "late_answers": late}

    def footprint(self, swap: int) -> dict[str, float]:
        """Memory of the gateway and its children (MB), open files of the gateway, and how many children it has."""
        below = children(self.process)
        rss = sum(resident_mb(pid) for pid in (self.process, *below))
        files = len(list(Path(f"/proc/{self.process}/fd").iterdir()))
        return {"swap": swap, "rss_mb": round(rss, 1), "files": files, "children": len(below)}


def _settings(weights: Path, streams: int) -> dict[str, str]:
    return {
        "NETGPT_EDGE__MODEL": str(weights),
        "NETGPT_EDGE__CONTEXT_TOKENS": "512",
        "NETGPT_EDGE__TIMEOUT_S": "120",
        "NETGPT_ADAPTERS__RESIDENT": str(2 + len(shipped_adapters())),
        "NETGPT_COMPLETION__MODE": "off",
        "NETGPT_SERVER__MAX_CONCURRENCY": str(2 * streams + 16),
        "NETGPT_SERVER__MAX_WAIT_S": "120",  # the crowd is to be answered, however slowly
    }


def _registered(home: Path, weights: Path, adapters: Sequence[Adapter], proof: FileProof) -> Registry:
    base = edge_weights(Catalog(home / "models"), str(weights))
    registry = Registry(home / "adapters", base=base, proof=proof)
    for number, adapter in enumerate(adapters, 1):
        registry.add(adapter.path, _card(adapter.path, number, base), State.CANDIDATE)
    registry.promote(f"{NAME}@1")
    return registry


def _card(path: Path, version: int, base: EdgeWeights) -> Card:
    return Card(
        name=NAME, version=version, scope="site", base=base.name, base_sha256=base.sha256, architecture="llama",
        rank=4, alpha=4.0, targets=("attn_q", "attn_v"), weights_sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        bytes=path.stat().st_size, recipe={"invented": True}, data_digest="none", examples=0, created=datetime.now(UTC),
    )  # fmt: skip
