"""Writes models as GGUF: random ones for measuring storage, memory and speed, or given weights for comparing.

A model of random weights costs as much as a trained one of its size and says nothing: good enough for all that does
not ask what it says. Its tokenizer knows the 256 bytes and nothing else.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from netgpt.adapters.formats import ModelShape
from netgpt.adapters.peft import interleaved
from netgpt.errors import RequestError, SettingsError, StoreError
from netgpt.models.download import move_into_place

if TYPE_CHECKING:
    from gguf import GGMLQuantizationType, GGUFWriter
    from numpy.typing import NDArray


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
    """Write a model of random weights, the same for the same seed. Raises what `write_gguf_model` raises.

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
