"""An adapter from elsewhere, made ready for the registry: a folder with its card, a PEFT folder, or a GGUF file."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

from pydantic import ValidationError

from netgpt.adapters.card import Card
from netgpt.adapters.edge_weights import EdgeWeights
from netgpt.adapters.file import MAX_BYTES, AdapterFile, read_adapter
from netgpt.adapters.folder import CARD, WEIGHTS, read_card
from netgpt.errors import NotFound, RequestError
from netgpt.models.files import file_sha256

__all__ = ["AdapterNotes", "ready"]

TASKS: Final = ("complete",)
"""Names that a stage asks for; an adapter of another name is a site's unless told."""
UNKNOWN_DATA: Final = "unknown"


@dataclass(frozen=True)
class AdapterNotes:
    """What the owner says of an adapter; a card that comes with it says the rest."""

    name: str | None = None
    scope: Literal["task", "site"] | None = None
    licence: str | None = None
    notes: str | None = None


@contextlib.contextmanager
def ready(
    source: Path, told: AdapterNotes, base: EdgeWeights | None, *, max_bytes: int = MAX_BYTES
) -> Iterator[tuple[Path, Card]]:
    """The weights and the card of `source`; the weights stay for as long as the block.

    The registry checks both once more. Raises NotFound, RequestError (no adapter, no name told, no base to make it
    for), PayloadTooLarge, SettingsError (a PEFT folder needs the extra `train`).
    """
    if not source.is_dir():
        adapter = read_adapter(source, max_bytes=max_bytes)
        yield source, _card_of(adapter, _named(told, source), _known(base, source), "gguf")
    elif (source / CARD).exists():
        yield source / WEIGHTS, _renamed(read_card(source / CARD), told)
    elif (source / "adapter_config.json").exists():
        from netgpt.adapters.export import export

        known = _known(base, source)
        _named(told, source)
        with tempfile.TemporaryDirectory(prefix="netgpt-adapter-") as folder:
            written = export(source, known.path, Path(folder) / WEIGHTS)
            yield written.path, _card_of(written, told, known, "peft")
    else:
        raise NotFound(
            f"{source}: no adapter here; expected {WEIGHTS} and {CARD}, or PEFT's adapter_config.json and "
            "adapter_model.safetensors"
        )


def _renamed(card: Card, told: AdapterNotes) -> Card:
    changes = {"name": told.name, "scope": told.scope, "licence": told.licence, "notes": told.notes}
    given = {key: value for key, value in changes.items() if value is not None}
    return _checked({**card.model_dump(), **given}) if given else card


def _card_of(adapter: AdapterFile, told: AdapterNotes, base: EdgeWeights, form: str) -> Card:
    """A card for weights without one. That they are made for `base` is taken from their shapes and the owner."""
    return _checked(
        {
            "name": told.name, "version": 1, "scope": told.scope or ("task" if told.name in TASKS else "site"),
            "base": base.name, "base_sha256": base.sha256, "architecture": adapter.architecture,
            "rank": adapter.rank, "alpha": adapter.alpha, "targets": adapter.targets,
            "weights_sha256": file_sha256(adapter.path), "bytes": adapter.bytes, "recipe": {"added_as": form},
            "data_digest": UNKNOWN_DATA, "examples": 0, "licence": told.licence or "not told",
            "created": datetime.now(UTC), "notes": told.notes or "Trained elsewhere; its data are not known here.",
        }
    )  # fmt: skip


def _named(told: AdapterNotes, source: Path) -> AdapterNotes:
    if told.name is None:
        raise RequestError(f"{source}: comes without a card, so it has no name; give one with --name")
    return told


def _checked(facts: dict[str, object]) -> Card:
    try:
        return Card.model_validate(facts)
    except ValidationError as error:
        where = ", ".join(sorted({str(fault["loc"][0]) for fault in error.errors() if fault["loc"]}))
        raise RequestError(
            f"wrong in the card: {where}. A name is small letters, digits and hyphens, at most 64."
        ) from None


def _known(base: EdgeWeights | None, source: Path) -> EdgeWeights:
    if base is None or not base.path.is_file():
        raise RequestError(
            f"{source}: comes without a card, so the weights that it is made for must be here to compare with; "
            "fetch them with `netgpt models pull`"
        )
    return base
