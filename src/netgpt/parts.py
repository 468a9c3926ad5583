"""Each part of the box, made from the settings and not started yet. Put together by `build.py`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from netgpt.adapters.edge_weights import edge_weights
from netgpt.adapters.registry import Registry, shipped_adapters
from netgpt.errors import StoreError
from netgpt.models.catalog import Catalog
from netgpt.models.endpoint import Endpoint
from netgpt.models.engine import Engine
from netgpt.models.openai import CloudModel, EdgeModel
from netgpt.models.swap import SwappingEngine
from netgpt.privacy.detect import Detector
from netgpt.privacy.process import DetectorProcess
from netgpt.settings import Settings
from netgpt.store.seal import Sealer
from netgpt.store.store import Store

__all__ = ["open_cloud", "open_detector", "open_edge", "open_registry", "open_store"]


def open_store(settings: Settings) -> Store:
    """Open the database, making the folder (0700) and the key (0600) on first use. Raises StoreError."""
    try:
        settings.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StoreError(
            f"{settings.home}: the home folder cannot be made: {error.strerror}. Set NETGPT_HOME to a folder of yours."
        ) from None
    # A lost key is told, not replaced: a new one could not open what is there.
    sealer = Sealer.from_file(settings.key_file, create=not settings.database.exists())
    kept = settings.store
    return Store.open(settings.database, sealer, min_free_bytes=kept.min_free_bytes, power_safe=kept.power_safe)


def open_registry(settings: Settings) -> Registry:
    """The adapters of this box, its own and the shipped ones, for the built-in engine's weights.

    Raises NotFound: `edge.model` names no weights. With an edge of the owner's there are no weights to compare with.
    """
    base = None
    if settings.edge.base_url is None:
        base = edge_weights(Catalog(settings.models_dir), settings.edge.model)
    return Registry(settings.adapters_dir, shipped_adapters(), base=base, max_bytes=settings.adapters.max_bytes)


def open_edge(
    settings: Settings, on_event: Callable[[str], None] | None = None
) -> tuple[SwappingEngine | None, EdgeModel]:
    """The edge model, and its engine when it is the built-in one (to be started and stopped by the caller)."""
    edge = settings.edge
    if edge.base_url is not None:
        key = edge.api_key.get_secret_value() if edge.api_key else None
        endpoint = Endpoint(edge.base_url.rstrip("/"), key)
        return None, EdgeModel(
            edge.model, lambda: endpoint, edge.model, timeout_s=edge.timeout_s, default_max_tokens=edge.max_tokens
        )
    weights = Catalog(settings.models_dir).resolve(edge.model)
    make = partial(
        Engine,
        weights,
        context_tokens=edge.context_tokens,
        slots=edge.slots,
        threads=edge.threads,
        log_path=settings.home / "engine.log",
    )
    engine = SwappingEngine(make, drain_s=settings.server.deadline_s, on_event=on_event)
    return engine, EdgeModel(
        edge.model,
        engine.endpoint,
        edge.model,
        timeout_s=edge.timeout_s,
        default_max_tokens=edge.max_tokens,
        ready=engine.health,
        leases=engine.lease,
    )


def open_cloud(settings: Settings) -> CloudModel | None:
    """The model elsewhere, None when none is configured."""
    cloud = settings.cloud
    if cloud.base_url is None:
        return None
    return CloudModel(
        cloud.model,
        Endpoint(cloud.base_url.rstrip("/"), cloud.api_key.get_secret_value() if cloud.api_key else None),
        timeout_s=cloud.timeout_s,
        connect_timeout_s=cloud.connect_timeout_s,
        retries=cloud.retries,
        max_connections=cloud.max_connections,
        breaker_failures=cloud.breaker_failures,
        breaker_reset_s=cloud.breaker_reset_s,
    )


def open_detector(settings: Settings) -> Detector:
    """Finds private values, in a process of its own."""
    return DetectorProcess(names=settings.privacy.names, timeout_s=settings.privacy.timeout_s)
