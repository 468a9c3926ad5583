"""`netgpt bench learner`: is it learnt which model to ask, noticed when the world changes, and a liar withstood?

The product's own learner, objective and draw play recorded or made-up worlds, seed by seed.
"""

from __future__ import annotations

import heapq
import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import mean
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from netgpt.errors import NotFound, RequestError
from netgpt.routing.learner import Learner
from netgpt.routing.reward import DecisionOutcome, Parts
from netgpt.routing.scoring import PRESETS, Weights, value_of
from netgpt.types import Expected
from netgpt_bench import chart
from netgpt_bench.harness import Progress

# --- Worlds: requests in a row, what each target would have answered and cost, and what changes on the way. From
# recorded scores of real models on real prompts (read by path, never copied), or made up, so that the benchmark runs
# anywhere. The recorded sets hold no prices: those here are list prices of hosted models of that size, made up but
# plain.

Grid = NDArray[np.float64]
NINE: Final = "routing/llmrouter9_dev.jsonl"
_MODELS: Final = "routing/llmrouter9_models.json"
_PAIRS: Final = ("routing/routellm_mmlu_dev.jsonl", "routing/routellm_gsm8k_dev.jsonl")

_SIZES_B: Final = {
    "codegemma-7b": 7.0,
    "gemma-2-9b-it": 9.0,
    "llama-3.1-8b-instruct": 8.0,
    "llama-3.1-nemotron-51b-instruct": 51.0,
    "llama-3.3-nemotron-super-49b-v1": 49.0,
    "llama3-chatqa-1.5-70b": 70.0,
    "llama3-chatqa-1.5-8b": 8.0,
    "mistral-7b-instruct-v0.3": 7.0,
    "qwen2.5-7b-instruct": 7.0,
}
_MONEY_PER_B: Final = 0.01
"""Money per million tokens and billion parameters."""
_ANSWER_TOKENS: Final = 200
_PAIR_MONEY: Final = (0.3, 10.0)
"""Money per million tokens of the weak and the strong model."""


@dataclass(frozen=True)
class World:
    """`quality[t, target]`: the chance that its answer to request t does. `cost[t, target]`: money at list prices."""

    name: str
    targets: tuple[str, ...]
    prior: tuple[float, ...]
    """What an owner would have configured: guessed from the size alone."""
    x: tuple[tuple[float, ...], ...]
    quality: Grid
    cost: Grid
    paid: Grid
    """Money really asked for: differs from the list after a price shift."""
    tokens: NDArray[np.int64]
    shifts: tuple[tuple[int, str], ...] = ()
    """(first request that sees it, what changed)."""

    def __len__(self) -> int:
        return len(self.x)

    def rows(self, order: Sequence[int]) -> World:
        """The requests of these numbers, in this order."""
        at = list(order)
        x = tuple(self.x[number] for number in at)
        columns = {name: getattr(self, name)[at] for name in ("quality", "cost", "paid", "tokens")}
        return replace(self, x=x, **columns)


def nine_models(data: Path) -> World:
    """Nine open models scored on 3,500 prompts. Raises NotFound where the set is absent, RequestError when damaged."""
    models = [str(name) for name in _lines(data, _MODELS)[0]]
    rows = _read(data, NINE)
    sizes = [_SIZES_B.get(name, 8.0) for name in models]
    prior = tuple(0.5 + 0.2 * min(size, 70.0) / 70.0 for size in sizes)
    quality = np.array([row["scores"] for row in rows], dtype=np.float64)
    money = np.array([_MONEY_PER_B * size for size in sizes])
    return _priced("nine models", models, prior, [row["prompt"] for row in rows], quality, money)


def pairs(data: Path) -> World:
    """A weak and a strong model on exam questions; contaminated rows are left out. Raises as `nine_models`."""
    rows = [row for path in _PAIRS for row in _read(data, path) if not row.get("contaminated")]
    quality = np.array([[row["weak_correct"], row["strong_correct"]] for row in rows], dtype=np.float64)
    prompts = [row["prompt"] for row in rows]
    return _priced("weak and strong", ["weak", "strong"], (0.6, 0.8), prompts, quality, np.array(_PAIR_MONEY))


def made_up(seed: int, requests: int = 3500) -> World:
    """Four targets whose answers depend on two of six features; needs no data."""
    rng = np.random.default_rng(seed)
    x = rng.normal(0.0, 0.5, (requests, 6))
    ease = x[:, 0] + 0.5 * x[:, 1]
    levels = np.array([0.45, 0.65, 0.55, 0.80])
    slopes = np.array([0.50, 0.15, -0.35, 0.05])
    quality = np.clip(levels + slopes * ease[:, None], 0.02, 0.98)
    money = np.array([0.05, 0.20, 0.15, 1.20])
    tokens = rng.integers(80, 600, requests)
    cost = tokens[:, None] * money / 1e6
    rows = tuple(tuple(map(float, row)) for row in x)
    return World(
        "made up", ("small", "middle", "odd", "large"), (0.5, 0.6, 0.6, 0.7), rows, quality, cost, cost, tokens
    )


