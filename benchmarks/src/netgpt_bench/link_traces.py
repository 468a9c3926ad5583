"""Recorded links: a folder with 5g_ucc*.csv, bw_mixed*.csv or starlink_autobahn*.csv.

What a file does not record is assumed for its family (`FAMILIES`). Rates that an application's pauses made small say
nothing about the link: see `_held` and `_download`. And links made up by a seed, for where no recorded ones are.
"""

from __future__ import annotations

import csv
import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from operator import itemgetter
from pathlib import Path

from netgpt.errors import RequestError
from netgpt_bench.link_emulator import CUT_MBIT, Point, Trace, point

HANDOVER_LOSS = 0.05
"""In the second in which the phone changes between 5G, LTE and 3G."""
HOLD_S = 15.0
"""A video player fetches a segment at least this often."""
CUT_S = 3.0
"""Shorter silences of a download are the pause between two files."""


@dataclass(frozen=True, slots=True)
class TraceFamily:
    """What a family of traces does not record. Of the order that such links are commonly measured at; assumed here."""

    rtt_ms: float
    jitter_ms: float
    """Of each way."""
    loss: float
    up_share: float
    """Rate up as a share of the rate down."""


FAMILIES: Mapping[str, TraceFamily] = {
    "3G": TraceFamily(140.0, 25.0, 0.01, 0.25),
    "4G": TraceFamily(60.0, 10.0, 0.003, 0.3),
    "5G": TraceFamily(50.0, 10.0, 0.003, 0.15),
    "fixed": TraceFamily(24.0, 3.0, 0.001, 0.2),
    "satellite": TraceFamily(50.0, 15.0, 0.01, 0.1),
}
_MIXED = {"hsdpa3g": "3G", "oboe": "4G", "fcc": "fixed"}
Row = dict[str, str]


def read_folder(folder: Path) -> list[Trace]:
    """Every trace of every known file in `folder`. Raises RequestError: no such folder, no known file, or not CSV."""
    readers: tuple[tuple[str, Callable[[Sequence[Row]], list[Trace]]], ...] = (
        ("5g_ucc*.csv", _ucc),
        ("bw_mixed*.csv", _mixed),
        ("starlink_autobahn*.csv", _starlink),
    )
    found: list[Trace] = []
    for pattern, read in readers:
        for file in sorted(folder.glob(pattern)):
            try:
                with file.open(encoding="utf-8", newline="") as lines:
                    found += read(list(csv.DictReader(lines)))
            except (OSError, ValueError, KeyError, TypeError) as error:
                message = f"{file} is not the table of link rates that its name says ({type(error).__name__})"
                raise RequestError(message, param="data") from None
    if not found:
        wanted = ", ".join(pattern for pattern, _ in readers)
        raise RequestError(f"{folder} holds no recorded links: looked for {wanted}", param="data")
    return found


def _ucc(rows: Sequence[Row]) -> list[Trace]:
    """5G of University College Cork: a phone's throughput a second, ping where it was run, and handovers."""
    traces = []
    family = FAMILIES["5G"]
    for name, group in _by(rows, "trace"):
        began = float(group[0]["t_s"])
        times = [float(row["t_s"]) - began for row in group]
        raw = [float(row["dl_kbps"] or 0) / 1000 for row in group]
        rates = _download(times, raw) if group[0]["activity"] == "D" else _held(times, raw)
        pings = _last_known([float(row["ping_avg_ms"]) if row["ping_avg_ms"] else None for row in group], family.rtt_ms)
        before = ["", *(row["network"] for row in group)]
        points = []
        for at, rate, ping, row, network in zip(times, rates, pings, group, before, strict=False):
            lost = HANDOVER_LOSS if network and network != row["network"] else family.loss
            up = rate * family.up_share
            points.append(point(at, rate, up, rtt_ms=ping, jitter_ms=family.jitter_ms, loss=lost))
        traces.append(Trace("5G", name, points, times[-1] + 1))
    return traces


def _mixed(rows: Sequence[Row]) -> list[Trace]:
    """Bandwidth alone, of 3G (Norway), 4G and Wi-Fi (Oboe), and fixed lines (FCC)."""
    traces = []
    for kind, of_kind in _by(rows, "family"):
        family = FAMILIES[_MIXED[kind]]
        for name, group in _by(of_kind, "trace"):
            began = float(group[0]["t_s"])
            points = [
                point(float(row["t_s"]) - began, rate := float(row["mbps"]), rate * family.up_share,
                      rtt_ms=family.rtt_ms, jitter_ms=family.jitter_ms, loss=family.loss)
                for row in group
            ]  # fmt: skip
            traces.append(Trace(_MIXED[kind], name, points, points[-1].at_s + 1))
    return traces


def _starlink(rows: Sequence[Row]) -> list[Trace]:
    """A satellite dish on a car: both rates a second."""
    family = FAMILIES["satellite"]
    began = datetime.fromisoformat(rows[0]["timestamp"])
    points = [
        point((datetime.fromisoformat(row["timestamp"]) - began).total_seconds(), float(row["dl_mbps"] or 0),
              float(row["ul_mbps"] or 0), rtt_ms=family.rtt_ms, jitter_ms=family.jitter_ms, loss=family.loss)
        for row in rows
    ]  # fmt: skip
    return [Trace("satellite", "autobahn", points, points[-1].at_s + 1)]


def _by(rows: Iterable[Row], column: str) -> list[tuple[str, list[Row]]]:
    """Rows of the same value together, in the order of the file."""
    return [(value, list(group)) for value, group in groupby(rows, itemgetter(column))]


