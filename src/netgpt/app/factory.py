"""Single parts of the gateway, made from the settings and not started yet. Put together by `app.gateway`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from netgpt.dialects.clouds import dialect_of
from netgpt.errors import ModelUnavailable
from netgpt.exchange import Request
from netgpt.models.base import ChatModel, Endpoint, NoModel, ReceiptHook, RemoteModel, Trust
from netgpt.models.catalog import Catalog
from netgpt.models.client import CloudModel, EdgeModel
from netgpt.models.engine import Engine
from netgpt.models.hot_swap import SwappingEngine
from netgpt.models.shared_engine import SharedEngine
from netgpt.privacy.detector import Detector
from netgpt.privacy.detector_pools import DetectorPools
from netgpt.privacy.process import DetectorProcess
from netgpt.proofs import FileProof
from netgpt.settings import Settings
from netgpt.settings.sections import NO_EDGE, Cloud
from netgpt.stages.generate import LastAnswer
from netgpt.store.exchanges import CachedAnswer
from netgpt.store.store import Store
from netgpt.types import Fact, Person


def open_edge(
    settings: Settings,
    proof: FileProof,
    on_event: Callable[[str], None] | None = None,
    shared: SharedEngine | None = None,
) -> tuple[SwappingEngine | SharedEngine | None, ChatModel]:
    """The edge model, and its engine when it is the built-in one (to be started and stopped by the caller).

    A box with a cloud needs no model of its own: without weights it has a `NoModel`. `proof`: the store's, for the list
    of weights; `shared`: the engine, where another process has it. Raises StoreError: somebody changed the list;
    ModelUnavailable: no weights, and no cloud either.
    """
    edge = settings.edge
    if edge.is_off:
        return None, NoModel(f'there is no model on this box (edge.model = "{NO_EDGE}")')
    limits: Any = {"timeout_s": edge.timeout_s, "default_max_tokens": edge.max_tokens}
    if edge.base_url is not None:
        key = edge.api_key.get_secret_value() if edge.api_key else None
        endpoint = Endpoint(edge.base_url.rstrip("/"), key)
        return None, EdgeModel(edge.model, lambda: endpoint, edge.model, **limits)
    catalog = Catalog(settings.models_dir, proof)
    catalog.take_over()
    try:
        weights = catalog.resolve(edge.model)
    except ModelUnavailable as missing:
        if not settings.remotes:
            raise
        return None, NoModel(missing.message)
    engine: SwappingEngine | SharedEngine
    if shared is not None:
        engine = shared
    else:
        make = partial(
            Engine, weights, context_tokens=edge.context_tokens, slots=edge.slots, threads=edge.threads,
            thinking=edge.thinking, log_path=settings.home / "engine.log",
        )  # fmt: skip
        engine = SwappingEngine(make, drain_s=settings.server.deadline_s, on_event=on_event)
    return engine, EdgeModel(
        edge.model, engine.endpoint, edge.model, ready=engine.health, leases=engine.lease, **limits
    )  # fmt: skip


def open_cloud(settings: Settings, receipt_hook: ReceiptHook) -> CloudModel | None:
    """The model [cloud]; None when none is configured. `receipt_hook` writes the receipts: see `receipts_in`."""
    return open_remote("cloud", settings.cloud, receipt_hook) if settings.cloud.base_url is not None else None


def open_remotes(settings: Settings, receipt_hook: ReceiptHook) -> dict[str, RemoteModel]:
    """Every model elsewhere, by its target's name: "cloud" first. Each has its own connections and its own breaker."""
    return {name: open_remote(name, remote, receipt_hook) for name, remote in settings.remotes.items()}


def open_remote(target: str, remote: Cloud, receipt_hook: ReceiptHook) -> CloudModel:
    """One model elsewhere. Raises SettingsError: an address or a key that cannot be used."""
    url, key = remote.base_url or "", remote.api_key.get_secret_value() if remote.api_key else None
    dialect, trust = dialect_of(remote), Trust(remote.ca_file, remote.client_cert, remote.client_key)
    owners = ((name, value.get_secret_value()) for name, value in remote.headers.items())
    return CloudModel(
        remote.model,
        Endpoint(
            dialect.base(url) if dialect is not None else url,
            None if dialect is not None else key,
            trust,
            (*(dialect.headers(key) if dialect is not None else ()), *owners),
            remote.way[0],
            dialect,
        ),
        target=target,
        first_byte_s=remote.patience[0],
        timeout_s=remote.patience[1],
        connect_timeout_s=remote.connect_timeout_s,
        retries=remote.retries,
        max_connections=remote.max_connections,
        breaker_failures=remote.breaker_failures,
        breaker_reset_s=remote.breaker_reset_s,
        receipt_hook=receipt_hook,
    )


def open_detector(settings: Settings) -> Detector:
    """Finds private values, in a process of its own, or two."""
    privacy = settings.privacy
    return DetectorPools(
        lambda: DetectorProcess(names=privacy.names, languages=privacy.languages, timeout_s=privacy.timeout_s)
    )


def last_answer(store: Store, stale_s: float) -> LastAnswer:
    """What is given again when nobody can answer. `stale_s`: the greatest age of an answer in seconds; 0: none."""

    async def last(person: Person, request: Request, facts: Sequence[Fact]) -> CachedAnswer | None:
        if stale_s <= 0 or request.may_wait:  # who may wait gets a new answer, later
            return None
        now = datetime.now(UTC)
        since = now - timedelta(seconds=stale_s)
        return await store.answers.last(person, request.body, [(fact.source, fact.text) for fact in facts], now, since)

    return last
