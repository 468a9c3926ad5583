"""The wiring: settings in, running parts out. The only module that sees everything; only web and CLI import it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from netgpt.adapters.canary import watch_canaries
from netgpt.adapters.registry import Registry, open_registry
from netgpt.adapters.residency import Residency
from netgpt.app import warming
from netgpt.app.capability import CapabilityService
from netgpt.app.crew import Crew
from netgpt.app.embeddings import Embeddings
from netgpt.app.factory import last_answer, open_detector, open_edge, open_remotes
from netgpt.app.figures import Family, answered_in, families_of
from netgpt.app.heads import HeadNoter
from netgpt.app.learning import Learning
from netgpt.app.metrics import Metrics, SignalsCollector
from netgpt.app.proposing import Proposing
from netgpt.app.relevance import RelevanceService, open_reader
from netgpt.app.routing import RoutingService, Telemetry, open_judge
from netgpt.app.sessions import SessionService
from netgpt.app.settings_file import SettingsFile
from netgpt.app.shared_learning import SharedLearning
from netgpt.app.together import CrewResidency, Together
from netgpt.app.training import TrainingJobs
from netgpt.completion.select import Selector
from netgpt.constraints.learnt import FactReader
from netgpt.context.location import PlaceNames
from netgpt.context.places import Place
from netgpt.errors import NetGPTError, StoreError
from netgpt.fleet.box import FleetMember
from netgpt.models.base import ChatModel, Health, RemoteModel, new_box_id
from netgpt.models.hot_swap import SwappingEngine
from netgpt.models.shared_engine import SharedEngine
from netgpt.models.stream import join_chunks
from netgpt.policy import InForce, Policy
from netgpt.privacy.detector import Detector
from netgpt.privacy.generalize import Generaliser
from netgpt.privacy.registry import DETECTORS
from netgpt.routing.candidates import target_names
from netgpt.routing.names import model_names
from netgpt.routing.signals import SIGNALS
from netgpt.settings import Settings
from netgpt.stages import STAGES, Pipeline, Stage, plugged_stage
from netgpt.stages.complete import ADAPTER, Choose, Complete, Identify, Recall, Trained
from netgpt.stages.desensitize import Desensitize, Restore
from netgpt.stages.generate import Generate
from netgpt.stages.record import Record, receipts_in
from netgpt.store.store import Store, open_store
from netgpt.word_pieces import StaticEmbedder

log = logging.getLogger(__name__)

HOUSEKEEPING_S = 10.0
KEYS_READ_EVERY_S = 5.0
COUNTED_A_ROUND = 1000  # batches of exchanges, for the sums by hour
RETENTION_EVERY_S = 3600.0


def open_gateway(settings: Settings, crew: Crew | None = None) -> Gateway:
    """A gateway with its real parts, not started yet. `crew`: the others, where it is one worker of several. Raises
    StoreError or ModelUnavailable."""
    for registered in (DETECTORS, STAGES, SIGNALS):
        registered.entries()  # plug-ins are imported before anybody waits, and refused ones are logged
    model_names(settings)  # a wrong alias is told before anything is opened
    metrics = Metrics()
    store = open_store(settings)
    if crew is not None:
        store.share(settings.home / "locks")
    engine, edge = open_edge(settings, store.files, metrics.engine_event, crew.engine if crew is not None else None)
    registry = open_registry(settings, store.files)
    remotes = open_remotes(settings, receipts_in(store, keep_text=settings.store.keep_text))
    return Gateway(settings, store, edge, remotes, open_detector(settings), engine, metrics, registry, crew)


async def whole_answer(model: ChatModel, body: Mapping[str, Any], adapters: Sequence[str] = ()) -> dict[str, Any]:
    """One whole answer (`chat.completion`) of a model, for the box's own small jobs."""
    return join_chunks([chunk async for chunk in model.chat(body, adapters=adapters)])


