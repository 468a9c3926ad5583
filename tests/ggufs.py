"""Small GGUF files for tests, made byte by byte."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

TEMPLATE = "{% for m in messages %}<|im_start|>{{ m.role }}{{ m.content }}<|im_end|>{% endfor %}"
CHAT: dict[str, Any] = {
    "general.architecture": "llama",
    "general.name": "tiny",
    "general.file_type": 3,
    "llama.context_length": 2048,
    "tokenizer.chat_template": TEMPLATE,
    "tokenizer.ggml.tokens": ["a", "b", "c"],
}


def text(value: str) -> bytes:
    data = value.encode()
    return struct.pack("<Q", len(data)) + data


def value(of: Any) -> bytes:
    if isinstance(of, str):
        return struct.pack("<I", 8) + text(of)
    if isinstance(of, list):
        return struct.pack("<IIQ", 9, 8, len(of)) + b"".join(text(item) for item in of)
    return struct.pack("<II", 4, of)


def gguf_bytes(metadata: dict[str, Any], tensors: list[tuple[str, int, int, bytes]]) -> bytes:
    """A GGUF: metadata, and tensors as (name, weights, type, data), placed one after another."""
    head = struct.pack("<4sIQQ", b"GGUF", 3, len(tensors), len(metadata))
    head += b"".join(text(key) + value(of) for key, of in metadata.items())
    body = b""
    for name, weights, kind, data in tensors:
        head += text(name) + struct.pack("<IQIQ", 1, weights, kind, len(body))
        body += data + b"\0" * (-len(data) % 32)
    return head + b"\0" * (-len(head) % 32) + body


def tiny_gguf(path: Path, **changes: Any) -> Path:
    """A well-formed, useless chat model. `changes` replace metadata by key with dots as `__`; None leaves one out."""
    metadata = {**CHAT, **{key.replace("__", "."): of for key, of in changes.items()}}
    kept = {key: of for key, of in metadata.items() if of is not None}
    q4_1 = bytes(range(20)) * 4
    path.write_bytes(gguf_bytes(kept, [("a.weight", 128, 3, q4_1), ("norm", 4, 0, struct.pack("<4f", 1, 2, 3, 4))]))
    return path
