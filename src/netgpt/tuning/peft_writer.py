"""Writes an adapter in PEFT's format: what `PeftModel.from_pretrained` and the GGUF export read. Needs torch."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from netgpt.adapters.families import ModelShape
from netgpt.errors import StoreError
from netgpt.tuning.checkpoint import make_folder, save_tensors
from netgpt.tuning.lora import Recipe

__all__ = ["write_adapter", "write_text"]


def write_adapter(folder: Path, base: Path, shape: ModelShape, recipe: Recipe, pairs: Mapping[str, Tensor]) -> None:
    """Write `pairs` ("blk.3.attn_q.lora_a" -> (rank, in), ".lora_b" -> (out, rank)) as a PEFT folder."""
    make_folder(folder)
    family = shape.family
    tensors = {}
    for name, tensor in pairs.items():
        _, layer, word, side = name.split(".")
        module = f"base_model.model.{family.layers_path}.{layer}.{family.modules[word]}"
        tensors[f"{module}.lora_{side[-1].upper()}.weight"] = tensor.detach().float().cpu()
    save_tensors(folder / "adapter_model.safetensors", tensors, {"format": "pt"})
    words = family.targets(recipe.targets)
    count = shape.layers if recipe.layers is None else min(recipe.layers, shape.layers)
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": str(base),
        "r": recipe.rank,
        "lora_alpha": recipe.alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": family.transposed,
        "target_modules": [family.modules[word] for word in words],
        "layers_to_transform": list(range(shape.layers - count, shape.layers)),
        "layers_pattern": family.layers_path.rpartition(".")[2],
        "inference_mode": True,
    }
    write_text(folder / "adapter_config.json", json.dumps(config, indent=2) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a small file whole or not at all, owner-only. Raises StoreError."""
    part = path.with_name(path.name + ".part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise StoreError(f"{path}: cannot be written: {error.strerror}; free some space") from None
