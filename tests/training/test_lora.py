"""Training of tiny random models: the same numbers as PEFT and plain forward passes, seeds, limits, errors."""

from __future__ import annotations

import json
import stat
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from training.tiny_models import sums, tiny_gpt2, tiny_llama

pytest.importorskip("torch", reason="needs the extra: pip install 'netgpt[train]'")

from netgpt.errors import NotFound, RequestError, SettingsError
from netgpt.training.lora.child import train
from netgpt.training.lora.recipe import Recipe, Step

EVERY = ("attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down")
SMALL = Recipe(
    rank=4, epochs=3, learning_rate=2e-2, batch_tokens=160, held_out=0.0, targets=EVERY, dtype="float32", threads=1
)


@pytest.fixture(params=["llama", "gpt2"])
def model(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return {"llama": tiny_llama, "gpt2": tiny_gpt2}[request.param](tmp_path / "model")


def peft_losses(model: Path, adapter: Path, examples: Any) -> list[float]:
    """Summed loss of each example's answer, by PEFT and transformers alone."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from netgpt.training.lora.data import load_tokenizer
    from netgpt.training.lora.weights import open_base

    tokenizer = load_tokenizer(open_base(model))
    loaded = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(model), adapter).eval()
    losses = []
    for example in examples:
        encoded = tokenizer.encode(example)
        with torch.no_grad():
            logits = loaded(torch.tensor([encoded.ids])).logits[0, encoded.start - 1 : -1]
        wanted = torch.tensor(encoded.ids[encoded.start :])
        losses.append(torch.nn.functional.cross_entropy(logits, wanted, reduction="sum").item())
    return losses


@pytest.mark.slow
def test_learns_and_peft_says_the_same(model: Path, tmp_path: Path) -> None:
    """A small mapping is learnt by heart, and the files that were written hold what was learnt."""
    from netgpt.training.lora.trainer import Training

    examples = sums(12)
    recipe = replace(SMALL, rank=8, epochs=40)
    run = Training(model, examples, recipe, tmp_path / "work", lambda step: None, True)
    trained = run.run()
    run.measured, run.learnt = run.learnt, []
    losses = peft_losses(model, trained.folder, examples)
    rows = sum(len(example.ids) - example.start for example in run.measured)
    assert sum(losses) / rows == pytest.approx(run.held_out_loss(), rel=1e-3)
    assert sum(losses) / rows < {"llama": 0.5, "gpt2": 1.0}[run.base.shape.architecture]
    tokens = sum(len(example.ids) for example in run.measured)
    assert (trained.stopped, trained.examples, trained.tokens) == ("epochs", 12, 40 * tokens)


@pytest.mark.slow
@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_loss_and_gradients_are_those_of_peft(model: Path, tmp_path: Path, layers: int, checkpointing: bool) -> None:
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    from netgpt.training.lora.trainer import Training

    examples = sums(6)
    recipe = replace(SMALL, layers=layers, epochs=2)
    run = Training(model, examples, recipe, tmp_path / "work", lambda step: None, True)
    trained = run.run()
    run = Training(model, examples, recipe, tmp_path / "again", lambda step: None, True)
    run._set_up()
    peft = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(model), trained.folder, is_trainable=True)
    theirs = {name: value for name, value in peft.named_parameters() if value.requires_grad}
    family = run.base.shape.family
    ours = {}
    for name, tensor in run.net.trained.items():
        _, layer, word, side = name.split(".")
        module = f"base_model.model.{family.layers_path}.{layer}.{family.modules[word]}"
        path = f"{module}.lora_{side[-1].upper()}.default.weight"
        ours[path] = tensor
        tensor.data.copy_(theirs[path].data)
    assert set(ours) == set(theirs)
    total = torch.zeros(())
    for example in run.learnt:
        logits = peft(torch.tensor([example.ids])).logits[0, example.start - 1 : -1]
        total = total + torch.nn.functional.cross_entropy(
            logits, torch.tensor(example.ids[example.start :]), reduction="sum"
        )
    total.backward()
    run.plan = replace(run.plan, checkpointing=checkpointing)
    loss = run._loss_of(range(len(examples)), run.learnt, 0)
    loss.backward()
    assert loss.item() == pytest.approx(total.item(), rel=1e-4)
    for path, tensor in ours.items():
        assert tensor.grad is not None
        torch.testing.assert_close(tensor.grad, theirs[path].grad, rtol=2e-3, atol=2e-4)


def test_same_seed_same_bytes_other_seed_other_bytes(tmp_path: Path) -> None:
    model = tiny_llama(tmp_path / "model")
    bytes_of = [
        (
            train(model, sums(9), replace(SMALL, seed=seed), tmp_path / f"work{at}").folder
            / "adapter_model.safetensors"
        ).read_bytes()
        for at, seed in enumerate((1, 1, 2))
    ]
    assert bytes_of[0] == bytes_of[1] != bytes_of[2]


def test_micro_batches_give_the_same_as_one_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Less memory means smaller parts, not another result."""
    from netgpt.training.lora.trainer import Training

    model = tiny_llama(tmp_path / "model")
    losses = []
    for at, tokens in enumerate((1000, 40)):
        run = Training(model, sums(12), SMALL, tmp_path / f"work{at}", lambda step: None, True)
        run._set_up()
        run.plan = replace(run.plan, tokens_at_once=tokens)
        run._train()
        losses.append(run.state["last"])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_the_trunk_on_disk_is_the_trunk_in_memory(tmp_path: Path) -> None:
    from netgpt.training.lora.memory import HiddenStates
    from netgpt.training.lora.trainer import Training

    model, kept = tiny_gpt2(tmp_path / "model"), []
    for at in range(2):
        run = Training(model, sums(5), replace(SMALL, layers=1), tmp_path / f"work{at}", lambda step: None, True)
        run._set_up()
        assert run.hidden is not None
        if at:
            hidden = HiddenStates(run.hidden.lengths, 48, run.dtype, tmp_path / "trunk.bin")
            for number in range(5):
                hidden.put(number, run.hidden.get(number))
            run.hidden = hidden
        kept.append(run._loss_of(range(5), run.learnt, 0).item())
        run.hidden.close()
    assert kept[0] == kept[1]
    assert not (tmp_path / "trunk.bin").exists()


def test_progress_and_early_stop(tmp_path: Path) -> None:
    """Answers that cannot be foreseen: the held-out loss rises, training stops, the best state is kept."""
    steps: list[Step] = []
    examples = [replace(example, answer=f"{at * 7919 % 1000}") for at, example in enumerate(sums(60))]
    recipe = replace(SMALL, held_out=0.3, epochs=40, patience=2)
    trained = train(tiny_llama(tmp_path / "model"), examples, recipe, tmp_path / "work", progress=steps.append)
    assert trained.stopped == "early"
    assert trained.held_out_examples > 5
    assert trained.held_out_loss is not None
    assert steps[-1].epoch < 40
    assert all(step.peak_mb > 50 and step.tokens_per_s > 0 and step.seconds_left >= 0 for step in steps)
    assert [step.done_tokens for step in steps] == sorted(step.done_tokens for step in steps)
    assert not (tmp_path / "work" / "checkpoint.safetensors").exists()


def test_one_token_options_cost_one_row(tmp_path: Path) -> None:
    from netgpt.training.lora.data import load_tokenizer
    from netgpt.training.lora.weights import open_base

    tokenizer = load_tokenizer(open_base(tiny_llama(tmp_path / "model", layers=1)))
    closed, free = tokenizer.encode(sums(1, options=True)[0]), tokenizer.encode(sums(1)[0])
    assert len(closed.ids) - closed.start == 1
    assert len(free.ids) - free.start == len("red") + 1
    assert free.ids[-1] == tokenizer.end_id


def test_full_training_writes_a_model_that_transformers_loads(model: Path, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    examples = sums(8)
    recipe = replace(SMALL, full=True, epochs=12, learning_rate=5e-3)
    trained = train(model, examples, recipe, tmp_path / "work")
    loaded = AutoModelForCausalLM.from_pretrained(trained.folder)
    before = AutoModelForCausalLM.from_pretrained(model)
    changed = [not torch.equal(a, b) for a, b in zip(loaded.parameters(), before.parameters(), strict=True)]
    assert all(changed)
    assert trained.loss < 0.7
    again = train(trained.folder, examples, replace(recipe, epochs=1, learning_rate=1e-9), tmp_path / "again")
    assert again.loss < trained.loss + 0.05


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"memory_mb": 60}, "memory_mb ="),
        ({"targets": ("attn_z",)}, "attn_z"),
        ({"rank": 0}, "rank"),
        ({"held_out": 1.0}, "held_out"),
        ({"device": "cuda:7"}, "cuda:7"),
        ({"dtype": "int4"}, "dtype"),
    ],
)
def test_recipes_that_cannot_be(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        train(tiny_llama(tmp_path / "model", layers=1), sums(3), replace(SMALL, **change), tmp_path / "work")


def test_what_the_refusal_proposes_is_enough(tmp_path: Path) -> None:
    model = tiny_llama(tmp_path / "model", layers=1)
    with pytest.raises(SettingsError, match="memory_mb =") as refused:
        train(model, sums(3), replace(SMALL, memory_mb=60), tmp_path / "work")
    proposed = int(refused.value.message.split("memory_mb = ")[1].split(",")[0])
    train(model, sums(3), replace(SMALL, memory_mb=proposed + 30, epochs=1), tmp_path / "work")


def test_examples_and_bases_of_no_use(tmp_path: Path) -> None:
    model = tiny_llama(tmp_path / "model", layers=1)
    with pytest.raises(RequestError, match="nothing to train on: 0 examples"):
        train(model, [], SMALL, tmp_path / "work")
    with pytest.raises(RequestError, match="3 longer than 5 tokens"):
        train(model, sums(3), replace(SMALL, max_tokens=5), tmp_path / "work")
    with pytest.raises(NotFound, match="no such file"):
        train(tmp_path / "none.gguf", sums(3), SMALL, tmp_path / "work")
    (model / "model.safetensors").write_bytes(b"cut")
    with pytest.raises(RequestError, match="cannot be read"):
        train(model, sums(3), SMALL, tmp_path / "work")


def test_files_are_private_and_hold_no_text(tmp_path: Path) -> None:
    trained = train(tiny_llama(tmp_path / "model"), sums(6), replace(SMALL, epochs=1), tmp_path / "work")
    files = [path for path in (tmp_path / "work").rglob("*") if path.is_file()]
    assert {path.name for path in files} == {"adapter_model.safetensors", "adapter_config.json"}
    for path in (*files, tmp_path / "work", trained.folder):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0
    config = json.loads((trained.folder / "adapter_config.json").read_text())
    assert (config["r"], config["lora_alpha"], config["layers_to_transform"]) == (4, 16.0, [0, 1, 2])


def test_the_recipe_is_plain_json() -> None:
    assert json.loads(json.dumps(asdict(SMALL)))["rank"] == 4
