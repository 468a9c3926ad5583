"""`netgpt bench paper`: cloud-only, model splitting, edge-only and NetGPT's synergy on the same requests, in one run.

The comparison of arXiv 2307.06148, on the machine at hand: storage, memory of fine-tuning and of inference, bytes per
request, latency over links of several rates and delays, cloud tokens, and quality by checks that need no judge.
`paper_lab` starts all and asks, `paper_tuning` trains, `paper_checks` counts, `paper_report` shows.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from netgpt.errors import ModelUnavailable
from netgpt.models.gguf import check_weights, read_header
from netgpt_bench.harness import Progress, peak_mb
from netgpt_bench.link_emulator import LinkShape
from netgpt_bench.paper_checks import Answered, quality
from netgpt_bench.paper_lab import (
    GATEWAY_WAYS,
    SPLIT,
    Lab,
    adapter_file,
    cut_model,
    fill_slots,
    fine_tuning,
    open_lab,
    serve,
)  # fmt: skip
from netgpt_bench.paper_requests import PersonRequest, make_requests
from netgpt_bench.report import machine, percentile
from netgpt_bench.splitting import torch_and_transformers

GPT2 = "GPT-2-base class, random weights"
GPT2_CONTEXT = 1024
"""All the positions that GPT-2 has."""
LORA_LIMIT_MB = 1000
"""The limit for training with LoRA; full fine-tuning takes what it needs."""


async def model_rows(
    weights: Path, cloud: Path | None, folder: Path, *, tuning_examples: int, tuning_tokens: int, progress: Progress
) -> list[dict[str, Any]]:
    """A row each: the edge's own model first, GPT-2-base's shape (written here, 4-bit), the cloud's stand-in."""
    from netgpt_bench.random_model import SHAPES, write_random_model

    progress("writing a random model of GPT-2-base's shape")
    gpt2 = await asyncio.to_thread(write_random_model, folder / "gpt2-124m.gguf", SHAPES["gpt2-124m"], "Q4_1")
    rows = []
    for name, path, context, words in (
        (weights.stem, weights, 2048, 700),
        (GPT2, gpt2, GPT2_CONTEXT, 140),  # its tokenizer makes a token of each character
    ):
        progress(f"serving {name}")
        row = await _served(name, path, context, words)
        for full in (False, True):
            progress(f"fine-tuning {name}, {'all weights' if full else 'LoRA'}")
            row |= await _tuned(path, full, tuning_examples, tuning_tokens)
        rows.append(row)
    if cloud is not None:
        progress(f"serving {cloud.stem}")
        rows.append(await _served(f"{cloud.stem} (the cloud's stand-in)", cloud, 2048, 700))
    return rows


async def _tuned(path: Path, full: bool, examples: int, tokens: int) -> dict[str, Any]:
    """Peak and speed of one way to fine-tune; without figures, and with the reason, where this machine cannot."""
    key = "tuning_full" if full else "tuning_lora"
    limit = None if full else LORA_LIMIT_MB
    try:
        done = await fine_tuning(path, full=full, examples=examples, tokens=tokens, memory_mb=limit)
    except ModelUnavailable as error:
        return {f"{key}_mb": None, f"{key}_tokens_per_s": None, f"{key}_failed": error.message}
    return {f"{key}_mb": round(done["peak_mb"]), f"{key}_tokens_per_s": round(done["tokens_per_s"], 1)}


async def _served(name: str, path: Path, context: int, words: int) -> dict[str, Any]:
    check_weights(path)
    header = read_header(path)
    served = await serve(path, context_tokens=context, words=words)
    return {
        "model": name,
        "family": header.metadata.get("general.architecture"),
        "parameters_m": round(sum(tensor.weights for tensor in header.tensors) / 1e6, 1),
        "storage_mb": round(path.stat().st_size / 1e6, 1),  # noqa: ASYNC240  one look
        "inference_mb": round(served.peak_mb),
        "prompt_per_s": round(served.prompt_per_s),
        "written_per_s": round(served.written_per_s, 1),
    }


MAIN = LinkShape(50.0, 25.0)


