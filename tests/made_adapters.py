"""Small adapters for tests: GGUF files made byte by byte, and cards that tell the truth about them (or not)."""

from __future__ import annotations

import asyncio
import hashlib
import random
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ggufs import text, value

from netgpt.adapters.card import Card
from netgpt.adapters.registry import Registry
from netgpt.store.encryption import Sealer
from netgpt.store.store import Store

BASE_SHA = "ba5e" * 16
METADATA: dict[str, Any] = {
    "general.architecture": "llama", "general.type": "adapter", "adapter.type": "lora", "adapter.lora.alpha": 16.0
}  # fmt: skip
WIDTHS = {"attn_q": (64, 64), "attn_v": (64, 32)}
"""Target -> (input, output) of the tiny model that `base_file` writes."""

Tensors = list[tuple[str, tuple[int, ...], int, bytes]]


def lora_tensors(rank: int = 4, layers: int = 2, *, seed: int = 1) -> Tensors:
    """Random F16 pairs for every target of every layer."""
    rng = random.Random(seed)

    def halves(count: int) -> bytes:
        return struct.pack(f"<{count}e", *(rng.uniform(-1, 1) for _ in range(count)))

    tensors: Tensors = []
    for layer in range(layers):
        for target, (width, out) in WIDTHS.items():
            name = f"blk.{layer}.{target}.weight"
            tensors.append((f"{name}.lora_a", (width, rank), 1, halves(width * rank)))
            tensors.append((f"{name}.lora_b", (rank, out), 1, halves(rank * out)))
    return tensors


def packed(metadata: dict[str, Any], tensors: Tensors) -> bytes:
    """A GGUF of these; floats are written as float32."""
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(metadata))
    for key, of in metadata.items():
        head += text(key) + (struct.pack("<If", 6, of) if isinstance(of, float) else value(of))
    body = b""
    for name, shape, kind, data in tensors:
        head += text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, kind, len(body))
        body += data + b"\0" * (-len(data) % 32)
    return head + b"\0" * (-len(head) % 32) + body


def adapter_file(path: Path, *, seed: int = 1, rank: int = 4, metadata: dict[str, Any] | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(packed({**METADATA, **(metadata or {})}, lora_tensors(rank, seed=seed)))
    return path


def base_file(path: Path, **metadata: Any) -> Path:
    """A model whose matrices the adapters fit; nothing in it but their names and shapes."""
    tensors: Tensors = [
        (f"blk.{layer}.{target}.weight", shape, 1, b"\0" * (2 * shape[0] * shape[1]))
        for layer in range(2)
        for target, shape in WIDTHS.items()
    ]
    path.write_bytes(packed({"general.architecture": "llama", **metadata}, tensors))
    return path


def card_for(weights: Path, name: str = "site", version: int = 1, **changes: Any) -> Card:
    data = weights.read_bytes()
    facts = {
        "name": name, "version": version, "scope": "site", "base": "tiny", "base_sha256": BASE_SHA,
        "architecture": "llama", "rank": 4, "alpha": 16.0, "targets": ("attn_q", "attn_v"),
        "weights_sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data), "recipe": {"seed": 7},
        "data_digest": "d" * 64, "examples": 3, "created": datetime(2025, 1, 2, tzinfo=UTC),
    }  # fmt: skip
    return Card.model_validate({**facts, **changes})


@contextmanager
def vouched_registry(home: Path) -> Iterator[Registry]:
    """The adapters of a home, vouched for by its database."""
    store = Store.open(home / "netgpt.db", Sealer.from_file(home / "secret.key"))
    try:
        yield Registry(home / "adapters", proof=store.files)
    finally:
        asyncio.run(store.close())