class Gateway:
    """All parts of one NetGPT, started and closed together. `workflow.run(exchange)` answers a question."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        edge: ChatModel,
        remotes: Mapping[str, RemoteModel],
        detector: Detector,
        engine: SwappingEngine | SharedEngine | None = None,
        metrics: Metrics | None = None,
        registry: Registry | None = None,
        crew: Crew | None = None,
    ) -> None:
        self.settings, self.store, self.edge, self.remotes = settings, store, edge, remotes
        """`remotes`: the models elsewhere, by their targets' names, "cloud" first."""
        self.crew = crew
        """The other workers; None: this process is alone."""
        self.cloud = remotes.get("cloud")
        self.box_id = new_box_id()
        self.detector, self.engine, self.generaliser = detector, engine, Generaliser()
        self.metrics = metrics or Metrics()
        self.registry = registry or Registry(settings.adapters_dir, proof=store.files)
        self.last_answer = last_answer(store, settings.routing.stale_answer_s)
        self.rules = InForce(settings.policy.set)  # the policy, read anew when its file changes
        self.fleet = FleetMember(settings, self.registry)
        self.telemetry = Telemetry(settings, edge, remotes)
        self.signals = self.telemetry.signals
        self.metrics.registry.register(SignalsCollector(self.signals, self.telemetry.is_up))
        """What links, models and the box tell now: `signals.view()`."""
        self.residency = (
            Residency(self.registry, engine, settings.adapters)
            if crew is None
            else CrewResidency(crew, self.registry, crew.engine if engine is not None else None, settings.adapters)
        )
        self.needs_detector = any(not settings.remotes[target].trusted for target in remotes)
        self.target_names = target_names(settings)  # which target a model's name asks for
        self.model_names = model_names(settings)
        self.capability = CapabilityService(settings, store.files, built_in=engine is not None)
        """What each target can do, by kind of task: `capability.prior`."""
        self.embedder = StaticEmbedder()
        self.embeddings = Embeddings(settings, self.embedder)
        self.routing_service = RoutingService(settings, self.embedder, self.signals)
        self.routing_service.context.prior = self.capability.prior
        self.selector = Selector(self.ask_edge, self.embedder, settings.completion.max_facts)
        self.relevance = RelevanceService(store, self.embeddings, settings.completion.relevance, self.selector.use)
        self.fact_reader: FactReader | None = None
        """What reads the private facts that no rule reads."""
        self._places: Sequence[Place] = ()
        self.record = Record(
            store, settings.remotes, keep_text=settings.store.keep_text, on_ended=self.metrics.exchange_ended
        )
        self.learning = (
            Learning(store, settings.routing, settings.remotes)
            if crew is None
            else SharedLearning(store, settings.routing, settings.remotes, crew)
        )
        self.proposing = Proposing(store, settings)
        key = crew.post.secret if crew is not None else None
        self.sessions = SessionService(store, self.routing_service, self.record, key)
        self.training = TrainingJobs(settings, built_in=engine is not None)
        self._tasks: list[asyncio.Task[None]] = []
        self._starting: asyncio.Task[None] | None = None
        self._stop_by: float | None = None
        self._expired_at = float("-inf")
        self._keys_read_at, self._key_faults = float("-inf"), list[str]()
        self.head_noter = HeadNoter(settings, store)
        self.on_new_settings: Callable[[Callable[[], Settings]], Awaitable[list[str]]] | None = None
        """Reads settings anew and takes what can change while the box runs: set by the server, which has a part in it.
        The names of those that changed; raises SettingsError."""
        self.workflow = Pipeline(_stages(self))
        self.together = None if crew is None else Together(crew, self.rules, self.sessions, self.learning)
        if crew is not None:
            self._join(crew)

    def _join(self, crew: Crew) -> None:
        """Know what the other workers know, and let them know."""
        self.signals.busy_elsewhere = crew.engine.busy_elsewhere
        self.telemetry.share(crew)
        crew.figures = self._figures
        crew.on("routing", lambda data: self.routing_service.change(*data))
        crew.on("settings", lambda _: self._take_new_settings())
        if self.together is not None:
            self.together.forgets.append(self.relevance.forget)

    def _take_new_settings(self) -> None:
        """Another worker was given new settings: take what can change while the box runs."""
        if self.on_new_settings is not None and (source := self.settings.source) is not None:
            taking = asyncio.ensure_future(self.on_new_settings(lambda: SettingsFile(source).settings()))
            taking.add_done_callback(_settings_taken)

    def tell_others(self, what: str, data: Any = None) -> None:
        """Let the other workers, where there are some, do what this one did: "routing", "settings"."""
        if self.crew is not None:
            self.crew.tell(what, data)

    def _figures(self) -> list[Family]:
        return families_of(self.metrics.registry)

    @property
    def policy(self) -> Policy:
        """The rules in force now."""
        return self.rules.current

    def places(self) -> Sequence[Place]:
        """Places of interest, as last read from the store."""
        return self._places

    async def ask_edge(self, body: Mapping[str, Any], adapters: Sequence[str] = ()) -> dict[str, Any]:
        """One whole answer of the edge model, with these adapters. Raises ModelError; AdapterGone among them."""
        return await whole_answer(self.edge, body, adapters)

    async def parts(self) -> dict[str, dict[str, Any]]:
        """Each part's health, for /readyz, metrics and `netgpt doctor`. Asks no network."""
        health = {"edge": self.edge.health(), "cloud": Health(False, _no_cloud(self.remotes))}
        health |= {target: remote.health() for target, remote in self.remotes.items()}
        detector = self.detector.health() if self.needs_detector else (True, "not needed: nothing may leave")
        health |= {"detector": Health(*detector), "store": await self._store_health()}
        health |= {"encoder": self.embeddings.health(), "relevance": self.relevance.health()}
        if self.crew is not None:
            health["workers"] = self.crew.health()
        told = {part: {"ok": each.ok and not each.fault, "detail": each.detail} for part, each in health.items()}
        for part, each in health.items():
            if each.fault:
                told[part] |= {"detail": each.fault, "fault": each.fault}
        return told

    async def _store_health(self) -> Health:
        try:
            await self.store.has_keys()
            if time.monotonic() - self._keys_read_at > KEYS_READ_EVERY_S:  # anybody may ask this, and often
                self._keys_read_at, self._key_faults = time.monotonic(), await self.store.key_faults()
        except StoreError as error:
            return Health(False, error.message)
        if self._key_faults:
            return Health(
                False, f"somebody changed the database ({self._key_faults[0]}): `netgpt store check` names all"
            )
        return Health(True, "ready")

    @property
    def owns_jobs(self) -> bool:
        """Whether this process does what one alone does for the store: see `app/crew.py`."""
        return self.crew is None or self.crew.owns

    def renew(self, settings: Settings) -> None:
        """Let what is asked of the settings at each request be asked of these. Raises SettingsError: a wrong alias."""
        self.model_names = model_names(settings)
        self.settings = settings

    def stops(self, drain_s: float) -> None:
        """It is asked to stop, and has so many seconds. A start under way is given up."""
        self._stop_by = time.monotonic() + drain_s
        if self._starting is not None:
            self._starting.cancel()

    @property
    def is_stopping(self) -> bool:
        return self._stop_by is not None

    def drain_left_s(self) -> float:
        """Seconds that what is under way may still take."""
        return self.settings.server.drain_s if self._stop_by is None else max(0.1, self._stop_by - time.monotonic())

    async def start(self) -> None:
        """Start all parts; returns as well where the gateway is asked to stop meanwhile."""
        if self._stop_by is not None:
            return
        self._starting = asyncio.ensure_future(self._start())
        try:
            await self._starting
        except asyncio.CancelledError:
            if self._stop_by is None:
                raise
        finally:
            self._starting = None

    async def _start(self) -> None:
        """Start engine, detector and housekeeping, side by side. A failing engine does not stop the gateway."""
        if self.crew is not None:
            self._tasks += [await self.crew.open(), asyncio.create_task(self.crew.keep_lease(self.store))]
        await self._start_part("adapters", self.residency.prepare)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._start_part("edge", self.engine.start if self.engine else None))
            group.create_task(self._start_part("routing", self.routing_service.start))
            group.create_task(self._start_part("sessions", self.sessions.start if self.remotes else None))
            group.create_task(self._start_encoder())
            group.create_task(asyncio.to_thread(self.capability.refresh))
            group.create_task(self._start_part("detector", self.detector.start if self.needs_detector else None))
        await self.learning.start(self.routing_service, self.record, self.metrics)
        self.proposing.start(self.metrics)
        await self._read_places()
        if self.crew is None:
            await self.head_noter.start()
        self.telemetry.start()
        if self.crew is not None:
            self._tasks.append(asyncio.create_task(self.crew.report_often()))
        self._tasks.append(asyncio.create_task(self._housekeeping()))
        self._tasks.append(asyncio.create_task(self.metrics.watch_loop()))
        self._tasks.append(asyncio.create_task(self.residency.run()))
        self._tasks.append(asyncio.create_task(self.relevance.run()))
        self._tasks.append(asyncio.create_task(warming.in_turn(self._to_warm())))

    def _to_warm(self) -> dict[str, warming.Step]:
        """What is read before anybody waits for it, in the order in which a request needs it."""
        settings = self.settings
        steps: dict[str, warming.Step] = {}
        if settings.completion.mode != "off":
            steps["completion"] = self._warm_completion
        if self.engine is not None:
            steps["edge"] = partial(warming.ask_engine, self.ask_edge)
        if settings.constraints.enabled:
            steps["constraints"] = lambda: warming.read_constraints(self.fact_reader)
        if self.needs_detector:
            steps["places"] = lambda: warming.read_places(self.generaliser, self.policy)
        return steps

    async def _warm_completion(self) -> None:
        await asyncio.to_thread(self.embedder.load)
        adapter = self.residency.task(ADAPTER)
        await self.selector.warm(Trained(self.ask_edge, adapter) if adapter else None)

    async def _start_encoder(self) -> None:
        await self._start_part("encoder", self.embeddings.start)
        await self._start_part("relevance", self.relevance.start)
        if self.settings.constraints.enabled:
            self.fact_reader = await open_reader(self.embeddings)

    async def _start_part(self, name: str, start: Callable[[], Any] | None) -> None:
        if start is None:
            return
        try:
            await start()
        except NetGPTError as error:
            log.error("%s: %s", name, error.message)

    async def close(self) -> None:
        """Stop everything; answers under way are drained first. Safe to call twice."""
        parts: list[Callable[[], Awaitable[None]]] = [
            self._end_tasks, self.selector.close, self.telemetry.close, self.record.close,
            self.learning.close, self.proposing.close, self.training.close, self.edge.close,
        ]  # fmt: skip
        parts += [remote.close for remote in self.remotes.values()]
        if self.engine is not None:
            parts.append(self.engine.stop)
        async with AsyncExitStack() as stack:  # one part that fails to close does not keep the others open
            for close in (self._leave, self.store.close, self._note_head, self.detector.close, *reversed(parts)):
                stack.push_async_callback(close)

    async def _leave(self) -> None:
        """Tell the supervisor what was counted last."""
        if self.crew is not None:
            self.crew.report()
            self.crew.close()

    async def _note_head(self) -> None:
        if self.owns_jobs:
            await self.head_noter.note()

    async def _end_tasks(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        for outcome in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(outcome, Exception):
                log.error("a background task had ended: unforeseen %s", type(outcome).__name__)

    async def _read_places(self) -> None:
        rows = await self.store.places()
        self._places = [Place(r.id, r.name, r.kind, r.latitude, r.longitude, r.text, tuple(r.tags)) for r in rows]

    async def _housekeeping(self) -> None:
        """Read newly imported places, withdraw canaries that do worse, delete rows past their time."""
        while True:
            try:
                await self.look_at_rules()
                await asyncio.to_thread(self.capability.refresh)
                await self._read_places()
                if self.owns_jobs:
                    await self._do_jobs()
            except StoreError as error:
                log.error("housekeeping: %s", error.message)
            await asyncio.sleep(HOUSEKEEPING_S)

    async def look_at_rules(self) -> None:
        """Read the rules anew where their file changed, and let the other workers do so."""
        if await asyncio.to_thread(self.rules.look) and self.crew is not None:
            self.crew.tell("policy")

    async def answered(self) -> dict[str, int]:
        """Exchanges that ended since the start, by "route status"; those of all workers."""
        all_of_them = await self.crew.gather() if self.crew is not None else None
        return self.metrics.answered() if all_of_them is None else answered_in(all_of_them)

    async def _do_jobs(self) -> None:
        """What one process does for the store. Raises StoreError."""
        await watch_canaries(self.registry, self.store.outcomes)
        await self.head_noter.note_in_time()
        await self.store.usage.count(COUNTED_A_ROUND)
        if self.crew is not None:
            await self.store.shared_limits.expire(datetime.now(UTC))
        if time.monotonic() - self._expired_at >= RETENTION_EVERY_S:
            self._expired_at = time.monotonic()
            keep, learnt = self.settings.store, self.settings.training.keep_examples_days
            days = keep.keep_exchanges_days, keep.keep_maps_days, learnt, keep.keep_receipts_days
            await self.store.delete_expired(await self.store.retention.now(), *days)


def _settings_taken(done: asyncio.Future[Any]) -> None:
    if not done.cancelled() and isinstance(error := done.exception(), NetGPTError):
        log.error("the settings stay as they were here: %s", error.message)


def _no_cloud(remotes: Mapping[str, RemoteModel]) -> str:
    others = ", ".join(remotes)
    return f"no [cloud] is configured, but {others}" if others else "no cloud is configured: the box answers alone"


def _stages(gateway: Gateway) -> list[Stage]:
    """The pipeline's stages, in the order that the settings declare (they know only these names)."""
    settings, store = gateway.settings, gateway.store
    makers: dict[str, Callable[[], Stage]] = {
        "identify": Identify,
        "recall": lambda: Recall(
            store,
            settings.site,
            PlaceNames(),
            gateway.places,
            receivers=[urlsplit(each.base_url or "").hostname or "" for each in settings.remotes.values()],
        ),
        "complete": lambda: Complete(
            store,
            gateway.selector,
            gateway.ask_edge,
            settings.completion,
            partial(gateway.residency.task, ADAPTER),
            gateway.relevance.of_person,
        ),
        "desensitize": lambda: Desensitize(
            store,
            gateway.detector,
            settings.remotes,
            settings.privacy,
            names=gateway.target_names,
            policy=lambda: gateway.policy,
            constraints=settings.constraints,
            generaliser=gateway.generaliser,
        ),
        "route": lambda: gateway.routing_service.stage(
            gateway.edge, gateway.remotes, names=gateway.target_names, listeners=gateway.metrics.listeners
        ),
        "generate": lambda: Generate(
            gateway.edge,
            gateway.remotes,
            deadline_s=settings.server.deadline_s,
            rules=settings.routing,
            prices=settings.remotes,
            choose=gateway.residency.choose,
            on_model_call=gateway.metrics.model_called,
            last_answer=gateway.last_answer,
            acting=gateway.routing_service.acting(open_judge(), prior=gateway.capability.prior),
        ),
        "restore": Restore,
        "choose": lambda: Choose(settings.constraints, lambda: gateway.fact_reader),
        "record": lambda: gateway.record,
    }
    return [makers[name]() if name in makers else plugged_stage(name, gateway) for name in settings.workflow.stages]
