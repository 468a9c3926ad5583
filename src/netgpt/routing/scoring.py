"""The objective: what a target is expected to give, as one number. Higher is better; the unit is one good answer.

Latency is expected from the signals, and from what is usual where they know nothing. `weigh` applies the constraints,
then the objective, to all targets at once. Pure: nothing is remembered.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from netgpt.routing.candidates import ABLE, Severity, Situation, Target, Violation, violation_on
from netgpt.routing.link_state import Estimate, LinkView, SignalsView, SystemView
from netgpt.settings.routing import Routing
from netgpt.types import EDGE, Expected

UNKNOWN_LINK: Final = LinkView()

# What is usual where nothing was measured: seconds, bytes a second, tokens a second.
_RTT_S: Final = 0.05
_SERVER_S: Final = 0.6  # a server's queue and its reading of the prompt
_UP_BYTES_S: Final = 250_000.0
_CLOUD_TOKENS_S: Final = 40.0
_EDGE_TOKENS_S: Final = 45.0
_EDGE_PROMPT_TOKENS_S: Final = 200.0


def blended(estimate: Estimate | None, usual: float) -> float:
    """The geometric mean of estimate and `usual`, by the estimate's confidence: times and rates differ by factors. Both
    above zero."""
    if estimate is None or estimate.confidence <= 0:
        return usual
    value = max(estimate.value, 1e-6)
    if estimate.confidence >= 1:
        return value
    return math.exp(estimate.confidence * math.log(value / usual)) * usual


def seconds(target: Target, situation: Situation, link: LinkView, system: SystemView) -> float:
    """From now to the last word of the answer, in seconds."""
    if not target.remote:
        return wait_s(situation, system) + edge_busy_s(situation, system)
    upload = situation.features.characters / blended(link.up_bytes_s, _UP_BYTES_S)
    writing = situation.expected_tokens / blended(link.tokens_s, _CLOUD_TOKENS_S)
    return first_byte_s(link) + upload + _queue_s(situation, link) + writing


def _queue_s(situation: Situation, link: LinkView) -> float:
    """As `wait_s`, for a neighbour that says how busy it is, at the token rate seen of it."""
    load = link.load
    if load is None or (load.busy < load.slots and load.waiting == 0):
        return 0.0
    one_s = situation.expected_tokens / blended(link.tokens_s, _EDGE_TOKENS_S)
    return (load.waiting + 0.5) / load.slots * one_s


def first_byte_s(link: LinkView) -> float:
    """Seconds from the end of the request to the first byte of the answer."""
    usual = _SERVER_S + 2 * blended(link.rtt_s, _RTT_S)
    return blended(link.first_byte_s, usual)


def rtt_of(link: LinkView) -> float:
    """The round trip that the expectation assumes, in seconds."""
    return blended(link.rtt_s, _RTT_S)


def edge_busy_s(situation: Situation, system: SystemView) -> float:
    """Seconds of work for the model on the box: reading and writing, without the wait for a free place."""
    reading = situation.prompt_tokens / (system.engine_prompt_tokens_s or _EDGE_PROMPT_TOKENS_S)
    return reading + situation.expected_tokens / (system.engine_tokens_s or _EDGE_TOKENS_S)


def wait_s(situation: Situation, system: SystemView) -> float:
    """Seconds until the engine has a place free: answers before this one, each as long as this one, half done."""
    busy, slots = system.engine_busy, max(1, system.engine_slots)
    if busy < slots and system.engine_waiting == 0:
        return 0.0
    return (system.engine_waiting + 0.5) / slots * edge_busy_s(situation, system)


def with_rtt(link: LinkView, rtt_s: float) -> LinkView:
    """The same link with another round trip: the first byte comes later by as much as one round trip is longer."""
    before = rtt_of(link)
    first = link.first_byte_s
    later = None if first is None else replace(first, value=max(1e-3, first.value + rtt_s - before))
    return replace(link, rtt_s=Estimate(rtt_s, 0.0, 1.0), first_byte_s=later)


PATIENCE_S: Final = 10.0  # latency counts in units of this: a weight of 1 gives up one good answer for ten seconds
JOULES: Final = 1000.0  # energy counts in units of this
USUAL_WATTS: Final = 15.0  # of a small box at work, where nothing tells


@dataclass(frozen=True, slots=True)
class Weights:
    """How much each part counts: plain numbers, 0: not at all."""

    quality: float  # of the chance that the answer does
    cost: float  # of money, in units of `worth`
    latency: float  # of ten seconds
    energy: float  # of 1,000 joules on the box
    privacy: float  # of all of the request leaving as it is
    worth: float = 0.01  # money that one good answer is worth, in the unit of the configured prices


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
_SPREAD: Final = 0.25  # how far off an expected latency is, as a standard deviation of its logarithm


def prior_of(target: Target, situation: Situation) -> float:
    """The chance that the target's answer does, before the learner's belief: how often it does for this kind of task,
    where that is known; else a cloud's `quality`, and for others what is usual of small models with such features. Of
    all but a cloud the text moves it."""
    known = situation.priors.get(target.name)
    if target.kind == "cloud":
        return target.quality if known is None else known
    if known is not None:
        return _moved(known, situation.p_edge_ok, situation.p_kind)
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
    return _moved(prior, situation.p_edge_ok, situation.p_usual)


def _moved(prior: float, p_edge_ok: float | None, usual: float) -> float:
    """The prior, as much likelier as the text is easier than usual."""
    if p_edge_ok is None:
        return prior
    shift = _log_odds(p_edge_ok) - _log_odds(usual)
    return 1 / (1 + math.exp(-_log_odds(prior) - min(max(shift, -_MOST_SHIFT), _MOST_SHIFT)))


def _log_odds(p: float) -> float:
    p = min(max(p, 1e-3), 1 - 1e-3)
    return math.log(p / (1 - p))


def expect(
    target: Target,
    situation: Situation,
    signals: SignalsView,
    belief: float,
    weights: Weights,
    prior: float | None = None,
) -> Expected:
    """What `target` would probably give. `belief`: the chance that its answer does once it comes; `prior`: the same
    before anything was learnt."""
    link = signals.links.get(target.name, UNKNOWN_LINK)
    latency_s = seconds(target, situation, link, signals.system)
    p_ok = belief
    if (failures := link.failures) is not None:
        p_ok *= 1 - min(1.0, failures.value) * failures.confidence
    if situation.deadline_s is not None:
        p_ok *= _in_time(latency_s, situation.deadline_s)
    cost = (situation.prompt_tokens * target.price_prompt + situation.expected_tokens * target.price_completion) / 1e6
    energy_j = 0.0
    if target.name == EDGE:
        energy_j = edge_busy_s(situation, signals.system) * (signals.system.power_w or USUAL_WATTS)
    value = _value(p_ok, cost, latency_s, energy_j, target.exposure, weights)
    return Expected(target.name, target.route, p_ok, latency_s, cost, energy_j, target.exposure, value, prior=prior)


def value_of(expected: Expected, weights: Weights) -> float:
    """The objective: rises with quality, falls with cost, latency, energy and exposure."""
    one = expected
    return _value(one.p_ok, one.cost, one.latency_s, one.energy_j, one.exposure, weights)


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


Believe = Callable[[str, float], float]
"""(target, prior chance that its answer does) -> the chance that the learner believes in."""


def as_prior(_target: str, prior: float) -> float:
    """Nothing was learnt."""
    return prior


@dataclass(frozen=True, slots=True)
class Weighed:
    """What came out for each target."""

    expected: tuple[Expected, ...]  # in the order of the targets, with what rules each out
    violations: dict[str, Violation | None]
    candidates: tuple[Expected, ...]
    """The targets that no constraint rules out, best first; where each is, those least ruled out. Empty: nobody."""
    threshold: float  # what the bound on the cloud's share takes off its value (0 or below)

    @property
    def best(self) -> Expected:
        return self.candidates[0]

    @property
    def fallbacks(self) -> tuple[str, ...]:
        """The other targets that may try, in order: candidates by value, then the others, least severe first."""
        second = [one for one in self.expected if one not in self.candidates and self._may_fall_back(one.target)]
        second.sort(key=lambda one: (_severity(self.violations[one.target]), -one.value))
        return tuple(one.target for one in (*self.candidates[1:], *second))

    def _may_fall_back(self, target: str) -> bool:
        violation = self.violations[target]
        return violation is None or violation.severity.may_fall_back

    def advantage(self, clouds: frozenset[str]) -> float | None:
        """Of the best other candidate over the best cloud; None where the choice is not between such two."""
        cloud = [one.value for one in self.candidates if one.target in clouds]
        other = [one.value for one in self.candidates if one.target not in clouds]
        return max(other) - max(cloud) if cloud and other else None


def weigh(
    situation: Situation, rules: Routing, weights: Weights, believe: Believe = as_prior, threshold: float = 0.0
) -> Weighed:
    """Weigh every target. `threshold`: of the bound on the cloud's share, 0 or below."""
    expected: list[Expected] = []
    violations: dict[str, Violation | None] = {}
    for target in situation.targets:
        one, violations[target.name] = weigh_one(target, situation, rules, weights, believe)
        expected.append(one)
    least = min((_severity(violation) for violation in violations.values()), default=Severity.NEVER)
    open_ = [one for one in expected if _severity(violations[one.target]) == least < Severity.NEVER]
    clouds = situation.clouds
    open_.sort(key=lambda one: -(one.value + threshold if one.target in clouds else one.value))
    return Weighed(tuple(expected), violations, tuple(open_), threshold)


