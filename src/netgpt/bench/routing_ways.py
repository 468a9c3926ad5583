"""Ways to rank requests by hardness, each judged on requests whose labels it did not see."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from netgpt.grading.kernel import KernelShape, Rows, fit
from netgpt.grading.making import Learnt, assembled, learn, prepared
from netgpt.grading.sets import Labelled
from netgpt.routing.difficulty import Difficulty, Embedder
from netgpt.routing.experts import Scale

__all__ = ["FEW", "JudgedBenchmark", "bag_of_words", "folds", "ours", "transferred"]

Places = NDArray[np.intp]
Way = Callable[[Places, Places, int], NDArray[np.float64]]
"""Places to learn from, places to judge, seed; hardness of the latter."""
FEW = 1_500
_TOKEN = re.compile(r"[a-z]+|\d|[^\sa-z\d]")
_BUCKETS, _PENALTY = 4_096, 30.0
_TRANSFER = KernelShape(gamma=0.1, penalty=3.0, words=False)
"""Fixed beforehand: traits alone travel from one benchmark to another, words do not."""


@dataclass(frozen=True)
class JudgedBenchmark:
    """One benchmark to judge on, and the other kinds to learn from."""

    name: str
    sets: Mapping[str, Labelled]
    embed: Embedder
    seed: int

    @property
    def labelled(self) -> Labelled:
        """The benchmark's rows."""
        return self.sets[self.name]

    @cached_property
    def rows(self) -> dict[str, Rows]:
        """Features of all kinds."""
        return {kind: prepared(labelled, self.embed) for kind, labelled in self.sets.items()}

    @cached_property
    def others(self) -> list[Learnt]:
        """The experts for the other kinds; none saw a row of this benchmark."""
        return [learn(kind, self.sets[kind], self.rows[kind], self.seed) for kind in self.sets if kind != self.name]


def folds(count: int, parts: int, seed: int) -> list[tuple[Places, Places]]:
    """(learn, judge) places so that each row is judged once."""
    place = np.random.default_rng(seed).permutation(count) % parts
    return [(np.flatnonzero(place != part), np.flatnonzero(place == part)) for part in range(parts)]


def ours(judged: JudgedBenchmark) -> Way:
    """The whole model as it ships: experts, gate, curves. All choices are made within the rows to learn from."""

    def way(learnt_from: Places, asked: Places, seed: int) -> NDArray[np.float64]:
        own = learn(judged.name, judged.labelled.at(learnt_from), judged.rows[judged.name].at(learnt_from), seed)
        made = assembled([own, *judged.others], seed)
        model = Difficulty(made.arrays, judged.embed, made.card)
        return 1.0 - model.p_edge_oks(judged.labelled.at(asked).prompts).astype(np.float64)

    return way


def transferred(judged: JudgedBenchmark, source: str) -> Way:
    """Learnt from another set's labels; of this benchmark only prompts (of the rows not judged) set the scale."""
    learnt_from = judged.rows[source].at(np.flatnonzero(~judged.sets[source].assumed))
    [expert] = fit(learnt_from, _TRANSFER, judged.seed)

    def way(prompts: Places, asked: Places, seed: int) -> NDArray[np.float64]:
        rows = judged.rows[judged.name]
        scale = Scale.learnt(rows.outside[prompts])
        moved = replace(expert, mean=scale.mean, spread=scale.spread)
        return moved.gain(rows.outside[asked], rows.vectors[asked]).astype(np.float64)

    return way


def bag_of_words(judged: JudgedBenchmark) -> Way:
    """Ridge regression on hashed words and pairs of words: the simple learner to beat."""
    words = _hashed(judged.labelled.prompts)

    def way(learnt_from: Places, asked: Places, seed: int) -> NDArray[np.float64]:
        gain = judged.labelled.gain[learnt_from]
        known = words[learnt_from]
        near = known @ known.T
        near[np.diag_indices(len(near))] += _PENALTY / 10
        weights = np.linalg.solve(near, gain - gain.mean())
        told: NDArray[np.float64] = words[asked] @ (known.T @ weights)
        return told

    return way


def _hashed(texts: Sequence[str]) -> NDArray[np.float64]:
    counted = np.zeros((len(texts), _BUCKETS))
    for row, text in zip(counted, texts, strict=True):
        tokens = _TOKEN.findall(text.lower())
        for token in {*tokens, *map(" ".join, pairwise(tokens))}:
            row[crc32(token.encode()) % _BUCKETS] = 1
    frequent = np.log(len(texts) / np.maximum(counted.sum(axis=0), 1))
    counted *= frequent
    normal: NDArray[np.float64] = counted / np.maximum(np.linalg.norm(counted, axis=1, keepdims=True), 1e-9)
    return normal
