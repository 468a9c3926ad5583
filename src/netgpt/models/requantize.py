"""Rewrites the weights of a GGUF in another block format, so that a faster kernel of this machine can read them.

Block formats (32 weights each): https://github.com/ggml-org/llama.cpp/blob/master/ggml/src/ggml-common.h.
Q4_0: float16 d, 16 bytes; weight = d * (q - 8), q in 0..15. Q4_1: float16 d and m; weight = d * q + m.
Q8_0: float16 d, 32 int8; weight = d * q. In both 4-bit formats the low halves of the bytes are weights 0..15 and
the high halves weights 16..31.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
from numpy.typing import NDArray

from netgpt.errors import ModelUnavailable, RequestError
from netgpt.models.gguf import GgufHeader, Tensor, check_weights, read_header

__all__ = ["FORMATS", "dequantize", "quantize", "requantize"]

BLOCK: Final = 32
ROWS: Final = 65_536
"""Blocks in work at once: 2 M weights, 8 MB of float32."""

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]


def requantize(source: Path, target: Path, form: str) -> Path:
    """Write `source` to `target` with its 4-bit matrices in `form` ("Q4_0" or "Q8_0"); the rest stays as it is.

    Raises RequestError when
    there is nothing to change, ModelUnavailable when the disk is full.
    """
    check_weights(source)
    header = read_header(source)
    number, file_type, _ = FORMATS[form]
    changed = [tensor.type in FOUR_BIT and tensor.type != number for tensor in header.tensors]
    if not any(changed):
        raise RequestError(f"{source}: holds no 4-bit weights in another format than {form}; nothing to do")
    part = target.with_name(f".{target.name}.part")
    try:
        with (
            source.open("rb") as old,
            os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as new,
        ):
            plan = _plan(header, changed, number)
            _write_header(old, new, header, plan, file_type)
            for tensor, placed, change in zip(header.tensors, plan, changed, strict=True):
                _pad(new, header.alignment)
                _write_tensor(old, new, header.data_at, tensor, form if change else None)
                assert new.tell() <= _data_at(header, plan) + placed.offset + (placed.bytes or 0)
            new.flush()
            os.fsync(new.fileno())
        part.replace(target)
    except OSError as error:
        raise ModelUnavailable(f"{target}: cannot be written: {error.strerror}") from None
    finally:
        part.unlink(missing_ok=True)
    return target


def dequantize(kind: int, blocks: Bytes) -> Floats:
    """Blocks of one format, shape (n, bytes per block), as weights (n, 32)."""
    return READERS[kind](blocks)


def quantize(form: str, weights: Floats) -> Bytes:
    """Weights (n, 32) as blocks of `form`, shape (n, bytes per block)."""
    return FORMATS[form][2](weights)


def _halves(blocks: Bytes) -> Floats:
    return np.concatenate([blocks & 15, blocks >> 4], axis=1).astype(np.float32)


def _float16(blocks: Bytes) -> Floats:
    return np.ascontiguousarray(blocks).view(np.float16).astype(np.float32)


def _read_q4_0(blocks: Bytes) -> Floats:
    return _float16(blocks[:, :2]) * (_halves(blocks[:, 2:]) - 8)


def _read_q4_1(blocks: Bytes) -> Floats:
    return _float16(blocks[:, :2]) * _halves(blocks[:, 4:]) + _float16(blocks[:, 2:4])


def _read_q8_0(blocks: Bytes) -> Floats:
    return _float16(blocks[:, :2]) * blocks[:, 2:].view(np.int8).astype(np.float32)


def _write_q4_0(weights: Floats) -> Bytes:
    """The scale is searched: the one of several around (largest weight / -8) with the least squared error."""
    rows = np.arange(len(weights))
    extreme = weights[rows, np.abs(weights).argmax(axis=1)]
    best_error = np.full(len(weights), np.inf, np.float32)
    best = np.zeros((len(weights), 18), np.uint8)
    for divisor in (-8.0, -7.6, -7.2, -6.8, 8.0, 7.5, 7.0):
        scale = (extreme / divisor).astype(np.float16)
        wide = scale.astype(np.float32)[:, None]
        steps = np.divide(weights, wide, out=np.zeros_like(weights), where=wide != 0)
        codes = np.clip(np.rint(steps) + 8, 0, 15)
        error = np.square(wide * (codes - 8) - weights).sum(axis=1)
        better = error < best_error
        best_error[better] = error[better]
        small = codes[better].astype(np.uint8)
        best[better, :2] = scale[better].view(np.uint8).reshape(-1, 2)
        best[better, 2:] = small[:, :16] | (small[:, 16:] << 4)
    return best


def _write_q8_0(weights: Floats) -> Bytes:
    scale = (np.abs(weights).max(axis=1) / 127).astype(np.float16)
    wide = scale.astype(np.float32)[:, None]
    steps = np.divide(weights, wide, out=np.zeros_like(weights), where=wide != 0)
    codes = np.clip(np.rint(steps), -127, 127).astype(np.int8)
    return np.concatenate([scale.view(np.uint8).reshape(-1, 2), codes.view(np.uint8)], axis=1)


READERS: Final[dict[int, Callable[[Bytes], Floats]]] = {2: _read_q4_0, 3: _read_q4_1, 8: _read_q8_0}
"""By tensor type number."""
FOUR_BIT: Final = (2, 3)
"""The types that are rewritten: finer ones (the embedding of a small model) are fine for a reason."""
FORMATS: Final[dict[str, tuple[int, int, Callable[[Floats], Bytes]]]] = {
    "Q4_0": (2, 2, _write_q4_0),
    "Q8_0": (8, 7, _write_q8_0),
}
"""Name -> tensor type, `general.file_type`, writer."""


def _plan(header: GgufHeader, changed: list[bool], number: int) -> list[Tensor]:
    """The tensors as they will be: new types, and offsets that follow one another."""
    plan: list[Tensor] = []
    offset = 0
    for tensor, change in zip(header.tensors, changed, strict=True):
        placed = replace(tensor, type=number if change else tensor.type, offset=offset)
        if placed.bytes is None:
            raise RequestError(f"tensor {tensor.name} has a type that is not known here; it cannot be rewritten")
        plan.append(placed)
        offset = _aligned(offset + placed.bytes, header.alignment)
    return plan


def _write_header(old: BinaryIO, new: BinaryIO, header: GgufHeader, plan: list[Tensor], file_type: int) -> None:
    start = bytearray(old.read(header.tensors_at))
    if "general.file_type" in header.value_at:
        struct.pack_into("<I", start, header.value_at["general.file_type"], file_type)
    new.write(start)
    for tensor in plan:
        new.write(_tensor_entry(tensor))


def _tensor_entry(tensor: Tensor) -> bytes:
    name = tensor.name.encode("utf-8")
    shape = struct.pack(f"<{len(tensor.shape)}Q", *tensor.shape)
    return b"".join(
        [struct.pack("<Q", len(name)), name, struct.pack("<I", len(tensor.shape)), shape,
         struct.pack("<IQ", tensor.type, tensor.offset)]
    )  # fmt: skip


def _data_at(header: GgufHeader, plan: list[Tensor]) -> int:
    return _aligned(header.tensors_at + sum(len(_tensor_entry(tensor)) for tensor in plan), header.alignment)


def _write_tensor(old: BinaryIO, new: BinaryIO, data_at: int, tensor: Tensor, form: str | None) -> None:
    old.seek(data_at + tensor.offset)
    left = tensor.bytes or 0
    size = (left // (tensor.weights // BLOCK)) if form else 1
    while left:
        data = old.read(min(left, ROWS * size if form else 1 << 20))
        if not data:
            raise RequestError(f"tensor {tensor.name}: the file ends within its data")
        left -= len(data)
        if form:
            blocks: Any = np.frombuffer(data, np.uint8).reshape(-1, size)
            data = quantize(form, dequantize(tensor.type, blocks)).tobytes()
        new.write(data)


def _pad(file: BinaryIO, alignment: int) -> None:
    at = file.tell()
    file.write(b"\0" * (_aligned(at, alignment) - at))


def _aligned(at: int, alignment: int) -> int:
    return -(-at // alignment) * alignment
