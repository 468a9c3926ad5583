"""`netgpt bench learner`: does the box learn which model to ask, notice when the world changes, and withstand a liar?

The product's own learner, objective and draw play recorded or made-up worlds (`learner_world`), seed by seed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import mean
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from netgpt.bench.learner_play import LIAR, Crowd, Play, play, realised
from netgpt.bench.learner_world import World, made_up, nine_models, pairs, shifted
from netgpt.routing.objective import PRESETS, Weights

__all__ = ["run"]

REQUESTS: Final = 2_500
JUDGED: Final = 2_000
"""Requests after which the sums of reward are compared."""
ROLLING: Final = 100
NEAR: Final = 0.95
"""Recovered: the mean reward of the last 100 requests is this share of what the arm that is best after the change would
have had of the same requests."""
LIES_FROM: Final = 1_000
LIAR_REQUESTS: Final = 3_500

Values = NDArray[np.float64]
Progress = Callable[[str], None]


def run(*, data: Path | None, seeds: int, progress: Progress = lambda _: None) -> dict[str, Any]:
    """All worlds; `data=None`: the made-up one alone. Raises NotFound, RequestError for the sets."""
    kinds: list[tuple[str, str, float, Callable[[int], World]]] = [("made up", "cheap", 10.0, made_up)]
    if data is not None:
        nine, two = nine_models(data), pairs(data)
        kinds += [("nine models", "cheap", 10.0, lambda _: nine), ("weak and strong", "balanced", 4.0, lambda _: two)]
    rows, curves = [], []
    for name, prefer, dearer, make in kinds:
        weights, each = PRESETS[prefer], []
        for seed in range(seeds):
            progress(f"{name}, seed {seed}")
            base = make(seed)
            world = shifted(base, REQUESTS, seed, realised(base, weights), dearer=dearer)
            each.append(_one(world, seed, weights) | {"seed": seed} | _lied(base, seed, weights))
        curves.append({"world": name, "shifts": [at for at, _ in world.shifts], **each[0].pop("curves")})
        for one in each[1:]:
            del one["curves"]
        rows.append(_summed(name, prefer, world, each))
    return {"rows": rows, "curves": curves, "requests": REQUESTS, "judged_after": JUDGED, "seeds": seeds}


def _one(world: World, seed: int, weights: Weights) -> dict[str, Any]:
    """One seed: reward beside the best fixed arm, recovery, and the same decisions when played again."""
    played = play(world, seed, Crowd(), weights)
    again = play(world, seed, Crowd(), weights)
    values, reward = realised(world, weights), np.array(played.reward)
    fixed = int(values[:JUDGED].sum(axis=0).argmax())
    return {
        "reward": float(reward[:JUDGED].sum()),
        "best_fixed": float(values[:JUDGED, fixed].sum()),
        "random": float(values[:JUDGED].mean(axis=1).sum()),
        "recovery": _recoveries(world, values, reward),
        "same": played.chosen == again.chosen and played.learner.state() == again.learner.state(),
        "explored": float(np.mean(np.array(played.propensity) < 0.5)),
        "curves": {
            "learner": _thin(np.cumsum(reward - values[:, fixed])),
            "random": _thin(np.cumsum(values.mean(axis=1) - values[:, fixed])),
            "best fixed": world.arms[fixed],
        },
    }


def _recoveries(world: World, values: Values, reward: Values) -> list[int | None]:
    """Requests after each change until the rolling mean is near that of the arm that is best then; None: never."""
    starts = [at for at, _ in world.shifts]
    found: list[int | None] = []
    for start, end in zip(starts, [*starts[1:], len(world)], strict=True):
        best = int(values[start:end].mean(axis=0).argmax())
        found.append(
            next(
                (
                    to - start
                    for to in range(start + ROLLING, end + 1)
                    if reward[to - ROLLING : to].mean() >= NEAR * values[to - ROLLING : to, best].mean()
                ),
                None,
            )
        )
    return found


def _lied(base: World, seed: int, weights: Weights) -> dict[str, Any]:
    """What 1,000 false bad ratings of one key change for all others: against the same history without them."""
    order = np.random.default_rng(seed).integers(0, len(base), LIAR_REQUESTS).tolist()
    world = base.rows(order)
    quiet = play(world, seed, Crowd(lies_from=LIES_FROM, silent=True), weights)
    lied = play(world, seed, Crowd(lies_from=LIES_FROM), weights, history=quiet)
    free = play(world, seed, Crowd(lies_from=LIES_FROM), weights)
    return {
        "others_moved": _moved(quiet, lied, liar=False),
        "others_moved_freely": _moved(quiet, free, liar=False),
        "liar_moved": _moved(quiet, lied, liar=True),
    }


def _moved(quiet: Play, lied: Play, *, liar: bool) -> float:
    """Share of the requests since the first lie that would go elsewhere."""
    asked = [number for number in range(LIES_FROM, len(quiet.chosen)) if (quiet.keys[number] == LIAR) is liar]
    return mean(quiet.chosen[number] != lied.chosen[number] for number in asked)


def _summed(name: str, prefer: str, world: World, each: Sequence[dict[str, Any]]) -> dict[str, Any]:
    gains = [one["reward"] / one["best_fixed"] - 1 for one in each]
    return {
        "world": name,
        "arms": len(world.arms),
        "weights": prefer,
        "over_best_fixed": mean(gains),
        "worst_seed": min(gains),
        "seeds_above": sum(gain > 0 for gain in gains),
        "over_random": mean(one["reward"] / one["random"] - 1 for one in each),
        "recovery_price": _slowest(each, 0),
        "recovery_quality": _slowest(each, 1),
        "others_moved": max(one["others_moved"] for one in each),
        "others_moved_freely": max(one["others_moved_freely"] for one in each),
        "liar_moved": mean(one["liar_moved"] for one in each),
        "same_decisions": all(one["same"] for one in each),
        "each": list(each),
    }


def _slowest(each: Sequence[dict[str, Any]], shift: int) -> int | None:
    """The slowest seed's recovery; None: one never did."""
    found = [one["recovery"][shift] for one in each]
    return None if None in found else max(found)


def _thin(values: Values, every: int = 10) -> list[float]:
    return [round(float(value), 3) for value in values[::every]]
