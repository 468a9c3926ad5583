"""Writes what a training leaves on the disk: checkpoints, an adapter in PEFT's format, a Hugging Face model folder.

Nothing is pickled. Each file is written whole or not at all, for its owner alone. Needs torch.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from netgpt.adapters.formats import ModelShape
from netgpt.errors import StoreError
from netgpt.models.download import write_whole
from netgpt.training.lora.data import ChatTokenizer, load_tokenizer
from netgpt.training.lora.recipe import Recipe
from netgpt.training.lora.weights import Base

FORMATS: Final = {torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16"}


def make_folder(path: Path) -> None:
    """Make a private folder. Raises StoreError."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{path}: cannot be made: {error.strerror}; choose another folder to work in") from None


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file and sync it. Raises StoreError when the disk is full."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    part = path.with_name(path.name + ".part")
    size = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    try:
        part.touch(mode=0o600)
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, part, dict(metadata))
        with part.open("rb+") as file:
            os.fchmod(file.fileno(), 0o600)
            os.fsync(file.fileno())
        part.replace(path)
    except (OSError, SafetensorError) as error:
        part.unlink(missing_ok=True)
        raise StoreError(
            f"{path}: {size / 1e6:,.1f} MB could not be written ({error}). Free some space or choose another folder; "
            "training goes on from its last checkpoint when it is started again."
        ) from None


def save_state(path: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Write a checkpoint; the state is in the header of the tensors' file, so the two never disagree."""
    save_tensors(path, tensors, {"netgpt": json.dumps(state)})


def load_state(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Read a checkpoint; None when there is none or it is damaged (then training starts anew)."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            state = json.loads((file.metadata() or {})["netgpt"])
            return {name: file.get_tensor(name).clone() for name in file.keys()}, state  # noqa: SIM118
    except (OSError, SafetensorError, ValueError, KeyError):
        return None


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
    count = shape.layers if recipe.layers is None else min(recipe.layers, shape.layers)
    config = {
        "peft_type": "LORA", "task_type": "CAUSAL_LM", "base_model_name_or_path": str(base), "r": recipe.rank,
        "lora_alpha": recipe.alpha, "lora_dropout": 0.0, "bias": "none", "fan_in_fan_out": family.transposed,
        "target_modules": [family.modules[word] for word in family.targets(recipe.targets)],
        "layers_to_transform": list(range(shape.layers - count, shape.layers)),
        "layers_pattern": family.layers_path.rpartition(".")[2], "inference_mode": True,
    }  # fmt: skip
    write_whole(folder / "adapter_config.json", json.dumps(config, indent=2) + "\n", StoreError)


def write_model(folder: Path, base: Base, read: Callable[[str], Tensor], dtype: torch.dtype) -> None:
    """Write config, tokenizer and weights as a folder that `from_pretrained` reads, one tensor in memory at a time.

    `read` gives each tensor by its GGUF name. Raises StoreError.
    """
    make_folder(folder)
    shape = base.shape
    names = sorted(name for name in base.names if name != "rope_freqs.weight")
    _write_weights(folder / "model.safetensors", names, shape, lambda name: read(name).detach().to(dtype).cpu())
    tokenizer = load_tokenizer(base)
    config = _config(shape, tokenizer, tied="output.weight" not in base.names, dtype=dtype)
    if "blk.0.attn_q.bias" in base.names and shape.architecture == "llama":
        config["attention_bias"] = True
    write_whole(folder / "config.json", json.dumps(config, indent=2) + "\n", StoreError)
    write_whole(folder / "tokenizer.json", tokenizer.tokenizer_json(), StoreError)
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "chat_template": tokenizer.template, **tokenizer.texts}
    write_whole(folder / "tokenizer_config.json", json.dumps(settings, indent=2, ensure_ascii=False) + "\n", StoreError)


def _write_weights(path: Path, names: Iterable[str], shape: ModelShape, read: Callable[[str], Tensor]) -> None:
    """The safetensors format by hand (a header, then the data), so that no two tensors are in memory at once."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    part, body = path.with_name(path.name + ".part"), path.with_name(path.name + ".body")
    try:
        with os.fdopen(os.open(body, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_TRUNC, 0o600), "wb") as file:
            for name in names:
                tensor, at = _as_stored(name, read(name), shape), file.tell()
                file.write(tensor.view(torch.uint8).numpy().data)
                entry = {"dtype": FORMATS[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [at, file.tell()]}
                header[shape.family.hf_name(name)] = entry
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % 8)
        with os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_TRUNC, 0o600), "wb") as whole:
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


def _config(shape: ModelShape, tokenizer: ChatTokenizer, *, tied: bool, dtype: torch.dtype) -> dict[str, Any]:
    common = {"vocab_size": shape.vocab, "eos_token_id": tokenizer.end_id, "bos_token_id": tokenizer.bos_or_end,
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
