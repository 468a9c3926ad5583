"""The model rows of `netgpt bench paper`: what each class of edge model takes on disk, in memory and in training."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from netgpt.bench.paper_memory import fine_tuning, serve
from netgpt.errors import ModelUnavailable
from netgpt.models.gguf import check_weights, read_header
from netgpt.models.measure import file_bytes

__all__ = ["GPT2", "LORA_LIMIT_MB", "model_rows"]

GPT2 = "GPT-2-base class, random weights"
GPT2_CONTEXT = 1024
"""All the positions that GPT-2 has."""
LORA_LIMIT_MB = 1000
"""The limit that training with LoRA is told to keep to; full fine-tuning takes what it needs."""

Progress = Callable[[str], None]


async def model_rows(
    weights: Path, cloud: Path | None, folder: Path, *, tuning_examples: int, tuning_tokens: int, progress: Progress
) -> list[dict[str, Any]]:
    """A row each: the edge's own model first, GPT-2-base's shape (written here, 4-bit), the cloud's stand-in."""
    from netgpt.tuning.random_model import SHAPES, write_random_model

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
        "storage_mb": round(file_bytes(path) / 1e6, 1),
        "inference_mb": round(served.peak_mb),
        "prompt_per_s": round(served.prompt_per_s),
        "written_per_s": round(served.written_per_s, 1),
    }
