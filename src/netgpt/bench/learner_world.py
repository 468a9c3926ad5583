"""Worlds for the learner: requests in a row, what each arm would have answered and cost, and what changes on the way.

From recorded scores of real models on real prompts (read by path, never copied), or made up, so that the benchmark runs
anywhere. The recorded sets hold no prices: those here are list prices of hosted models of that size, made up but plain.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from netgpt.errors import NotFound, RequestError

__all__ = ["NINE", "World", "made_up", "nine_models", "pairs", "shifted"]

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
    """`quality[t, arm]`: the chance that the arm's answer to request t does. `cost[t, arm]`: money at list prices."""

    name: str
    arms: tuple[str, ...]
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
        return replace(
            self,
            x=tuple(self.x[number] for number in at),
            quality=self.quality[at],
            cost=self.cost[at],
            paid=self.paid[at],
            tokens=self.tokens[at],
        )


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
    """Four arms whose answers depend on two of six features; needs no data."""
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

    At two fifths the arm of most value (`values`: (requests, arms), before any change) costs `dearer` times as much; at
    seven tenths the answers of the next best do only `worse` times as often.
    """
    order = list(range(len(world)))
    random.Random(seed).shuffle(order)
    rows = world.rows([order[number % len(order)] for number in range(requests)])
    first, second = requests * 2 // 5, requests * 7 // 10
    *_, next_best, best = (int(arm) for arm in np.argsort(values.mean(axis=0)))
    paid, quality = rows.cost.copy(), rows.quality.copy()
    paid[first:, best] *= dearer
    quality[second:, next_best] *= worse
    told = (
        (first, f"{world.arms[best]} costs {dearer:g} times as much"),
        (second, f"{world.arms[next_best]} does {worse:g} times as often"),
    )
    return replace(rows, quality=quality, paid=paid, shifts=told)


def _priced(
    name: str, arms: Sequence[str], prior: tuple[float, ...], prompts: Sequence[str], quality: Grid, money: Grid
) -> World:
    from netgpt.routing.difficulty import Difficulty

    difficulty = Difficulty.shipped()
    tokens = np.array([len(prompt) // 4 + _ANSWER_TOKENS for prompt in prompts], dtype=np.int64)
    cost = tokens[:, None] * money / 1e6
    x = tuple(difficulty.x(prompt) for prompt in prompts)
    return World(name, tuple(arms), prior, x, quality, cost, cost, tokens)


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
