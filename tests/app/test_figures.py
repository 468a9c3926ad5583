"""Figures of several processes as one."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.parser import text_string_to_metric_families

from netgpt.app.figures import Family, added, answered_in, counted, families_of, text_of
from netgpt.app.metrics import Metrics


def of_process(answers: int, open_now: int, rtt_s: float | None, *, works: bool) -> list[Family]:
    registry = CollectorRegistry()
    ended = Counter("netgpt_exchanges", "Ended.", ["route", "status"], registry=registry)
    ended.labels("cloud", "complete").inc(answers)
    seconds = Histogram("netgpt_stage_seconds", "Time.", ["stage"], buckets=(0.1, 1), registry=registry)
    for _ in range(answers):
        seconds.labels("total").observe(0.5)
    Gauge("netgpt_connections", "Open.", registry=registry).set(open_now)
    Gauge("netgpt_up", "Works.", ["part"], registry=registry).labels("store").set(works)
    if rtt_s is not None:
        Gauge("netgpt_link_rtt_seconds", "Round trip.", ["arm"], registry=registry).labels("cloud").set(rtt_s)
    return families_of(registry)


def samples_of(families: list[Family]) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text_of(families).decode())
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def test_counts_are_added_and_what_each_measures_stands_once() -> None:
    both = added([of_process(3, 5, None, works=True), of_process(4, 6, 0.02, works=False)])
    found = samples_of(both)
    assert found["netgpt_exchanges_total", "cloud", "complete"] == 7
    assert found["netgpt_stage_seconds_bucket", "0.1", "total"] == 0
    assert found["netgpt_stage_seconds_bucket", "+Inf", "total"] == found["netgpt_stage_seconds_count", "total"] == 7
    assert found["netgpt_connections",] == 11
    assert found["netgpt_link_rtt_seconds", "cloud"] == 0.02
    assert found["netgpt_up", "store"] == 0
    assert answered_in(both) == {"cloud complete": 7}


def test_what_ended_processes_counted_stays_in() -> None:
    past = counted(of_process(3, 5, 0.5, works=False))
    found = samples_of(added([of_process(1, 2, 0.02, works=True), past]))
    assert found["netgpt_exchanges_total", "cloud", "complete"] == 4
    assert found["netgpt_connections",] == 2 and found["netgpt_up", "store"] == 1


def test_of_one_process_nothing_changes() -> None:
    metrics = Metrics()
    metrics.connections.set(3)
    metrics.model_called("cloud", "ok")
    page = text_of(added([families_of(metrics.registry)])).decode()
    assert sorted(page.splitlines()) == sorted(metrics.text().decode().splitlines())
