"""A day of many boxes, minute by minute: who is answered where, what the cloud and the control must bear.

A model, fed by what `netgpt bench fleet` measured of looks and pushes, and by figures of this project for one box
(`SERVED`). Boxes are drawn (up to 2,000 of them stand for all), each with a popularity of its own (log-normal), in one
of eight regions with a clock of its own. In each minute a box's people ask as a Poisson process; its model answers so
many at once, each for so many seconds (M/M/c, Erlang's C for the wait); what is hard, and what it has no room for, goes
to the region's cloud, which takes so many a second; what neither takes is refused. At 20:00 one box in a hundred has a
flash crowd for a quarter of an hour; at noon one region loses its cloud for half an hour.

What it leaves out: what people do when they are refused, errors that are not of capacity, and the price of crowds that
come to a cloud from elsewhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from netgpt.fleet.control import SILENT_AT_ONCE, SILENT_S

REGIONS: Final = 8
MINUTES: Final = 24 * 60
DRAWN: Final = 2_000
ASKED_A_DAY: Final = 5.0
"""Requests of a person."""
SHARE_HARD: Final = 0.5
"""That the box sends on where it may."""
SLOTS: Final = 8
SERVED: Final = {"edge_s": 2.0, "cloud_s": 1.2, "tokens": 300}
"""Seconds of an answer on the box and from a cloud, and tokens of one: `netgpt bench paper`, rounded."""
CLOUD_ROOM: Final = 1.3
"""The cloud's capacity, of a plain day's busiest minute."""
PRICE: Final = 2e-6
"""Money for a token of a cloud."""
FLASH, FLASH_SHARE = 20.0, 0.01


@dataclass(frozen=True)
class Costs:
    """Measured: the control's CPU seconds for a look at one box, seconds of a round with pushes, bytes of a look; and
    the seconds between rounds."""

    look_s: float
    push_s: float
    look_bytes: float
    watch_s: float

    def round_s(self, boxes: int) -> float:
        """Seconds of one round: what can be done at the same time, is."""
        return max(self.look_s * boxes, self.push_s)

    def cut_round_s(self, boxes: int, cut: int) -> float:
        """The same where so many boxes are silent: each holds one of their own places until it counts as cut off."""
        return max(self.round_s(boxes), math.ceil(cut / SILENT_AT_ONCE) * SILENT_S)


def followed_after(costs: Costs, boxes: int, *, samples: int, seed: int) -> list[float]:
    """Seconds from the end of a cut until a box follows: it heals anywhere within a round and the pause after it."""
    rng = np.random.default_rng(seed)
    round_s = costs.round_s(boxes)
    waits = rng.uniform(0, round_s + costs.watch_s, samples)
    return [float(each) for each in waits + costs.push_s]


def simulate(costs: Costs, boxes: int, people: int, seed: int) -> dict[str, Any]:
    """One day of `boxes`, each with about `people`: a row of the report."""
    rng = np.random.default_rng(seed)
    drawn = min(boxes, DRAWN)
    each_stands_for = boxes / drawn
    popularity = rng.lognormal(0.0, 0.6, drawn)
    popularity /= popularity.mean()
    region = np.arange(drawn) % REGIONS
    base = people * ASKED_A_DAY / MINUTES * popularity
    plain = np.array([_daily(minute, region) for minute in range(MINUTES)]) * base
    capacity = CLOUD_ROOM * max(
        (plain[:, region == each].sum(axis=1) * SHARE_HARD).max() if (region == each).any() else 0.0
        for each in range(REGIONS)
    )
    crowded = rng.random(drawn) < FLASH_SHARE
    totals = {"asked": 0.0, "edge": 0.0, "cloud": 0.0, "refused": 0.0}
    worst, waits, weights, busiest = 0.0, list[float](), list[float](), 0.0
    for minute in range(MINUTES):
        rate = plain[minute].copy()
        if 20 * 60 <= minute < 20 * 60 + 15:
            rate[crowded] *= FLASH
        asked = rng.poisson(rate)
        cut = region == 0 if 12 * 60 <= minute < 12 * 60 + 30 else np.zeros(drawn, dtype=bool)
        got = _minute(asked.astype(float), cut, region, capacity)
        for name in totals:
            totals[name] += float(got[name].sum()) * each_stands_for
        if got["asked"].sum():
            worst = max(worst, float(got["refused"].sum() / got["asked"].sum()))
        busiest = max(busiest, float(got["cloud"].sum()) * each_stands_for / 60)
        waits += [float(got["wait_s"].max()), float(np.median(got["wait_s"]))]
        weights += [1.0, 1.0]
    return {
        "boxes": boxes,
        "people a day": boxes * people,
        "requests a day": round(totals["asked"]),
        "answered": f"{1 - totals['refused'] / totals['asked']:.4%}",
        "on the box": f"{totals['edge'] / totals['asked']:.1%}",
        "worst minute refused": f"{worst:.2%}",
        "longest wait on a box, s": round(max(waits), 2),
        "cloud, busiest requests/s": round(busiest),
        "cloud a day, money": round(totals["cloud"] * SERVED["tokens"] * PRICE),
        "a round of one control, s": round(costs.round_s(boxes), 1),
        "all up to date after orders, s": round(costs.watch_s + 2 * costs.round_s(boxes), 1),
        "with a region silent, s": round(costs.watch_s + costs.cut_round_s(boxes, boxes // REGIONS), 1),
        "controls for 5 s": _controls(costs, boxes),
        "control traffic, MB a box a day": round(
            costs.look_bytes * 86_400 / max(costs.watch_s + costs.round_s(boxes), 1e-9) / 1e6, 1
        ),
    }  # fmt: skip


def _controls(costs: Costs, boxes: int, limit_s: float = 5.0) -> int:
    """How many controls, each with its share of the boxes, keep a round and its pause below the limit."""
    return max(1, math.ceil(costs.look_s * boxes / max(limit_s - costs.watch_s - costs.push_s, 0.1)))


HOURS: Final = np.array(
    [.35, .25, .2, .18, .18, .25, .4, .7, 1, 1.2, 1.3, 1.3,
     1.2, 1.3, 1.35, 1.35, 1.3, 1.3, 1.35, 1.45, 1.5, 1.35, 1, .6]
)  # fmt: skip
"""How much is asked in each hour, of the mean hour: assumed, not recorded."""


def _daily(minute: int, region: Any) -> Any:
    """How much more or less is asked than in the mean minute, by the region's own clock."""
    here = (minute + region * MINUTES // REGIONS) % MINUTES
    return (HOURS / HOURS.mean())[here // 60]


def _minute(asked: Any, cut: Any, region: Any, capacity: float) -> dict[str, Any]:
    """What becomes of a minute's requests at each box."""
    room = SLOTS * 60 / SERVED["edge_s"] * 0.95
    hard = np.where(cut, 0.0, asked * SHARE_HARD)
    edge = np.minimum(asked - hard, room)
    hard = np.where(cut, 0.0, asked - edge)
    cloud = hard.copy()
    for each in range(REGIONS):
        here = region == each
        wanted = hard[here].sum()
        if wanted > capacity:
            cloud[here] *= capacity / wanted
    back = np.minimum(hard - cloud, room - edge)
    edge = edge + back
    return {"asked": asked, "edge": edge, "cloud": cloud, "refused": asked - edge - cloud, "wait_s": _wait(edge / 60)}


def _wait(rate: Any) -> Any:
    """Mean seconds until a place on the box is free (Erlang's C), for requests a second."""
    load = np.minimum(rate * SERVED["edge_s"], SLOTS * 0.999)
    terms = sum(load**k / math.factorial(k) for k in range(SLOTS))
    last = load**SLOTS / math.factorial(SLOTS) * SLOTS / (SLOTS - load)
    return last / (terms + last) * SERVED["edge_s"] / (SLOTS - load)