def _download(times: Sequence[float], rates: Sequence[float]) -> list[float]:
    """Rates of repeated downloads: a short silence is the pause between two files, a longer one is a dead link."""
    filled = list(rates)
    place = 0
    while place < len(filled):
        end = place
        while end < len(filled) and rates[end] < CUT_MBIT:
            end += 1
        if end > place:
            until = times[end] if end < len(times) else times[-1] + 1
            before = filled[place - 1] if place else 0.0
            after = rates[end] if end < len(rates) else before
            if until - times[place] < CUT_S or not place:
                filled[place:end] = [max(after if not place else min(before, after), CUT_MBIT)] * (end - place)
        place = end + 1
    return filled


def _held(times: Sequence[float], rates: Sequence[float]) -> list[float]:
    """Rates of a player that fetches in bursts: the best of the last `HOLD_S` seconds, or the last known. No cuts."""
    held: list[float] = []
    begin, known = 0, max(CUT_MBIT, next((rate for rate in rates if rate >= CUT_MBIT), 1.0))
    for place, at in enumerate(times):
        while times[begin] < at - HOLD_S:
            begin += 1
        best = max(rates[begin : place + 1])
        known = best if best >= CUT_MBIT else known
        held.append(known)
    return held


def _last_known(values: Sequence[float | None], first: float) -> list[float]:
    known, filled = first, []
    for value in values:
        known = value if value is not None else known
        filled.append(known)
    return filled


# --- Links made up by a seed: shapes of the real thing, not its figures.

STEP_S = 15.0
"""Seconds that each step of `STEPS` lasts."""
MADE = "made"
_GOOD = {"rtt_ms": 40.0, "jitter_ms": 3.0, "loss": 0.001}
_BAD = {"rtt_ms": 800.0, "jitter_ms": 100.0, "loss": 0.03}


_STEPS = (
    point(0.0, 40.0, 10.0, **_GOOD),
    point(STEP_S, 0.15, 0.06, **_BAD),
    point(2 * STEP_S, 0.0, 0.0, **_BAD),
    point(3 * STEP_S, 40.0, 10.0, **_GOOD),
)
STEPS = Trace("steps", "good-bad-cut-good", _STEPS, 4 * STEP_S)
"""How soon do the decisions follow?"""


def made_traces(seconds: float, seed: int) -> list[Trace]:
    """One trace of each kind, `seconds` long."""
    makers: Sequence[tuple[str, Callable[[random.Random, float], list[Point]]]] = (
        ("city-walk", _city_walk), ("train", _train), ("orbit", _orbit), ("crowd", _crowd),
    )  # fmt: skip
    return [
        Trace(MADE, name, make(random.Random(seed + number), seconds), seconds)
        for number, (name, make) in enumerate(makers)
    ]


def _city_walk(rng: random.Random, seconds: float) -> list[Point]:
    """4G in a city: the logarithm of the rate drifts back to its mean (an AR(1) process) and is hit by corners."""
    level, points = 0.0, []
    for second in range(math.ceil(seconds)):
        level = 0.85 * level + rng.gauss(0, 0.35) - (1.2 if rng.random() < 0.03 else 0.0)
        rate = 8 * math.exp(level)
        points.append(point(second, rate, rate / 4, rtt_ms=60 + 20 * math.exp(-level), jitter_ms=8, loss=0.003))
    return points


def _train(rng: random.Random, seconds: float) -> list[Point]:
    """3G and 4G from a train: cells come and go within half a minute, tunnels cut for three to twelve seconds."""
    points: list[Point] = []
    cell_s, tunnel = rng.uniform(15, 35), rng.uniform(12, 25)
    dark = rng.uniform(3, 12)
    for second in range(math.ceil(seconds)):
        if second > tunnel + dark:
            tunnel, dark = second + rng.uniform(25, 60), rng.uniform(3, 12)
        near = abs(math.sin(math.pi * second / cell_s))
        rate = 0.0 if second > tunnel else 0.3 + 11.7 * near * rng.uniform(0.6, 1.0)
        points.append(point(second, rate, rate / 5, rtt_ms=90 + 200 * (1 - near), jitter_ms=20, loss=0.01))
    return points


def _orbit(rng: random.Random, seconds: float) -> list[Point]:
    """Satellite: another satellite every 15 s with another rate and delay, a second of loss in between."""
    points: list[Point] = []
    rate, rtt = 100.0, 45.0
    for second in range(math.ceil(seconds)):
        handover = second % 15 == 0
        if handover:
            rate, rtt = rng.uniform(20, 200), rng.uniform(30, 90)
        lost = 0.05 if handover else 0.005
        points.append(point(second, rate * rng.uniform(0.7, 1.0), rate / 10, rtt_ms=rtt, jitter_ms=10, loss=lost))
    return points


def _crowd(rng: random.Random, seconds: float) -> list[Point]:
    """A cell that fills up: the rate falls to a fiftieth within the first half and comes back, the delay grows."""
    points: list[Point] = []
    for second in range(math.ceil(seconds)):
        full = math.sin(math.pi * min(1.0, second / seconds)) ** 2
        rate = 20 * math.exp(-4.5 * full) * rng.uniform(0.7, 1.2)
        points.append(point(second, rate, rate / 8, rtt_ms=50 + 700 * full, jitter_ms=5 + 60 * full, loss=0.01 * full))
    return points
