"""PEFT folders for tests, written as PEFT writes them, without torch."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

from netgpt.adapters.formats import ModelShape

LLAMA = ModelShape("llama", 2, 64, 4, 2, 16, 128, 300, 128, 1e-5)
GPT2 = ModelShape("gpt2", 2, 64, 4, 4, 16, 256, 300, 128, 1e-5)


def peft_tensors(shape: ModelShape, *words: str, rank: int = 4, seed: int = 1) -> dict[str, Any]:
    """Random A (rank, in) and B (out, rank) under PEFT's names."""
    rng, tensors = np.random.default_rng(seed), {}
    for layer in range(shape.layers):
        for word in words or tuple(shape.family.modules):
            out, width = shape.sides(word)
            name = f"base_model.model.{shape.family.layers_path}.{layer}.{shape.family.modules[word]}"
            tensors[f"{name}.lora_A.weight"] = rng.standard_normal((rank, width), np.float32)
            tensors[f"{name}.lora_B.weight"] = rng.standard_normal((out, rank), np.float32)
    return tensors


def peft_folder(folder: Path, tensors: dict[str, Any], *, rank: int = 4, **config: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    said = {"peft_type": "LORA", "r": rank, "lora_alpha": 8, "bias": "none", "init_lora_weights": True, **config}
    (folder / "adapter_config.json").write_text(json.dumps(said))
    save_file(tensors, folder / "adapter_model.safetensors")
    return folder
