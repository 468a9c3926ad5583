"""The state of a training, so that it goes on after a kill: one safetensors file, replaced in one step.

Tensors and the JSON of the state stand in the same file (the JSON in its header), so they never disagree. Nothing is
pickled.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from netgpt.errors import StoreError

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["load_state", "make_folder", "save_state", "save_tensors"]


def make_folder(path: Path) -> None:
    """Make a private folder. Raises StoreError."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(f"{path}: cannot be made: {error.strerror}; choose another folder to work in") from None


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file whole or not at all, owner-only, on the disk. Raises StoreError when it is full."""
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    part = path.with_name(path.name + ".part")
    size = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    try:
        part.touch(mode=0o600)
        save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, part, dict(metadata))
        with part.open("rb+") as file:
            os.fchmod(file.fileno(), 0o600)
            os.fsync(file.fileno())
        part.replace(path)
    except (OSError, SafetensorError) as error:
        part.unlink(missing_ok=True)
        raise StoreError(
            f"{path}: {size / 1e6:,.1f} MB could not be written ({error}). Free some space or choose another folder; "
            "training goes on from its last checkpoint when it is started again."
        ) from None


def save_state(path: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Write a checkpoint."""
    save_tensors(path, tensors, {"netgpt": json.dumps(state)})


def load_state(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
    """Read a checkpoint; None when there is none or it is of no use (then training starts anew)."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            state = json.loads((file.metadata() or {})["netgpt"])
            return {name: file.get_tensor(name).clone() for name in file.keys()}, state  # noqa: SIM118
    except (OSError, SafetensorError, ValueError, KeyError):
        return None
