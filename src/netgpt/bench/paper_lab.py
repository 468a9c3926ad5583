"""Everything that `netgpt bench paper` starts: the stand-in cloud, the box, the split model, and the links between."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx

from netgpt.bench.child import result_of
from netgpt.bench.link import LinkShape, ShapedLink
from netgpt.bench.paper_memory import children
from netgpt.bench.paper_requests import SITE, PersonRequest
from netgpt.bench.paper_ways import PaperWay, Splitted, Straight, Tape, ThroughBox, Tokenizer
from netgpt.bench.servers import gateway
from netgpt.bench.split_process import CloudProcess, EdgeProcess
from netgpt.errors import ModelUnavailable
from netgpt.models.engine import Engine

__all__ = [
    "BOX_WAYS",
    "CLOUD_ONLY",
    "DECIDES",
    "EDGE_ONLY",
    "SPLIT",
    "SYNERGY",
    "WHOLE_PROFILE",
    "Lab",
    "cut_model",
    "open_lab",
]

CLOUD_ONLY = "cloud-only"
WHOLE_PROFILE = "cloud-only, whole profile sent"
SPLIT = "model splitting"
EDGE_ONLY = "edge-only"
SYNERGY = "NetGPT synergy"
DECIDES = "NetGPT, the box decides"
BOX_WAYS = (EDGE_ONLY, SYNERGY, DECIDES)
"""The ways that need the box: its weights, its memory."""

READY_S = 180.0
"""Patience with the box's start: its detector reads a language model, which takes a busy machine a minute."""

Progress = Callable[[str], None]


@dataclass
class Lab:
    """The started parts. `ways` in the order of the table; `pids` of what stands at the edge, by name."""

    ways: list[PaperWay]
    split: dict[str, Any]
    pids: dict[str, int]
    box_url: str
    links: Sequence[ShapedLink]

    def shape(self, shape: LinkShape) -> None:
        """Give all links this shape."""
        for link in self.links:
            link.shape = shape


async def cut_model(source: str, folder: Path, edge_layers: int | None) -> dict[str, Any]:
    """Cut a model in a process of its own, so that its memory is given back; `source` is a file or "random-gpt2"."""
    words = [source, str(folder), str(edge_layers or 0)]
    return await result_of("cutting a model for splitting", "netgpt.bench.split_cut", *words)


@asynccontextmanager
async def open_lab(
    weights: Path, cloud_weights: Path, split: Path, requests: Sequence[PersonRequest], folder: Path, progress: Progress
) -> AsyncIterator[Lab]:
    """Start all parts. `split` is a folder of `cut_model`. Raises ModelUnavailable: a part did not start."""
    async with AsyncExitStack() as stack:
        progress("starting the stand-in cloud")
        engine = Engine(cloud_weights, context_tokens=2048, slots=1, log_path=folder / "cloud.log", probe_s=0)
        await engine.start()
        stack.push_async_callback(engine.stop, 0)
        tape = Tape()
        port = urlsplit(engine.endpoint().base_url).port or 0
        link = await stack.enter_async_context(ShapedLink(port, tap=tape))
        progress("starting the box")
        box, pid = await stack.enter_async_context(_box(weights, engine.endpoint().api_key or "", link, folder))
        url = f"http://127.0.0.1:{box}"
        await _prepare(url, requests)
        progress("starting the two sides of the split model")
        cloud = await stack.enter_async_context(CloudProcess(split))
        split_link = await stack.enter_async_context(ShapedLink(cloud.port))
        edge = await stack.enter_async_context(EdgeProcess(split, split_link.port))
        tokenizer = await _tokenizer(weights, cloud_weights, engine, folder, stack)
        key = engine.endpoint().api_key or ""
        ways: list[Any] = [
            Straight(CLOUD_ONLY, link, tape, key),
            Straight(WHOLE_PROFILE, link, tape, key, whole_profile=True),
            Splitted(SPLIT, edge, split_link, tokenizer, await tokenizer.tokens("<|im_end|>")),
            ThroughBox(EDGE_ONLY, "netgpt/edge", url, link, tape),
            ThroughBox(SYNERGY, "netgpt/cloud", url, link, tape),
            ThroughBox(DECIDES, "netgpt", url, link, tape),
        ]
        for way in ways:
            stack.push_async_callback(way.close)
        told = json.loads((split / "split.json").read_text(encoding="utf-8"))
        yield Lab(ways, told, _pids(pid, edge.pid), url, (link, split_link))


async def _tokenizer(
    weights: Path, cloud_weights: Path, engine: Engine, folder: Path, stack: AsyncExitStack
) -> Tokenizer:  # fmt: skip
    """The split model is cut from `weights`: the cloud's engine speaks its tokens only when it has the same file."""
    if weights != cloud_weights:
        engine = Engine(weights, context_tokens=512, slots=1, log_path=folder / "tokens.log", probe_s=0)
        await engine.start()
        stack.push_async_callback(engine.stop, 0)
    tokenizer = Tokenizer(engine.endpoint())
    stack.push_async_callback(tokenizer.close)
    return tokenizer


def _pids(gateway_pid: int, split_edge: int) -> dict[str, int]:
    below = children(gateway_pid)
    found = {"gateway": gateway_pid, "split edge": split_edge}
    for name, marker in (("engine", "netgpt.models.engine_child"), ("detector", "netgpt.privacy.worker")):
        match = [pid for pid, command in below.items() if marker in command]
        if not match:
            raise ModelUnavailable(f"the box runs without its {name}: see engine.log in its home")
        found[name] = match[0]
    return found


@asynccontextmanager
async def _box(weights: Path, key: str, link: ShapedLink, folder: Path) -> AsyncIterator[tuple[int, int]]:
    settings = {
        "NETGPT_EDGE__MODEL": str(weights),
        "NETGPT_CLOUD__BASE_URL": f"http://127.0.0.1:{link.port}/v1",
        "NETGPT_CLOUD__API_KEY": key,
        "NETGPT_CLOUD__MODEL": "cloud",
        "NETGPT_CLOUD__RETRIES": "0",
        "NETGPT_LOG_LEVEL": "error",
        **{f"NETGPT_SITE__{name.upper()}": value for name, value in SITE.items()},
    }
    async with gateway(folder / "home", settings) as told:
        yield told


async def _prepare(url: str, requests: Sequence[PersonRequest]) -> None:
    """Wait until every part of the box is ready, and tell it what it may know."""
    people = {asked.person.user: asked.person for asked in requests}
    async with httpx.AsyncClient(base_url=url, timeout=READY_S, trust_env=False) as client:
        until = asyncio.get_running_loop().time() + READY_S
        while asyncio.get_running_loop().time() < until:
            parts = (await client.get("/readyz")).json().get("parts", {})
            if parts and all(part["ok"] for part in parts.values()):
                break
            await asyncio.sleep(0.1)
        else:
            raise ModelUnavailable(f"the box was not ready within {READY_S:.0f} s")
        for person in people.values():
            for fact in person.facts:
                body = {"text": fact.text, "kind": fact.kind, "label": fact.label.value}
                path = f"/v1/profiles/{quote(person.user)}/facts"
                (await client.post(path, json=body)).raise_for_status()
