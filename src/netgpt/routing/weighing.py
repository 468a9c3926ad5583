"""Constraints, then the objective, for all arms at once. Pure: nothing is remembered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

from netgpt.routing.arms import Arm
from netgpt.routing.constraints import Ruling, ruling_on
from netgpt.routing.objective import PRESETS, Weights, expect, prior_of
from netgpt.routing.situation import Situation
from netgpt.sections.routing import Routing
from netgpt.types import Expected

__all__ = ["Believe", "Weighed", "as_prior", "weigh", "weigh_one", "weights_of"]

Believe = Callable[[str, float], float]
"""(arm, prior chance that its answer does) -> the chance that the learner believes in."""


def as_prior(_arm: str, prior: float) -> float:
    """Nothing was learnt."""
    return prior


@dataclass(frozen=True, slots=True)
class Weighed:
    """What came out for each arm."""

    expected: tuple[Expected, ...]
    """In the order of the arms, with what rules each out."""
    rulings: dict[str, Ruling | None]
    candidates: tuple[Expected, ...]
    """The arms that no constraint rules out, best first; where each is, those least ruled out. Empty: nobody."""
    threshold: float
    """What the bound on the cloud's share takes off its value (0 or below)."""

    @property
    def best(self) -> Expected:
        return self.candidates[0]

    @property
    def fallbacks(self) -> tuple[str, ...]:
        """The other arms that may try, in order: candidates by value, then the others by how little is against them."""
        second = [one for one in self.expected if one not in self.candidates and self._may_fall_back(one.arm)]
        second.sort(key=lambda one: (_force(self.rulings[one.arm]), -one.value))
        return tuple(one.arm for one in (*self.candidates[1:], *second))

    def _may_fall_back(self, arm: str) -> bool:
        ruling = self.rulings[arm]
        return ruling is None or ruling.force.may_fall_back

    def advantage(self, clouds: frozenset[str]) -> float | None:
        """Of the best other candidate over the best cloud; None where the choice is not between such two."""
        cloud = [one.value for one in self.candidates if one.arm in clouds]
        other = [one.value for one in self.candidates if one.arm not in clouds]
        return max(other) - max(cloud) if cloud and other else None


_NEVER: Final = 5


def weigh(
    situation: Situation, rules: Routing, weights: Weights, believe: Believe = as_prior, threshold: float = 0.0
) -> Weighed:
    """Weigh every arm. `threshold`: of the bound on the cloud's share, 0 or below."""
    expected: list[Expected] = []
    rulings: dict[str, Ruling | None] = {}
    for arm in situation.arms:
        one, rulings[arm.name] = weigh_one(arm, situation, rules, weights, believe)
        expected.append(one)
    least = min((_force(ruling) for ruling in rulings.values()), default=_NEVER)
    open_ = [one for one in expected if _force(rulings[one.arm]) == least < _NEVER]
    clouds = situation.clouds
    open_.sort(key=lambda one: -(one.value + threshold if one.arm in clouds else one.value))
    return Weighed(tuple(expected), rulings, tuple(open_), threshold)


def weigh_one(
    arm: Arm, situation: Situation, rules: Routing, weights: Weights, believe: Believe
) -> tuple[Expected, Ruling | None]:
    """What one arm is expected to give, and what rules it out."""
    prior = prior_of(arm, situation)
    one = expect(arm, situation, situation.signals, believe(arm.name, prior), weights, prior)
    ruling = ruling_on(arm, situation, rules, one)
    return (one if ruling is None else replace(one, ruled_out=ruling.words)), ruling


def _force(ruling: Ruling | None) -> int:
    return 0 if ruling is None else int(ruling.force)


def weights_of(prefer: str | None, rules: Routing) -> tuple[str, Weights]:
    """The weights in force and their name: a request's or key's preset as it is, else the settings' with own figures.

    Raises KeyError: no such preset.
    """
    if prefer is not None:
        return prefer, replace(PRESETS[prefer], worth=rules.answer_worth)
    own = {name: value for name, value in rules.weights if value is not None}
    name = rules.prefer if not own else f"{rules.prefer}, own weights"
    return name, replace(PRESETS[rules.prefer], worth=rules.answer_worth, **own)
