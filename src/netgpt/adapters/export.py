"""Export: a LoRA in PEFT's form becomes a LoRA in GGUF that llama.cpp loads beside its base.

Three things differ between the two. Names: "model.layers.3.self_attn.q_proj" is "blk.3.attn_q". The order of the rows
of q and k in the llama architecture: in each head GGUF interleaves the two halves that rotary positions turn
together, so the rows of B move as the rows of the weights themselves did. And the strength: GGUF keeps one alpha, and
the engine divides it by the rank. GPT-2's Conv1D matrices stand transposed in Hugging Face's files, but PEFT's A
and B are (rank, in) and (out, rank) for them too, and GGUF keeps q, k and v fused as GPT-2 does: nothing is turned.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from netgpt.adapters.families import ModelShape, shape_of_config, shape_of_gguf
from netgpt.adapters.file import AdapterFile, check_sides, read_adapter
from netgpt.adapters.peft import PeftFolder, read_config_json, read_peft
from netgpt.errors import RequestError, SettingsError, StoreError
from netgpt.models.files import move_into_place
from netgpt.models.gguf import read_header

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["AdapterFile", "export", "interleaved", "read_adapter", "shape_of"]


def export(folder: Path, base: Path, target: Path, *, form: Literal["F16", "F32"] = "F16") -> AdapterFile:
    """Write the PEFT `folder` as the GGUF adapter `target` (0600), whole or not at all; returns what was written.

    `base`: the model that it was trained on, a GGUF file or a Hugging Face folder; it tells architecture and heads.
    Raises NotFound, RequestError (not a plain LoRA, or not of this base), SettingsError (the base's architecture is
    not known, or the extra `train` is missing), StoreError (cannot be written).
    """
    shape = shape_of(base)
    adapter = read_peft(folder, shape.family)
    part = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(part, shape, adapter, form)
        written = read_adapter(part)
        check_sides(written, {word: shape.sides(word) for word in shape.family.modules}, shape.layers, base.name)
        move_into_place(part, target)
    except RequestError as error:
        raise type(error)(error.message.replace(str(part), str(folder))) from None
    except OSError as error:
        raise StoreError(f"{target}: cannot be written: {error.strerror}") from None
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return read_adapter(target)


def shape_of(base: Path) -> ModelShape:
    """The sizes of a model in a GGUF file or a Hugging Face folder. Raises NotFound, RequestError, SettingsError."""
    if base.is_dir():
        return shape_of_config(read_config_json(base / "config.json"), str(base))
    header = read_header(base)
    embedding = next((tensor for tensor in header.tensors if tensor.name == "token_embd.weight"), None)
    if embedding is None or len(embedding.shape) != 2:
        raise RequestError(f"{base}: holds no token_embd.weight, so it is not a language model")
    return shape_of_gguf(header.metadata, embedding.shape[1], str(base))


def interleaved(rows: NDArray[Any], heads: int) -> NDArray[Any]:
    """Rows of q or k (out, n) in GGUF's order: within each head the first and the second half take turns."""
    out = rows.shape[0]
    return rows.reshape(heads, 2, out // heads // 2, -1).swapaxes(1, 2).reshape(rows.shape)


def _write(part: Path, shape: ModelShape, adapter: PeftFolder, form: str) -> None:
    import numpy as np

    try:
        from gguf import GGUFWriter
    except ImportError:
        raise SettingsError("export needs the extra: pip install 'netgpt[train]'") from None
    part.unlink(missing_ok=True)
    part.touch(mode=0o600)
    writer = GGUFWriter(part, shape.architecture)
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", adapter.alpha)
    kind = np.float16 if form == "F16" else np.float32
    heads = {"attn_q": shape.heads, "attn_k": shape.kv_heads} if shape.architecture == "llama" else {}
    for (layer, word), (a, b) in adapter.pairs.items():
        if word in heads and b.shape[0] % (2 * heads[word]) == 0:
            b = interleaved(b, heads[word])
        name = f"blk.{layer}.{word}.weight"
        with np.errstate(over="ignore"):  # what is too large becomes infinite, and the check afterwards refuses it
            writer.add_tensor(f"{name}.lora_a", np.ascontiguousarray(a, kind))
            writer.add_tensor(f"{name}.lora_b", np.ascontiguousarray(b, kind))
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()
