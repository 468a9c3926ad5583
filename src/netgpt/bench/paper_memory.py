"""Peaks of memory and sizes on disk, for `netgpt bench paper`. MB are 10^6 bytes, as the paper's.

A peak is the kernel's own high-water mark of a process's resident memory (`VmHWM` in /proc/PID/status): nothing is
sampled, so nothing is missed. Weights that the engine maps from their file count as far as they were read.
"""

from __future__ import annotations

import asyncio
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import httpx

from netgpt.bench.child import result_of
from netgpt.errors import ModelUnavailable
from netgpt.models.engine import Engine

__all__ = ["EngineCost", "adapter_file", "children", "fill_slots", "fine_tuning", "peak_mb", "serve"]

LONG_WORDS = 700
"""Of a long request: about 1,400 tokens, most of a slot of 2,048."""
WRITTEN = 40


@dataclass(frozen=True)
class EngineCost:
    """An engine alone with one weights file: its peak, and tokens per second read and written."""

    peak_mb: float
    prompt_per_s: float
    written_per_s: float


def peak_mb(pid: int) -> float:
    """The most resident memory that the process ever had. Raises ModelUnavailable: it is gone, or not Linux."""
    with suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024 / 1e6
    raise ModelUnavailable(f"the peak memory of process {pid} cannot be read: it ended, or this is not Linux")


def children(pid: int) -> dict[int, str]:
    """The direct children of a process, with their command lines."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError, IndexError, ValueError):
                if int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1]) == pid:
                    found[int(entry.name)] = (entry / "cmdline").read_text().replace("\0", " ")
    return found


def adapter_file() -> Path | None:
    """The `complete` adapter that the package ships, when it does."""
    path = Path(str(resources.files("netgpt").joinpath("adapters/shipped/complete/adapter.gguf")))
    return path if path.is_file() else None


async def fill_slots(url: str, slots: int) -> None:
    """Ask `slots` long requests at once of the edge, so that its memory is at its worst when it is read."""
    async with httpx.AsyncClient(base_url=url, timeout=300, trust_env=False) as client:
        bodies = [
            {"model": "netgpt/edge", "messages": [{"role": "user", "content": _long(number)}], "max_tokens": 8}
            for number in range(slots)
        ]
        for answer in await asyncio.gather(*(client.post("/v1/chat/completions", json=body) for body in bodies)):
            answer.raise_for_status()


async def serve(weights: Path, *, slots: int = 2, context_tokens: int = 2048, words: int = LONG_WORDS) -> EngineCost:
    """Start an engine with these weights, let each slot read a long prompt and write, and measure it."""
    with tempfile.TemporaryDirectory(prefix="netgpt-paper-") as folder:
        log = Path(folder) / "engine.log"
        engine = Engine(weights, context_tokens=context_tokens, slots=slots, log_path=log, probe_s=0)
        await engine.start()
        try:
            return await _serve(engine, slots, words)
        finally:
            await engine.stop(0)


async def _serve(engine: Engine, slots: int, words: int) -> EngineCost:
    endpoint = engine.endpoint()
    async with httpx.AsyncClient(
        base_url=endpoint.base_url.removesuffix("/v1"), headers={"Authorization": f"Bearer {endpoint.api_key}"},
        timeout=300, trust_env=False,
    ) as client:  # fmt: skip
        bodies: list[dict[str, Any]] = [
            {"prompt": _long(number, words), "n_predict": WRITTEN, "ignore_eos": True, "cache_prompt": False}
            for number in range(slots + 1)
        ]
        alone = await client.post("/completion", json=bodies[0])
        crowd = await asyncio.gather(*(client.post("/completion", json=body) for body in bodies[1:]))
        for answer in (alone, *crowd):
            answer.raise_for_status()
        timings = alone.json()["timings"]
    assert engine.pid is not None
    return EngineCost(peak_mb(engine.pid), timings["prompt_per_second"], timings["predicted_per_second"])


async def fine_tuning(
    base: Path, *, full: bool, examples: int, tokens: int, memory_mb: int | None
) -> dict[str, float]:  # fmt: skip
    """Train in a process of its own, one epoch; {"peak_mb", "tokens_per_s", "seconds"}. Raises ModelUnavailable."""
    asked = {"base": str(base), "full": full, "examples": examples, "tokens": tokens, "memory_mb": memory_mb}
    return await result_of(f"fine-tuning {base.name}", "netgpt.bench.paper_tuning", asked=asked)


def _long(number: int, words: int = LONG_WORDS) -> str:
    """Words that no two requests share, so that no cache helps."""
    return " ".join(f"word{(number * 7919 + place * 31) % 1000}" for place in range(words // 2))