@dataclass(frozen=True)
class PaperPlan:
    """How much is measured."""

    requests: int = 24
    max_tokens: int = 24
    per_link: int = 3
    """Requests of each way over each link but the main one, which gets all."""
    rates_mbit: tuple[float, ...] = (10.0, 50.0, 1000.0)
    delays_ms: tuple[float, ...] = (5.0, 25.0, 100.0)
    main: LinkShape = MAIN
    """The link of the table of ways."""
    tuning_examples: int = 24
    tuning_tokens: int = 128

    @property
    def other_links(self) -> list[LinkShape]:
        """All but the main one."""
        every = [LinkShape(rate, delay) for rate in self.rates_mbit for delay in self.delays_ms]
        return [shape for shape in every if shape != self.main]


WHOLE = PaperPlan()
QUICK = PaperPlan(requests=8, max_tokens=16, per_link=1, rates_mbit=(10.0,), delays_ms=(5.0, 100.0), tuning_examples=6)

PACKAGES = ("netgpt", "xllamacpp", "numpy", "torch", "transformers")
NOT_SHOWN = (
    "a real cloud: the stand-in shares this machine's cores and is a small model, so its seconds and the words of "
    "its answers show the plumbing, not a cloud",
    "handshakes (TCP, TLS), loss and radio: connections stay open, and the link shapes a stream of bytes",
    "the split model is the edge's own model cut in two, in bfloat16; a split 7B model sends 4096 x 2 bytes a token "
    "where this one sends its own hidden size x 2",
    "hidden states are not searched for private values; that they are not text does not make them private",
    "the random GPT-2 shows bytes, memory and speed, and says nothing",
    "memory here is resident memory of processes on a CPU (weights mapped from a file included); the paper's is of a "
    "GPU, for its own models and settings",
)


async def run(weights: Path, cloud: Path | None, plan: PaperPlan, *, seed: int, progress: Progress) -> dict[str, Any]:
    """Measure everything; the result is JSON-ready. `cloud`: weights of the stand-in, None: the edge's own.

    Raises SettingsError without the extra `train`, ModelUnavailable when a part does not start.
    """
    torch_and_transformers()
    requests = make_requests(plan.requests, seed)
    with tempfile.TemporaryDirectory(prefix="netgpt-paper-") as name:
        folder = Path(name)
        models = await model_rows(
            weights, cloud, folder, tuning_examples=plan.tuning_examples, tuning_tokens=plan.tuning_tokens,
            progress=progress,
        )  # fmt: skip
        progress("cutting the models for splitting")
        await cut_model(str(weights), folder / "split", None)
        random_split = await cut_model("random-gpt2", folder / "split-gpt2", None)
        try:
            async with open_lab(weights, cloud or weights, folder / "split", requests, folder, progress) as lab:
                measured = await _measure(lab, requests, plan, progress)
                progress("long requests at once, for the peak of memory")
                await fill_slots(lab.gateway_url, 2)
                peaks = {part: peak_mb(pid) for part, pid in lab.pids.items()}
                split = lab.split
        except httpx.HTTPError as error:
            raise ModelUnavailable(f"a part of the comparison did not answer ({type(error).__name__})") from None
    adapter = adapter_file()
    adapter_mb = adapter.stat().st_size / 1e6 if adapter else 0.0
    ways = way_rows(measured[plan.main], models[0], split, peaks, adapter_mb)
    return {
        "title": "the paper's comparison",
        "ways": ways,
        "latency": latency_rows(measured),
        "models": models,
        "splitting": [_split_row(models[0]["model"], split), _split_row(GPT2, random_split)],
        "main_link": str(plan.main),
        "cloud": f"stand-in: {(cloud or weights).stem}" + ("" if cloud else ", the edge's own model again"),
        "samples": {"main link": plan.requests, "other links": plan.per_link},
        "answer_tokens": plan.max_tokens,
        "seed": seed,
        "adapter_mb": round(adapter_mb, 1),
        "edge_processes_mb": {part: round(peak) for part, peak in peaks.items()},
        "not_shown": list(NOT_SHOWN),
        "machine": machine(PACKAGES),
    }


