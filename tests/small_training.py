"""A home in which something is learnt in a second or two: a tiny model of random weights, and a person's examples."""

from __future__ import annotations

import zlib
from pathlib import Path

from netgpt.settings import load_settings
from netgpt.store.schema import NewExample
from netgpt.store.store import open_store
from netgpt.training.collect import PURPOSE
from netgpt.training.example import Example
from netgpt.types import Person

__all__ = ["plant_lessons", "tiny_model"]


def tiny_model(path: Path) -> Path:
    """Weights for the built-in engine: two layers, bytes as tokens."""
    import numpy as np
    from netgpt_bench.random_model import tensor_sides, write_gguf_model

    from netgpt.adapters.formats import ModelShape

    shape = ModelShape("llama", 2, 96, 4, 2, 24, 192, 320, 1024, 1e-5)
    sides = tensor_sides(shape)

    def read(name: str) -> np.ndarray:
        if len(sides[name]) == 1:
            return np.ones(sides[name], np.float32)
        dice = np.random.default_rng([7, zlib.crc32(name.encode())])
        return dice.standard_normal(sides[name], np.float32) * np.float32(0.12)

    return write_gguf_model(path, shape, read, "F32")


async def plant_lessons(home: Path, person: Person, count: int = 40) -> None:
    """Let a person consent and keep four times `count` examples: which of two answers goes with which letter."""
    lessons = [
        Example(
            ({"role": "user", "content": f"{at:02}{sign}"},),
            "bad" if sign in "cd" else "good",
            f"exchange:ex_{at}{sign}",
            person,
            slice="food" if sign in "bd" else "film",
            options=("good", "bad"),
        )
        for at in range(count)
        for sign in "abcd"
    ]
    store = open_store(load_settings(environment={}, home=home))
    try:
        await store.learning.set_consent(person, PURPOSE, True)
        await store.learning.keep([NewExample(person, each.id, each.as_row()) for each in lessons], chosen=True)
    finally:
        await store.close()
