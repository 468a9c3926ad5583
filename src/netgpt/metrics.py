"""What is counted, for Prometheus. Labels are routes, stages, kinds and codes: never a person, a key or a text."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from netgpt.exchange import Exchange

__all__ = ["Metrics"]

MOST_OUTCOMES = 40
"""Labels are bounded: nobody elsewhere fills this memory with words."""
SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)


class Metrics:
    """One registry a box, so that two boxes in one process do not mix."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.exchanges = Counter("netgpt_exchanges", "Exchanges ended.", ["route", "status"], registry=registry)
        self.seconds = Histogram(
            "netgpt_stage_seconds", "Time per stage; total and first_token too.", ["stage"], registry=registry,
            buckets=SECONDS,
        )  # fmt: skip
        self.tokens = Counter("netgpt_tokens", "Tokens of answers.", ["route", "direction"], registry=registry)
        self.calls = Counter("netgpt_model_calls", "Calls to models.", ["route", "outcome"], registry=registry)
        self.adapters = Counter("netgpt_adapters", "Exchanges by scope of adapter used.", ["scope"], registry=registry)
        self.hidden = Counter("netgpt_hidden", "Private values hidden before leaving.", ["kind"], registry=registry)
        self.outbound = Counter("netgpt_outbound_bytes", "Bytes sent to the cloud.", registry=registry)
        self.engine_events = Counter("netgpt_engine_events", "Life of the engine.", ["event"], registry=registry)
        self.up = Gauge("netgpt_up", "Whether a part works: 1 or 0.", ["part"], registry=registry)
        self._children: dict[tuple[Any, ...], Any] = {}
        self._outcomes: set[str] = set()
        self.refused = Counter("netgpt_refused", "Requests refused at the door.", ["code"], registry=registry)
        self.places = Gauge(
            "netgpt_places", "Chats at work, chats that wait for their turn, and how many may be at work, by lane.",
            ["lane", "what"], registry=registry,
        )  # fmt: skip
        self.listeners: list[Callable[[Exchange], None]] = []
        """Told of every ended exchange too, after its row is committed: what keys have used is counted so."""

    def exchange_ended(self, exchange: Exchange) -> None:
        """Book one ended exchange, however it ended."""
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
        for arm, _sha in outcome.sent_to if outcome else ():
            sent = exchange.outbounds[arm]
            self.outbound.inc(len(sent.content))
            for hidden in sent.hidden:
                self.hidden.labels(hidden.kind).inc(hidden.count)
        for listener in self.listeners:
            listener(exchange)

    def model_called(self, route: str, outcome: str) -> None:
        """An outcome may be an error's code in a server's own words: a new one past `MOST_OUTCOMES` is "other"."""
        if outcome not in self._outcomes:
            if len(self._outcomes) >= MOST_OUTCOMES or not outcome.replace("_", "").isalnum() or len(outcome) > 40:
                outcome = "other"
            self._outcomes.add(outcome)
        self._child(self.calls, route, outcome).inc()

    def _child(self, metric: Counter | Histogram, *labels: str) -> Any:
        """`metric.labels(...)`, looked up once: the library checks and locks at every look-up."""
        key = (metric, *labels)
        child = self._children.get(key)
        if child is None:
            child = self._children[key] = metric.labels(*labels)
        return child

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
