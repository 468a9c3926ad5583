"""The reason of a decision: one short sentence for people, and a short stable name."""

from __future__ import annotations

from netgpt.routing.arms import Arm
from netgpt.routing.constraints import Ruling, asked_words
from netgpt.routing.objective import JOULES, PATIENCE_S, Weights
from netgpt.routing.situation import Situation
from netgpt.routing.weighing import Weighed
from netgpt.types import EDGE, Expected, display_name

__all__ = ["parts_of_lead", "reason_for"]


def reason_for(situation: Situation, weighed: Weighed, weights: Weights) -> tuple[str, str]:
    """(rule, sentence) of the best candidate: the constraint that left no other side, else what spoke for it most."""
    best = weighed.best
    arm = situation.arm(best.arm)
    if situation.asked != "auto" and situation.asks_for(arm):  # late or not: what follows goes by this rule
        return "asked", asked_words(situation.asked)
    late = weighed.rulings[best.arm]
    if late is not None and late.rule == "deadline":
        who = display_name(best.arm)
        return "deadline", f"nobody is expected to answer within {situation.deadline_s:g} s; {who} has the best chance"
    if not any(one.route != best.route for one in weighed.candidates):
        if (ruling := _against_the_others(weighed, best.route)) is not None:
            return ruling.rule, _told(ruling, best.route)
        if len(weighed.candidates) == 1:
            return "only", "the box answers alone" if best.arm == EDGE else f"only {best.arm} can answer"
    return _by_value(situation, weighed, weights, arm)


def _against_the_others(weighed: Weighed, route: str) -> Ruling | None:
    """What rules out the other side: of several arms, the one least ruled out."""
    others = [ruling for one in weighed.expected if one.route != route and (ruling := weighed.rulings[one.arm])]
    return min(others, key=lambda ruling: ruling.force) if others else None


def _told(ruling: Ruling, route: str) -> str:
    if ruling.rule in ("cloud-down", "kept", "budget", "deadline") and route == EDGE:
        return f"the box answers: {ruling.words}"
    return f"the edge model is not ready: {ruling.words}" if ruling.rule == "edge-down" else ruling.words


def _by_value(situation: Situation, weighed: Weighed, weights: Weights, arm: Arm) -> tuple[str, str]:
    """What spoke most for the best candidate, against the best of the other side (or, alone there, the second)."""
    best, features = weighed.best, situation.features
    other = next((one for one in weighed.candidates[1:] if one.route != best.route), None) or weighed.candidates[1]
    if best.value < other.value:
        return "share", "enough of the last requests went to the cloud (routing.max_cloud_share)"
    parts = parts_of_lead(best, other, weights)
    rule = max(parts, key=lambda name: parts[name])
    if not arm.remote and features.hard_because is None and best.p_ok >= 0.5 and rule not in ("latency", "cost"):
        return "short", "a short everyday request: the edge model will do"
    if rule == "quality" and arm.remote:
        if because := features.hard_because:
            return "kind", f"a larger model will do better: {because}"
        if situation.long:
            return "length", f"{features.words} words: a larger model will do better"
    return rule, _in_words(rule, best, other)


def _in_words(rule: str, best: Expected, other: Expected) -> str:
    who, whom = display_name(best.arm), display_name(other.arm)
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
