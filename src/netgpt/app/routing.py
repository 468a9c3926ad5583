"""What decisions are made with, from the settings: targets, difficulty, memory, and telemetry for the signals."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial
from statistics import median
from typing import Any, Final, Protocol, runtime_checkable

from pydantic import SecretStr

from netgpt.app.crew import Crew
from netgpt.confidence.judge import Judge
from netgpt.errors import ModelUnavailable, SettingsError
from netgpt.exchange import Exchange
from netgpt.generation.acting import Acting
from netgpt.judgement import AnswerJudge, TaskKind
from netgpt.models.addresses import address_of, proxy_of
from netgpt.models.base import ChatModel, RemoteModel
from netgpt.models.client import CloudModel
from netgpt.models.observe import Observer
from netgpt.routing.candidates import Assessed, Target
from netgpt.routing.link_state import Link
from netgpt.routing.probes import IN_USE_S, Address, Prober
from netgpt.routing.router import Memory
from netgpt.routing.signals import SIGNALS, Hint, Signals, SignalSource, checked_hint
from netgpt.routing.system import SystemWatch
from netgpt.settings import Settings
from netgpt.settings.routing import Insights, Preset, Upstream
from netgpt.sorts import TaskKinds
from netgpt.stages.route import NO_CLOUD, Assess, Route, RoutingContext
from netgpt.telco import Insight, InsightClient, InsightSource, InsightWatch, QualityOfLine, RadioInformation, Token
from netgpt.types import EDGE
from netgpt.word_pieces import StaticEmbedder

log = logging.getLogger(__name__)

EVERYDAY: Final = (
    "tell me a joke", "what should I wear today", "when does the library open", "ideas for dinner tonight",
    "say thank you in Spanish",
)  # fmt: skip
"""What a small model is used for, the measure of a text's difficulty. Reading them also warms the libraries up."""


LONGEST_SAMPLE_S: Final = 10.0
SHORTEST_PAUSE_S: Final = 0.1
"""Of the sources of signals that plug-ins bring."""


def targets_of(settings: Settings) -> tuple[Target, ...]:
    """Every target as the settings describe it, the edge first. Without any other a cloud that is not configured
    stands there, so that explanations say why it was not asked."""
    sees = settings.edge.base_url is not None  # the built-in engine reads text only; another edge server may do more
    edge = Target(
        EDGE, EDGE, EDGE, context_tokens=settings.edge.context_tokens, reads_media=sees, surely_reads_media=False
    )
    others = [
        Target(
            name,
            kind="neighbour" if remote.is_neighbour else "cloud",
            reads_media=not remote.is_neighbour,
            price_prompt=remote.price_prompt,
            price_completion=remote.price_completion,
            quality=remote.quality if isinstance(remote, Upstream) else 0.9,
        )
        for name, remote in settings.remotes.items()
    ]
    return (edge, *others) if others else (edge, NO_CLOUD)


KEPT_CHANGES: Final = 50


@dataclass(frozen=True, slots=True)
class RoutingChange:
    """What somebody changed while the box runs, and who."""

    at: datetime
    by: str
    prefer: str
    max_cloud_share: float | None


