"""Export without an engine: names, order of rows, strength, and what is refused. Agreement of answers: test_parity."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from made_peft import GPT2, LLAMA, peft_folder, peft_tensors
from netgpt_bench.random_model import write_random_model
from safetensors.numpy import save_file

from netgpt.adapters.formats import ModelShape, read_adapter
from netgpt.adapters.peft import export, interleaved, shape_of
from netgpt.errors import NetGPTError, NotFound, RequestError, SettingsError

gguf = pytest.importorskip("gguf", reason="needs the extra `train`")


@pytest.fixture
def llama(tmp_path: Path) -> Path:
    return write_random_model(tmp_path / "llama.gguf", LLAMA)


def tensors_of(path: Path) -> dict[str, Any]:
    """As numpy has them: rows first."""
    return {tensor.name: np.array(tensor.data) for tensor in gguf.GGUFReader(path).tensors}


def test_a_llama_adapter_has_its_names_its_order_and_its_strength(llama: Path, tmp_path: Path) -> None:
    given = peft_tensors(LLAMA)
    written = export(peft_folder(tmp_path / "peft", given), llama, tmp_path / "out" / "a.gguf", form="F32")
    assert (written.architecture, written.rank, written.alpha, written.layers) == ("llama", 4, 8.0, 2)
    assert written.targets == tuple(LLAMA.family.modules)
    found = tensors_of(written.path)
    for word, module in LLAMA.family.modules.items():
        for layer in range(2):
            name = f"base_model.model.model.layers.{layer}.{module}"
            a, b = given[f"{name}.lora_A.weight"], given[f"{name}.lora_B.weight"]
            heads = {"attn_q": 4, "attn_k": 2}.get(word)
            assert np.array_equal(found[f"blk.{layer}.{word}.weight.lora_a"], a)
            assert np.array_equal(found[f"blk.{layer}.{word}.weight.lora_b"], interleaved(b, heads) if heads else b)
    assert stat.S_IMODE(written.path.stat().st_mode) == 0o600
    assert [path.name for path in written.path.parent.iterdir()] == ["a.gguf"]


def test_rows_are_interleaved_within_each_head() -> None:
    rows = np.arange(8)[:, None]
    assert interleaved(rows, 1)[:, 0].tolist() == [0, 4, 1, 5, 2, 6, 3, 7]
    assert interleaved(rows, 2)[:, 0].tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


@pytest.mark.parametrize("shape", [GPT2, ModelShape("qwen2", 2, 64, 4, 2, 16, 128, 300, 128, 1e-5)])
def test_other_architectures_keep_their_rows(shape: ModelShape, tmp_path: Path) -> None:
    base = write_random_model(tmp_path / "base.gguf", shape)
    given = peft_tensors(shape)
    written = export(peft_folder(tmp_path / "peft", given), base, tmp_path / "a.gguf", form="F32")
    assert written.architecture == shape.architecture and written.targets == tuple(shape.family.modules)
    found = tensors_of(written.path)
    word = next(iter(shape.family.modules))
    name = f"base_model.model.{shape.family.layers_path}.1.{shape.family.modules[word]}.lora_B.weight"
    assert np.array_equal(found[f"blk.1.{word}.weight.lora_b"], given[name])


def test_a_folder_of_hugging_face_serves_as_base(tmp_path: Path) -> None:
    config = {
        "model_type": "llama", "hidden_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2,
        "num_hidden_layers": 2, "intermediate_size": 128, "vocab_size": 300, "max_position_embeddings": 128,
    }  # fmt: skip
    (tmp_path / "hf").mkdir()
    (tmp_path / "hf" / "config.json").write_text(json.dumps(config))
    folder = peft_folder(tmp_path / "peft", peft_tensors(LLAMA))
    export(folder, tmp_path / "hf", tmp_path / "one.gguf")
    export(folder, write_random_model(tmp_path / "llama.gguf", LLAMA), tmp_path / "two.gguf")
    assert (tmp_path / "one.gguf").read_bytes() == (tmp_path / "two.gguf").read_bytes()


def test_half_precision_is_the_default_and_bfloat16_is_read(llama: Path, tmp_path: Path) -> None:
    given = peft_tensors(LLAMA, "attn_v")
    small = export(peft_folder(tmp_path / "peft", given), llama, tmp_path / "a.gguf")
    assert small.bytes < export(tmp_path / "peft", llama, tmp_path / "b.gguf", form="F32").bytes
    as_bfloat16(tmp_path / "peft" / "adapter_model.safetensors", given)
    export(tmp_path / "peft", llama, tmp_path / "c.gguf", form="F32")
    for name, values in tensors_of(tmp_path / "c.gguf").items():
        assert np.allclose(values, tensors_of(tmp_path / "b.gguf")[name], rtol=0.01), name


def as_bfloat16(path: Path, tensors: dict[str, Any]) -> None:
    """A safetensors file of BF16, by hand: numpy has no such type."""
    head, body = {}, b""
    for name, values in tensors.items():
        data = (values.view(np.uint32) >> 16).astype("<u2").tobytes()
        head[name] = {"dtype": "BF16", "shape": values.shape, "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(head).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + body)


def test_rslora_becomes_the_alpha_of_the_same_strength(llama: Path, tmp_path: Path) -> None:
    folder = peft_folder(tmp_path / "peft", peft_tensors(LLAMA), use_rslora=True)
    assert export(folder, llama, tmp_path / "a.gguf").alpha == 8 * 4**0.5


@pytest.mark.parametrize(
    ("config", "shown"),
    [
        ({"use_dora": True}, "use_dora"),
        ({"bias": "all"}, "bias"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"alpha_pattern": {"q_proj": 4}}, "alpha_pattern"),
        ({"rank_pattern": {"q_proj": 4}}, "rank_pattern"),
        ({"lora_bias": True}, "lora_bias"),
        ({"init_lora_weights": "pissa_niter_4"}, "init_lora_weights"),
        ({"peft_type": "IA3"}, "not a LoRA"),
        ({"r": 0}, "positive numbers"),
        ({"lora_alpha": "8"}, "positive numbers"),
        ({"r": 8}, "has rank 4, adapter_config.json says 8"),
    ],
)
def test_what_gguf_cannot_express_is_refused(llama: Path, tmp_path: Path, config: dict[str, Any], shown: str) -> None:
    folder = peft_folder(tmp_path / "peft", peft_tensors(LLAMA), **config)
    with pytest.raises(RequestError, match=shown):
        export(folder, llama, tmp_path / "a.gguf")
    assert not (tmp_path / "a.gguf").exists() and not list(tmp_path.glob(".*"))


def test_tensors_of_another_model_are_refused(llama: Path, tmp_path: Path) -> None:
    wider = ModelShape("llama", 2, 96, 4, 2, 24, 128, 300, 128, 1e-5)
    deeper = ModelShape("llama", 3, 64, 4, 2, 16, 128, 300, 128, 1e-5)
    whole = peft_tensors(LLAMA)
    large = {name: values * np.float32(1e6) for name, values in whole.items()}
    for tensors, shown in (
        (peft_tensors(wider), r"is 96 x 48, in llama.gguf it is 64 x 32"),
        (peft_tensors(deeper), "layer 2, which llama.gguf does not have"),
        (peft_tensors(GPT2), "no LoRA matrix of a llama model"),
        (dict(list(whole.items())[1:]), "lacks its other half"),
        ({**whole, "base_model.model.lm_head.weight": whole[next(iter(whole))]}, "no LoRA matrix"),
        (large, "beyond all measure"),
    ):
        with pytest.raises(RequestError, match=shown) as refused:
            export(peft_folder(tmp_path / "peft", tensors), llama, tmp_path / "a.gguf")
        assert str(tmp_path / "peft") in refused.value.message
    assert not (tmp_path / "a.gguf").exists()


def test_missing_and_damaged_files_are_reported(llama: Path, tmp_path: Path) -> None:
    folder = tmp_path / "peft"
    with pytest.raises(NotFound, match=r"adapter_config.json"):
        export(folder, llama, tmp_path / "a.gguf")
    peft_folder(folder, peft_tensors(LLAMA))
    with pytest.raises(NotFound, match="no such file"):
        export(folder, tmp_path / "none.gguf", tmp_path / "a.gguf")
    weights = folder / "adapter_model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(RequestError, match="not a safetensors file"):
        export(folder, llama, tmp_path / "a.gguf")
    weights.unlink()
    with pytest.raises(NotFound, match="save as safetensors"):
        export(folder, llama, tmp_path / "a.gguf")
    save_file({"x": np.zeros((2, 2), np.int32)}, weights)
    with pytest.raises(RequestError, match="is I32"):
        export(folder, llama, tmp_path / "a.gguf")
    (folder / "adapter_config.json").write_text("[" * 100_000)
    with pytest.raises(RequestError, match="not readable as JSON"):
        export(folder, llama, tmp_path / "a.gguf")


def test_a_base_of_an_unknown_architecture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "mamba"}))
    with pytest.raises(SettingsError, match="mamba"):
        shape_of(tmp_path)
    with pytest.raises(NetGPTError, match="token_embd"):
        shape_of(export(peft_folder(tmp_path / "p", peft_tensors(LLAMA)), llama_at(tmp_path), tmp_path / "a.gguf").path)


def llama_at(folder: Path) -> Path:
    return write_random_model(folder / "llama.gguf", LLAMA)


def test_an_export_takes_the_place_of_an_older_one_in_one_step(llama: Path, tmp_path: Path) -> None:
    target = tmp_path / "a.gguf"
    export(peft_folder(tmp_path / "one", peft_tensors(LLAMA, seed=1)), llama, target)
    before = target.read_bytes()
    with pytest.raises(NetGPTError):
        export(peft_folder(tmp_path / "bad", peft_tensors(GPT2)), llama, target)
    assert target.read_bytes() == before
    export(peft_folder(tmp_path / "two", peft_tensors(LLAMA, seed=2)), llama, target)
    assert target.read_bytes() != before and read_adapter(target).rank == 4
