"""What is counted, for Prometheus. Labels are routes, stages, kinds and codes: never a person, a key or a text."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from netgpt.exchange import Exchange
from netgpt.routing.link_state import Estimate, Link, SystemView
from netgpt.routing.signals import Signals

MOST_OUTCOMES = 40  # labels are bounded: nobody elsewhere fills this memory with words
BLOCKS = (0.01, 0.025, 0.05, 0.1, 0.25, 1, 5)
LOOK_EVERY_S = 0.025
SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)


class Metrics:
    """One registry a gateway, so that two in one process do not mix."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.exchanges = Counter("netgpt_exchanges", "Exchanges ended.", ["route", "status"], registry=registry)
        self.seconds = Histogram(
            "netgpt_stage_seconds", "Time per stage; total and first_token too.", ["stage"], registry=registry,
            buckets=SECONDS,
        )  # fmt: skip
        self.blocks = Histogram(
            "netgpt_loop_block_seconds", "Work at a stretch on the event loop, while which nobody else is served.",
            registry=registry, buckets=BLOCKS,
        )  # fmt: skip
        self.tokens = Counter("netgpt_tokens", "Tokens of answers.", ["route", "direction"], registry=registry)
        self.calls = Counter("netgpt_model_calls", "Calls to models.", ["route", "outcome"], registry=registry)
        self.adapters = Counter("netgpt_adapters", "Exchanges by scope of adapter used.", ["scope"], registry=registry)
        self.hidden = Counter("netgpt_hidden", "Private values hidden before leaving.", ["kind"], registry=registry)
        self.placeholders = Counter(
            "netgpt_placeholders", "Placeholders of answers: restored, or why they stayed.", ["result"],
            registry=registry,
        )  # fmt: skip
        self.outbound = Counter("netgpt_outbound_bytes", "Bytes sent to the cloud.", registry=registry)
        self.engine_events = Counter("netgpt_engine_events", "Life of the engine.", ["event"], registry=registry)
        self.up = Gauge("netgpt_up", "Whether a part works: 1 or 0.", ["part"], registry=registry)
        self._children: dict[tuple[Any, ...], Any] = {}
        self._outcomes: set[str] = set()
        self.refused = Counter("netgpt_refused", "Requests refused before a stage ran.", ["code"], registry=registry)
        self.connections = Gauge("netgpt_connections", "Connections open now.", registry=registry)
        self.places = Gauge(
            "netgpt_places", "Chats at work, chats that wait for their turn, and how many may be at work, by pool.",
            ["lane", "what"], registry=registry,
        )  # fmt: skip
        self.listeners: list[Callable[[Exchange], None]] = []
        """Called with every ended exchange, after its row is committed."""

    def answered(self) -> dict[str, int]:
        """Exchanges that ended since the start, by "route status"."""
        return {
            " ".join(sample.labels.values()): int(sample.value)
            for family in self.exchanges.collect()
            for sample in family.samples
            if sample.name.endswith("_total")
        }

    def exchange_ended(self, exchange: Exchange) -> None:
        """Count one ended exchange, however it ended."""
        outcome = exchange.get("outcome")
        route = exchange.outcome.answered_by.route if exchange.has("stream") else "none"
        self._child(self.exchanges, route, exchange.status).inc()
        for stage, milliseconds in exchange.timings.items():
            self._child(self.seconds, stage).observe(milliseconds / 1000)
        for id in exchange.adapters_used():
            self._child(self.adapters, _scope(id)).inc()
        if outcome and outcome.usage:
            self._child(self.tokens, route, "prompt").inc(outcome.usage.prompt_tokens)
            self._child(self.tokens, route, "completion").inc(outcome.usage.completion_tokens)
        for target, _sha in outcome.sent_to if outcome else ():
            sent = exchange.outbounds[target]
            self.outbound.inc(len(sent.content))
            for hidden in sent.hidden:
                self.hidden.labels(hidden.kind).inc(hidden.count)
        account = exchange.get("restoring")
        for result, count in account.as_dict().items() if account else ():
            if count:
                self._child(self.placeholders, result).inc(count)
        for listener in self.listeners:
            listener(exchange)

    def model_called(self, route: str, outcome: str) -> None:
        """Count a call. `outcome` may be a foreign server's error code: a new one past `MOST_OUTCOMES` is "other"."""
        if outcome not in self._outcomes:
            if len(self._outcomes) >= MOST_OUTCOMES or not outcome.replace("_", "").isalnum() or len(outcome) > 40:
                outcome = "other"
            self._outcomes.add(outcome)
        self._child(self.calls, route, outcome).inc()

    def _child(self, metric: Counter | Histogram, *labels: str) -> Any:
        """`metric.labels(...)`, cached: the library checks and locks at each call."""
        key = (metric, *labels)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = metric.labels(*labels)
        return child

    async def watch_loop(self) -> None:
        """Observe how long the event loop works at a stretch, until cancelled.

        What others on the machine took from it does not count: of the delay, the time that its thread was at work.
        """
        while True:
            due, worked = time.monotonic() + LOOK_EVERY_S, time.thread_time()
            await asyncio.sleep(LOOK_EVERY_S)
            self.blocks.observe(max(0.0, min(time.monotonic() - due, time.thread_time() - worked)))

    def engine_event(self, event: str) -> None:
        self.engine_events.labels(event).inc()

    def text(self) -> bytes:
        """The page for `/metrics`."""
        return generate_latest(self.registry)


