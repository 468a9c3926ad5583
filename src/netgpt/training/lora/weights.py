"""The base model's weights, one tensor at a time: from a GGUF file or a Hugging Face folder.

Nothing is loaded whole: a tensor is read (and dequantized by groups of rows) when a layer is built, so the peak of
memory is that of the layers in use. Files are read, not memory-mapped: mapped pages would count as memory too.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from netgpt.adapters.formats import ModelShape, shape_of_config, shape_of_gguf
from netgpt.errors import NotFound, RequestError, SettingsError
from netgpt.models.gguf import TENSOR_TYPES, GgufHeader, Tensor, read_header

if TYPE_CHECKING:
    import torch


ROWS_AT_ONCE_BYTES = 8_000_000
"""How much of a quantized tensor is unpacked at once, counted in unpacked fp32 bytes."""


class Base(Protocol):
    """A base model whose weights are read by their GGUF names."""

    path: Path
    shape: ModelShape

    @property
    def names(self) -> frozenset[str]:
        """The names of all tensors."""

    def read(self, name: str, dtype: torch.dtype) -> torch.Tensor:
        """One tensor as (out, in), q and k in Hugging Face's order of rows. Raises RequestError."""

    def digest(self) -> str:
        """Tells these weights from others, cheaply: a hash of the header, the size and the ends of the data."""


def open_base(path: Path) -> Base:
    """Open a `.gguf` file or a folder with `config.json` and `*.safetensors`. Raises NotFound or RequestError."""
    return FolderBase(path) if path.is_dir() else GgufBase(path)


class GgufBase:
    """A GGUF file of any quantization that the `gguf` package can unpack."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.header: GgufHeader = read_header(path)
        self._tensors = {tensor.name: tensor for tensor in self.header.tensors}
        embedding = self._tensors.get("token_embd.weight")
        if embedding is None:
            raise RequestError(f"{path}: holds no token_embd.weight, so it is not a model to train on")
        if "rope_freqs.weight" in self._tensors:
            raise SettingsError(f"{path}: positions are scaled (rope_freqs), which the trainer does not know")
        self.shape = shape_of_gguf(self.header.metadata, embedding.shape[1], str(path))

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._tensors)

    def read(self, name: str, dtype: torch.dtype) -> torch.Tensor:
        import numpy as np
        import torch

        tensor = self._tensors.get(name)
        if tensor is None:
            raise RequestError(f"{self.path}: lacks the tensor {name}")
        shape = tensor.shape[::-1]
        whole = torch.empty(shape, dtype=dtype)
        rows = whole.view(-1, shape[-1])
        try:
            with self.path.open("rb") as file:
                file.seek(self.header.data_at + tensor.offset)
                step = max(1, ROWS_AT_ONCE_BYTES // (4 * shape[-1]))
                for start in range(0, len(rows), step):
                    part = rows[start : start + step]
                    _, block, size = TENSOR_TYPES[tensor.type]
                    data = np.frombuffer(file.read(len(part) * shape[-1] // block * size), np.uint8)
                    part.copy_(torch.from_numpy(_dequantized(tensor, data, shape[-1])))
        except (OSError, ValueError) as error:
            raise RequestError(f"{self.path}: {name} cannot be read ({error}); fetch the file again") from None
        if self.shape.architecture != "llama" or not name.endswith(("attn_q.weight", "attn_k.weight")):
            return whole
        half = self.shape.head_dim // 2  # GGUF interleaves the rotated pairs of llama's q and k (not of Qwen's)
        return whole.view(-1, half, 2, whole.shape[-1]).transpose(1, 2).reshape(whole.shape)

    def digest(self) -> str:
        return _digest_of_file(self.path, self.header.data_at)


class FolderBase:
    """A Hugging Face folder: `config.json` and one or more safetensors files. Pickled weights are refused."""

    def __init__(self, path: Path) -> None:
        self.path = path
        config = path / "config.json"
        if not config.is_file():
            raise NotFound(f"{path}: no config.json here; name a .gguf file or a Hugging Face folder")
        try:
            self.config: dict[str, Any] = json.loads(config.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise RequestError(f"{config}: cannot be read ({error})") from None
        self.shape = shape_of_config(self.config, str(path))
        self._files = _files_of(path)

    @property
    def names(self) -> frozenset[str]:
        family = self.shape.family
        outer = {name for name, theirs in family.outer.items() if self._find(theirs)}
        inner = {
            f"blk.{layer}.{word}.{kind}"
            for layer in range(self.shape.layers)
            for word in (*family.modules, *family.norms)
            for kind in ("weight", "bias")
            if self._find(family.hf_name(f"blk.{layer}.{word}.{kind}"))
        }
        return frozenset(outer | inner)

    def read(self, name: str, dtype: torch.dtype) -> torch.Tensor:
        from safetensors import SafetensorError, safe_open

        theirs = self._find(self.shape.family.hf_name(name))
        if theirs is None:
            raise RequestError(f"{self.path}: lacks the tensor {self.shape.family.hf_name(name)}")
        try:
            with safe_open(self._files[theirs], "pt") as file:
                found: torch.Tensor = file.get_tensor(theirs)
        except (OSError, SafetensorError) as error:
            raise RequestError(f"{self._files[theirs]}: {theirs} cannot be read ({error})") from None
        transposed = self.shape.family.transposed and name.startswith("blk.") and found.dim() == 2
        return (found.T if transposed else found).to(dtype, copy=True).contiguous()

    def digest(self) -> str:
        parts = [_digest_of_file(file, 1 << 20) for file in sorted(set(self._files.values()))]
        return hashlib.sha256("".join(parts).encode()).hexdigest()

    def _find(self, theirs: str) -> str | None:
        """The stored name: some folders leave out the outermost module ("transformer.")."""
        short = theirs.partition(".")[2]
        return next((name for name in (theirs, short) if name in self._files), None)


def _files_of(folder: Path) -> dict[str, Path]:
    """Tensor name -> file, of every safetensors file of the folder."""
    from safetensors import SafetensorError, safe_open

    files: dict[str, Path] = {}
    for file in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(file, "pt") as opened:
                files.update(dict.fromkeys(opened.keys(), file))
        except (OSError, SafetensorError) as error:
            raise RequestError(f"{file}: cannot be read ({error})") from None
    if not files:
        raise RequestError(f"{folder}: holds no .safetensors; pickled weights are not read, convert them first")
    return files


def _dequantized(tensor: Tensor, data: Any, width: int) -> Any:
    """Rows of fp32 from the stored bytes."""
    from gguf import GGMLQuantizationType, quants

    kind = GGMLQuantizationType(tensor.type)
    plain = {"F32": "<f4", "F16": "<f2"}.get(kind.name)
    if plain is not None:
        return data.view(plain).reshape(-1, width).astype("float32")
    _, block, size = TENSOR_TYPES[tensor.type]
    return quants.dequantize(data.reshape(-1, width // block * size), kind)


def _digest_of_file(path: Path, head: int) -> str:
    whole = hashlib.sha256(str(path.stat().st_size).encode())
    with path.open("rb") as file:
        whole.update(file.read(head + (1 << 20)))
        file.seek(max(0, path.stat().st_size - (1 << 20)))
        whole.update(file.read())
    return whole.hexdigest()
