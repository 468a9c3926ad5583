"""The decision: who answers, and why. Constraints first, then one objective; a situation in, a decision out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from netgpt.errors import ModelUnavailable, RequestError
from netgpt.routing.memory import Memory
from netgpt.routing.objective import Weights
from netgpt.routing.reasons import reason_for
from netgpt.routing.share import NOBODY
from netgpt.routing.situation import Situation
from netgpt.routing.trial import TRIAL, trial_of
from netgpt.routing.views import SignalsView
from netgpt.routing.weighing import Believe, Weighed, as_prior, weigh, weights_of
from netgpt.routing.whatif import WhatIf
from netgpt.sections.routing import Routing
from netgpt.types import EDGE, Decision, Expected, display_name

__all__ = ["LearnerView", "Memory", "Situation", "believed_by", "decide", "decided"]

TRIED = "tried"
"""Rule of a decision that the learner drew."""


class _Belief(Protocol):
    @property
    def mean(self) -> float: ...


class LearnerView(Protocol):
    """What was learnt: how well each arm's answers did, and which to try for the sake of learning."""

    def belief(self, arm: str, x: Sequence[float], prior: float, key: str = "") -> _Belief:
        """The chance that its answer does for a request with these numbers. `prior`: before anything was learnt."""
        ...

    def draw(self, values: Mapping[str, float], key: str, *, bold: bool = True) -> tuple[str, float]:
        """The arm to take and the chance with which it was drawn: mostly the best, rarely another if `bold`."""
        ...


def believed_by(experience: LearnerView | None, situation: Situation) -> Believe:
    """The learner's belief about this request; the prior alone where there is no learner, or where the caller named who
    is to answer, so that there is nothing to choose."""
    if experience is None or situation.asked != "auto":
        return as_prior
    return lambda arm, prior: experience.belief(arm, situation.x, prior, situation.key).mean


def decide(
    situation: Situation, rules: Routing, memory: Memory | None = None, experience: LearnerView | None = None
) -> Decision:
    """Choose an arm. Raises ModelUnavailable when nobody can answer (the message says why for each), RequestError for
    media that nobody who may have it can read."""
    return decided(situation, rules, memory or Memory(rules.max_cloud_share), experience)[0]


def decided(
    situation: Situation, rules: Routing, memory: Memory, experience: LearnerView | None = None, *, counts: bool = True
) -> tuple[Decision, WhatIf]:
    """As `decide`, and what went into it, so that it can be asked what would have changed it.

    `counts=False`: nothing will be sent, so the share of the cloud stays as it is, and nothing is tried.
    """
    signals = situation.signals
    links = memory.links.look(signals.links, situation.now)
    situation = replace(situation, signals=SignalsView(links, signals.box))
    name, weights = weights_of(situation.prefer, rules)
    threshold = memory.share.threshold
    believe = believed_by(experience, situation)
    weighed = weigh(situation, rules, weights, believe, threshold)
    if not weighed.candidates:
        raise _nobody(situation, weighed)
    chosen, propensity = _drawn(situation, rules, weighed, experience if counts else None)
    rule = "" if chosen is weighed.best else TRIED
    if counts and not rule and (trial := trial_of(situation, rules, weights, believe, weighed, memory)) is not None:
        memory.links.tried(trial.arm, situation.now)
        chosen, rule = trial, TRIAL
    if counts:
        memory.share.booked(weighed.advantage(situation.clouds), chosen.arm in situation.clouds)
    decision = _decision(situation, weighed, chosen, propensity, (name, weights), rule)
    return decision, WhatIf(situation, rules, weights, believe, threshold, weighed)


def _drawn(
    situation: Situation, rules: Routing, weighed: Weighed, experience: LearnerView | None
) -> tuple[Expected, float]:
    """The best, or now and then another candidate, so that the box learns how it does: but nothing of who prefers
    `private` leaves for that, nobody in a hurry waits for it, and no bound is broken."""
    best, clouds = weighed.best, situation.clouds
    spent = weighed.threshold <= NOBODY and best.arm not in clouds
    candidates = [one for one in weighed.candidates if not (spent and one.arm in clouds)]
    if experience is None or len(candidates) < 2 or situation.asked != "auto":
        return best, 1.0
    values = {one.arm: one.value + (weighed.threshold if one.arm in clouds else 0.0) for one in candidates}
    bold = situation.deadline_s is None and (situation.prefer or rules.prefer) != "private"
    arm, propensity = experience.draw(values, situation.key, bold=bold)
    return next((one for one in candidates if one.arm == arm), best), propensity


def _decision(
    situation: Situation, weighed: Weighed, chosen: Expected, propensity: float, named: tuple[str, Weights], rule: str
) -> Decision:
    """`rule`: why it is not the best that is chosen; empty: it is."""
    name, weights = named
    expected, fallbacks = weighed.expected, weighed.fallbacks
    if rule:
        fallbacks = (weighed.best.arm, *(arm for arm in weighed.fallbacks if arm != chosen.arm))
        expected = tuple(chosen if one.arm == chosen.arm else one for one in expected)
    if rule == TRIED:
        reason = "now and then another model is tried, to learn how well it does"
    elif rule == TRIAL:
        reason = f"{display_name(chosen.arm)} was slow: one request tries whether it still is"
    else:
        rule, reason = reason_for(situation, weighed, weights)
    return Decision(
        chosen.route,
        reason,
        rule,
        fallbacks,
        arm=chosen.arm,
        expected=expected,
        weights=name,
        propensity=propensity,
        features=situation.x,
    )


def _nobody(situation: Situation, weighed: Weighed) -> Exception:
    """Why no arm can answer, in words for each."""
    against = {arm: ruling for arm, ruling in weighed.rulings.items() if ruling is not None}
    edge = against.get(EDGE)
    if edge is not None and edge.rule == "media":
        why = "; ".join(f"{arm}: {ruling.words}" for arm, ruling in against.items() if arm != EDGE)
        return RequestError(
            f"the model on the box reads text only, and media may not leave: {why or 'no cloud is configured'}. Send "
            'text, point [edge] at a model that sees, or let media go to the cloud (privacy.media = "send").',
            code="media_not_supported",
            param="messages",
        )
    detail = edge.words if edge is not None else "there is no edge model"
    if situation.asked == EDGE:
        said = f"netgpt/edge was asked for and the edge model is not ready: {detail}"
    elif situation.sensitive and situation.asked == "auto":
        kinds = ", ".join(sorted(situation.sensitive))
        said = (
            f"it holds sensitive content ({kinds}), which stays on the box, and the edge model is not ready: {detail}"
        )
    else:
        each = " ".join(f"{arm.capitalize()}: {ruling.words}." for arm, ruling in against.items())
        said = f"nobody can answer now. {each}"
    return ModelUnavailable(said, retry_after=2)
