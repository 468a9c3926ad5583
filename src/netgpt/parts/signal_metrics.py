"""The signals for Prometheus, read when the page is asked for. Labels are names of arms, signals and parts alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from netgpt.routing.link import Link
from netgpt.routing.signals import Signals
from netgpt.routing.views import BoxView, Estimate

__all__ = ["SignalsCollector"]

_EACH = ("arm", "signal")
_LINK = {
    "rtt_s": ("netgpt_link_rtt_seconds", "Round trip to a model's server."),
    "jitter_s": ("netgpt_link_jitter_seconds", "Mean deviation of the round trip."),
    "loss": ("netgpt_link_loss_ratio", "Share of segments sent again."),
    "up_bytes_s": ("netgpt_link_up_bytes_per_second", "Rate of large requests."),
    "down_bytes_s": ("netgpt_link_down_bytes_per_second", "Rate of large answers."),
    "first_byte_s": ("netgpt_link_first_byte_seconds", "From the end of a request to the answer's first byte."),
    "tokens_s": ("netgpt_link_tokens_per_second", "Pace of an answer that flows."),
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
    "engine_tokens_s": ("netgpt_engine_tokens_per_second", "Pace of one answer of the edge model now."),
    "engine_prompt_tokens_s": ("netgpt_engine_prompt_tokens_per_second", "How fast it reads prompts."),
}
_COUNTS: dict[str, tuple[str, str, Callable[[Link], int]]] = {
    "calls": ("netgpt_link_calls", "Calls that ended.", lambda link: link.calls),
    "failed": ("netgpt_link_failed_calls", "Calls that the link or the server failed.", lambda link: link.failed),
    "retries": ("netgpt_link_retries", "Tries after the first.", lambda link: link.retries),
}


class SignalsCollector(Collector):
    """Register it in the box's registry."""

    def __init__(self, signals: Signals, heard: Callable[[], dict[str, bool]] = dict) -> None:
        """`heard`: whether each source of the operator's network answered when it was last asked, by its name."""
        self.signals, self.heard = signals, heard

    def describe(self) -> Iterator[Metric]:
        """Nothing yet: names are known before the first call, figures are not."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """One family a signal; what was never measured has no sample."""
        view = self.signals.view()
        ages = GaugeMetricFamily("netgpt_link_age_seconds", "Since a signal was last measured.", labels=_EACH)
        sure = GaugeMetricFamily("netgpt_link_confidence", "How sure a signal is, 0 to 1.", labels=_EACH)
        for field, (name, help) in _LINK.items():
            family = GaugeMetricFamily(name, help, labels=["arm"])
            for arm, link in view.links.items():
                estimate: Estimate | None = getattr(link, field)
                if estimate is not None:
                    family.add_metric([arm], estimate.value)
                    ages.add_metric([arm, field], estimate.age_s)
                    sure.add_metric([arm, field], estimate.confidence)
            yield family
        yield from (ages, sure, self._in_flight())
        yield from self._counts()
        yield from _box(view.box)
        yield self._heard()

    def _in_flight(self) -> Metric:
        family = GaugeMetricFamily("netgpt_link_in_flight", "Calls under way.", labels=["arm"])
        for arm, link in self.signals.links.items():
            family.add_metric([arm], len(link.waiting))
        return family

    def _counts(self) -> Iterator[Metric]:
        for name, help, count in _COUNTS.values():
            family = CounterMetricFamily(name, help, labels=["arm"])
            for arm, link in self.signals.links.items():
                family.add_metric([arm], count(link))
            yield family

    def _heard(self) -> Metric:
        family = GaugeMetricFamily("netgpt_insight_up", "Whether the operator's network answers.", labels=["source"])
        for source, ok in self.heard().items():
            family.add_metric([source], float(ok))
        return family


def _box(box: BoxView) -> Iterator[Metric]:
    for field, (name, help) in _BOX.items():
        value: Any = getattr(box, field)
        if value is not None:
            yield GaugeMetricFamily(name, help, value=float(value))
