"""Writes an adapter in PEFT's format: what `PeftModel.from_pretrained` and the GGUF export read. Needs torch."""

from __future__ import annotations

import json
import os
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import torch
from torch import Tensor

from netgpt.adapters.formats import ModelShape
from netgpt.adapters.peft import interleaved
from netgpt.errors import RequestError, SettingsError, StoreError
from netgpt.models.download import move_into_place
from netgpt.training.lora.data import Speech, load_tokenizer
from netgpt.training.lora.recipe import Recipe
from netgpt.training.lora.weights import Base

if TYPE_CHECKING:
    from gguf import GGMLQuantizationType, GGUFWriter
    from numpy.typing import NDArray


# --- The state of a training, so that it goes on after a kill: one safetensors file, replaced in one step.
#
# Tensors and the JSON of the state stand in the same file (the JSON in its header), so they never disagree. Nothing
# is pickled.


def make_folder(path: Path) -> None:
    """Make a private folder. Raises StoreError."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{path}: cannot be made: {error.strerror}; choose another folder to work in") from None


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file whole or not at all, owner-only, on the disk. Raises StoreError when it is full."""
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
    """Write a checkpoint."""
    save_tensors(path, tensors, {"netgpt": json.dumps(state)})


def load_state(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Read a checkpoint; None when there is none or it is of no use (then training starts anew)."""
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
    words = family.targets(recipe.targets)
    count = shape.layers if recipe.layers is None else min(recipe.layers, shape.layers)
    config = {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": str(base),
        "r": recipe.rank,
        "lora_alpha": recipe.alpha,
        "lora_dropout": 0.0,
        "bias": "none",
        "fan_in_fan_out": family.transposed,
        "target_modules": [family.modules[word] for word in words],
        "layers_to_transform": list(range(shape.layers - count, shape.layers)),
        "layers_pattern": family.layers_path.rpartition(".")[2],
        "inference_mode": True,
    }
    write_text(folder / "adapter_config.json", json.dumps(config, indent=2) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a small file whole or not at all, owner-only. Raises StoreError."""
    part = path.with_name(path.name + ".part")
    try:
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise StoreError(f"{path}: cannot be written: {error.strerror}; free some space") from None


# --- Writes a whole model as a Hugging Face folder: after full training, or a base for others. Needs torch.

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
    speech = load_tokenizer(base)
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


# --- Writes whole models as GGUF: random ones for measuring storage, memory and speed, or given weights for comparing.
#
# A model of random weights costs as much as a trained one of its size and says nothing: good enough for all that
# does not ask what it says. Its tokenizer knows the 256 bytes and nothing else.

SHAPES: Final = {
    "gpt2-124m": ModelShape("gpt2", 12, 768, 12, 12, 64, 3072, 50_257, 1024, 1e-5),
    "smollm2-135m": ModelShape("llama", 30, 576, 9, 3, 64, 1536, 49_152, 8192, 1e-5, 100_000.0),
    "smollm2-360m": ModelShape("llama", 32, 960, 15, 5, 64, 2560, 49_152, 8192, 1e-5, 100_000.0),
    "tinyllama-1.1b": ModelShape("llama", 22, 2048, 32, 4, 64, 5632, 32_000, 2048, 1e-5),
    "llama-7b": ModelShape("llama", 32, 4096, 32, 32, 128, 11_008, 32_000, 4096, 1e-5),
}
"""Published sizes by name."""

FORMS: Final = ("F32", "F16", "Q8_0", "Q4_0", "Q4_1")
FILE_TYPES: Final = {"F32": 0, "F16": 1, "Q4_0": 2, "Q4_1": 3, "Q8_0": 7}

TEMPLATE: Final = (
    "{% for m in messages %}{{ m['role'] }}: {{ m['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)

ReadTensor = Callable[[str], "NDArray[Any]"]
"""Gives a tensor by its GGUF name: matrices as (out, in) in Hugging Face's order of rows, float32."""


def write_random_model(path: Path, shape: ModelShape, form: str = "F16", *, seed: int = 7) -> Path:
    """Write a model of random weights, the same for the same seed. Raises as `write_model` does.

    Matrices are normal with deviation 0.02, gains of norms 1, biases 0: as models are before training.
    """
    import numpy as np

    sides = tensor_sides(shape)

    def read(name: str) -> NDArray[Any]:
        if len(sides[name]) == 1:
            return np.full(sides[name], 1.0 if name.endswith(".weight") else 0.0, np.float32)
        rng = np.random.default_rng([seed, zlib.crc32(name.encode())])
        return rng.standard_normal(sides[name], np.float32) * np.float32(0.02)

    return write_gguf_model(path, shape, read, form)


def write_gguf_model(path: Path, shape: ModelShape, read: ReadTensor, form: str = "F16") -> Path:
    """Write a GGUF model (0600), whole or not at all, one tensor in memory at a time. `form` is that of its matrices.

    Raises RequestError (unknown form, sides that do not fit its blocks), SettingsError (the extra `train` is
    missing), StoreError (cannot be written).
    """
    if form not in FORMS:
        raise RequestError(f"{form!r} is no form of weights that can be written; take from: {', '.join(FORMS)}")
    try:
        from gguf import GGUFWriter
    except ImportError:
        raise SettingsError("writing models needs the extra: pip install 'netgpt[train]'") from None
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        part.touch(mode=0o600)
        writer = GGUFWriter(part, shape.architecture)
        try:
            _add_facts(writer, shape, form)
            _add_tokenizer(writer, shape.vocab)
            _write_tensors(writer, shape, read, form)
        finally:
            writer.close()
        move_into_place(part, path)
    except OSError as error:
        raise StoreError(f"{path}: cannot be written: {error.strerror}") from None
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return path


def tensor_sides(shape: ModelShape) -> dict[str, tuple[int, ...]]:
    """Every tensor of a model of this shape: GGUF name -> sides, matrices as (out, in). Output and input share one."""
    sides: dict[str, tuple[int, ...]] = {"token_embd.weight": (shape.vocab, shape.hidden)}
    norms = ["output_norm", *(f"blk.{layer}.{norm}" for layer in range(shape.layers) for norm in shape.family.norms)]
    for norm in norms:
        sides[f"{norm}.weight"] = (shape.hidden,)
    for layer in range(shape.layers):
        for word in shape.family.modules:
            sides[f"blk.{layer}.{word}.weight"] = shape.sides(word)
            if _has_bias(shape.architecture, word):
                sides[f"blk.{layer}.{word}.bias"] = shape.sides(word)[:1]
    if shape.architecture == "gpt2":
        sides["position_embd.weight"] = (shape.context, shape.hidden)
        sides |= {f"{norm}.bias": (shape.hidden,) for norm in norms}
    return sides


def _has_bias(architecture: str, word: str) -> bool:
    return architecture == "gpt2" or (architecture == "qwen2" and word in ("attn_q", "attn_k", "attn_v"))


def _add_facts(writer: GGUFWriter, shape: ModelShape, form: str) -> None:
    writer.add_type("model")
    writer.add_name(f"random-{shape.architecture}")
    writer.add_file_type(FILE_TYPES[form])
    writer.add_quantization_version(2)
    writer.add_context_length(shape.context)
    writer.add_embedding_length(shape.hidden)
    writer.add_block_count(shape.layers)
    writer.add_feed_forward_length(shape.inner)
    writer.add_head_count(shape.heads)
    if shape.architecture == "gpt2":
        writer.add_layer_norm_eps(shape.norm_eps)
        return
    writer.add_head_count_kv(shape.kv_heads)
    writer.add_layer_norm_rms_eps(shape.norm_eps)
    writer.add_rope_freq_base(shape.rope_theta)
    writer.add_rope_dimension_count(shape.head_dim)
    writer.add_key_length(shape.head_dim)
    writer.add_value_length(shape.head_dim)
    writer.add_vocab_size(shape.vocab)


def _add_tokenizer(writer: GGUFWriter, vocab: int) -> None:
    """The bytes, an end, and as many tokens without a use as the model has rows for."""
    from gguf import TokenType

    tokens = [*_byte_letters(), "<|endoftext|>"]
    if vocab < len(tokens):
        raise RequestError(f"a vocabulary of {vocab} tokens has no room for the 256 bytes and an end")
    unused = vocab - len(tokens)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list([*tokens, *(f"<|unused{number}|>" for number in range(unused))])
    writer.add_token_types([*[TokenType.NORMAL] * 256, TokenType.CONTROL, *[TokenType.UNUSED] * unused])
    writer.add_token_merges(["\u0120 \u0120"])  # the engine insists on having some
    writer.add_bos_token_id(256)
    writer.add_eos_token_id(256)
    writer.add_add_bos_token(False)
    writer.add_chat_template(TEMPLATE)


def _byte_letters() -> list[str]:
    """GPT-2's letter for each byte: the printable ones stand for themselves, the others are moved above 255."""
    plain = {*range(33, 127), *range(161, 173), *range(174, 256)}
    moved = iter(range(256, 512))
    return [chr(byte) if byte in plain else chr(next(moved)) for byte in range(256)]


def _write_tensors(writer: GGUFWriter, shape: ModelShape, read: ReadTensor, form: str) -> None:
    import numpy as np

    plan = list(_plan(shape, form))
    for name, sides, kind, size in plan:
        writer.add_tensor_info(name, sides, np.dtype(np.float32), size, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for name, sides, kind, size in plan:
        values = read(name)
        if values.shape != sides:
            raise RequestError(f"{name} is {values.shape}, {sides} is expected")
        data = _in_form(values if not _turned(shape, name) else interleaved(values, _heads(shape, name)), kind)
        assert data.nbytes == size
        writer.write_tensor_data(data)


def _plan(shape: ModelShape, form: str) -> Iterator[tuple[str, tuple[int, ...], GGMLQuantizationType, int]]:
    """Name, sides, type and bytes of every tensor; what is no matrix of a layer stays exact."""
    from gguf import GGML_QUANT_SIZES, GGMLQuantizationType

    for name, sides in tensor_sides(shape).items():
        exact = len(sides) == 1 or name.startswith("position_embd")
        kind = GGMLQuantizationType.F32 if exact else GGMLQuantizationType[form]
        block, size = GGML_QUANT_SIZES[kind]
        if sides[-1] % block:
            raise RequestError(f"{name} has rows of {sides[-1]} weights, which blocks of {block} ({form}) do not fit")
        weights = sides[0] * (sides[1] if len(sides) == 2 else 1)
        yield name, sides, kind, weights // block * size


def _in_form(values: NDArray[Any], kind: GGMLQuantizationType) -> NDArray[Any]:
    import numpy as np
    from gguf import quants

    data: NDArray[Any] = quants.quantize(values, kind)
    return np.ascontiguousarray(data)


def _turned(shape: ModelShape, name: str) -> bool:
    return shape.architecture == "llama" and name.endswith(("attn_q.weight", "attn_k.weight"))


def _heads(shape: ModelShape, name: str) -> int:
    return shape.heads if name.endswith("attn_q.weight") else shape.kv_heads
