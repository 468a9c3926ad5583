"""A split model says what the whole model says, in this process and over a shaped link between two processes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from netgpt_bench.link_emulator import LinkShape, ShapedLink
from netgpt_bench.split_process import CloudProcess, EdgeProcess
from netgpt_bench.splitting import CloudHalf, EdgeHalf, generate, save_halves

from netgpt.errors import ModelUnavailable, RequestError

PROMPT = [3, 14, 15, 92, 65, 35, 89, 79]


def tiny(family: str, tied: bool = True) -> Any:
    """A random model of four small layers. Strong weights, so that its likeliest tokens differ from place to place."""
    import torch
    import transformers

    torch.manual_seed(3)
    torch.set_num_threads(1)
    if family == "gpt2":
        config: Any = transformers.GPT2Config(
            vocab_size=128, n_positions=64, n_embd=32, n_layer=4, n_head=4, initializer_range=0.4,
            bos_token_id=1, eos_token_id=2,
        )  # fmt: skip
        return transformers.GPT2LMHeadModel(config).eval()
    config = transformers.LlamaConfig(
        vocab_size=128, hidden_size=32, intermediate_size=64, num_hidden_layers=4, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64, initializer_range=0.4, tie_word_embeddings=tied,
    )  # fmt: skip
    return transformers.LlamaForCausalLM(config).eval()


def greedy(model: Any, prompt: list[int], count: int) -> list[int]:
    """What the whole model writes, without any cache: each token from the whole text so far."""
    import torch

    tokens = list(prompt)
    with torch.inference_mode():
        for _ in range(count):
            tokens.append(int(model(torch.tensor([tokens]), use_cache=False).logits[0, -1].argmax()))
    return tokens[len(prompt) :]


@pytest.mark.parametrize("family", ["llama", "gpt2"])
@pytest.mark.parametrize("edge_layers", [1, 3])
def test_the_split_model_writes_what_the_whole_one_writes(family: str, edge_layers: int, tmp_path: Path) -> None:
    model = tiny(family)
    expected = greedy(model, PROMPT, 12)
    assert len(set(expected)) > 3, "the test needs a model that does not repeat itself"
    save_halves(model, edge_layers, tmp_path, "float32")
    cloud = CloudHalf(tmp_path)
    written = generate(EdgeHalf(tmp_path), lambda h, first: cloud.next_token(h, first=first), PROMPT, 12)
    assert written == expected


def test_an_untied_head_is_kept(tmp_path: Path) -> None:
    model = tiny("llama", tied=False)
    expected = greedy(model, PROMPT, 6)
    save_halves(model, 2, tmp_path, "float32")
    cloud = CloudHalf(tmp_path)
    assert generate(EdgeHalf(tmp_path), lambda h, first: cloud.next_token(h, first=first), PROMPT, 6) == expected


def test_each_side_holds_its_own_layers_only(tmp_path: Path) -> None:
    from safetensors import safe_open

    shape = save_halves(tiny("llama"), 1, tmp_path)
    assert (shape["layers"], shape["edge_layers"], shape["hidden"], shape["dtype"]) == (4, 1, 32, "bfloat16")
    for side, layers in (("edge", {"0"}), ("cloud", {"0", "1", "2"})):
        with safe_open(tmp_path / side / "model.safetensors", "pt") as file:
            numbers = {part for name in file.keys() for part in name.split(".") if part.isdecimal()}  # noqa: SIM118
        assert numbers == layers
    assert shape == json.loads((tmp_path / "split.json").read_text())


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_a_hidden_state_is_two_bytes_a_number(dtype: str, tmp_path: Path) -> None:
    save_halves(tiny("gpt2"), 2, tmp_path, dtype)
    edge = EdgeHalf(tmp_path)
    assert len(edge.hidden(PROMPT, first=True)) == len(PROMPT) * 32 * 2
    assert len(edge.hidden([5], first=False)) == 32 * 2


def test_what_cannot_be_split_is_refused(tmp_path: Path) -> None:
    model = tiny("llama")
    for layers in (0, 4):
        with pytest.raises(RequestError, match="1 to 3 layers"):
            save_halves(model, layers, tmp_path)
    save_halves(model, 2, tmp_path)
    with pytest.raises(RequestError, match="different models"):
        CloudHalf(tmp_path).next_token(b"123", first=True)


@pytest.mark.slow
async def test_two_processes_over_a_link_write_the_same(tmp_path: Path) -> None:
    """Real processes, a real link: the same tokens, the counted bytes, and one round trip a token."""
    model = tiny("gpt2")
    expected = greedy(model, PROMPT, 8)
    save_halves(model, 2, tmp_path, "float32")
    async with (
        CloudProcess(tmp_path) as cloud,
        ShapedLink(cloud.port, LinkShape(delay_ms=20)) as link,
        EdgeProcess(tmp_path, link.port) as edge,
    ):
        first = await edge.ask(PROMPT, 8)
        up, down = link.up, link.down
        again = await edge.ask(PROMPT, 8, ends=[expected[2]])
    assert first.tokens == expected
    assert again.tokens == expected[: expected.index(expected[2]) + 1], "the caches begin anew with each text"
    assert up == len(PROMPT) * 32 * 4 + 7 * 32 * 4 + 8 * 5, "hidden states, and 5 bytes around each message"
    assert down == 8 * 4
    assert first.first_token_ms >= 40
    assert first.whole_ms >= 8 * 40


@pytest.mark.slow
async def test_a_half_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailable, match="split"):
        async with CloudProcess(tmp_path):
            pass
