"""One request tries a link that got worse and is not heard of any more: only its answer can tell whether it is back."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from netgpt.routing.memory import Memory
from netgpt.routing.objective import Weights
from netgpt.routing.situation import Situation
from netgpt.routing.views import SignalsView
from netgpt.routing.weighing import Believe, Weighed, weigh
from netgpt.sections.routing import Routing
from netgpt.types import Expected

__all__ = ["TRIAL", "trial_of"]

TRIAL: Final = "trial"
"""Rule of such a decision. `answering` waits no longer for it than a good link would need."""
ROOM: Final = 1.4
"""So many times what the best is expected to take has to be left for it, when the trial is given up, ..."""
HALF: Final = 0.5
"""... and so much of what the trial is expected to take to wait for its first word."""


def trial_of(
    situation: Situation, rules: Routing, weights: Weights, believe: Believe, weighed: Weighed, memory: Memory
) -> Expected | None:
    """The arm that would be best, were its link as before it got worse; with what it is expected to give then.

    None: none is to be tried now, none would be better, or there is no time to ask the best after it.
    """
    if situation.asked != "auto" or (found := memory.links.trial(situation.now)) is None:
        return None
    name, link = found
    signals = SignalsView({**situation.signals.links, name: link}, situation.signals.box)
    there = weigh(replace(situation, signals=signals), rules, weights, believe, weighed.threshold)
    if not there.candidates or there.best.arm != name or weighed.best.arm == name:
        return None
    needed_s = HALF * there.best.latency_s + ROOM * weighed.best.latency_s
    return there.best if situation.deadline_s is None or needed_s <= situation.deadline_s else None
