"""Random models: deterministic, of the size they should have, and served by the real engine."""

from __future__ import annotations

from pathlib import Path

import httpx
import numpy as np
import pytest
from made_peft import GPT2, LLAMA
from netgpt_bench.random_model import FORMS, SHAPES, tensor_sides, write_gguf_model, write_random_model

from netgpt.adapters.formats import ModelShape
from netgpt.adapters.peft import shape_of
from netgpt.errors import RequestError, StoreError
from netgpt.models.engine import Engine
from netgpt.models.gguf import check_weights

pytest.importorskip("gguf", reason="needs the extra `train`")


def test_the_same_seed_gives_the_same_file(tmp_path: Path) -> None:
    one = write_random_model(tmp_path / "one.gguf", GPT2, seed=1).read_bytes()
    assert one == write_random_model(tmp_path / "two.gguf", GPT2, seed=1).read_bytes()
    assert one != write_random_model(tmp_path / "three.gguf", GPT2, seed=2).read_bytes()


@pytest.mark.parametrize("shape", [GPT2, LLAMA], ids=["gpt2", "llama"])
@pytest.mark.parametrize("form", FORMS)
def test_every_form_is_a_chat_model_of_its_shape(tmp_path: Path, shape: ModelShape, form: str) -> None:
    info = check_weights(write_random_model(tmp_path / "model.gguf", shape, form))
    assert (info.architecture, info.quantization) == (shape.architecture, form)
    assert info.parameters == sum(int(np.prod(sides)) for sides in tensor_sides(shape).values())
    read = shape_of(info.path)
    assert (read.heads, read.kv_heads, read.hidden, read.layers) == (
        shape.heads, shape.kv_heads, shape.hidden, shape.layers
    )  # fmt: skip


def test_the_published_sizes_are_right() -> None:
    millions = {
        name: sum(int(np.prod(sides)) for sides in tensor_sides(shape).values()) / 1e6 for name, shape in SHAPES.items()
    }
    assert round(millions["gpt2-124m"], 1) == 124.4
    assert round(millions["smollm2-135m"], 1) == 134.5


def test_what_does_not_fit_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    narrow = ModelShape("llama", 1, 40, 4, 4, 10, 80, 300, 128, 1e-5)
    with pytest.raises(RequestError, match="Q2_K"):
        write_random_model(tmp_path / "m.gguf", LLAMA, "Q2_K")
    with pytest.raises(RequestError, match="do not fit"):
        write_random_model(tmp_path / "m.gguf", narrow, "Q4_0")
    with pytest.raises(RequestError, match="is expected"):
        write_gguf_model(tmp_path / "m.gguf", LLAMA, lambda name: np.zeros((2, 2), np.float32))
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        write_random_model(tmp_path / "file" / "m.gguf", LLAMA)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.slow
@pytest.mark.parametrize("shape", [GPT2, LLAMA], ids=["gpt2", "llama"])
async def test_the_engine_serves_it(tmp_path: Path, shape: ModelShape) -> None:
    weights = write_random_model(tmp_path / "model.gguf", shape, "Q4_0")
    engine = Engine(weights, context_tokens=128, slots=1, threads=1, log_path=tmp_path / "engine.log")
    await engine.start()
    try:
        endpoint = engine.endpoint()
        async with httpx.AsyncClient(headers={"Authorization": f"Bearer {endpoint.api_key}"}, timeout=60) as client:
            body = {"messages": [{"role": "user", "content": "Grüße\n"}], "max_tokens": 3}
            answer = (await client.post(f"{endpoint.base_url}/chat/completions", json=body)).raise_for_status().json()
        assert answer["usage"]["completion_tokens"] == 3
    finally:
        await engine.stop(0)
