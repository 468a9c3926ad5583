"""The decision: who answers, and why. Constraints first, then one objective; a situation in, a decision out."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Protocol

from netgpt.errors import ModelUnavailable, RateLimited, RequestError
from netgpt.judgement import UNKNOWN
from netgpt.routing.candidates import Situation, Target, Violation, asked_words
from netgpt.routing.explain import WhatIf
from netgpt.routing.hysteresis import LinkSmoother
from netgpt.routing.link_state import SignalsView
from netgpt.routing.scoring import JOULES, PATIENCE_S, Believe, Weighed, Weights, as_prior, weigh, weights_of
from netgpt.routing.sessions import SESSION, kept_with, words_of, words_of_change
from netgpt.settings.routing import Routing
from netgpt.types import EDGE, Decision, Expected, display_name

if TYPE_CHECKING:
    from netgpt.routing.bandit import Belief


ASKED: Final = "asked"
"""Rule of a decision for the target that the caller named."""


def reason_for(situation: Situation, weighed: Weighed, weights: Weights) -> tuple[str, str]:
    """(rule, sentence) of the best candidate: the constraint that left no other route, else its greatest lead."""
    best = weighed.best
    target = situation.target(best.target)
    if situation.asked != "auto" and situation.asks_for(target):  # late or not
        return ASKED, asked_words(situation.asked)
    late = weighed.violations[best.target]
    if late is not None and late.rule == "deadline":
        who = display_name(best.target)
        return "deadline", f"nobody is expected to answer within {situation.deadline_s:g} s; {who} has the best chance"
    if not any(one.route != best.route for one in weighed.candidates):
        if (violation := _against_the_others(weighed, best.route)) is not None:
            return violation.rule, _sentence(violation, best.route)
        if len(weighed.candidates) == 1:
            return "only", "the box answers alone" if best.target == EDGE else f"only {best.target} can answer"
    return _by_value(situation, weighed, weights, target)


def _against_the_others(weighed: Weighed, route: str) -> Violation | None:
    """What rules out the other route: of several targets, the least severe."""
    others = (weighed.violations[one.target] for one in weighed.expected if one.route != route)
    return min(filter(None, others), key=lambda violation: violation.severity, default=None)


def _sentence(violation: Violation, route: str) -> str:
    if violation.rule in ("cloud-down", "kept", "budget", "deadline") and route == EDGE:
        return f"the box answers: {violation.words}"
    return f"the edge model is not ready: {violation.words}" if violation.rule == "edge-down" else violation.words


def _by_value(situation: Situation, weighed: Weighed, weights: Weights, target: Target) -> tuple[str, str]:
    """What spoke most for the best candidate, against the best of the other side (or, alone there, the second)."""
    best, features = weighed.best, situation.features
    other = next((one for one in weighed.candidates[1:] if one.route != best.route), None) or weighed.candidates[1]
    if best.value < other.value:
        return "share", "enough of the last requests went to the cloud (routing.max_cloud_share)"
    parts = parts_of_lead(best, other, weights)
    rule = max(parts, key=lambda name: parts[name])
    if rule == "quality" and best.target in situation.priors and situation.kind.name != UNKNOWN:
        return "kind", _by_kind(situation, best, other)
    if not target.remote and features.hard_because is None and best.p_ok >= 0.5 and rule not in ("latency", "cost"):
        return "short", "a short everyday request: the edge model will do"
    if rule == "quality" and target.remote:
        if because := features.hard_because:
            return "kind", f"a larger model will do better: {because}"
        if situation.long:
            return "length", f"{features.words} words: a larger model will do better"
    return rule, _in_words(rule, best, other)


def _by_kind(situation: Situation, best: Expected, other: Expected) -> str:
    """The kind of task, and how often both do for it as far as that is known."""
    does = f"{display_name(best.target)} does for {situation.priors[best.target]:.0%} of such requests"
    if (beaten := situation.priors.get(other.target)) is not None:
        does += f", {display_name(other.target)} for {beaten:.0%}"
    return f"it looks like a task of the kind {situation.kind.name}: {does}"


def _in_words(rule: str, best: Expected, other: Expected) -> str:
    who, whom = display_name(best.target), display_name(other.target)
    if rule == "latency":
        return f"{who} will answer sooner: about {best.latency_s:.1f} s, {whom} {other.latency_s:.1f} s"
    if rule == "cost":
        return f"{who} will do, and costs {best.cost:.4g} where {whom} costs {other.cost:.4g}"
    if rule == "energy":
        return f"{who} will do, with less energy on the box"
    if rule == "privacy":
        return f"{who} will do, and less leaves than to {whom}"
    return f"{who} will probably do better than {whom}"


def parts_of_lead(best: Expected, other: Expected, weights: Weights) -> dict[str, float]:
    """By how much each part of the objective speaks for `best`; they add up to the difference of the values."""
    return {
        "quality": weights.quality * (best.p_ok - other.p_ok),
        "cost": weights.cost * (other.cost - best.cost) / weights.worth,
        "latency": weights.latency * (other.latency_s - best.latency_s) / PATIENCE_S,
        "energy": weights.energy * (other.energy_j - best.energy_j) / JOULES,
        "privacy": weights.privacy * (other.exposure - best.exposure),
    }


CREDIT: Final = 16.0
"""Most requests that may be saved up, or that a constraint may send beyond the bound and that are made up for."""
REMEMBERED: Final = 128  # advantages of so many requests of late
FEW: Final = 16  # with fewer, nothing is known of the traffic yet
NOBODY: Final = -1e6  # a threshold below every advantage


class CloudShare:
    """Keeps the share of decisions for a cloud at or below `share` (0 to 1); None: no bound.

    Each decision earns `share` of credit, each request that goes to a cloud spends 1, and without credit none goes that
    need not: of any n decisions in a row at most share * n + CREDIT go. The threshold spends the credit where it is
    worth most, on requests whose edge is furthest behind, by recent advantages.
    """

    def __init__(self, share: float | None) -> None:
        self.share = share
        self.credit = CREDIT / 2
        self.threshold = 0.0 if share != 0 else NOBODY
        """The cloud is chosen where the edge's advantage is below this; never above 0: nobody is sent there by it."""
        self._late: deque[float] = deque()
        self._sorted: list[float] = []

    def bound(self, share: float | None) -> None:
        """Another bound from now on; what was saved up or owed under the old one is forgotten."""
        self.share, self.credit = share, CREDIT / 2
        self.threshold = 0.0 if share is None else self._next()

    def booked(self, advantage: float | None, cloud: bool) -> None:
        """Count one decision. `advantage`: of the best other target over the best cloud; None: a constraint decided,
        which counts towards the share all the same."""
        if self.share is None:
            return
        if advantage is not None:
            self._remember(advantage)
        self.credit = min(CREDIT, max(-CREDIT, self.credit + self.share - (1.0 if cloud else 0.0)))
        self.threshold = self._next()

    def also_went(self) -> None:
        """Count a request that went to a cloud although another target was decided for: a fallback, or a hedge."""
        if self.share is not None:
            self.credit = max(-CREDIT, self.credit - 1.0)
            self.threshold = self._next()

    def _next(self) -> float:
        assert self.share is not None
        if self.credit < 1.0 or self.share == 0:
            return NOBODY
        fill = self.credit / CREDIT
        if fill >= 0.99 or len(self._sorted) < FEW:
            return 0.0
        level = self.share * fill * 2 if fill <= 0.5 else self.share + (1 - self.share) * (2 * fill - 1) ** 2
        place = min(len(self._sorted) - 1, int(level * len(self._sorted)))
        # Where many requests are alike, those exactly at the threshold go too, as long as there is credit.
        return min(0.0, self._sorted[place] + 1e-9)

    def _remember(self, advantage: float) -> None:
        self._late.append(advantage)
        insort(self._sorted, advantage)
        if len(self._late) > REMEMBERED:
            del self._sorted[bisect_left(self._sorted, self._late.popleft())]


