"""The objective: what an arm is expected to give, as one number. Higher is better; the unit is one good answer."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from netgpt.routing.arms import Arm
from netgpt.routing.latency import UNKNOWN_LINK, edge_busy_s, seconds
from netgpt.routing.situation import Situation
from netgpt.routing.views import SignalsView
from netgpt.types import EDGE, Expected

__all__ = ["JOULES", "PATIENCE_S", "PRESETS", "Weights", "expect", "prior_of", "value_of"]

PATIENCE_S: Final = 10.0
"""Latency counts in units of this: a weight of 1 gives up one good answer for ten seconds."""
JOULES: Final = 1000.0
"""Energy counts in units of this."""
USUAL_WATTS: Final = 15.0
"""Of a small box at work, where nothing tells."""


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each part counts: plain numbers, 0: not at all."""

    quality: float
    """Of the chance that the answer does."""
    cost: float
    """Of money, in units of `worth`."""
    latency: float
    """Of ten seconds."""
    energy: float
    """Of 1,000 joules on the box."""
    privacy: float
    """Of all of the request leaving as it is."""
    worth: float = 0.01
    """Money that one good answer is worth, in the unit of the configured prices."""


PRESETS: Final = {
    "quality": Weights(quality=1.0, cost=0.05, latency=0.05, energy=0.0, privacy=0.05),
    "balanced": Weights(quality=1.0, cost=0.3, latency=0.1, energy=0.05, privacy=0.6),
    "cheap": Weights(quality=0.6, cost=3.0, latency=0.1, energy=0.05, privacy=0.3),
    "fast": Weights(quality=0.5, cost=0.1, latency=2.0, energy=0.0, privacy=0.2),
    "private": Weights(quality=0.4, cost=0.2, latency=0.1, energy=0.05, privacy=3.0),
}
"""What each word of `prefer` stands for."""

_EASY, _LONG, _SCHEMA, _TOOLS, _HARD, _WRITING = 0.88, 0.5, 0.8, 0.3, 0.35, 0.4
"""The chance that a small model's answer does, by what the request looks like, before anything is learnt."""
_MOST_SHIFT: Final = 1.5
"""How far `difficulty` may move that, in log-odds: 0.88 becomes 0.62 at least, and 0.97 at most."""
_SPREAD: Final = 0.25
"""How far off an expected latency is, as a standard deviation of its logarithm."""


def prior_of(arm: Arm, situation: Situation) -> float:
    """The chance that the arm's answer does, before the learner's belief: text and features for small models."""
    if arm.kind == "cloud":
        return arm.quality
    features = situation.features
    if features.tools:
        prior = _TOOLS
    elif features.code or features.math:
        prior = _HARD
    elif features.long_form or features.reasoning:
        prior = _WRITING
    elif situation.long:
        prior = _LONG
    else:
        prior = _SCHEMA if features.structured else _EASY
    if situation.p_edge_ok is None:
        return prior
    shift = _log_odds(min(max(situation.p_edge_ok, 1e-3), 1 - 1e-3)) - _log_odds(situation.p_usual)
    return 1 / (1 + math.exp(-_log_odds(prior) - min(max(shift, -_MOST_SHIFT), _MOST_SHIFT)))


def _log_odds(p: float) -> float:
    return math.log(p / (1 - p))


def expect(
    arm: Arm, situation: Situation, signals: SignalsView, belief: float, weights: Weights, prior: float | None = None
) -> Expected:
    """What `arm` would probably give. `belief`: the chance that its answer does once it comes; `prior`: the same
    before anything was learnt."""
    link = signals.links.get(arm.name, UNKNOWN_LINK)
    latency_s = seconds(arm, situation, link, signals.box)
    p_ok = belief
    if (failures := link.failures) is not None:
        p_ok *= 1 - min(1.0, failures.value) * failures.confidence
    if situation.deadline_s is not None:
        p_ok *= _in_time(latency_s, situation.deadline_s)
    cost = (situation.prompt_tokens * arm.price_prompt + situation.expected_tokens * arm.price_completion) / 1e6
    energy_j = 0.0
    if arm.name == EDGE:
        energy_j = edge_busy_s(situation, signals.box) * (signals.box.power_w or USUAL_WATTS)
    value = _value(p_ok, cost, latency_s, energy_j, arm.exposure, weights)
    return Expected(arm.name, arm.route, p_ok, latency_s, cost, energy_j, arm.exposure, value, prior=prior)


def value_of(expected: Expected, weights: Weights) -> float:
    """The objective: what is expected, weighed. Falls with cost, latency, energy and exposure, rises with quality."""
    return _value(
        expected.p_ok, expected.cost, expected.latency_s, expected.energy_j, expected.exposure, weights
    )  # fmt: skip


def _value(p_ok: float, cost: float, latency_s: float, energy_j: float, exposure: float, weights: Weights) -> float:
    return (
        weights.quality * p_ok
        - weights.cost * cost / weights.worth
        - weights.latency * latency_s / PATIENCE_S
        - weights.energy * energy_j / JOULES
        - weights.privacy * exposure
    )


def _in_time(latency_s: float, deadline_s: float) -> float:
    """The chance that an answer expected after `latency_s` is there by the deadline: normal in the logarithm."""
    return 0.5 * math.erfc(math.log(max(latency_s, 1e-3) / deadline_s) / (_SPREAD * math.sqrt(2)))
