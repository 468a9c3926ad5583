"""The wiring: settings in, running parts out. The only module that sees everything; only doors import it."""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from netgpt.completion.embed import StaticEmbedder
from netgpt.completion.select import Selector
from netgpt.context.location import PlaceNames
from netgpt.context.places import Place
from netgpt.errors import NetGPTError, StoreError
from netgpt.metrics import Metrics
from netgpt.models.answers import join_chunks
from netgpt.models.base import ChatModel, Health, RemoteModel
from netgpt.models.catalog import Catalog
from netgpt.models.endpoint import Endpoint
from netgpt.models.engine import Engine
from netgpt.models.openai import CloudModel, EdgeModel
from netgpt.privacy.detect import Detector
from netgpt.privacy.process import DetectorProcess
from netgpt.settings import Settings
from netgpt.stages.complete import Complete
from netgpt.stages.desensitize import Desensitize
from netgpt.stages.generate import Generate
from netgpt.stages.identify import Identify
from netgpt.stages.recall import Recall
from netgpt.stages.record import Record
from netgpt.stages.restore import Restore
from netgpt.stages.route import Route
from netgpt.store.seal import Sealer
from netgpt.store.store import Store
from netgpt.workflow import Stage, Workflow

__all__ = ["Box", "open_box", "open_edge", "open_store", "whole_answer"]

log = logging.getLogger(__name__)

HOUSEKEEPING_S = 10.0
RETENTION_EVERY = 360
"""Retention is enforced every this many rounds of housekeeping: hourly."""


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


def open_box(settings: Settings) -> Box:
    """A box with its real parts, not started yet. Raises StoreError or ModelUnavailable."""
    metrics = Metrics()
    engine, edge = open_edge(settings, metrics.engine_event)
    return Box(settings, open_store(settings), edge, _cloud(settings), _detector(settings), engine, metrics)


def open_edge(settings: Settings, on_event: Callable[[str], None] | None = None) -> tuple[Engine | None, EdgeModel]:
    """The edge model, and its engine when it is the built-in one (to be started and stopped by the caller)."""
    edge = settings.edge
    if edge.base_url is not None:
        key = edge.api_key.get_secret_value() if edge.api_key else None
        endpoint = Endpoint(edge.base_url.rstrip("/"), key)
        return None, EdgeModel(
            edge.model, lambda: endpoint, edge.model, timeout_s=edge.timeout_s, default_max_tokens=edge.max_tokens
        )
    engine = Engine(
        Catalog(settings.models_dir).resolve(edge.model),
        context_tokens=edge.context_tokens,
        slots=edge.slots,
        threads=edge.threads,
        log_path=settings.home / "engine.log",
        on_event=on_event,
    )
    return engine, EdgeModel(
        edge.model,
        engine.endpoint,
        edge.model,
        timeout_s=edge.timeout_s,
        default_max_tokens=edge.max_tokens,
        ready=engine.health,
    )


async def whole_answer(model: ChatModel, body: Mapping[str, Any]) -> dict[str, Any]:
    """One whole answer (`chat.completion`) of a model, for the box's own small jobs."""
    return join_chunks([chunk async for chunk in model.chat(body)])


def _cloud(settings: Settings) -> CloudModel | None:
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


def _detector(settings: Settings) -> Detector:
    return DetectorProcess(names=settings.privacy.names, timeout_s=settings.privacy.timeout_s)