class Memory:
    """What lasts from one decision to the next: smoothed links and the cloud's share. Lost at a restart."""

    def __init__(self, max_cloud_share: float | None = None) -> None:
        self.links = LinkSmoother()
        self.share = CloudShare(max_cloud_share)


TRIAL: Final = "trial"  # rule of a decision that tries a link that got worse: waited for as for a good one
ROOM: Final = 1.4
"""So many times what the best is expected to take has to be left for it, when the trial is given up, ..."""
HALF: Final = 0.5  # ... and so much of what the trial is expected to take to wait for its first word


def trial_of(
    situation: Situation, rules: Routing, weights: Weights, believe: Believe, weighed: Weighed, memory: Memory
) -> Expected | None:
    """What the best target is expected to give, were its link as before it got worse. None: none is to be tried now,
    none would be better, or there is no time to ask the best after it."""
    if situation.asked != "auto" or (found := memory.links.trial(situation.now)) is None:
        return None
    name, link = found
    signals = SignalsView({**situation.signals.links, name: link}, situation.signals.system)
    there = weigh(replace(situation, signals=signals), rules, weights, believe, weighed.threshold)
    if not there.candidates or there.best.target != name or weighed.best.target == name:
        return None
    needed_s = HALF * there.best.latency_s + ROOM * weighed.best.latency_s
    return there.best if situation.deadline_s is None or needed_s <= situation.deadline_s else None


