"""An exported adapter says in llama.cpp what it says in PEFT: the same next tokens, log-probability by log-probability.

Tolerances are in nats, for the largest difference over the likeliest next tokens of every prompt. What is left is
rounding: the engine keeps keys and values as float16, with F16 weights it rounds activations to float16 too, and with
Q4_1 weights to 8 bits (the base alone is then as far off as with the adapter).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from engine_logits import Probabilities, Prompts, engine_logits
from netgpt_bench.random_model import tensor_sides, write_gguf_model
from safetensors.numpy import load_file, save_file
from weights import bundled_weights  # noqa: F401

from netgpt.adapters.formats import ModelShape
from netgpt.adapters.peft import export, interleaved

torch = pytest.importorskip("torch", reason="needs the extra `train`")

pytestmark = pytest.mark.slow

EXACT_BASE = 0.05
"""Against weights that the engine reads as they are (F16, F32)."""
QUANTIZED_BASE = 0.6
"""Against the bundled Q4_1 weights."""
TOP = 20


@dataclass
class Trained:
    """A PEFT model with a strong random adapter, and what it says (log-probabilities of every next token)."""

    folder: Path
    prompts: Prompts
    adapted: list[Any]
    plain: list[Any]


def adapted(model: Any, targets: Sequence[str], folder: Path, vocab: int, *, fused: bool = False) -> Trained:
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(r=8, lora_alpha=12, target_modules=list(targets), task_type="CAUSAL_LM", fan_in_fan_out=fused)
    peft = get_peft_model(model, config)
    make_strong(peft)
    peft.save_pretrained(str(folder))
    rng = np.random.default_rng(5)
    prompts = [rng.integers(0, vocab, length).tolist() for length in (6, 40)]
    with torch.no_grad():
        after = [torch.log_softmax(peft(torch.tensor([prompt])).logits[0, -1], -1) for prompt in prompts]
        with peft.disable_adapter():
            before = [torch.log_softmax(peft(torch.tensor([prompt])).logits[0, -1], -1) for prompt in prompts]
    return Trained(folder, prompts, after, before)


def make_strong(peft: Any) -> None:
    """Random A and B; those of q and k strongest, because a weak adapter would hide a wrong order of their rows."""
    torch.manual_seed(3)
    for name, values in peft.named_parameters():
        if "lora_A" in name:
            values.data = torch.randn(values.shape) / values.shape[1] ** 0.5
        elif "lora_B" in name:
            values.data = torch.randn(values.shape) * (0.13 if any(m in name for m in ("q_proj", "k_proj")) else 0.03)


def distance(said: Sequence[Probabilities], meant: Sequence[Any]) -> float:
    """The largest difference, in nats."""
    pairs = zip(said, meant, strict=True)
    return max(abs(value - float(truth[token])) for tokens, truth in pairs for token, value in tokens.items())


def wrongly_ordered(folder: Path, target: Path, shape: ModelShape) -> Path:
    """The folder with its q and k moved beforehand, so that the export moves them to the wrong places."""
    target.mkdir()
    (target / "adapter_config.json").write_bytes((folder / "adapter_config.json").read_bytes())
    tensors = load_file(folder / "adapter_model.safetensors")
    for name, values in tensors.items():
        for module, heads in (("q_proj.lora_B", shape.heads), ("k_proj.lora_B", shape.kv_heads)):
            if module in name:  # the inverse of the export's move: together they leave the rows where they were
                order = np.argsort(interleaved(np.arange(len(values))[:, None], heads)[:, 0])
                tensors[name] = np.ascontiguousarray(values[order])
    save_file(tensors, target / "adapter_model.safetensors")
    return target


def real_model(shape: ModelShape, read: Any) -> Any:
    """The bundled model in PyTorch: its very weights, de-quantized."""
    from transformers import LlamaConfig, LlamaForCausalLM
    from transformers.initialization import no_init_weights

    torch.set_num_threads(2)
    config = LlamaConfig(
        vocab_size=shape.vocab, hidden_size=shape.hidden, intermediate_size=shape.inner,
        num_hidden_layers=shape.layers, num_attention_heads=shape.heads, num_key_value_heads=shape.kv_heads,
        rms_norm_eps=shape.norm_eps, max_position_embeddings=shape.context, tie_word_embeddings=True,
        rope_parameters={"rope_type": "default", "rope_theta": shape.rope_theta},
    )  # fmt: skip
    with no_init_weights():
        model = LlamaForCausalLM(config)
    names = [name for name in model.state_dict() if not name.startswith("lm_head")]
    ours = {shape.family.hf_name(name): name for name in tensor_sides(shape)}
    model.load_state_dict({name: read(ours[name]) for name in names}, strict=False)
    model.tie_weights()
    return model.eval()


async def test_the_llama_family_with_the_real_weights(bundled_weights: Path, tmp_path: Path) -> None:  # noqa: F811
    from netgpt.training.lora.weights import open_base

    base = open_base(bundled_weights)
    weights = {name: base.read(name, torch.float32) for name in tensor_sides(base.shape)}
    modules = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    model = real_model(base.shape, weights.__getitem__)
    trained = adapted(model, modules, tmp_path / "peft", 20_000)
    exact = write_gguf_model(tmp_path / "exact.gguf", base.shape, lambda name: weights[name].numpy(), "F16")
    right, wrong = tmp_path / "right.gguf", tmp_path / "wrong.gguf"
    export(trained.folder, bundled_weights, right)
    export(wrongly_ordered(trained.folder, tmp_path / "peft-wrong", base.shape), bundled_weights, wrong)

    for file, tolerance in ((exact, EXACT_BASE), (bundled_weights, QUANTIZED_BASE)):
        said, wrongly, without = await engine_logits(file, [right, wrong], trained.prompts, top=TOP)
        assert distance(said, trained.adapted) <= tolerance, file.name
        assert distance(without, trained.plain) <= tolerance, file.name
        assert distance(wrongly, trained.adapted) > 1.2 * tolerance, "rows in the wrong order must not pass"
        assert distance(without, trained.adapted) > 1.2 * tolerance, "the adapter must matter"


SMALL = {
    "gpt2": ModelShape("gpt2", 3, 64, 4, 4, 16, 256, 300, 128, 1e-5),
    "llama": ModelShape("llama", 3, 64, 4, 2, 16, 128, 300, 128, 1e-5),
    "qwen2": ModelShape("qwen2", 3, 64, 4, 2, 16, 128, 300, 128, 1e-5),
}


@pytest.mark.parametrize(("name", "form"), [("gpt2", "F32"), ("gpt2", "F16"), ("llama", "F16"), ("qwen2", "F16")])
async def test_small_models_of_every_architecture(name: str, form: Any, tmp_path: Path) -> None:
    """Fused and transposed (gpt2), fewer heads for keys and values (llama), biases and rows as they were (qwen2)."""
    shape = SMALL[name]
    model, weights = small_model(shape)
    base = write_gguf_model(tmp_path / "base.gguf", shape, weights.__getitem__, "F32")
    trained = adapted(model, list(shape.family.modules.values()), tmp_path / "peft", 256, fused=name == "gpt2")
    written = export(trained.folder, base, tmp_path / "adapter.gguf", form=form)
    assert written.targets == tuple(shape.family.modules) and written.layers == shape.layers

    said, without = await engine_logits(base, [written.path], trained.prompts, top=shape.vocab)
    assert distance(without, trained.plain) <= EXACT_BASE
    assert distance(said, trained.adapted) <= EXACT_BASE
    assert distance(without, trained.adapted) > 10 * EXACT_BASE, "the adapter must matter"


def small_model(shape: ModelShape) -> tuple[Any, dict[str, np.ndarray[Any, Any]]]:
    """A random model of Hugging Face, and its weights under GGUF's names: Conv1D turned to (out, in)."""
    from transformers import CONFIG_MAPPING, AutoModelForCausalLM

    sizes = {
        "gpt2": {"n_positions": 128, "n_embd": shape.hidden, "n_layer": shape.layers, "n_head": shape.heads},
    }.get(
        shape.architecture,
        {
            "hidden_size": shape.hidden, "intermediate_size": shape.inner, "num_hidden_layers": shape.layers,
            "num_attention_heads": shape.heads, "num_key_value_heads": shape.kv_heads, "tie_word_embeddings": True,
            "rms_norm_eps": shape.norm_eps, "max_position_embeddings": shape.context,
        },
    )  # fmt: skip
    torch.manual_seed(1)
    config = CONFIG_MAPPING[shape.architecture](vocab_size=shape.vocab, initializer_range=0.2, **sizes)
    model = AutoModelForCausalLM.from_config(config).eval()
    state = model.state_dict()
    for name, values in state.items():  # biases start as nothing, which would hide a lost one
        if name.endswith(".bias"):
            values.normal_(0, 0.2)
    found = {}
    for name, sides in tensor_sides(shape).items():
        values = state[shape.family.hf_name(name)]
        conv = shape.family.transposed and len(sides) == 2 and name.startswith("blk.")
        found[name] = np.ascontiguousarray((values.T if conv else values).numpy())
    return model, found
