"""Cuts a model for splitting: `python -m netgpt_bench.split_cut SOURCE FOLDER LAYERS`, one JSON line on stdout.

SOURCE: a GGUF file, a folder of transformers' kind, or "random-gpt2". LAYERS: how many stay at the edge; 0: half.
A process of its own, because the whole model is more than either side needs later.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from netgpt.adapters.formats import ModelShape
from netgpt.training.lora.weights import Base, open_base
from netgpt_bench.harness import end_with_parent
from netgpt_bench.splitting import save_halves, torch_and_transformers


def main(words: Sequence[str]) -> None:
    """Cut and tell."""
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints must not stand before the line
    end_with_parent()
    source, folder, layers = words[0], Path(words[1]), int(words[2])
    model = random_gpt2() if source == "random-gpt2" else load_model(Path(source))
    told = save_halves(model, layers or model.config.num_hidden_layers // 2, folder)
    answer.write(json.dumps(told) + "\n")
    answer.flush()


def load_model(source: Path, dtype: str = "bfloat16") -> Any:
    """A causal model of transformers with the weights of a GGUF file (de-quantized) or of a folder.

    Raises SettingsError (extra missing, family not known), NotFound, RequestError.
    """
    torch, transformers = torch_and_transformers()
    base = open_base(source)
    precision = getattr(torch, dtype)
    if source.is_dir():
        return transformers.AutoModelForCausalLM.from_pretrained(source, dtype=precision).eval()
    config = _config(base, transformers)
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(config, dtype=precision)
    model.load_state_dict(_weights(base, precision, config.tie_word_embeddings), assign=True)
    if config.model_type != "gpt2":  # its tables are no weights: they are worked out, here for real
        model.model.rotary_emb = type(model.model.rotary_emb)(config=config)
    return model.eval()


def random_gpt2(seed: int = 7) -> Any:
    """A model with the shape of GPT-2-base (124 M parameters) and random weights: good for bytes and speed only."""
    torch, transformers = torch_and_transformers()
    torch.manual_seed(seed)
    return transformers.GPT2LMHeadModel(transformers.GPT2Config()).eval()


def _config(base: Base, transformers: Any) -> Any:
    shape = base.shape
    tied = "output.weight" not in base.names
    if shape.architecture == "gpt2":
        return transformers.GPT2Config(
            vocab_size=shape.vocab, n_positions=shape.context, n_embd=shape.hidden, n_layer=shape.layers,
            n_head=shape.heads, n_inner=shape.inner, layer_norm_epsilon=shape.norm_eps, tie_word_embeddings=tied,
        )  # fmt: skip
    kind = transformers.Qwen2Config if shape.architecture == "qwen2" else transformers.LlamaConfig
    return kind(**_llama_sizes(shape), tie_word_embeddings=tied)


def _llama_sizes(shape: ModelShape) -> dict[str, Any]:
    return {
        "vocab_size": shape.vocab,
        "hidden_size": shape.hidden,
        "intermediate_size": shape.inner,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "max_position_embeddings": shape.context,
        "rms_norm_eps": shape.norm_eps,
        "rope_parameters": {"rope_type": "default", "rope_theta": shape.rope_theta},
    }


def _weights(base: Base, precision: Any, tied: bool) -> dict[str, Any]:
    """Every tensor by transformers' name; matrices of GPT-2's layers lie the other way round there."""
    family = base.shape.family
    weights = {}
    for name in base.names:
        tensor = base.read(name, precision)
        turned = family.transposed and name.startswith("blk.") and tensor.dim() == 2
        weights[family.hf_name(name)] = tensor.T.contiguous() if turned else tensor
    if tied:
        weights[family.outer["output.weight"]] = weights[family.outer["token_embd.weight"]]
    return weights


if __name__ == "__main__":
    main(sys.argv[1:])