class RoutingService:
    """What the route stage decides with. Made, started and closed with the gateway."""

    def __init__(self, settings: Settings, embedder: StaticEmbedder, signals: Signals | None = None) -> None:
        self.settings, self.embedder = settings, embedder
        signals = signals or Signals()
        self._kinds: TaskKinds | None = None
        self.rules = settings.routing
        """In force now."""
        self.changes: list[RoutingChange] = []
        """Of this run, the newest last."""
        self._stage: Route | None = None
        self.context = RoutingContext(Memory(settings.routing.max_cloud_share), signals.for_request)

    def stage(
        self,
        edge: ChatModel,
        remotes: Mapping[str, RemoteModel],
        *,
        names: Mapping[str, str],
        listeners: list[Callable[[Exchange], None]] | None = None,
    ) -> Route:
        """The route stage for these models. `names`: which target a model's name asks for. `listeners`: of ended
        exchanges; the stage joins them to count what fell back on a cloud."""
        settings = self.settings
        own = frozenset(name for name, remote in settings.remotes.items() if remote.trusted or remote.is_neighbour)
        route = Route(edge, remotes, targets_of(settings), settings.routing, self.context, names=names, own=own)
        if listeners is not None:
            listeners.append(route.count_fallback)
        self._stage = route
        return route

    def change(self, prefer: Preset, max_cloud_share: float | None, by: str) -> None:
        """Decide by another preset and share of the cloud from the next request on, until this process ends."""
        changed = {"prefer": prefer, "max_cloud_share": max_cloud_share}
        if max_cloud_share != self.rules.max_cloud_share:
            self.context.memory.share.bound(max_cloud_share)
        self.rules = self.rules.model_copy(update=changed)
        if self._stage is not None:
            self._stage.rules = self.rules
        self.changes = [*self.changes, RoutingChange(datetime.now(UTC), by, prefer, max_cloud_share)][-KEPT_CHANGES:]
        log.warning(
            "routing: from now on prefer = %s, max_cloud_share = %s; changed by %s", prefer, max_cloud_share, by
        )

    def acting(self, judge: AnswerJudge | None = None, **known: Any) -> Acting:
        """How the box acts on what it believes of its own answers. `known`: `prior`, and another `kind_of`."""
        share = self.context.memory.share
        known = {"kind_of": self.kind_of, **known}
        return Acting(
            self.settings.routing, judge, may_escalate=lambda: share.share is None or share.credit >= 1.0, **known
        )

    async def start(self) -> None:
        """Load what reads kind and difficulty of a text. Without it the rules alone decide."""
        try:
            kinds, assess, usual = await asyncio.to_thread(self._assessor)
        except SettingsError as error:
            log.error("routing: %s", error.message)
            return
        self._kinds = kinds
        if self.settings.remotes:  # else there is no choice to make
            self.context.assess, self.context.p_usual = assess, usual

    def kind_of(self, text: str) -> TaskKind:
        """What kind of task a text is: a millisecond or two of work; unknown until `start`."""
        return self._kinds.of([text])[0] if self._kinds is not None else TaskKind()

    def _assessor(self) -> tuple[TaskKinds, Assess, float]:
        from netgpt.routing.difficulty import Difficulty

        difficulty = Difficulty.shipped(self.embedder)
        sorts = difficulty.sorts
        kinds = TaskKinds(sorts)

        def assess(text: str) -> Assessed:
            read = sorts.read([text])
            found, [kind] = difficulty.hardness([text], read), kinds.named(read)
            [x], [p_kind] = difficulty.numbers(found, read), difficulty.usual([kind])
            return Assessed(float(found.chance[0]), x, kind, p_kind)

        return kinds, assess, median(assess(text).p_edge_ok for text in EVERYDAY)


def open_judge() -> AnswerJudge | None:
    """The judge of the box's answers; None where its weights cannot be read: the log says why."""
    judge = Judge()
    try:
        judge.load()
    except ModelUnavailable as error:
        log.error("answers are not judged: %s", error.message)
        return None
    return judge


@runtime_checkable
class Watchable(Protocol):
    """A client that reports its calls to an observer."""

    def watch(self, target: str, observer: Observer) -> None: ...


