"""The adapters of the box that the settings describe, without anything else of it."""

from __future__ import annotations

from netgpt.adapters.edge_weights import edge_weights
from netgpt.adapters.registry import Registry, shipped_adapters
from netgpt.models.catalog import Catalog
from netgpt.settings import Settings

__all__ = ["open_registry"]


def open_registry(settings: Settings) -> Registry:
    """The adapters of this box, its own and the shipped ones, for the built-in engine's weights.

    Raises NotFound: `edge.model` names no weights. With an edge of the owner's there are no weights to compare with.
    """
    base = None
    if settings.edge.base_url is None:
        base = edge_weights(Catalog(settings.models_dir), settings.edge.model)
    return Registry(settings.adapters_dir, shipped_adapters(), base=base, max_bytes=settings.adapters.max_bytes)
