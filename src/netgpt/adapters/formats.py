"""Reads and checks a LoRA adapter in GGUF, without loading it into an engine.

An adapter's file may come from anywhere, and a bad one crashes llama.cpp: so whatever it would trip over is refused
here, and everything else that a LoRA has no need of is refused as well.
Layout: `general.type` "adapter", `adapter.type` "lora", `adapter.lora.alpha` (float32), and for each matrix two
tensors, `blk.N.attn_q.weight.lora_a` (rank rows of the input's width) and `.lora_b` (output rows of rank).
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from netgpt.adapters.card import Card, EdgeWeights
from netgpt.adapters.storage import plain_size
from netgpt.errors import PayloadTooLarge, RequestError, SettingsError
from netgpt.models.gguf import GgufHeader, Tensor, read_header

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Family:
    """How the files of one family of models name its weights. `modules`: GGUF's word of a matrix -> path in a layer.

    Inside the trainer every weight has its GGUF name ("blk.3.attn_q.weight") and the shape (out, in). Llama-like
    models differ only in small things (Qwen 2 adds biases to q, k and v), so they share one family.
    """

    name: str
    layers_path: str
    """The list of layers inside the Hugging Face model: "model.layers"."""
    modules: Mapping[str, str]
    norms: Mapping[str, str]
    outer: Mapping[str, str]
    """GGUF's names of what stands outside the layers -> Hugging Face's."""
    transposed: bool = False
    """Whether the matrices are stored as (in, out): GPT-2's Conv1D."""
    fused: Mapping[str, str] | None = None
    """Words that mean a part of one fused matrix -> that matrix."""

    def targets(self, words: Sequence[str]) -> tuple[str, ...]:
        """The matrices that these words mean here, in the order of the family. Raises SettingsError."""
        wanted = {(self.fused or {}).get(word, word) for word in words}
        if self.name == "gpt2":
            wanted.discard("ffn_gate")  # it has none; the usual list of words names it for llama's sake
        unknown = sorted(wanted - set(self.modules))
        if unknown or not wanted:
            known = ", ".join(self.modules)
            raise SettingsError(f"unknown adapter targets {unknown or '(none)'} for a {self.name} model; take: {known}")
        return tuple(word for word in self.modules if word in wanted)

    def hf_name(self, name: str) -> str:
        """Hugging Face's name of the tensor that GGUF calls `name`."""
        if not name.startswith("blk."):
            return self.outer[name]
        _, layer, word, kind = name.split(".")
        return f"{self.layers_path}.{layer}.{(self.modules | self.norms)[word]}.{kind}"  # type: ignore[operator]


