"""Writing the model of difficulty: weights, and the card beside them."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from netgpt.errors import RequestError
from netgpt.grading.making import TrainedDifficulty

__all__ = ["ship"]

_HALVED = (".axes", ".landmarks")
"""Large arrays whose digits beyond half precision change no ranking."""


def ship(made: TrainedDifficulty, path: Path) -> dict[str, Any]:
    """Write `path` (.safetensors) and its card (.json); returns the card. Raises RequestError: it cannot be written."""
    if path.suffix != ".safetensors":
        raise RequestError(
            f"{path}: name the file with the ending .safetensors; its card is written beside it as .json"
        )
    arrays = {
        name: np.ascontiguousarray(array, dtype=np.float16 if name.endswith(_HALVED) else np.float32)
        for name, array in sorted(made.arrays.items())
    }
    content = save(arrays)
    card = {**made.card, "bytes": len(content), "sha256": sha256(content).hexdigest()}
    told = json.dumps(card, indent=1, ensure_ascii=False) + "\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for target, data in ((path, content), (path.with_suffix(".json"), told.encode())):
            beside = target.with_name(target.name + ".new")
            beside.write_bytes(data)
            beside.replace(target)
    except OSError as error:
        raise RequestError(f"{path}: cannot be written: {error.strerror}") from None
    return card