def shifted(world: World, requests: int, seed: int, values: Grid, *, dearer: float = 10.0, worse: float = 0.4) -> World:
    """`requests` rows in an order of the seed (again from the start where there are too few), and two changes.

    At two fifths the target of most value (`values`: (requests, targets), before any change) costs `dearer` times as
    much; at seven tenths the answers of the next best do only `worse` times as often.
    """
    order = list(range(len(world)))
    random.Random(seed).shuffle(order)
    rows = world.rows([order[number % len(order)] for number in range(requests)])
    first, second = requests * 2 // 5, requests * 7 // 10
    *_, next_best, best = (int(target) for target in np.argsort(values.mean(axis=0)))
    paid, quality = rows.cost.copy(), rows.quality.copy()
    paid[first:, best] *= dearer
    quality[second:, next_best] *= worse
    shifts = (
        (first, f"{world.targets[best]} costs {dearer:g} times as much"),
        (second, f"{world.targets[next_best]} does {worse:g} times as often"),
    )
    return replace(rows, quality=quality, paid=paid, shifts=shifts)


def _priced(
    name: str, targets: Sequence[str], prior: tuple[float, ...], prompts: Sequence[str], quality: Grid, money: Grid
) -> World:
    from netgpt.routing.difficulty import Difficulty

    difficulty = Difficulty.shipped()
    tokens = np.array([len(prompt) // 4 + _ANSWER_TOKENS for prompt in prompts], dtype=np.int64)
    cost = tokens[:, None] * money / 1e6
    x = tuple(difficulty.x(prompt) for prompt in prompts)
    return World(name, tuple(targets), prior, x, quality, cost, cost, tokens)


def _read(data: Path, name: str) -> list[dict[str, Any]]:
    rows = _lines(data, name)
    if not all(isinstance(row, dict) for row in rows):
        raise RequestError(f"{data / name}: each line should be an object", param="data")
    return rows


def _lines(data: Path, name: str) -> list[Any]:
    path = data / name
    try:
        text = path.read_text(encoding="utf-8")
        return [json.loads(line) for line in text.split("\n") if line.strip()]
    except OSError:
        raise NotFound(f"{path}: no such set. Without it: --made-up", param="data") from None
    except ValueError:
        raise RequestError(f"{path}: not JSON Lines", param="data") from None


# --- Playing a world: believe, weigh, draw, answer, report the outcome later. Seeded throughout.

KEYS: Final = 20
LIAR: Final = "the liar"
WINDOW: Final = 10
GAP_S: Final = 20.0
"""Seconds from one request to the next."""


@dataclass(frozen=True)
class Crowd:
    """Who asks, and what they say of the answers."""

    rated: float = 0.5
    """Share of answers that somebody rates."""
    repeats_bad: float = 0.3
    repeats_good: float = 0.03
    """Share of bad and of good answers after which nearly the same is asked again, `WINDOW` requests later."""
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
    """(requests, targets): the objective with what really happens, and what is really paid, put in."""
    return np.array(
        [
            [_value(weights, target, q, c) for target, q, c in zip(world.targets, quality, paid, strict=True)]
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
    """(when it is reported, which request, what)."""
    chance = random.Random(seed)
    for number in range(len(world)):
        now[0] = number * GAP_S
        while later and later[0][0] <= number:
            done.learner.update(heapq.heappop(later)[2])
        key = _asker(number, crowd, chance)
        target, propensity = _decide(world, number, key, done.learner, weights)
        done.chosen.append(target)
        done.propensity.append(propensity)
        done.keys.append(key)
        done.reward.append(float(rewards[number, target]))
        if history is not None and key != LIAR:
            target = history.chosen[number]
        cost = Parts(
            cost=float(world.paid[number, target]),
            listed_cost=float(world.cost[number, target]),
            tokens=int(world.tokens[number]),
        )
        done.learner.update(_outcome(world, number, target, key, cost))
        when, feedback = _feedback(world, number, target, key, crowd, chance)
        heapq.heappush(later, (when, number, _outcome(world, number, target, key, feedback)))
    return done


def _outcome(world: World, number: int, target: int, key: str, parts: Parts) -> DecisionOutcome:
    return DecisionOutcome(f"{number}", world.targets[target], world.x[number], key, world.prior[target], parts)


def _decide(world: World, number: int, key: str, learner: Learner, weights: Weights) -> tuple[int, float]:
    values = {
        target: _value(
            weights,
            target,
            learner.belief(target, world.x[number], prior, key).mean,
            float(cost) * (learner.measured(target).price_factor or 1.0),
        )
        for target, prior, cost in zip(world.targets, world.prior, world.cost[number], strict=True)
    }
    target, propensity = learner.draw(values, key)
    return world.targets.index(target), propensity


def _value(weights: Weights, target: str, p_ok: float, cost: float) -> float:
    return value_of(Expected(target, "cloud", p_ok, 0.0, cost, 0.0, 0.0, 0.0), weights)


def _asker(number: int, crowd: Crowd, chance: random.Random) -> str:
    """Twenty keys, some of whom ask far more than others; the liar in between."""
    key = f"key {min(int(chance.paretovariate(1.0)) - 1, KEYS - 1)}"
    start = crowd.lies_from
    lies = start is not None and start <= number < start + 2000 and (number - start) % 2 == 0
    return LIAR if lies else key


def _feedback(
    world: World, number: int, target: int, key: str, crowd: Crowd, chance: random.Random
) -> tuple[float, Parts]:  # fmt: skip
    """When feedback on the answer comes, and what: a rating, or else whether it was asked again."""
    rates, good = chance.random() < crowd.rated, chance.random() < world.quality[number, target]
    again = chance.random() < (crowd.repeats_good if good else crowd.repeats_bad)
    wait = chance.expovariate(1 / crowd.delay)
    if key == LIAR:
        return number + wait, Parts() if crowd.silent else Parts(rating=-1)
    return (number + wait, Parts(rating=1 if good else -1)) if rates else (number + WINDOW, Parts(repeated=again))


REQUESTS: Final = 2_500
JUDGED: Final = 2_000
"""Requests after which the sums of reward are compared."""
ROLLING: Final = 100
NEAR: Final = 0.95
"""Recovered: the mean reward of the last 100 requests is this share of what the best target after the change would
have had of the same requests."""
LIES_FROM: Final = 1_000
LIAR_REQUESTS: Final = 3_500

Values = NDArray[np.float64]


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
    """One seed: reward beside the best fixed target, recovery, and the same decisions when played again."""
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
            "best fixed": world.targets[fixed],
        },
    }


def _recoveries(world: World, values: Values, reward: Values) -> list[int | None]:
    """Requests after each change until the rolling mean is near that of the target that is best then; None: never."""
    starts = [at for at, _ in world.shifts]
    found: list[int | None] = []
    for start, end in zip(starts, [*starts[1:], len(world)], strict=True):
        best = values[:, int(values[start:end].mean(axis=0).argmax())]
        near = (
            to - start
            for to in range(start + ROLLING, end + 1)
            if reward[to - ROLLING : to].mean() >= NEAR * best[to - ROLLING : to].mean()
        )
        found.append(next(near, None))
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
        "arms": len(world.targets),
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


def table_row(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the result as a table shows it."""
    return {
        "world": f"{row['world']} ({row['arms']})",
        "weights": row["weights"],
        "above best fixed": f"{row['over_best_fixed']:+.1%}",
        "worst seed": f"{row['worst_seed']:+.1%}",
        "above random": f"{row['over_random']:+.1%}",
        "recovery, price": row["recovery_price"] or "never",
        "recovery, quality": row["recovery_quality"] or "never",
        "others moved": f"{row['others_moved']:.2%}",
        "same decisions": "yes" if row["same_decisions"] else "no",
    }


def _slowest(each: Sequence[dict[str, Any]], shift: int) -> int | None:
    """The slowest seed's recovery; None: one never did."""
    found = [one["recovery"][shift] for one in each]
    return None if None in found else max(found)


def _thin(values: Values, every: int = 10) -> list[float]:
    return [round(float(value), 3) for value in values[::every]]


# --- The plot: a panel for each world, of its first seed.

WIDTH, PANEL, LEFT, RIGHT, TOP, FLOOR = 960, 260, 64, 944, 52, 230
COLOURS: Final = {"learner": chart.BLUE, "random": chart.ORANGE}


def svg(result: Mapping[str, Any]) -> str:
    """The reward above the best fixed target, request by request, as the text of an SVG file."""
    panels = [(PANEL, _panel(curve, result["requests"])) for curve in result["curves"]]
    return chart.stacked("netgpt bench learner", WIDTH, panels)


def _panel(curve: Mapping[str, Any], requests: int) -> str:
    values = [0.0, *(value for name in COLOURS for value in curve[name])]
    low, high = min(values), max(values)

    def x(number: float) -> float:
        return LEFT + number / requests * (RIGHT - LEFT)

    def y(value: float) -> float:
        return float(FLOOR - (value - low) / ((high - low) or 1.0) * (FLOOR - TOP))

    title = f"{curve['world']}: reward above always {curve['best fixed']} (best fixed target in hindsight)"
    parts = [
        chart.text(LEFT, 16, title),
        chart.legend(COLOURS, LEFT, 26),
        chart.line(LEFT, y(0), RIGHT, y(0), chart.GREY),
    ]
    parts += [chart.text(LEFT - 6, y(value) + 4, f"{value:.0f}", anchor="end") for value in (0.0, high, low)]
    parts.append(chart.text(RIGHT, PANEL - 8, f"{requests:,} requests", anchor="end"))
    for at, words in zip(curve["shifts"], ("price", "quality"), strict=False):
        parts.append(chart.line(x(at), TOP, x(at), FLOOR) + chart.text(x(at) + 4, TOP + 10, f"{words} changes"))
    for name, colour in COLOURS.items():
        step = requests / max(len(curve[name]), 1)
        parts.append(chart.curve([(x(number * step), y(value)) for number, value in enumerate(curve[name])], colour))
    return "".join(parts)