TRIED = "tried"  # rule of a decision that the learner drew


class LearnerView(Protocol):
    """What was learnt: how well each target's answers did, and which to try for the sake of learning."""

    def belief(self, target: str, x: Sequence[float], prior: float, key: str = "") -> Belief:
        """The chance that its answer does for a request with these numbers. `prior`: before anything was learnt."""
        ...

    def draw(self, values: Mapping[str, float], key: str, *, bold: bool = True) -> tuple[str, float]:
        """The target to take and the chance with which it was drawn: mostly the best, rarely another if `bold`."""
        ...


def believed_by(experience: LearnerView | None, situation: Situation) -> Believe:
    """The learner's belief about this request; the prior alone where there is no learner, or where the caller named who
    is to answer, so that there is nothing to choose."""
    if experience is None or situation.asked != "auto":
        return as_prior
    return lambda target, prior: experience.belief(target, situation.x, prior, situation.key).mean


def decide(
    situation: Situation, rules: Routing, memory: Memory | None = None, experience: LearnerView | None = None
) -> Decision:
    """Choose a target. Raises ModelUnavailable when nobody can answer (the message says why for each), RequestError for
    media that nobody who may have it can read."""
    return decided(situation, rules, memory or Memory(rules.max_cloud_share), experience)[0]


def decided(
    situation: Situation, rules: Routing, memory: Memory, experience: LearnerView | None = None, *, counts: bool = True
) -> tuple[Decision, WhatIf]:
    """As `decide`, and what went into it, so that it can be asked what would have changed it.

    `counts=False`: nothing will be sent, so the share of the cloud stays as it is, and nothing is tried.
    """
    signals = situation.signals
    is_open = situation.asked == "auto"  # a named target needs no smoothed links, and does not hold them still
    links = memory.links.update(signals.links, situation.now) if is_open else signals.links
    situation = replace(situation, signals=SignalsView(links, signals.system))
    name, weights = weights_of(situation.prefer, rules)
    threshold = memory.share.threshold
    believe = believed_by(experience, situation)
    weighed = weigh(situation, rules, weights, believe, threshold)
    if not weighed.candidates:
        raise _nobody(situation, weighed)
    propensity = 1.0
    if situation.held is not None and is_open:  # nothing is tried in the middle of a conversation
        chosen = kept_with(situation, weighed, rules.switch_margin) or weighed.best
        goes_on = situation.held.calls and chosen.target == situation.held.target
        rule = SESSION if goes_on or chosen is not weighed.best else ""
    else:
        chosen, propensity = _drawn(situation, rules, weighed, experience if counts else None)
        rule = "" if chosen is weighed.best else TRIED
        if counts and not rule and (trial := trial_of(situation, rules, weights, believe, weighed, memory)) is not None:
            memory.links.tried(trial.target, situation.now)
            chosen, rule = trial, TRIAL
    if counts:
        advantage = None if rule == SESSION else weighed.advantage(situation.clouds)
        memory.share.booked(advantage, chosen.target in situation.clouds)
    decision = _decision(situation, weighed, chosen, propensity, (name, weights), rule)
    return decision, WhatIf(situation, rules, weights, believe, threshold, weighed)


