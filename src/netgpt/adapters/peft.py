"""Adapters from elsewhere: a PEFT folder is read without torch or pickle, and written as GGUF for llama.cpp.

Refused is what a plain LoRA in GGUF cannot express: there every matrix gets `alpha / rank * B A`, one alpha for all,
and nothing else of the model changes.
"""

from __future__ import annotations

import json
import math
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from pydantic import ValidationError

from netgpt.adapters.card import Card, EdgeWeights
from netgpt.adapters.formats import (
    MAX_BYTES,
    AdapterFile,
    Family,
    ModelShape,
    as_float32,
    check_sides,
    read_adapter,
    shape_of_config,
    shape_of_gguf,
)
from netgpt.adapters.storage import CARD, WEIGHTS, read_card
from netgpt.errors import NotFound, PayloadTooLarge, RequestError, SettingsError, StoreError
from netgpt.files import read_bytes
from netgpt.models.download import file_sha256, move_into_place
from netgpt.models.gguf import read_header

if TYPE_CHECKING:
    from numpy.typing import NDArray


CONFIG: Final = "adapter_config.json"
PEFT_WEIGHTS: Final = "adapter_model.safetensors"
MAX_PEFT_BYTES: Final = 256_000_000
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
    pairs = _pair(folder / PEFT_WEIGHTS, _read_tensors(folder / PEFT_WEIGHTS), family, rank)
    return PeftFolder(rank, float(alpha) * (math.sqrt(rank) if config.get("use_rslora") else 1.0), pairs)


def read_config_json(path: Path) -> dict[str, Any]:
    """A small JSON object from a file that may come from anywhere. Raises NotFound, PayloadTooLarge, RequestError."""
    try:
        if path.stat().st_size > MAX_CONFIG_BYTES:
            raise PayloadTooLarge(f"{path}: larger than any configuration")
        config = json.loads(read_bytes(path, RequestError, most=MAX_CONFIG_BYTES))
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
    from safetensors import SafetensorError, deserialize

    try:
        if path.stat().st_size > MAX_PEFT_BYTES:
            raise PayloadTooLarge(f"{path}: larger than the {MAX_PEFT_BYTES:,} bytes that an adapter may have")
        parts = deserialize(read_bytes(path, RequestError, most=MAX_PEFT_BYTES))  # type: ignore[no-untyped-call]
    except FileNotFoundError:
        raise NotFound(f"{path}: no such file; pickled weights (.bin) are not read, save as safetensors") from None
    except (OSError, SafetensorError):
        raise RequestError(f"{path}: damaged, or not a safetensors file") from None
    tensors = {}
    for name, part in parts:
        if part["dtype"] not in DTYPES:
            raise RequestError(f"{path}: {name[:100]} is {part['dtype']}; F32, F16 or BF16 is expected")
        tensors[name] = as_float32(part["data"], DTYPES[part["dtype"]]).reshape(part["shape"])
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
            known = ", ".join(family.modules.values())
            raise RequestError(f"{path}: {name[:100]!r} is no LoRA matrix of a {family.name} model; these are: {known}")
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


def export(folder: Path, base: Path, target: Path, *, form: Literal["F16", "F32"] = "F16") -> AdapterFile:
    """Write the PEFT `folder` as the GGUF adapter `target` (0600), whole or not at all; returns what was written.

    Three things differ. Names: "model.layers.3.self_attn.q_proj" is "blk.3.attn_q". The rows of q and k in the llama
    architecture: see `interleaved`. The strength: GGUF keeps one alpha, and the engine divides it by the rank. GPT-2's
    matrices need no turning: PEFT's A and B are (rank, in) and (out, rank) for its transposed Conv1D too.

    `base`: the model that it was trained on, a GGUF file or a Hugging Face folder; it gives architecture and heads.
    Raises NotFound, RequestError (not a plain LoRA, or not of this base), SettingsError (the base's architecture is
    not known, or the extra `train` is missing), StoreError (cannot be written).
    """
    shape = shape_of(base)
    adapter = read_peft(folder, shape.family)
    part = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(part, shape, adapter, form)
        written = read_adapter(part)
        check_sides(written, {word: shape.sides(word) for word in shape.family.modules}, shape.layers, base.name)
        move_into_place(part, target)
    except RequestError as error:
        raise type(error)(error.message.replace(str(part), str(folder))) from None
    except OSError as error:
        raise StoreError(f"{target}: cannot be written: {error.strerror}") from None
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)
    return read_adapter(target)


def shape_of(base: Path) -> ModelShape:
    """The sizes of a model in a GGUF file or a Hugging Face folder. Raises NotFound, RequestError, SettingsError."""
    if base.is_dir():
        return shape_of_config(read_config_json(base / "config.json"), str(base))
    header = read_header(base)
    embedding = next((tensor for tensor in header.tensors if tensor.name == "token_embd.weight"), None)
    if embedding is None or len(embedding.shape) != 2:
        raise RequestError(f"{base}: holds no token_embd.weight, so it is not a language model")
    return shape_of_gguf(header.metadata, embedding.shape[1], str(base))


