"""Writing the tagger's file and the card beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from netgpt.privacy.doubts import NUMBER, PLAIN
from netgpt.privacy.names import DOCUMENT, DOCUMENT_CHARS, SHORT, SHORT_CHARS
from netgpt.tagging.making import Bench
from netgpt.tagging.sources import LICENCES

__all__ = ["ship"]


def ship(arrays: Mapping[str, NDArray[Any]], folder: Path, card: Mapping[str, Any]) -> Path:
    """Write `tagger.safetensors` and `tagger.json` into the folder; returns the path of the weights."""
    folder.mkdir(parents=True, exist_ok=True)
    content = save({name: np.ascontiguousarray(array) for name, array in sorted(arrays.items())})
    told = {**card, "bytes": len(content), "sha256": sha256(content).hexdigest()}
    _write(folder / "tagger.json", (json.dumps(told, indent=2, ensure_ascii=False) + "\n").encode())
    return _write(folder / "tagger.safetensors", content)


def card(bench: Bench, course: Mapping[str, Any], figures: Mapping[str, Any], folds: int) -> dict[str, Any]:
    """What the file was made from and what it reached; figures are of rows that the network had not seen."""
    data = bench.labelled
    sets: dict[str, Any] = {"invented": {"rows": "made anew in every pass", "licence": "Apache-2.0"}}
    if data is not None:
        counts = {
            "pupa": len(data.pupa),
            "synth": len(data.synth),
            "wnut": len(data.wnut),
            "prompts": len(data.prompts),
        }
        for name, count in counts.items():
            licence = LICENCES.get(name) or ", ".join(
                f"{n}: {LICENCES[n]}" for n in ("clinc", "slurp", "snips", "user", "seed")
            )
            sets[name] = {"rows": count, "licence": licence}
        sets["prompts"]["plain"] = sum(example.origin == "plain" for example in data.prompts)
    return {
        "what": "finds names and other private words; read by netgpt.privacy.tagger",
        "data": sets,
        "lists": {"cities, towns, regions": "GeoNames, CC BY 4.0", "first, last": "Apache-2.0"},
        "word vectors": f"wordllama {version('wordllama')}, MIT, not part of the file",
        "training": dict(course),
        "versions": {name: version(name) for name in ("torch", "numpy", "safetensors", "tokenizers")},
        "cuts": {
            "short": SHORT,
            "short_chars": SHORT_CHARS,
            "document": DOCUMENT,
            "document_chars": DOCUMENT_CHARS,
            "plain": PLAIN,
            "number": NUMBER,
        },
        "folds": folds,
        "cross-validated": dict(figures),
    }


def _write(path: Path, content: bytes) -> Path:
    beside = path.with_suffix(path.suffix + ".new")
    beside.write_bytes(content)
    return beside.replace(path)
