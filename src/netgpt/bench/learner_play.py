"""Plays a world through the product's own learner: believe, weigh, draw, answer, tell later. Seeded throughout."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from netgpt.bench.learner_world import World
from netgpt.routing.learner import DecisionOutcome, Learner, Parts
from netgpt.routing.objective import Weights, value_of
from netgpt.types import Expected

__all__ = ["LIAR", "Crowd", "Play", "play", "realised"]

KEYS: Final = 20
LIAR: Final = "the liar"
WINDOW: Final = 10
PACE_S: Final = 20.0
"""Seconds from one request to the next."""


@dataclass(frozen=True)
class Crowd:
    """Who asks, and what they say of the answers."""

    rated: float = 0.5
    """Share of answers that somebody rates."""
    repeats_bad: float = 0.3
    repeats_good: float = 0.03
    """Share of bad and of good answers after which nearly the same is asked again; told `WINDOW` requests later."""
    delay: float = 5.0
    """Requests, on average, until a rating comes."""
    lies_from: int | None = None
    """From this request on every second one is the liar's, 1,000 in all, each rated bad; None: nobody lies."""
    silent: bool = False
    """The liar asks, and rates nothing: what its ratings changed is seen against this."""


@dataclass
class Play:
    """What was decided, and what came of it."""

    chosen: list[int] = field(default_factory=list)
    propensity: list[float] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    reward: list[float] = field(default_factory=list)
    learner: Learner = field(default_factory=Learner)


def realised(world: World, weights: Weights) -> NDArray[np.float64]:
    """(requests, arms): the objective with what really happens, and what is really paid, put in."""
    return np.array(
        [
            [_value(weights, arm, q, c) for arm, q, c in zip(world.arms, quality, paid, strict=True)]
            for quality, paid in zip(world.quality.tolist(), world.paid.tolist(), strict=True)
        ]
    )


def play(
    world: World, seed: int, crowd: Crowd, weights: Weights, *, explore: float = 0.02, history: Play | None = None
) -> Play:
    """Ask every request once, in its order.

    `history`: an earlier play with the same seed. What everybody but the liar gets, and says of it, is then as it was
    there, and `chosen` is what would have been decided: so what the liar does to others is seen by itself, without the
    different luck that any change of one decision brings.
    """
    now = [0.0]
    done = Play(learner=Learner(seed=seed, explore=explore, clock=lambda: now[0]))
    rewards = realised(world, weights)
    later: list[tuple[float, int, DecisionOutcome]] = []
    """(when it is told, which request, what)."""
    chance = random.Random(seed)
    for number in range(len(world)):
        now[0] = number * PACE_S
        while later and later[0][0] <= number:
            done.learner.told(heapq.heappop(later)[2])
        key = _asker(number, crowd, chance)
        arm, propensity = _decide(world, number, key, done.learner, weights)
        done.chosen.append(arm)
        done.propensity.append(propensity)
        done.keys.append(key)
        done.reward.append(float(rewards[number, arm]))
        if history is not None and key != LIAR:
            arm = history.chosen[number]
        _answered(world, number, arm, key, done.learner)
        when, parts = _said(world, number, arm, key, crowd, chance)
        outcome = DecisionOutcome(f"{number}", world.arms[arm], world.x[number], key, world.prior[arm], parts)
        heapq.heappush(later, (when, number, outcome))
    return done


def _decide(world: World, number: int, key: str, learner: Learner, weights: Weights) -> tuple[int, float]:
    values = {
        arm: _value(
            weights,
            arm,
            learner.belief(arm, world.x[number], prior, key).mean,
            float(cost) * (learner.measured(arm).price_factor or 1.0),
        )
        for arm, prior, cost in zip(world.arms, world.prior, world.cost[number], strict=True)
    }
    arm, propensity = learner.draw(values, key)
    return world.arms.index(arm), propensity


def _value(weights: Weights, arm: str, p_ok: float, cost: float) -> float:
    return value_of(Expected(arm, "cloud", p_ok, 0.0, cost, 0.0, 0.0, 0.0), weights)


def _asker(number: int, crowd: Crowd, chance: random.Random) -> str:
    """Twenty keys, some of whom ask far more than others; the liar in between."""
    key = f"key {min(int(chance.paretovariate(1.0)) - 1, KEYS - 1)}"
    start = crowd.lies_from
    lies = start is not None and start <= number < start + 2000 and (number - start) % 2 == 0
    return LIAR if lies else key


def _answered(world: World, number: int, arm: int, key: str, learner: Learner) -> None:
    """What is known at the end of an answer: what it cost."""
    parts = Parts(
        cost=float(world.paid[number, arm]),
        listed_cost=float(world.cost[number, arm]),
        tokens=int(world.tokens[number]),
    )
    learner.told(DecisionOutcome(f"{number}", world.arms[arm], world.x[number], key, world.prior[arm], parts))


def _said(
    world: World, number: int, arm: int, key: str, crowd: Crowd, chance: random.Random
) -> tuple[float, Parts]:  # fmt: skip
    """When something is told of the answer, and what: a rating, or else whether it was asked again."""
    rates, good = chance.random() < crowd.rated, chance.random() < world.quality[number, arm]
    again = chance.random() < (crowd.repeats_good if good else crowd.repeats_bad)
    wait = chance.expovariate(1 / crowd.delay)
    if key == LIAR:
        return number + wait, Parts() if crowd.silent else Parts(rating=-1)
    return (number + wait, Parts(rating=1 if good else -1)) if rates else (number + WINDOW, Parts(repeated=again))
