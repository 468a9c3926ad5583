"""Reads and checks a LoRA adapter in GGUF, without loading it into an engine.

An adapter's file may come from anywhere, and what llama.cpp makes of a bad one is a dead engine: so whatever it
would trip over is refused here, and everything else that a LoRA has no need of is refused as well.
Layout: `general.type` "adapter", `adapter.type` "lora", `adapter.lora.alpha` (float32), and for each matrix two
tensors, `blk.N.attn_q.weight.lora_a` (rank rows of the input's width) and `.lora_b` (output rows of rank).
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from netgpt.adapters.families import FAMILIES
from netgpt.adapters.folder import plain_size
from netgpt.errors import PayloadTooLarge, RequestError
from netgpt.models.gguf import GgufHeader, Tensor, read_header

__all__ = ["MAX_BYTES", "AdapterFile", "check_base", "check_sides", "read_adapter"]

MAX_BYTES: Final = 64_000_000
MAX_RANK: Final = 256
MAX_LAYERS: Final = 1_000
MAX_VALUE: Final = 65_504.0
"""The largest float16: what is beyond it becomes infinite in the engine."""

KINDS: Final = {0: "<f4", 1: "<f2", 30: "<u2"}
"""Tensor types that an adapter may have (F32, F16, BF16) and how numpy reads their bytes."""
FLOAT32: Final = 6
NAME: Final = re.compile(r"blk\.(0|[1-9][0-9]{0,3})\.([a-z_]{1,24})\.weight\.lora_([ab])")
CHUNK: Final = 1 << 20
ENTRIES_AT: Final = 16
"""Where in a GGUF the number of metadata entries stands, in bytes."""
ALPHA: Final = "adapter.lora.alpha"
WANTED: Final = {"general.type": "adapter", "adapter.type": "lora"}


@dataclass(frozen=True)
class AdapterFile:
    """What a checked adapter is. `pairs`: (layer, target) -> (width of the input, width of the output)."""

    path: Path
    architecture: str
    rank: int
    alpha: float
    """The strength is `alpha / rank`."""
    targets: tuple[str, ...]
    layers: int
    """How many layers it touches."""
    bytes: int
    pairs: dict[tuple[int, str], tuple[int, int]] = field(repr=False)


def read_adapter(path: Path, *, max_bytes: int = MAX_BYTES) -> AdapterFile:
    """Check the whole file. Raises NotFound, PayloadTooLarge, or RequestError that says what is wrong with it.

    Its values are read in pieces, so a large file needs little memory.
    """
    size = plain_size(path)
    if size > max_bytes:
        raise PayloadTooLarge(f"{path}: {size:,} bytes; an adapter may have {max_bytes:,} at most")
    header = read_header(path)
    architecture, alpha = _check_metadata(path, header)
    pairs, rank = _pairs(path, header.tensors, tuple(FAMILIES[architecture].modules))
    _check_places(path, header)
    _check_values(path, header)
    return AdapterFile(
        path=path, architecture=architecture, rank=rank, alpha=alpha,
        targets=tuple(target for target in FAMILIES[architecture].modules if any(target == t for _, t in pairs)),
        layers=len({layer for layer, _ in pairs}), bytes=header.file_bytes, pairs=pairs,
    )  # fmt: skip


def check_base(adapter: AdapterFile, base: Path) -> None:
    """Refuse an adapter whose matrices are not those of the GGUF model `base`. Raises NotFound, RequestError."""
    header = read_header(base)
    architecture = header.metadata.get("general.architecture")
    if architecture != adapter.architecture:
        raise RequestError(
            f"{adapter.path}: made for a {adapter.architecture} model, but {base.name} is {architecture}"
        )
    shapes = {tensor.name: tensor.shape for tensor in header.tensors}
    for (layer, target), pair in adapter.pairs.items():
        _compare(adapter, layer, target, pair, shapes.get(f"blk.{layer}.{target}.weight"), base.name)


def check_sides(adapter: AdapterFile, sides: Mapping[str, tuple[int, int]], layers: int, base: str) -> None:
    """Refuse an adapter that does not fit a model `base` of so many layers, whose matrices are (out, in) by target."""
    for (layer, target), pair in adapter.pairs.items():
        found = sides[target][::-1] if target in sides and layer < layers else None
        _compare(adapter, layer, target, pair, found, base)


def _compare(
    adapter: AdapterFile, layer: int, target: str, pair: tuple[int, int], found: tuple[int, ...] | None, base: str
) -> None:
    if found is None:
        raise RequestError(f"{adapter.path}: changes {target} of layer {layer}, which {base} does not have")
    if found != pair:
        raise RequestError(
            f"{adapter.path}: {target} of layer {layer} is {_by(pair)}, in {base} it is {_by(found)}; "
            "the adapter was made for another model"
        )


def _check_metadata(path: Path, header: GgufHeader) -> tuple[str, float]:
    """The architecture and alpha; each value of the type that the engine insists on, and no key twice."""
    metadata = header.metadata
    with path.open("rb") as file:
        file.seek(ENTRIES_AT)
        (entries,) = struct.unpack("<Q", file.read(8))
        kinds = {key: _kind_at(file, at) for key, at in header.value_at.items()}
    if entries != len(metadata):
        raise RequestError(f"{path}: damaged GGUF: a metadata key stands there twice")
    for key, wanted in WANTED.items():
        if metadata.get(key) != wanted:
            raise RequestError(f'{path}: not a LoRA adapter: "{key}" is not "{wanted}"')
    strange = [key for key in metadata if key.startswith("adapter.") and key not in ("adapter.type", ALPHA)]
    if strange:
        raise RequestError(f"{path}: holds {_short(strange[0])}, which is no part of a plain LoRA adapter")
    if header.alignment != 32 or "general.alignment" in metadata:
        raise RequestError(f"{path}: has an alignment of its own; write it with the usual 32 bytes")
    architecture = metadata.get("general.architecture")
    if not isinstance(architecture, str) or architecture not in FAMILIES:
        raise RequestError(f"{path}: an adapter of {_short(architecture)}; known here: {', '.join(FAMILIES)}")
    alpha = metadata.get(ALPHA)
    if kinds.get(ALPHA) != FLOAT32 or not isinstance(alpha, float) or not math.isfinite(alpha) or not 0 < alpha <= 1e6:
        raise RequestError(f'{path}: "{ALPHA}" is missing or no sound number')
    return architecture, alpha


def _kind_at(file: Any, value_at: int) -> int:
    """The type of a metadata value: it stands in the four bytes before it."""
    file.seek(value_at - 4)
    return int.from_bytes(file.read(4), "little")


def _pairs(
    path: Path, tensors: Sequence[Tensor], targets: tuple[str, ...]
) -> tuple[dict[tuple[int, str], tuple[int, int]], int]:
    """The matrices that are changed, with their widths, and the one rank that all have."""
    halves: dict[tuple[int, str], dict[str, tuple[int, ...]]] = {}
    for tensor in tensors:
        match = NAME.fullmatch(tensor.name)
        if match is None or match[2] not in targets or int(match[1]) >= MAX_LAYERS:
            raise RequestError(f"{path}: holds an unknown tensor {_short(tensor.name)}; expected blk.N.{targets[0]}...")
        half = halves.setdefault((int(match[1]), match[2]), {})
        if match[3] in half:
            raise RequestError(f"{path}: holds the tensor {tensor.name} twice")
        if len(tensor.shape) != 2 or 0 in tensor.shape or tensor.type not in KINDS:
            raise RequestError(f"{path}: {tensor.name} is no matrix of F32, F16 or BF16")
        half[match[3]] = tensor.shape
    if not halves:
        raise RequestError(f"{path}: the adapter holds no tensors")
    pairs: dict[tuple[int, str], tuple[int, int]] = {}
    ranks = set()
    for (layer, target), half in halves.items():
        if set(half) != {"a", "b"} or half["a"][1] != half["b"][0]:
            raise RequestError(f"{path}: lora_a and lora_b of {target} in layer {layer} do not belong together")
        ranks.add(half["a"][1])
        pairs[layer, target] = (half["a"][0], half["b"][1])
    if len(ranks) != 1 or not 1 <= max(ranks) <= MAX_RANK:
        raise RequestError(f"{path}: its ranks are {sorted(ranks)[:4]}; one rank for all, 1 to {MAX_RANK}, is expected")
    return pairs, ranks.pop()


def _check_places(path: Path, header: GgufHeader) -> None:
    """The tensors' data follow one another, fill the file, and nothing stands behind them."""
    at = 0
    for tensor in header.tensors:
        if tensor.offset != at:
            raise RequestError(f"{path}: damaged GGUF: {tensor.name} is not where it should be")
        at += -(-(tensor.bytes or 0) // header.alignment) * header.alignment
    last = header.tensors[-1]
    end = header.data_at + last.offset + (last.bytes or 0)
    if header.file_bytes < end:
        raise RequestError(f"{path}: cut off: {header.file_bytes:,} bytes of {end:,} are here")
    if header.file_bytes > header.data_at + at:
        raise RequestError(f"{path}: {header.file_bytes - header.data_at - at:,} bytes stand behind its end")


def _check_values(path: Path, header: GgufHeader) -> None:
    with path.open("rb") as file:
        for tensor in header.tensors:
            file.seek(header.data_at + tensor.offset)
            left = tensor.bytes or 0
            while left > 0:
                data = file.read(min(left, CHUNK))
                left -= len(data) or left
                if not _all_sound(data, tensor.type):
                    raise RequestError(f"{path}: {tensor.name} holds values that are no numbers or beyond all measure")


def _all_sound(data: bytes, kind: int) -> bool:
    import numpy as np

    values: Any = np.frombuffer(data, KINDS[kind])
    if KINDS[kind] == "<u2":  # BF16: the upper half of a float32
        values = (values.astype(np.uint32) << 16).view(np.float32)
    return bool(np.all(np.abs(values.astype(np.float32)) <= MAX_VALUE))  # false for NaN too


def _short(value: object) -> str:
    return repr(value)[:60]


def _by(shape: Sequence[int]) -> str:
    return " x ".join(str(side) for side in shape)
