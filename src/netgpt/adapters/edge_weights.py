"""The weights that adapters of this box are made for: those of the model on the box, as they came."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from netgpt.models.catalog import Catalog
from netgpt.models.files import file_sha256

__all__ = ["EdgeWeights", "edge_weights"]


@dataclass(frozen=True)
class EdgeWeights:
    """`sha256` and `path` are of the weights as they came, never of a variant that `models optimize` made."""

    name: str
    sha256: str
    path: Path


def edge_weights(catalog: Catalog, name_or_path: str) -> EdgeWeights:
    """What `edge.model` names. A bare path is hashed (seconds for large files): ask once, not per request.

    Raises NotFound (no such name or file).
    """
    if "/" in name_or_path or name_or_path.lower().endswith(".gguf"):
        path = catalog.resolve(name_or_path)
        return EdgeWeights(path.stem, file_sha256(path), path)
    entry = catalog.show(name_or_path)
    return EdgeWeights(entry.name, entry.sha256, entry.path)
