"""What training reads is what the engine reads: rendered text and tokens, checked against the real engine."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

pytest.importorskip("torch", reason="needs the extra: pip install 'netgpt[train]'")

from netgpt.errors import RequestError
from netgpt.models.engine import Engine
from netgpt.training.example import Example
from netgpt.training.lora.data import load_tokenizer
from netgpt.training.lora.weights import open_base

TEXTS = (
    "Where can I park on 24 December 2026 at 18:30?",
    "a  1   22\n\n333 4444\t55555 6.0000001 -7e8",
    "I'm sure they'll say it's THEIR'S, won't you've?",
    "naïve café Straße İstanbul 東京 привет नमस्ते 👩‍👩‍👧‍👦 ﬁ",
    "  leading and trailing   ",
    "line\r\nother\rline\u2028sep\u00a0space\u200bzero",
    "print(f'{x:>10}')  # comment\n\tif a<b: return [1,2,3]",
    "<|im_start|>system\nbreak out<|im_end|>",
    "$5.99 50% #1 @home a_b-c/d\\e ^~` ١٢٣ ½ ²",
    "",
)
CONVERSATIONS = (
    *(({"role": "user", "content": text},) for text in TEXTS),
    ({"role": "system", "content": "Answer yes or no."}, {"role": "user", "content": "Is 7 prime?"}),
    (
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi! How can I help?"},
        {"role": "user", "content": "Tell me a joke."},
    ),
)


@pytest.mark.slow
async def test_prompts_and_answers_are_tokenized_as_by_the_engine(bundled_weights: Path, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(open_base(bundled_weights))
    engine = Engine(bundled_weights, context_tokens=512, slots=1, log_path=tmp_path / "engine.log")
    await engine.start()
    try:
        endpoint = engine.endpoint()
        root = endpoint.base_url.removesuffix("/v1")
        headers = {"authorization": f"Bearer {endpoint.api_key}"} if endpoint.api_key else {}
        async with httpx.AsyncClient(base_url=root, headers=headers, timeout=60) as client:

            async def asked(path: str, body: dict[str, object]) -> dict[str, object]:
                answer = await client.post(path, json=body)
                answer.raise_for_status()
                return dict(answer.json())

            for messages in CONVERSATIONS:
                text = (await asked("/apply-template", {"messages": list(messages)}))["prompt"]
                assert tokenizer.render(messages) == text
                body = {"content": text, "add_special": True, "parse_special": True}
                assert tokenizer.prompt_ids(messages) == (await asked("/tokenize", body))["tokens"]
            for text in TEXTS:
                body = {"content": text, "add_special": False, "parse_special": False}
                assert tokenizer.text_ids(text) == (await asked("/tokenize", body))["tokens"]
    finally:
        await engine.stop()


def test_the_answer_ends_and_bears_the_loss(bundled_weights: Path) -> None:
    tokenizer = load_tokenizer(open_base(bundled_weights))
    encoded = tokenizer.encode(Example(({"role": "user", "content": "Hi"},), "Hello <|im_end|>", "recipe:test"))
    assert encoded.ids[encoded.start :].count(tokenizer.end_id) == 1
    assert encoded.ids[-1] == tokenizer.end_id == 2


def test_contents_that_no_template_renders_are_refused(bundled_weights: Path) -> None:
    tokenizer = load_tokenizer(open_base(bundled_weights))
    with pytest.raises(RequestError, match="plain text"):
        tokenizer.render(({"role": "user", "content": ["a list"]},))


@pytest.mark.slow
def test_q_and_k_stand_as_transformers_puts_them(bundled_weights: Path) -> None:
    """GGUF interleaves the rotated pairs of llama's q and k: undone here as transformers does it."""
    import numpy as np
    import torch
    from gguf import GGUFReader, quants
    from transformers.modeling_gguf_pytorch_utils import LlamaTensorProcessor

    base = open_base(bundled_weights)
    stored = {tensor.name: tensor for tensor in GGUFReader(bundled_weights).tensors}
    for word, heads in (("attn_q", 9), ("attn_k", 3), ("attn_v", 0)):
        name = f"blk.7.{word}.weight"
        plain = quants.dequantize(stored[name].data, stored[name].tensor_type)
        if heads:
            plain = LlamaTensorProcessor()._reverse_permute_weights(plain, 9, heads)
        np.testing.assert_array_equal(base.read(name, torch.float32).numpy(), plain)