_LLAMA = Family(
    "llama",
    "model.layers",
    {
        "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
        "attn_output": "self_attn.o_proj",
        "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
    },
    {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"},
    {
        "token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight",
        "output.weight": "lm_head.weight",
    },
)  # fmt: skip
_GPT2 = Family(
    "gpt2",
    "transformer.h",
    {"attn_qkv": "attn.c_attn", "attn_output": "attn.c_proj", "ffn_up": "mlp.c_fc", "ffn_down": "mlp.c_proj"},
    {"attn_norm": "ln_1", "ffn_norm": "ln_2"},
    {
        "token_embd.weight": "transformer.wte.weight", "position_embd.weight": "transformer.wpe.weight",
        "output_norm.weight": "transformer.ln_f.weight", "output_norm.bias": "transformer.ln_f.bias",
        "output.weight": "lm_head.weight",
    },
    transposed=True,
    fused={"attn_q": "attn_qkv", "attn_k": "attn_qkv", "attn_v": "attn_qkv"},
)  # fmt: skip
FAMILIES: Final[Mapping[str, Family]] = {"llama": _LLAMA, "qwen2": _LLAMA, "gpt2": _GPT2}
"""Architecture, as GGUF and `model_type` name it -> family."""


@dataclass(frozen=True)
class ModelShape:
    """The sizes of a model: everything that its forward pass needs beside the weights."""

    architecture: str
    layers: int
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    inner: int
    vocab: int
    context: int
    norm_eps: float
    rope_theta: float = 10_000.0

    @property
    def family(self) -> Family:
        return FAMILIES[self.architecture]

    @property
    def fused_rows(self) -> tuple[int, int, int]:
        """Rows of q, k and v in the fused matrix."""
        return self.heads * self.head_dim, self.kv_heads * self.head_dim, self.kv_heads * self.head_dim

    def sides(self, word: str) -> tuple[int, int]:
        """(out, in) of a matrix by its GGUF word."""
        q, k, v = self.fused_rows
        return {
            "attn_q": (q, self.hidden), "attn_k": (k, self.hidden), "attn_v": (v, self.hidden),
            "attn_qkv": (q + k + v, self.hidden), "attn_output": (self.hidden, q),
            "ffn_gate": (self.inner, self.hidden), "ffn_up": (self.inner, self.hidden),
            "ffn_down": (self.hidden, self.inner),
        }[word]  # fmt: skip

    @property
    def layer_weights(self) -> int:
        """Weights of the matrices of one layer."""
        return sum(out * inner for out, inner in map(self.sides, self.family.modules))


def shape_of_gguf(metadata: Mapping[str, Any], vocab: int, where: str) -> ModelShape:
    """Read the sizes from a GGUF's metadata. Raises SettingsError for another family or a form not known here."""
    name = str(metadata.get("general.architecture"))
    _known(name, where)
    scaling = metadata.get(f"{name}.rope.scaling.type", "none")
    if scaling not in ("none", ""):
        raise SettingsError(f"{where}: positions are scaled ({scaling}), which the trainer does not know")

    def number(key: str, default: float | None = None) -> Any:
        value = metadata.get(f"{name}.{key}", default)
        if not isinstance(value, int | float):
            raise SettingsError(f"{where}: the weights do not say their {key}; take another file of this model")
        return value

    heads, hidden = number("attention.head_count"), number("embedding_length")
    epsilon = "attention.layer_norm_epsilon" if name == "gpt2" else "attention.layer_norm_rms_epsilon"
    return ModelShape(
        name, number("block_count"), hidden, heads, number("attention.head_count_kv", heads),
        number("attention.key_length", hidden // heads), number("feed_forward_length"), vocab,
        number("context_length"), float(number(epsilon, 1e-5)), float(number("rope.freq_base", 10_000.0)),
    )  # fmt: skip


def shape_of_config(config: Mapping[str, Any], where: str) -> ModelShape:
    """Read the sizes from a Hugging Face `config.json`. Raises SettingsError as `shape_of_gguf` does."""
    name = str(config.get("model_type"))
    _known(name, where)
    try:
        if name == "gpt2":
            hidden, heads = config["n_embd"], config["n_head"]
            return ModelShape(
                name, config["n_layer"], hidden, heads, heads, hidden // heads, config.get("n_inner") or 4 * hidden,
                config["vocab_size"], config["n_positions"], config.get("layer_norm_epsilon", 1e-5),
            )  # fmt: skip
        rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
        if rope.get("rope_type", rope.get("type", "default")) != "default":
            raise SettingsError(f"{where}: positions are scaled ({rope}), which the trainer does not know")
        hidden, heads = config["hidden_size"], config["num_attention_heads"]
        return ModelShape(
            name, config["num_hidden_layers"], hidden, heads, config.get("num_key_value_heads") or heads,
            config.get("head_dim") or hidden // heads, config["intermediate_size"], config["vocab_size"],
            config["max_position_embeddings"], config.get("rms_norm_eps", 1e-6),
            float(rope.get("rope_theta", config.get("rope_theta", 10_000.0))),
        )  # fmt: skip
    except KeyError as error:
        raise SettingsError(f"{where}: config.json lacks {error}; the folder is not whole") from None


def _known(name: str, where: str) -> None:
    if name not in FAMILIES:
        raise SettingsError(f"{where}: adapters are trained for {', '.join(FAMILIES)} models, not for {name!r}")


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
    found, made_for = header.metadata.get("general.architecture"), adapter.architecture
    if found != made_for:
        raise RequestError(f"{adapter.path}: made for a {made_for} model, but {base.name} is {found}")
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
    alpha_type = None
    with path.open("rb") as file:
        file.seek(ENTRIES_AT)
        entries = int.from_bytes(file.read(8), "little")
        if ALPHA in header.value_at:
            file.seek(header.value_at[ALPHA] - 4)  # the type of a value stands in the four bytes before it
            alpha_type = int.from_bytes(file.read(4), "little")
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
    if alpha_type != FLOAT32 or not isinstance(alpha, float) or not math.isfinite(alpha) or not 0 < alpha <= 1e6:
        raise RequestError(f'{path}: "{ALPHA}" is missing or no sound number')
    return architecture, alpha


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
                if not (abs(as_float32(data, KINDS[tensor.type])) <= MAX_VALUE).all():  # false for NaN too
                    raise RequestError(f"{path}: {tensor.name} holds values that are no numbers or beyond all measure")


def as_float32(data: bytes | bytearray, kind: str) -> NDArray[Any]:
    """The values of a tensor's bytes; `kind` as in `KINDS`."""
    import numpy as np

    values: Any = np.frombuffer(data, kind)
    if kind == "<u2":  # BF16: the upper half of a float32
        values = (values.astype(np.uint32) << 16).view(np.float32)
    return values.astype(np.float32)  # type: ignore[no-any-return]


def _short(value: object) -> str:
    return repr(value)[:60]


def _by(shape: Sequence[int]) -> str:
    return " x ".join(str(side) for side in shape)


def check_adapter(copy: Path, source: Path, card: Card, sha256: str, base: EdgeWeights | None, max_bytes: int) -> None:
    """Check the `copy` (its hash is `sha256`) of the file `source` against `card` and, where it is here, `base`.

    Raises RequestError or PayloadTooLarge; messages name `source`.
    """
    try:
        adapter = read_adapter(copy, max_bytes=max_bytes)
        _check_card(adapter, card, sha256)
        if base is not None and base.path.is_file():
            check_base(adapter, base.path)
    except RequestError as error:
        raise type(error)(error.message.replace(str(copy), str(source))) from None


def check_base_named(card: Card, base: EdgeWeights | None) -> None:
    """Refuse a card that names other weights than the box serves."""
    if base is not None and card.base_sha256 != base.sha256:
        raise RequestError(
            f"{card.id} is made for other weights: {card.base} ({card.base_sha256[:12]}...), while this box serves "
            f"{base.name} ({base.sha256[:12]}...). Set edge.model to those weights, or train it for these."
        )


def _check_card(adapter: AdapterFile, card: Card, sha256: str) -> None:
    alpha_differs = not math.isclose(adapter.alpha, card.alpha, rel_tol=1e-5)
    targets = ", ".join(sorted(adapter.targets)), ", ".join(sorted(set(card.targets)))[:200]
    for what, differs, found, said in (
        ("architecture", adapter.architecture != card.architecture, adapter.architecture, card.architecture),
        ("rank", adapter.rank != card.rank, adapter.rank, card.rank),
        ("alpha", alpha_differs, adapter.alpha, card.alpha),
        ("targets", set(adapter.targets) != set(card.targets), *targets),
    ):
        if differs:
            raise RequestError(f"{adapter.path}: its {what} is {found}, the card of {card.id} says {said}")
    if sha256 != card.weights_sha256 or adapter.bytes != card.bytes:
        raise RequestError(
            f"{adapter.path}: not the weights that the card of {card.id} is about: the hash is {sha256[:12]}..., "
            f"the card says {card.weights_sha256[:12]}.... One of the two was changed; get both anew."
        )