class Box:
    """All parts of one NetGPT, started and closed together. `workflow.run(exchange)` answers a question."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        edge: ChatModel,
        cloud: RemoteModel | None,
        detector: Detector,
        engine: Engine | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self.settings, self.store, self.edge, self.cloud = settings, store, edge, cloud
        self.detector, self.engine = detector, engine
        self.metrics = metrics or Metrics()
        self.needs_detector = cloud is not None and not settings.cloud.trusted
        self.edge_names = frozenset({settings.edge.model})
        self.cloud_names = frozenset({settings.cloud.model}) if cloud is not None else frozenset()
        self.model_names = frozenset({"netgpt", "netgpt/edge", "netgpt/cloud"}) | self.edge_names | self.cloud_names
        self.embedder = StaticEmbedder()
        self.selector = Selector(self.ask_edge, self.embedder, settings.completion.max_facts)
        self._places: Sequence[Place] = ()
        self._record = Record(
            store, settings.cloud, keep_text=settings.store.keep_text, observe=self.metrics.exchange_ended
        )
        self._tasks: list[asyncio.Task[None]] = []
        self.workflow = Workflow(_line(self))

    @property
    def record(self) -> Record:
        return self._record

    def places(self) -> Sequence[Place]:
        """Places of interest, as last read from the store."""
        return self._places

    async def ask_edge(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """One whole answer of the edge model."""
        return await whole_answer(self.edge, body)

    async def embed_texts(self, texts: list[str], encoding: str) -> list[Any]:
        """Static embeddings, as floats or as base64 of little-endian float32."""
        vectors = await asyncio.to_thread(self.embedder, texts)
        if encoding == "base64":
            return [base64.b64encode(vector.astype("<f4").tobytes()).decode() for vector in vectors]
        return [vector.tolist() for vector in vectors]

    async def parts(self) -> dict[str, dict[str, Any]]:
        """Each part's health, for /readyz, metrics and `netgpt doctor`. Asks no network."""
        edge = self.edge.health()
        cloud = self.cloud.health() if self.cloud else Health(False, "no cloud is configured: the box answers alone")
        detector = self.detector.health() if self.needs_detector else (True, "not needed: nothing may leave")
        store = await self._store_health()
        return {
            "edge": {"ok": edge.ok, "detail": edge.detail},
            "cloud": {"ok": cloud.ok, "detail": cloud.detail},
            "detector": {"ok": detector[0], "detail": detector[1]},
            "store": {"ok": store.ok, "detail": store.detail},
        }

    async def _store_health(self) -> Health:
        try:
            await self.store.has_keys()
        except StoreError as error:
            return Health(False, error.message)
        return Health(True, "ready")

    async def start(self) -> None:
        """Start the engine, the detector and the housekeeping, side by side. A failing engine does not stop the box."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._start_part("edge", self.engine.start if self.engine else None))
            group.create_task(self._start_part("detector", self.detector.start if self.needs_detector else None))
        await self._read_places()
        self._tasks.append(asyncio.create_task(self._housekeeping()))
        if self.settings.completion.mode != "off":
            self._tasks.append(asyncio.create_task(self._warm_up()))

    async def _warm_up(self) -> None:
        """Let the edge model read the long prefix of the first choice of facts before anybody waits for it."""
        try:
            await asyncio.to_thread(self.embedder.load)
            await self.selector.warm()
        except NetGPTError as error:
            log.warning("completion: %s", error.message)

    async def _start_part(self, name: str, start: Callable[[], Any] | None) -> None:
        if start is None:
            return
        try:
            await start()
        except NetGPTError as error:
            log.error("%s: %s", name, error.message)

    async def close(self) -> None:
        """Stop everything; what is being answered is drained first. Safe to call twice."""
        for task in self._tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        self._tasks.clear()
        await self._record.close()
        await self.edge.close()
        if self.cloud is not None:
            await self.cloud.close()
        if self.engine is not None:
            await self.engine.stop()
        await self.detector.close()
        await self.store.close()

    async def _read_places(self) -> None:
        rows = await self.store.places()
        self._places = [
            Place(r.id, r.name, r.kind, r.latitude, r.longitude, r.text, tuple(r.tags))
            for r in rows
        ]  # fmt: skip

    async def _housekeeping(self) -> None:
        """Places imported meanwhile are read; rows past their time are deleted."""
        for round_ in range(1 << 62):
            try:
                await self._read_places()
                if round_ % RETENTION_EVERY == 0:
                    keep = self.settings.store
                    await self.store.delete_expired(datetime.now(UTC), keep.keep_exchanges_days, keep.keep_maps_days)
            except StoreError as error:
                log.error("housekeeping: %s", error.message)
            await asyncio.sleep(HOUSEKEEPING_S)


def _line(box: Box) -> list[Stage]:
    """The whole line, in the order that the settings declare (they know only these names)."""
    settings = box.settings
    makers: dict[str, Callable[[], Stage]] = {
        "identify": Identify,
        "recall": lambda: Recall(box.store, settings.site, PlaceNames(), box.places),
        "complete": lambda: Complete(box.store, box.selector, box.ask_edge, settings.completion),
        "desensitize": lambda: Desensitize(
            box.store, box.detector, settings.cloud, settings.privacy, edge_names=box.edge_names
        ),
        "route": lambda: Route(
            box.edge,
            box.cloud,
            settings.routing,
            edge_names=box.edge_names,
            cloud_names=box.cloud_names,
            sensitive_kinds=frozenset(settings.privacy.sensitive_kinds),
            edge_context_tokens=settings.edge.context_tokens,
            edge_reads_media=settings.edge.base_url is not None,
        ),
        "generate": lambda: Generate(
            box.edge, box.cloud, deadline_s=settings.server.deadline_s, observe=box.metrics.model_called
        ),
        "restore": Restore,
        "record": lambda: box.record,
    }
    return [makers[name]() for name in settings.workflow.stages]