async def _measure(
    lab: Lab, requests: Sequence[PersonRequest], plan: PaperPlan, progress: Progress
) -> dict[LinkShape, dict[str, list[Answered]]]:
    """Link -> way -> answers. The ways take turns, each with another request: no prompt comes twice in a row."""
    measured: dict[LinkShape, dict[str, list[Answered]]] = {}
    for way in lab.ways:
        await way.ask(requests[-1], 2)  # the first call of a way opens its connections
    for shape in (plan.main, *plan.other_links):
        lab.shape(shape)
        asked = requests if shape == plan.main else requests[: plan.per_link]
        measured[shape] = {way.name: [] for way in lab.ways}
        for turn in range(len(asked)):
            for place, way in enumerate(lab.ways):
                one = asked[(turn + place) % len(asked)]
                measured[shape][way.name].append(await way.ask(one, plan.max_tokens))
            progress(f"link {shape}: {turn + 1} of {len(asked)} requests, each by {len(lab.ways)} ways")
    return measured


def way_rows(
    answers: dict[str, list[Answered]], edge: dict[str, Any], split: dict[str, Any], peaks: dict[str, float],
    adapter_mb: float,
) -> list[dict[str, Any]]:  # fmt: skip
    """One row a way: what stands at the edge, what a request costs, how good it is.

    `edge` is the edge model's row of `model_rows`, `split` what split.json holds, `peaks` the lab's processes in MB.
    """
    stored = {SPLIT: split["edge_bytes"] / 1e6} | dict.fromkeys(GATEWAY_WAYS, edge["storage_mb"] + adapter_mb)
    model = {SPLIT: peaks["split edge"]} | dict.fromkeys(GATEWAY_WAYS, peaks["engine"])
    whole_gateway = sum(peaks[part] for part in ("engine", "gateway", "detector"))
    return [
        {
            "way": way,
            "storage_mb": round(stored.get(way, 0.0), 1),
            "tuning_lora_mb": edge["tuning_lora_mb"] if way in GATEWAY_WAYS else None,
            "tuning_full_mb": edge["tuning_full_mb"] if way in GATEWAY_WAYS else None,
            "inference_mb": round(model.get(way, 0.0), 1),
            "whole_box_mb": round(whole_gateway if way in GATEWAY_WAYS else model.get(way, 0.0), 1),
            **_costs(given),
            **quality(given),
        }
        for way, given in answers.items()
    ]


def _costs(given: Sequence[Answered]) -> dict[str, Any]:
    return {
        "up_bytes": round(statistics.median(one.up for one in given)),
        "down_bytes": round(statistics.median(one.down for one in given)),
        "cloud_tokens": round(statistics.mean(one.cloud_tokens for one in given), 1),
        "answered_by_cloud": round(statistics.mean(one.cloud for one in given), 3),
        "whole_p95_ms": round(percentile([one.whole_ms for one in given], 0.95), 1),
        **_times(given),
    }


def _times(given: Sequence[Answered]) -> dict[str, float]:
    return {
        "first_ms": round(statistics.median(one.first_ms for one in given), 1),
        "whole_ms": round(statistics.median(one.whole_ms for one in given), 1),
        "written_tokens": round(statistics.mean(one.written for one in given), 1),
    }


def latency_rows(measured: dict[LinkShape, dict[str, list[Answered]]]) -> list[dict[str, Any]]:
    """One row a link and way, in the order of the links' rates and delays."""
    return [
        {
            "link": str(link),
            "rate_mbit": link.rate_mbit,
            "delay_ms": link.delay_ms,
            "way": way,
            "samples": len(given),
            **_times(given),
        }
        for link, ways in sorted(measured.items(), key=lambda item: (item[0].rate_mbit or 0, item[0].delay_ms))
        for way, given in ways.items()
    ]


def _split_row(model: str, split: dict[str, Any]) -> dict[str, Any]:
    """What crosses the link a token, known from the shapes; the paper gives 0.95 + 1.40 D ms for its own pair."""
    size = 2 if split["dtype"] in ("bfloat16", "float16") else 4
    up, down = split["hidden"] * size + 5, 4
    return {
        "model": model,
        "layers": split["layers"],
        "edge_layers": split["edge_layers"],
        "edge_mb": round(split["edge_bytes"] / 1e6, 1),
        "up_bytes_per_token": up,
        "down_bytes_per_token": down,
        "link_ms_per_token": f"2 x delay + {(up + down) * 8 / 1000:.2f} / (Mbit/s)",
    }
