"""The two families of models that adapters are trained for, and how their files name the same things.

Inside the trainer every weight bears its GGUF name ("blk.3.attn_q.weight") and stands as (out, in). A Hugging Face
folder names and stores some of them differently: see `FAMILIES`. Llama-like models differ only in small things
(Qwen 2 adds biases to q, k and v), so they share one family.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from netgpt.errors import SettingsError

__all__ = ["FAMILIES", "Family", "ModelShape", "shape_of_config", "shape_of_gguf"]


@dataclass(frozen=True)
class Family:
    """Names of one family. `modules`: GGUF's word of a matrix -> the module's path inside a layer."""

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
            raise SettingsError(
                f"unknown adapter targets {unknown or '(none)'} for a {self.name} model; "
                f"take from: {', '.join(self.modules)}"
            )
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
        "attn_q": "self_attn.q_proj",
        "attn_k": "self_attn.k_proj",
        "attn_v": "self_attn.v_proj",
        "attn_output": "self_attn.o_proj",
        "ffn_gate": "mlp.gate_proj",
        "ffn_up": "mlp.up_proj",
        "ffn_down": "mlp.down_proj",
    },
    {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm"},
    {
        "token_embd.weight": "model.embed_tokens.weight",
        "output_norm.weight": "model.norm.weight",
        "output.weight": "lm_head.weight",
    },
)
_GPT2 = Family(
    "gpt2",
    "transformer.h",
    {
        "attn_qkv": "attn.c_attn",
        "attn_output": "attn.c_proj",
        "ffn_up": "mlp.c_fc",
        "ffn_down": "mlp.c_proj",
    },
    {"attn_norm": "ln_1", "ffn_norm": "ln_2"},
    {
        "token_embd.weight": "transformer.wte.weight",
        "position_embd.weight": "transformer.wpe.weight",
        "output_norm.weight": "transformer.ln_f.weight",
        "output_norm.bias": "transformer.ln_f.bias",
        "output.weight": "lm_head.weight",
    },
    transposed=True,
    fused={"attn_q": "attn_qkv", "attn_k": "attn_qkv", "attn_v": "attn_qkv"},
)
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
            raise SettingsError(f"{where}: the weights do not tell their {key}; take another file of this model")
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