def _drawn(
    situation: Situation, rules: Routing, weighed: Weighed, experience: LearnerView | None
) -> tuple[Expected, float]:
    """The best, or now and then another candidate, so that the box learns how it does: but nothing of who prefers
    `private` leaves for that, nobody in a hurry waits for it, and no bound is broken."""
    best, clouds = weighed.best, situation.clouds
    spent = weighed.threshold <= NOBODY and best.target not in clouds
    candidates = [one for one in weighed.candidates if not (spent and one.target in clouds)]
    if experience is None or len(candidates) < 2 or situation.asked != "auto":
        return best, 1.0
    values = {one.target: one.value + (weighed.threshold if one.target in clouds else 0.0) for one in candidates}
    bold = situation.deadline_s is None and (situation.prefer or rules.prefer) != "private"
    target, propensity = experience.draw(values, situation.key, bold=bold)
    return next((one for one in candidates if one.target == target), best), propensity


def _decision(
    situation: Situation, weighed: Weighed, chosen: Expected, propensity: float, named: tuple[str, Weights], rule: str
) -> Decision:
    """`rule`: why it is not the best that is chosen; empty: it is."""
    name, weights = named
    expected, fallbacks = weighed.expected, weighed.fallbacks
    if rule:
        others = (weighed.best.target, *weighed.fallbacks)
        fallbacks = tuple(target for target in others if target != chosen.target)
        expected = tuple(chosen if one.target == chosen.target else one for one in expected)
    if rule == TRIED:
        reason = "now and then another model is tried, to learn how well it does"
    elif rule == SESSION and situation.held is not None:
        reason = words_of(situation.held, weighed.best)
    elif rule == TRIAL:
        reason = f"{display_name(chosen.target)} was slow: one request tries whether it still is"
    else:
        rule, reason = reason_for(situation, weighed, weights)
        reason += words_of_change(situation, weighed, chosen.target)
    return Decision(
        chosen.route,
        reason,
        rule,
        fallbacks,
        target=chosen.target,
        expected=expected,
        weights=name,
        propensity=propensity,
        features=situation.x,
        kind=(situation.kind.name, situation.kind.chance) if situation.kind.chances else None,
    )


_LASTING: Final = frozenset({"sensitive", "asked", "tools", "schema", "context"})
"""Rules that the request itself breaks: another try later is refused, too."""


def _nobody(situation: Situation, weighed: Weighed) -> Exception:
    """Why no target can answer, in words for each."""
    against = {target: violation for target, violation in weighed.violations.items() if violation is not None}
    edge = against.get(EDGE)
    if edge is not None and edge.rule == "media":
        why = "; ".join(f"{target}: {violation.words}" for target, violation in against.items() if target != EDGE)
        return RequestError(
            f"the model on the box reads text only, and media may not leave: {why or 'no cloud is configured'}. Send "
            'text, point [edge] at a model that sees, or let media go to the cloud (privacy.media = "send").',
            code="media_not_supported",
            param="messages",
        )
    if any(violation.rule == "budget" for violation in against.values()):
        why = "; ".join(f"{target}: {violation.words}" for target, violation in against.items())
        return RateLimited(f"nobody can answer for what is left of this key's budget. {why}", code="insufficient_quota")
    if against and all(violation.rule in _LASTING for violation in against.values()):
        why = "; ".join(f"{target}: {violation.words}" for target, violation in against.items())
        cure = ' Ask for "netgpt/cloud", where it leaves as placeholders.' if situation.sensitive else ""
        return RequestError(f"nobody here can answer it, now or later. {why}.{cure}", code="nobody_can")
    detail = edge.words if edge is not None else "there is no edge model"
    if situation.asked == EDGE:
        said = f"netgpt/edge was asked for and the edge model is not ready: {detail}"
    elif situation.sensitive and situation.asked == "auto":
        kinds = ", ".join(sorted(situation.sensitive))
        said = (
            f"it holds sensitive content ({kinds}), which stays on the box, and the edge model is not ready: {detail}"
        )
    else:
        each = " ".join(f"{target.capitalize()}: {violation.words}." for target, violation in against.items())
        said = f"nobody can answer now. {each}"
    return ModelUnavailable(said, retry_after=2)