def weigh_one(
    target: Target, situation: Situation, rules: Routing, weights: Weights, believe: Believe
) -> tuple[Expected, Violation | None]:
    """What one target is expected to give, and what rules it out."""
    prior = prior_of(target, situation)
    one = expect(target, situation, situation.signals, believe(target.name, prior), weights, prior)
    if target.remote and situation.personal_facts and rules.edge_when_personal == "able":
        situation = replace(situation, personal_facts=_box_is_able(situation, believe))
    violation = violation_on(target, situation, rules, one)
    return (one if violation is None else replace(one, ruled_out=violation.words)), violation


def _box_is_able(situation: Situation, believe: Believe) -> bool:
    """Whether the model on the box does for at least half of such requests; where that was not measured, it is."""
    edge = next((target for target in situation.targets if target.name == EDGE), None)
    if edge is None or EDGE not in situation.priors:
        return True
    return believe(EDGE, prior_of(edge, situation)) >= ABLE


def _severity(violation: Violation | None) -> int:
    return 0 if violation is None else int(violation.severity)


def weights_of(prefer: str | None, rules: Routing) -> tuple[str, Weights]:
    """The weights in force and their name: a request's or key's preset as it is, else the settings' with own figures.

    Raises KeyError: no such preset.
    """
    if prefer is not None:
        return prefer, replace(PRESETS[prefer], worth=rules.answer_worth)
    own = {name: value for name, value in rules.weights if value is not None}
    name = rules.prefer if not own else f"{rules.prefer}, own weights"
    return name, replace(PRESETS[rules.prefer], worth=rules.answer_worth, **own)


_OWN: Final = 0.03  # to a server of the owner's own: a neighbour box, or a cloud that is trusted
_WORDS: Final = 0.2  # to anybody else's, with nothing private found in it: the words themselves
_PLACEHOLDER: Final = 0.03  # a value that left as a placeholder still says that it was there
_COARSER: Final = 0.08  # a value that left in coarser words, or as it was, says more
_MOST: Final = 0.5  # of what was hidden or made coarser, however much it was
_BY_RANK: Final = (0.0, 0.1, 0.3)  # by the strictest label that was found: public, personal, sensitive


def exposure_of(*, own: bool, hidden: int, coarser: int, rank: int) -> float:
    """0 would be nothing. `own`: the server is the owner's; `hidden`, `coarser`: how many values left as placeholders
    or in other words; `rank`: `Label.rank` of the strictest label found."""
    base = _OWN if own else _WORDS
    return min(1.0, base + min(_MOST, hidden * _PLACEHOLDER + coarser * _COARSER) + _BY_RANK[rank])
