"""Writes a whole model as a Hugging Face folder: after full training, or a base for others. Needs torch."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from netgpt.adapters.families import ModelShape
from netgpt.errors import StoreError
from netgpt.tuning.bases import Base
from netgpt.tuning.checkpoint import make_folder
from netgpt.tuning.peft_writer import write_text
from netgpt.tuning.tokens import Speech, open_speech

__all__ = ["write_base", "write_model"]

FORMATS = {torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16"}


def write_base(base: Base, folder: Path, dtype: torch.dtype = torch.float32) -> Path:
    """Write any base (a GGUF too) as a folder that `from_pretrained` reads, one tensor in memory at a time."""
    write_model(folder, base, lambda name: base.read(name, dtype), dtype)
    return folder


def write_model(folder: Path, base: Base, read: Callable[[str], Tensor], dtype: torch.dtype) -> None:
    """Write config, tokenizer and weights; `read` gives each tensor by its GGUF name. Raises StoreError."""
    make_folder(folder)
    shape = base.shape
    names = sorted(name for name in base.names if name != "rope_freqs.weight")
    _write_weights(folder / "model.safetensors", names, shape, lambda name: read(name).detach().to(dtype).cpu())
    speech = open_speech(base)
    config = _config(shape, speech, tied="output.weight" not in base.names, dtype=dtype)
    if f"blk.0.{'attn_q'}.bias" in base.names and shape.architecture == "llama":
        config["attention_bias"] = True
    write_text(folder / "config.json", json.dumps(config, indent=2) + "\n")
    write_text(folder / "tokenizer.json", speech.tokenizer_json())
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "chat_template": speech.template, **speech.texts}
    write_text(folder / "tokenizer_config.json", json.dumps(settings, indent=2, ensure_ascii=False) + "\n")


def _write_weights(path: Path, names: Iterable[str], shape: ModelShape, read: Callable[[str], Tensor]) -> None:
    """The safetensors format by hand (a header, then the data), so that no two tensors are in memory at once."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    part, body = path.with_name(path.name + ".part"), path.with_name(path.name + ".body")
    try:
        with os.fdopen(os.open(body, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            for name in names:
                tensor, at = _as_stored(name, read(name), shape), file.tell()
                file.write(tensor.view(torch.uint8).numpy().data)
                entry = {"dtype": FORMATS[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [at, file.tell()]}
                header[shape.family.hf_name(name)] = entry
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        with os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as whole:
            whole.write(len(text).to_bytes(8, "little") + text)
            with body.open("rb") as file_read:
                while data := file_read.read(1 << 24):
                    whole.write(data)
            whole.flush()
            os.fsync(whole.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise StoreError(f"{path}: cannot be written: {error.strerror}; free some space") from None
    finally:
        body.unlink(missing_ok=True)


def _as_stored(name: str, tensor: Tensor, shape: ModelShape) -> Tensor:
    transposed = shape.family.transposed and name.startswith("blk.") and tensor.dim() == 2
    return (tensor.T if transposed else tensor).contiguous()


def _config(shape: ModelShape, speech: Speech, *, tied: bool, dtype: torch.dtype) -> dict[str, Any]:
    common = {"vocab_size": shape.vocab, "eos_token_id": speech.end_id, "bos_token_id": speech.bos_or_end,
              "tie_word_embeddings": tied, "dtype": str(dtype).removeprefix("torch."),
              "model_type": shape.architecture}  # fmt: skip
    if shape.architecture == "gpt2":
        return common | {
            "architectures": ["GPT2LMHeadModel"], "n_embd": shape.hidden, "n_layer": shape.layers,
            "n_head": shape.heads, "n_positions": shape.context, "n_inner": shape.inner,
            "layer_norm_epsilon": shape.norm_eps,
        }  # fmt: skip
    named = {"llama": "LlamaForCausalLM", "qwen2": "Qwen2ForCausalLM"}[shape.architecture]
    return common | {
        "architectures": [named], "hidden_size": shape.hidden, "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads, "num_key_value_heads": shape.kv_heads, "head_dim": shape.head_dim,
        "intermediate_size": shape.inner, "max_position_embeddings": shape.context, "hidden_act": "silu",
        "rms_norm_eps": shape.norm_eps, "rope_theta": shape.rope_theta,
        "rope_parameters": {"rope_type": "default", "rope_theta": shape.rope_theta},
    }  # fmt: skip