class Telemetry:
    """Fills the signals: watches the models' calls, and from `start` on probes links and samples the machine."""

    def __init__(self, settings: Settings, edge: ChatModel, remotes: Mapping[str, RemoteModel]) -> None:
        """`remotes`: by the target's name."""
        options = settings.signals
        self.signals = Signals(slots=settings.edge.slots)
        self.system = SystemWatch(self.signals, every_s=options.sample_s, power_w=options.power_w)
        addresses = tuple(
            _address(settings, target, remote) for target, remote in remotes.items() if target in settings.remotes
        )
        self.prober = Prober(self.signals, addresses, every_s=options.probe_s, probes=options.probes)
        self.insights = self._watch_network(settings.insights, _targets(settings.insights, remotes))
        self._settings, self._remotes, self._health = settings, tuple(remotes), {EDGE: edge.health}
        self._health |= {target: model.health for target, model in remotes.items()}
        self.plugged: dict[str, tuple[bool, str]] = {}
        """How the last sample of each plug-in went, and what it said."""
        self._tasks: list[asyncio.Task[None]] = []
        self._crew: Crew | None = None
        for target, model in {"edge": edge, **remotes}.items():
            if isinstance(model, Watchable):
                model.watch(target, self.signals)
            if isinstance(model, CloudModel) and target in settings.remotes and settings.remotes[target].is_neighbour:
                model.hear_load(partial(self.signals.loaded, target))

    def start(self) -> None:
        """Begin to probe and to sample, in the running loop."""
        jobs: tuple[Callable[[], Coroutine[Any, Any, None]], ...] = (
            self.system.run, self.prober.run, self.insights.run,
            *(partial(self._sample, name, make) for name, make in SIGNALS.items()),
        )  # fmt: skip
        if self._crew is not None:  # the box itself each looks at; what is asked elsewhere, one asks for all
            jobs = (jobs[0], *(partial(self._crew.while_owner, job) for job in jobs[1:]), self._say_used)
        self._tasks = [asyncio.create_task(job()) for job in jobs]

    def share(self, crew: Crew) -> None:
        """Of several workers one probes and asks the network, and tells the others what it found."""
        self._crew, signals = crew, self.signals
        self.prober.probed = lambda *found: crew.tell("probed", found)
        crew.on("probed", lambda found: signals.probed(*found))
        crew.on("hinted", lambda found: signals.hinted(found[0], found[1], Hint(**found[2])))
        crew.on("used", lambda at: setattr(signals, "used_at", max(signals.used_at, at)))

    async def _say_used(self) -> None:
        """Tell the one that probes that the box is in use, until cancelled."""
        said = -1e9
        while self._crew is not None:
            if self.signals.used_at > said:
                said = self.signals.used_at
                self._crew.tell("used", said)
            await asyncio.sleep(LONGEST_SAMPLE_S)

    def _hinted(self, target: str, source: str, hint: Hint) -> None:
        self.signals.hinted(target, source, hint)
        if self._crew is not None:
            self._crew.tell("hinted", [target, source, asdict(hint)])

    def as_dict(self) -> dict[str, Any]:
        """All signals as plain values, for operators."""
        view = self.signals.view()
        counts = {target: _counts(link) for target, link in self.signals.links.items()}
        faults = {target: words for target, health in self._health.items() if (words := health().fault)}
        return {
            "links": {target: {**asdict(link), **counts[target]} for target, link in view.links.items()},
            "faults": faults,
            "box": asdict(view.system),
            "probes": self.prober.made,
            "insights": {name: polled.detail for name, polled in self.insights.polled.items()},
            "plugins": {name: detail for name, (_, detail) in self.plugged.items()},
        }

    async def close(self) -> None:
        """Stop. Safe to call twice."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.insights.close()

    def is_up(self) -> dict[str, bool]:
        """Whether each source of the operator's network answered when it was last asked, by its name."""
        up = {name: polled.ok for name, polled in self.insights.polled.items()}
        return up | {name: ok for name, (ok, _) in self.plugged.items()}

    async def _sample(self, name: str, make: Callable[[Settings], SignalSource]) -> None:
        """Ask a plug-in's source for ever. Whatever fails in it is reported, and touches nothing else."""
        source: SignalSource | None = None
        while True:
            pause = LONGEST_SAMPLE_S
            try:
                source = source or make(self._settings)
                pause = max(SHORTEST_PAUSE_S, float(source.every_s))
                async with asyncio.timeout(LONGEST_SAMPLE_S):
                    sample = dict(await source.sample())
                hints = {target: checked_hint(hint, self.signals.clock()) for target, hint in sample.items()}
                if unknown := hints.keys() - set(self._remotes):
                    raise ValueError(f"no model elsewhere is called {min(unknown)!r}")
                for target, hint in hints.items():
                    self._hinted(target, name, hint)
                self.plugged[name] = True, "; ".join(f"{target}: {hint.text}" for target, hint in hints.items())
            except Exception as error:  # noqa: BLE001 - the code of others may raise anything
                detail = f"{type(error).__name__}: {error}"[:200]
                if self.plugged.get(name) != (False, detail):
                    log.warning("signals of the plug-in %s: %s", name, detail)
                self.plugged[name] = False, detail
            await asyncio.sleep(pause)

    def _watch_network(self, options: Insights, targets: tuple[str, ...]) -> InsightWatch:
        signals = self.signals

        def on_insight(source: str, insight: Insight) -> None:
            hint = Hint(
                insight.text, signals.clock(), insight.grade, rtt_s=insight.delay_s, loss=insight.loss,
                up_bytes_s=insight.up_bytes_s, down_bytes_s=insight.down_bytes_s,
            )  # fmt: skip
            for target in targets:
                self._hinted(target, source, hint)

        return InsightWatch(
            network_sources(options),
            InsightClient(timeout_s=options.timeout_s, ca_file=options.ca_file),
            every_s=options.every_s,
            on_insight=on_insight,
            in_use=lambda: signals.clock() - signals.used_at < IN_USE_S,
        )


