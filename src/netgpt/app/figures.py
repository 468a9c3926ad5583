"""Figures of several processes as one: what counters and histograms counted is added, what each measures of the same
thing stands once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

Family = list[Any]
"""Name, help, type, and samples of [name, labels, value]: plain JSON values."""

_ADDED: Final = ("counter", "histogram")
_ADDED_GAUGES: Final = frozenset(
    {"netgpt_connections", "netgpt_places", "netgpt_link_in_flight", "netgpt_engine_busy", "netgpt_engine_waiting"}
)
"""Of each process its own: together they are the box's."""
_LOWEST: Final = frozenset({"netgpt_up"})
"""A part works where it works in every process. Of all other gauges, the first process that has one tells it."""


def families_of(registry: CollectorRegistry) -> list[Family]:
    """What a registry holds now."""
    return [
        [family.name, family.documentation, family.type, [[s.name, s.labels, s.value] for s in family.samples]]
        for family in registry.collect()
    ]


def added(processes: Iterable[Sequence[Family]]) -> list[Family]:
    """The figures of all processes as those of one."""
    heads: dict[str, tuple[str, str]] = {}
    values: dict[str, dict[tuple[str, tuple[tuple[str, str], ...]], float]] = {}
    for families in processes:
        for name, help, kind, samples in families:
            heads.setdefault(name, (help, kind))
            known = values.setdefault(name, {})
            for sample, labels, value in samples:
                key = (sample, tuple(sorted(labels.items())))
                known[key] = _joined(name, kind, sample, known.get(key), value)
    return [
        [name, help, kind, [[sample, dict(labels), value] for (sample, labels), value in values[name].items()]]
        for name, (help, kind) in heads.items()
    ]


def _joined(name: str, kind: str, sample: str, before: float | None, value: float) -> float:
    if before is None:
        return value
    if sample.endswith("_created"):
        return min(before, value)
    if kind in _ADDED or name in _ADDED_GAUGES:
        return before + value
    return min(before, value) if name in _LOWEST else before


def counted(families: Sequence[Family]) -> list[Family]:
    """What of a process that has ended goes on to count: not what it only measured."""
    return [family for family in families if family[2] in _ADDED]


def answered_in(families: Sequence[Family]) -> dict[str, int]:
    """Exchanges that ended, by "route status", as `Metrics.answered` tells those of one process."""
    ended = (samples for name, _, _, samples in families if name == "netgpt_exchanges")
    return {
        " ".join(labels.values()): int(value)
        for samples in ended
        for sample, labels, value in samples
        if sample.endswith("_total")
    }


def text_of(families: Sequence[Family]) -> bytes:
    """The page for `/metrics`."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Given(families))
    return generate_latest(registry)


class _Given(Collector):
    def __init__(self, families: Sequence[Family]) -> None:
        self._families = families

    def describe(self) -> Iterator[Metric]:
        return iter(())

    def collect(self) -> Iterator[Metric]:
        for name, help, kind, samples in self._families:
            family = Metric(name, help, kind)
            for sample, labels, value in samples:
                family.add_sample(sample, _texts(labels), value)
            yield family


def _texts(labels: Mapping[str, Any]) -> dict[str, str]:
    return {str(name): str(value) for name, value in labels.items()}
