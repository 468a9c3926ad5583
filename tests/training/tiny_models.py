"""Tiny random models in Hugging Face's form, with a byte-level tokenizer and ChatML: made in a tenth of a second."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from netgpt.training.example import Example

TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' + m['content'] + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def tiny_llama(folder: Path, *, layers: int = 3, seed: int = 0, **changes: Any) -> Path:
    """Grouped heads, tied embedding; `changes` of the config."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(seed)
    sizes: dict[str, Any] = {
        "vocab_size": 320, "hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": layers,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 256,
        "tie_word_embeddings": True, "initializer_range": 0.15, "bos_token_id": 257, "eos_token_id": 258,
    }  # fmt: skip
    config = LlamaConfig(**(sizes | changes))
    return _saved(LlamaForCausalLM(config), folder)


def tiny_gpt2(folder: Path, *, layers: int = 3, seed: int = 0) -> Path:
    """The fused c_attn and transposed matrices of GPT-2; biases are random too."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    torch.manual_seed(seed)
    config = GPT2Config(
        vocab_size=320, n_embd=48, n_layer=layers, n_head=4, n_positions=256, initializer_range=0.15,
        bos_token_id=258, eos_token_id=258,
    )  # fmt: skip
    model = GPT2LMHeadModel(config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(0, 0.1)
    return _saved(model, folder)


def _saved(model: Any, folder: Path) -> Path:
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    model.save_pretrained(folder)
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    tokenizer = Tokenizer(models.BPE(vocab={letter: at for at, letter in enumerate(alphabet)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(text, special=True) for text in ("<|pad|>", "<|im_start|>", "<|im_end|>")])
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {"eos_token": "<|im_end|>", "chat_template": TEMPLATE, "tokenizer_class": "PreTrainedTokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


def sums(count: int, *, options: bool = False) -> list[Example]:
    """Small things to learn: a letter in, a word out."""
    words = ("red", "green", "blue", "grey")
    return [
        Example(
            ({"role": "user", "content": f"{'abcd'[at % 4]}{at // 4 % 10}{'!' * (at % 3)}"},),
            "yn"[at % 2] if options else words[at % 4],
            "recipe:test",
            options=("y", "n") if options else (),
        )
        for at in range(count)
    ]
