"""Invented LoRA adapters for a model that is here: they mean nothing, but change what it says, each in its own way."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from netgpt.models.gguf import check_weights, read_header

__all__ = ["random_adapter"]

FLOAT32, STRING = 6, 8
F32: Final = 0
ALIGNMENT: Final = 32


def random_adapter(
    base: Path,
    target: Path,
    seed: int,
    *,
    rank: int = 4,
    strength: float = 1.0,
    targets: Sequence[str] = ("attn_q", "attn_v"),
) -> Path:
    """Write a GGUF LoRA for the model `base` to `target`, the same for the same seed. Returns `target`.

    `strength`: size of the change to each output beside the output of a typical matrix; 1 changes most answers.
    Layout of the file: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md.
    """
    random = np.random.default_rng(seed)
    tensors: list[tuple[str, NDArray[np.float32]]] = []
    for tensor in read_header(base).tensors:
        parts = tensor.name.split(".")
        if parts[0] == "blk" and parts[2] in targets and parts[-1] == "weight":
            inputs, outputs = tensor.shape
            scale = np.float32(strength / np.sqrt(inputs * rank))
            tensors.append((f"{tensor.name}.lora_a", random.standard_normal((rank, inputs), np.float32)))
            tensors.append((f"{tensor.name}.lora_b", scale * random.standard_normal((outputs, rank), np.float32)))
    metadata: dict[str, str | float] = {
        "general.type": "adapter",
        "general.architecture": check_weights(base).architecture,
        "adapter.type": "lora",
        "adapter.lora.alpha": float(rank),
    }
    target.write_bytes(_gguf(metadata, tensors))
    target.chmod(0o600)
    return target


def _gguf(metadata: dict[str, str | float], tensors: Sequence[tuple[str, NDArray[np.float32]]]) -> bytes:
    head = [b"GGUF", struct.pack("<IQQ", 3, len(tensors), len(metadata))]
    for key, value in metadata.items():
        head.append(_text(key))
        if isinstance(value, str):
            head.append(struct.pack("<I", STRING) + _text(value))
        else:
            head.append(struct.pack("<If", FLOAT32, value))
    offset = 0
    for name, values in tensors:
        head.append(_text(name) + struct.pack("<IQQIQ", 2, values.shape[1], values.shape[0], F32, offset))
        offset += _padded(values.nbytes)
    whole = bytearray(b"".join(head))
    whole += b"\0" * (_padded(len(whole)) - len(whole))
    for _, values in tensors:
        data: Any = values.astype("<f4").tobytes()
        whole += data + b"\0" * (_padded(len(data)) - len(data))
    return bytes(whole)


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text)) + text.encode()


def _padded(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
