"""Reads a PEFT folder (`adapter_config.json`, `adapter_model.safetensors`) without torch and without pickle.

Refuses what a plain LoRA in GGUF cannot express: there every matrix gets `alpha / rank * B A`, one alpha for all,
and nothing else of the model changes.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from netgpt.adapters.families import Family
from netgpt.errors import NotFound, PayloadTooLarge, RequestError

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["PeftFolder", "read_config_json", "read_peft"]

CONFIG: Final = "adapter_config.json"
WEIGHTS: Final = "adapter_model.safetensors"
MAX_BYTES: Final = 256_000_000
"""Of the safetensors file: fp32 takes twice what the adapter's F16 takes."""
MAX_CONFIG_BYTES: Final = 256_000

NOT_EXPRESSED: Final = {
    "use_dora": "DoRA's magnitudes", "modules_to_save": "whole modules that were trained", "lora_bias": "biases",
    "alpha_pattern": "an alpha of its own for some matrices", "rank_pattern": "a rank of its own for some matrices",
    "layer_replication": "layers that were doubled", "trainable_token_indices": "single tokens that were trained",
    "target_parameters": "bare parameters (experts)", "alora_invocation_tokens": "activation by a phrase",
    "use_qalora": "QALoRA's grouping", "use_bdlora": "BD-LoRA's blocks", "arrow_config": "Arrow's routing",
    "kasa_config": "KaSA's singular values", "monteclora_config": "MonteCLoRA's samples", "velora_config": "VeLoRA",
}  # fmt: skip
"""Keys of the configuration that mean more than a plain LoRA when they are set."""
CHANGES_THE_BASE: Final = ("pissa", "olora", "corda", "loftq", "lora_ga")
"""Ways to start that take something out of the base's own weights, which then are not the base's any more."""
DTYPES: Final = {"F32": "<f4", "F16": "<f2", "BF16": "<u2"}


@dataclass(frozen=True)
class PeftFolder:
    """A plain LoRA. `pairs`: (layer, GGUF's word of the matrix) -> (A as (rank, in), B as (out, rank)), float32."""

    rank: int
    alpha: float
    """As a plain LoRA has it: the strength is `alpha / rank` (rsLoRA's is folded in)."""
    pairs: dict[tuple[int, str], tuple[NDArray[Any], NDArray[Any]]] = field(repr=False)


def read_peft(folder: Path, family: Family) -> PeftFolder:
    """Read the folder of an adapter for a model of `family`.

    Raises NotFound (no such folder or file), RequestError (damaged, of another family, or more than a plain LoRA).
    """
    config = read_config_json(folder / CONFIG)
    _refuse_more_than_lora(folder / CONFIG, config)
    rank, alpha = config.get("r"), config.get("lora_alpha")
    if type(rank) is not int or rank < 1 or not isinstance(alpha, int | float) or not 0 < alpha < math.inf:
        raise RequestError(f"{folder / CONFIG}: r and lora_alpha must be positive numbers")
    pairs = _pair(folder / WEIGHTS, _read_tensors(folder / WEIGHTS), family, rank)
    return PeftFolder(rank, float(alpha) * (math.sqrt(rank) if config.get("use_rslora") else 1.0), pairs)


def read_config_json(path: Path) -> dict[str, Any]:
    """A small JSON object from a file that may come from anywhere. Raises NotFound, PayloadTooLarge, RequestError."""
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise PayloadTooLarge(f"{path}: larger than any configuration")
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise NotFound(f"{path}: no such file") from None
    except (OSError, ValueError, RecursionError):
        raise RequestError(f"{path}: not readable as JSON") from None
    if not isinstance(config, dict):
        raise RequestError(f"{path}: not a configuration")
    return config


def _refuse_more_than_lora(path: Path, config: Mapping[str, Any]) -> None:
    if config.get("peft_type") != "LORA":
        raise RequestError(f"{path}: not a LoRA; only LoRA adapters can be exported")
    for key, what in NOT_EXPRESSED.items():
        if config.get(key):
            raise RequestError(f"{path}: {key}: {what} cannot be expressed in a GGUF adapter; train a plain LoRA")
    if config.get("bias", "none") != "none":
        raise RequestError(f'{path}: bias: trained biases cannot be expressed in a GGUF adapter; train with "none"')
    start = str(config.get("init_lora_weights", True)).lower()
    if start.startswith(CHANGES_THE_BASE):
        raise RequestError(f"{path}: init_lora_weights: {start[:20]} changed the base's own weights; start another way")


def _read_tensors(path: Path) -> dict[str, NDArray[Any]]:
    import numpy as np
    from safetensors import SafetensorError, deserialize

    try:
        if path.stat().st_size > MAX_BYTES:
            raise PayloadTooLarge(f"{path}: larger than the {MAX_BYTES:,} bytes that an adapter may have")
        parts = deserialize(path.read_bytes())  # type: ignore[no-untyped-call]
    except FileNotFoundError:
        raise NotFound(f"{path}: no such file; pickled weights (.bin) are not read, save as safetensors") from None
    except (OSError, SafetensorError):
        raise RequestError(f"{path}: damaged, or not a safetensors file") from None
    tensors = {}
    for name, part in parts:
        if part["dtype"] not in DTYPES:
            raise RequestError(f"{path}: {name[:100]} is {part['dtype']}; F32, F16 or BF16 is expected")
        values = np.frombuffer(part["data"], DTYPES[part["dtype"]]).reshape(part["shape"])
        if part["dtype"] == "BF16":
            values = (values.astype(np.uint32) << 16).view(np.float32)
        tensors[name] = values.astype(np.float32)
    return tensors


def _pair(
    path: Path, tensors: Mapping[str, NDArray[Any]], family: Family, rank: int
) -> dict[tuple[int, str], tuple[NDArray[Any], NDArray[Any]]]:
    """Put A and B of each matrix together, under GGUF's words."""
    words = {module: word for word, module in family.modules.items()}
    form = re.compile(
        rf"base_model\.model\.{re.escape(family.layers_path)}\.(\d{{1,4}})\.([a-z0-9_.]+?)\.lora_([AB])(\.default)?\.weight"
    )
    halves: dict[tuple[int, str], dict[str, NDArray[Any]]] = {}
    for name, values in tensors.items():
        match = form.fullmatch(name)
        if match is None or match[2] not in words:
            raise RequestError(
                f"{path}: {name[:100]!r} is no LoRA matrix of a {family.name} model; "
                f"these are: {', '.join(family.modules.values())}"
            )
        rank_found = values.shape[0 if match[3] == "A" else -1] if values.ndim == 2 else None
        if rank_found != rank:
            raise RequestError(f"{path}: {name[:100]} has rank {rank_found}, {CONFIG} says {rank}")
        halves.setdefault((int(match[1]), words[match[2]]), {})[match[3]] = values
    if not halves:
        raise RequestError(f"{path}: holds no tensors")
    for (layer, word), half in halves.items():
        if set(half) != {"A", "B"}:
            raise RequestError(f"{path}: {family.modules[word]} of layer {layer} lacks its other half")
    return {key: (half["A"], half["B"]) for key, half in sorted(halves.items())}
