"""What the check lets through, the engine loads: a bad file would take the engine of the whole box down."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from made_adapters import METADATA, lora_tensors, packed
from netgpt_bench.random_model import write_random_model

from netgpt.adapters.formats import ModelShape, check_base, read_adapter
from netgpt.errors import RequestError
from netgpt.models.engine import Engine

pytest.importorskip("gguf", reason="needs the extra `train`")
pytestmark = pytest.mark.slow

WANTED = 30


async def test_every_damaged_adapter_that_passes_the_check_is_loaded(tmp_path: Path) -> None:
    base = write_random_model(tmp_path / "base.gguf", ModelShape("llama", 2, 64, 4, 2, 16, 128, 300, 128, 1e-5))
    sound, rng = packed(METADATA, lora_tensors()), random.Random(3)
    header = sound.index(b"blk.1.attn_v.weight.lora_b") + 80
    passed: list[Path] = []
    for _ in range(20_000):
        data = bytearray(sound)
        data[rng.randrange(header)] ^= rng.randrange(1, 256)
        path = tmp_path / f"{len(passed)}.gguf"
        path.write_bytes(data)
        try:
            check_base(read_adapter(path), base)
        except RequestError:
            continue
        passed.append(path)
        if len(passed) == WANTED:
            break
    assert len(passed) == WANTED
    engine = Engine(
        base, context_tokens=128, slots=1, threads=1, log_path=tmp_path / "log", adapters=[(p, 1.0) for p in passed]
    )
    await engine.start()
    assert engine.state == "ready"
    await engine.stop(0)