def _scope(adapter: str) -> str:
    """What kind of adapter an id names; the name itself may stand for a person."""
    if adapter.startswith("user-"):
        return "user"
    return "site" if adapter.startswith("site@") else "task"


_EACH = ("arm", "signal")
_LINK = {
    "rtt_s": ("netgpt_link_rtt_seconds", "Round trip to a model's server."),
    "jitter_s": ("netgpt_link_jitter_seconds", "Mean deviation of the round trip."),
    "loss": ("netgpt_link_loss_ratio", "Share of segments sent again."),
    "up_bytes_s": ("netgpt_link_up_bytes_per_second", "Rate of large requests."),
    "down_bytes_s": ("netgpt_link_down_bytes_per_second", "Rate of large answers."),
    "first_byte_s": ("netgpt_link_first_byte_seconds", "From the end of a request to the answer's first byte."),
    "tokens_s": ("netgpt_link_tokens_per_second", "Token rate of an answer that flows."),
    "failures": ("netgpt_link_failures_ratio", "Share of the last calls that failed."),
}
_BOX = {
    "cpu": ("netgpt_box_cpu_ratio", "Share of the cores at work."),
    "memory": ("netgpt_box_memory_ratio", "Share of memory in use."),
    "cpu_pressure": ("netgpt_box_cpu_pressure_ratio", "Share of ten seconds in which something waited for a core."),
    "memory_pressure": ("netgpt_box_memory_pressure_ratio", "The same for memory."),
    "temperature_c": ("netgpt_box_temperature_celsius", "The hottest sensor."),
    "gpu": ("netgpt_box_gpu_ratio", "The busiest accelerator."),
    "gpu_memory": ("netgpt_box_gpu_memory_ratio", "The fullest accelerator."),
    "power_w": ("netgpt_box_power_watts", "Power drawn."),
    "engine_slots": ("netgpt_engine_slots", "Answers that the edge model writes at once."),
    "engine_busy": ("netgpt_engine_busy", "Answers that it writes now."),
    "engine_waiting": ("netgpt_engine_waiting", "Requests that wait for it."),
    "engine_tokens_s": ("netgpt_engine_tokens_per_second", "Token rate of one answer of the edge model now."),
    "engine_prompt_tokens_s": ("netgpt_engine_prompt_tokens_per_second", "How fast it reads prompts."),
}
_COUNTS: dict[str, tuple[str, str, Callable[[Link], int]]] = {
    "calls": ("netgpt_link_calls", "Calls that ended.", lambda link: link.calls),
    "failed": ("netgpt_link_failed_calls", "Calls that the link or the server failed.", lambda link: link.failed),
    "retries": ("netgpt_link_retries", "Tries after the first.", lambda link: link.retries),
}


class SignalsCollector(Collector):
    """The signals as metrics, read when the page is asked for. Labels name targets, signals and parts alone."""

    def __init__(self, signals: Signals, is_up: Callable[[], dict[str, bool]] = dict) -> None:
        """`is_up`: whether each source of the operator's network answered when it was last asked, by its name."""
        self.signals, self.is_up = signals, is_up

    def describe(self) -> Iterator[Metric]:
        """Nothing yet: names are known before the first call, figures are not."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """One family for each signal; what was never measured has no sample."""
        view = self.signals.view()
        ages = GaugeMetricFamily("netgpt_link_age_seconds", "Since a signal was last measured.", labels=_EACH)
        sure = GaugeMetricFamily("netgpt_link_confidence", "How sure a signal is, 0 to 1.", labels=_EACH)
        for field, (name, help) in _LINK.items():
            family = GaugeMetricFamily(name, help, labels=["arm"])
            for target, link in view.links.items():
                estimate: Estimate | None = getattr(link, field)
                if estimate is not None:
                    family.add_metric([target], estimate.value)
                    ages.add_metric([target, field], estimate.age_s)
                    sure.add_metric([target, field], estimate.confidence)
            yield family
        yield from (ages, sure, self._in_flight())
        yield from self._counts()
        yield from _system(view.system)
        yield self._is_up()

    def _in_flight(self) -> Metric:
        family = GaugeMetricFamily("netgpt_link_in_flight", "Calls under way.", labels=["arm"])
        for target, link in self.signals.links.items():
            family.add_metric([target], len(link.waiting))
        return family

    def _counts(self) -> Iterator[Metric]:
        for name, help, count in _COUNTS.values():
            family = CounterMetricFamily(name, help, labels=["arm"])
            for target, link in self.signals.links.items():
                family.add_metric([target], count(link))
            yield family

    def _is_up(self) -> Metric:
        family = GaugeMetricFamily("netgpt_insight_up", "Whether the operator's network answers.", labels=["source"])
        for source, ok in self.is_up().items():
            family.add_metric([source], float(ok))
        return family


def _system(system: SystemView) -> Iterator[Metric]:
    for field, (name, help) in _BOX.items():
        value: Any = getattr(system, field)
        if value is not None:
            yield GaugeMetricFamily(name, help, value=float(value))