def interleaved(rows: NDArray[Any], heads: int) -> NDArray[Any]:
    """Rows of q or k (out, n) in GGUF's order: within each head the two halves that rotary positions turn together
    take turns. The rows of B move as those of the weights did."""
    out = rows.shape[0]
    return rows.reshape(heads, 2, out // heads // 2, -1).swapaxes(1, 2).reshape(rows.shape)


def _write(part: Path, shape: ModelShape, adapter: PeftFolder, form: str) -> None:
    import numpy as np

    try:
        from gguf import GGUFWriter
    except ImportError:
        raise SettingsError("export needs the extra: pip install 'netgpt[train]'") from None
    part.unlink(missing_ok=True)
    part.touch(mode=0o600)
    writer = GGUFWriter(part, shape.architecture)
    writer.add_type("adapter")
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", adapter.alpha)
    kind = np.float16 if form == "F16" else np.float32
    heads = {"attn_q": shape.heads, "attn_k": shape.kv_heads} if shape.architecture == "llama" else {}
    for (layer, word), (a, b) in adapter.pairs.items():
        if word in heads and b.shape[0] % (2 * heads[word]) == 0:
            b = interleaved(b, heads[word])
        name = f"blk.{layer}.{word}.weight"
        with np.errstate(over="ignore"):  # what is too large becomes infinite, and the check afterwards refuses it
            writer.add_tensor(f"{name}.lora_a", np.ascontiguousarray(a, kind))
            writer.add_tensor(f"{name}.lora_b", np.ascontiguousarray(b, kind))
    try:
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()


TASKS: Final = ("complete",)
"""Names that a stage asks for; an adapter of another name is a site's unless the owner says otherwise."""
UNKNOWN_DATA: Final = "unknown"


@dataclass(frozen=True)
class AdapterNotes:
    """What the owner says of an adapter; a card that comes with it says the rest."""

    name: str | None = None
    scope: Literal["task", "site"] | None = None
    licence: str | None = None
    notes: str | None = None


@contextmanager
def ready(
    source: Path, notes: AdapterNotes, base: EdgeWeights | None, *, max_bytes: int = MAX_BYTES
) -> Iterator[tuple[Path, Card]]:
    """The weights and the card of `source` (a folder with its card, a PEFT folder, or a GGUF file), for the block.

    The registry checks both once more. Raises NotFound, RequestError (no adapter, no name given, no base to make it
    for), PayloadTooLarge, SettingsError (a PEFT folder needs the extra `train`).
    """
    if not source.is_dir():
        adapter = read_adapter(source, max_bytes=max_bytes)
        yield source, _card_of(adapter, notes, _checked_base(base, notes, source), "gguf")
    elif (source / CARD).exists():
        yield source / WEIGHTS, _renamed(read_card(source / CARD), notes)
    elif (source / CONFIG).exists():
        known = _checked_base(base, notes, source)
        with tempfile.TemporaryDirectory(prefix="netgpt-adapter-") as folder:
            written = export(source, known.path, Path(folder) / WEIGHTS)
            yield written.path, _card_of(written, notes, known, "peft")
    else:
        raise NotFound(
            f"{source}: no adapter here; expected {WEIGHTS} and {CARD}, or PEFT's adapter_config.json and "
            "adapter_model.safetensors"
        )


def _renamed(card: Card, notes: AdapterNotes) -> Card:
    given = {key: value for key, value in asdict(notes).items() if value is not None}
    return _checked_card({**card.model_dump(), **given}) if given else card


def _card_of(adapter: AdapterFile, notes: AdapterNotes, base: EdgeWeights, form: str) -> Card:
    """A card for weights without one. That they are made for `base` is taken from their shapes and the owner."""
    return _checked_card(
        {
            "name": notes.name, "version": 1, "scope": notes.scope or ("task" if notes.name in TASKS else "site"),
            "base": base.name, "base_sha256": base.sha256, "architecture": adapter.architecture,
            "rank": adapter.rank, "alpha": adapter.alpha, "targets": adapter.targets,
            "weights_sha256": file_sha256(adapter.path), "bytes": adapter.bytes, "recipe": {"added_as": form},
            "data_digest": UNKNOWN_DATA, "examples": 0, "licence": notes.licence or "unknown",
            "created": datetime.now(UTC), "notes": notes.notes or "Trained elsewhere; its data are not known here.",
        }
    )  # fmt: skip


def _checked_card(facts: dict[str, object]) -> Card:
    try:
        return Card.model_validate(facts)
    except ValidationError as error:
        where = ", ".join(sorted({str(fault["loc"][0]) for fault in error.errors() if fault["loc"]}))
        rule = "A name is small letters, digits and hyphens, at most 64."
        raise RequestError(f"wrong in the card: {where}. {rule}") from None


def _checked_base(base: EdgeWeights | None, notes: AdapterNotes, source: Path) -> EdgeWeights:
    """The base, where there is what an adapter without a card needs."""
    if notes.name is None:
        raise RequestError(f"{source}: comes without a card, so it has no name; give one with --name")
    if base is None or not base.path.is_file():
        raise RequestError(
            f"{source}: comes without a card, so the weights that it is made for must be here to compare with; "
            "fetch them with `netgpt models pull`"
        )
    return base