def network_sources(options: Insights) -> tuple[InsightSource, ...]:
    """The sources in the operator's network, as configured; none by default."""
    sources: list[InsightSource] = []
    if options.radio_url:
        token = Token(_secret(options.radio_token), options.radio_token_file)
        own = str(options.device_private_ipv4 or options.device_ipv4 or "")
        sources.append(RadioInformation(options.radio_url, token, options.radio_cell, own, options.radio_app))
    if options.quality_url:
        token = Token(_secret(options.quality_token), options.quality_token_file)
        server, profile = _server(options.quality_server), str(options.quality_profile)
        sources.append(QualityOfLine(options.quality_url, profile, token, _device(options), server))
    return tuple(sources)


def _targets(options: Insights, remotes: Mapping[str, RemoteModel]) -> tuple[str, ...]:
    """Whose links the insights are about. Raises SettingsError: there is no target of that name."""
    for target in options.arms:
        if target not in remotes:
            known = ", ".join(remotes)
            raise SettingsError(f'insights.arms: no model elsewhere is called "{target}"; there are: {known}')
    return tuple(options.arms or remotes)


def _device(options: Insights) -> dict[str, Any] | None:
    """The machine's own subscription in CAMARA's words; None: the token stands for it."""
    ipv4 = {
        "publicAddress": options.device_ipv4 and str(options.device_ipv4),
        "privateAddress": options.device_private_ipv4 and str(options.device_private_ipv4),
        "publicPort": options.device_port,
    }
    device = {
        "phoneNumber": _secret(options.device_phone),
        "ipv4Address": {k: v for k, v in ipv4.items() if v is not None} if options.device_ipv4 else None,
        "ipv6Address": options.device_ipv6 and str(options.device_ipv6),
    }
    return {k: v for k, v in device.items() if v is not None} or None


def _server(address: str) -> dict[str, str] | None:
    return {"ipv6Address" if ":" in address else "ipv4Address": address} if address else None


def _secret(value: SecretStr | None) -> str | None:
    return value.get_secret_value() if value is not None else None


def _counts(link: Link) -> dict[str, Any]:
    return {"calls": link.calls, "failed": link.failed, "retries": link.retries, "last_outcome": link.outcome or None}


def _address(settings: Settings, target: str, remote: RemoteModel) -> Address:
    """What a probe may open a connection to: the server, or the proxy on the way."""
    given = settings.remotes[target]
    server = address_of(given.base_url or "", target)
    proxy = proxy_of(given.way[0], target, server.url.host)
    host, port = (server.url.host, server.port) if proxy is None else (proxy.host, proxy.port)
    return Address(target, host, port, lambda: not remote.health().ok)
