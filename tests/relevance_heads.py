"""Weights of relevance for tests: a small random head that goes by likeness, on the real sentence encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netgpt.completion.relevance import NEEDED
from netgpt.encoder import DELTA_FORM, read_arrays, write_arrays

HEAD_WIDTH = 8
LIKE = 0.35
"""Cosine of request and fact from which the fact is chosen."""


def single(*numbers: float) -> NDArray[np.float32]:
    """As float32."""
    return np.array(numbers, np.float32)


def head_arrays(seed: int = 1) -> dict[str, NDArray[np.float32]]:
    """The arrays of a head: random, but for the likeness that decides."""
    rng, width = np.random.default_rng(seed), HEAD_WIDTH

    def some(*shape: int) -> NDArray[np.float32]:
        return rng.normal(0, 0.05, shape).astype(np.float32)

    arrays = {"coarse": single(1, 10), "calibration": single(1, 0)}
    for side in ("request", "fact"):
        arrays |= {f"{side}.words.w": some(384, width), f"{side}.words.b": some(width)}
        arrays |= {f"{side}.mean.w": some(384, width), f"{side}.mean.b": some(width)}
        arrays |= {f"{side}.{part}": some(width, width) for part in ("own", "other", "both")}
        arrays[f"{side}.b"] = some(width)
    arrays |= {"out.w1": some(6 * width + 1, width), "out.b1": some(width), "out.w2": some(width)}
    kinds = len(NEEDED)
    arrays |= {"need.w1": some(384, width), "need.b1": some(width)}
    arrays |= {"need.w2": some(width, kinds), "need.b2": some(kinds)}
    arrays["out.b2"] = single(-30 * LIKE, 30)
    return arrays


def made_relevance(path: Path, base: Path, seed: int = 1, **changed: Any) -> Path:
    """Write such weights. `changed`: arrays by name ("out__b2"), None: left out."""
    arrays: dict[str, Any] = dict(head_arrays(seed))
    arrays |= {name.replace("__", "."): value for name, value in changed.items()}
    named = {f"relevance.{name}": value for name, value in arrays.items() if value is not None}
    write_arrays(path, named, {"form": DELTA_FORM, "base": read_arrays(base).sha256})
    return path
