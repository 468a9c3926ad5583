"""`netgpt bench routing`: how far the gap between a weak and a strong model is recovered, on benchmarks left out.

First what no label was used for: each benchmark is judged by a router that saw none of its labels, beside length, a
bag of words learnt from all other benchmarks, the kind of task alone, and chance. Then whether a decision depends on
the wording, whether the kind comes out right, and last what labels of the same benchmark add. Rows that RouteLLM calls
contaminated are dropped, as are questions that two sets share.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, Final
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from netgpt.errors import NotFound
from netgpt.routing.difficulty import Difficulty
from netgpt.sorts import TaskKinds
from netgpt.training.difficulty import apgr, choose, cpt, fit, prepared, recovered
from netgpt.training.difficulty_data import Labelled
from netgpt.word_pieces import StaticEmbedder
from netgpt_bench import chart
from netgpt_bench.harness import Progress
from netgpt_bench.report import percentile
from netgpt_bench.routing_sets import Deciding, benchmarks, kinds_of, robustness

Scores = NDArray[np.float64]
Words = NDArray[np.float32]
_TOKEN = re.compile(r"[a-z]+|\d|[^\sa-z\d]")
_BUCKETS, _PENALTY = 4_096, 3.0
_POINTS: Final = 100
_FOLDS: Final = 5
_A_BENCHMARK: Final = 250
"""Rows of each other benchmark that teach the bag of words."""
NINE: Final = "nine models, all families"
PUBLISHED: Final = (
    ("MMLU", "RouteLLM without labels, its best: matrix factorization", 0.524, 45.00, 76.86),
    ("MMLU", "RouteLLM with 1,500 labels, its best: similarity-weighted", 0.603, 35.40, 71.55),
    ("GSM8K", "RouteLLM, its best: causal LLM (8B)", 0.622, 33.64, 63.26),
)
"""arXiv 2406.18665, on all rows of each benchmark."""


@dataclass(frozen=True)
class Judge:
    """The benchmarks, and what each way makes of their rows: hardness, a number a row."""

    sets: Mapping[str, Labelled]
    difficulty: Difficulty
    seed: int

    @property
    def nine(self) -> list[str]:
        """The families of the nine models' file."""
        return [name for name in self.sets if name not in ("MMLU", "GSM8K")]

    def joined(self, names: Sequence[str]) -> Labelled:
        """These benchmarks as one."""
        parts = [self.sets[name] for name in names]
        gain, ok = np.concatenate([one.gain for one in parts]), np.concatenate([one.ok for one in parts])
        return Labelled([text for one in parts for text in one.prompts], gain, ok)

    @cached_property
    def words(self) -> dict[str, Words]:
        """Hashed words of each benchmark."""
        return {name: hashed(one.prompts) for name, one in self.sets.items()}

    def without_labels(self, name: str) -> dict[str, Scores]:
        """Each way's hardness of a benchmark none of whose labels it saw."""
        labelled, kinds = self.sets[name], TaskKinds(self.difficulty.sorts)
        usual = self.difficulty.usual(kinds.of(labelled.prompts))
        return {
            "NetGPT": 1.0 - self.difficulty.p_edge_oks(labelled.prompts).astype(np.float64),
            "kind of task alone": 1.0 - np.array(usual),
            "bag of words of the other benchmarks": self._bag(name),
            "prompt length": np.array([len(text) for text in labelled.prompts], dtype=float),
            "random": np.zeros(len(labelled.gain)),
        }

    def _bag(self, name: str) -> Scores:
        """All other benchmarks teach, families of the nine models' file too."""
        draw = np.random.default_rng(self.seed)
        words, gain = [], []
        for other, labelled in self.sets.items():
            if other != name:
                drawn = draw.permutation(len(labelled.gain))[:_A_BENCHMARK]
                words.append(self.words[other][drawn])
                gain.append(labelled.gain[drawn])
        return ridge(np.concatenate(words), np.concatenate(gain), self.words[name])


def ridge(known: Words, gain: Scores, asked: Words) -> Scores:
    """Ridge regression in its dual form: learnt from `known`, hardness of `asked`."""
    near = (known @ known.T).astype(np.float64)
    near[np.diag_indices(len(near))] += _PENALTY
    weights = np.linalg.solve(near, gain - gain.mean())
    hardness: Scores = asked.astype(np.float64) @ (known.T.astype(np.float64) @ weights)
    return hardness


def hashed(texts: Sequence[str]) -> Words:
    """Words and pairs of words, hashed, each text of length one."""
    counted = np.zeros((len(texts), _BUCKETS), dtype=np.float32)
    for row, text in zip(counted, texts, strict=True):
        tokens = _TOKEN.findall(text.lower())
        for token in {*tokens, *map(" ".join, pairwise(tokens))}:
            row[crc32(token.encode()) % _BUCKETS] = 1
    normal: Words = counted / np.maximum(np.linalg.norm(counted, axis=1, keepdims=True), 1e-9)
    return normal


def run(data: Path, *, folds: bool, seed: int, progress: Progress) -> dict[str, Any]:
    """All tables. `folds`: also what labels of the same benchmark add. Raises NotFound when the sets are not there."""
    if not (data / "routellm_mmlu_dev.jsonl").is_file():
        raise NotFound(f"no public sets in {data}: point --data at the folder with routellm_mmlu_dev.jsonl")
    difficulty = Difficulty.shipped()
    judge = Judge(benchmarks(data), difficulty, seed)
    ways: dict[str, dict[str, Scores]] = {}
    for name in judge.sets:
        progress(f"left out: {name}")
        ways[name] = judge.without_labels(name)
    ways[NINE] = {way: np.concatenate([ways[name][way] for name in judge.nine]) for way in ways["MMLU"]}
    ways[NINE]["mean of the family (its own labels)"] = np.concatenate(
        [np.full(len(judge.sets[name].gain), judge.sets[name].gain.mean()) for name in judge.nine]
    )
    rows = []
    for name in ("MMLU", "GSM8K", NINE, *judge.nine):
        labelled = judge.joined(judge.nine) if name == NINE else judge.sets[name]
        rows += figures(name, labelled, ways[name])
    progress("other words")
    deciding = Deciding(difficulty, TaskKinds(difficulty.sorts))
    return {
        "rows": rows,
        "robustness": robustness(judge.sets, deciding, 30, seed),
        "kinds": kinds_of(judge.sets, deciding.kinds),
        "in sample": _in_sample(judge, progress) if folds else [],
        "milliseconds a text": _speed(difficulty, judge.sets["MMLU"].prompts[:1000]),
        "curves": {
            name: {way: _curve(hardness, judge.sets[name].gain) for way, hardness in ways[name].items()}
            for name in ("MMLU", "GSM8K")
        },
    }


def figures(name: str, labelled: Labelled, ways: Mapping[str, Scores]) -> list[dict[str, Any]]:
    """A row a way; none where the strong model is not better on these rows."""
    if labelled.gain.sum() <= 0:
        return []
    rows: list[dict[str, Any]] = [
        {
            "benchmark": name, "rows": len(labelled.gain), "router": way,
            "APGR": round(apgr(hardness, labelled.gain), 3),
            "CPT(50 %)": round(cpt(hardness, labelled.gain, 0.5), 1),
            "CPT(80 %)": round(cpt(hardness, labelled.gain, 0.8), 1),
        }
        for way, hardness in ways.items()
    ]  # fmt: skip
    return rows + [
        {"benchmark": of, "rows": None, "router": f"{way} (published)", "APGR": area, "CPT(50 %)": half,
         "CPT(80 %)": most}
        for of, way, area, half, most in PUBLISHED
        if of == name
    ]  # fmt: skip


def _in_sample(judge: Judge, progress: Progress) -> list[dict[str, Any]]:
    """With labels of the same benchmark, in five folds: an expert of one's own, a bag of words."""
    rows: list[dict[str, Any]] = []
    for name in ("MMLU", "GSM8K"):
        progress(f"labels of its own: {name}")
        labelled, read = judge.sets[name], prepared(judge.sets[name], StaticEmbedder())
        place = np.random.default_rng(judge.seed).permutation(len(labelled.gain)) % _FOLDS
        ours, words = np.zeros(len(place)), np.zeros(len(place))
        for fold in range(_FOLDS):
            known, asked = np.flatnonzero(place != fold), np.flatnonzero(place == fold)
            [expert] = fit(read.at(known), choose(read.at(known), judge.seed, 3), judge.seed)
            ours[asked] = expert.gain(read.outside[asked], read.vectors[asked])
            words[asked] = ridge(judge.words[name][known], labelled.gain[known], judge.words[name][asked])
        ways = {"an expert of `netgpt route train`": ours, "bag of words": words, "oracle": labelled.gain}
        rows += [row for row in figures(name, labelled, ways) if row["rows"] is not None]
    return rows


def _curve(hardness: Scores, gain: Scores) -> list[tuple[float, float]]:
    """(share of strong calls, share of the gap recovered), a hundred points."""
    curve = recovered(hardness, gain)
    at = np.linspace(0, len(curve) - 1, _POINTS + 1)
    return [(round(float(x / (len(curve) - 1)), 4), round(float(curve[round(x)]), 4)) for x in at]


def _speed(model: Difficulty, texts: Sequence[str]) -> dict[str, float]:
    """One text after another, as the gateway asks."""
    model.assess("warm")
    taken = []
    for text in texts:
        begun = time.perf_counter()
        model.assess(text)
        taken.append((time.perf_counter() - begun) * 1000)
    return {"p50": round(percentile(taken, 0.5), 2), "p99": round(percentile(taken, 0.99), 2), "texts": len(taken)}


# --- The plot: cost-quality curves, a panel a benchmark.

SIDE, GAP, LEFT, TOP, LEGEND = 400, 60, 56, 34, 190
"""Pixels: side of a panel, room between panels, axis labels, titles, and the legend below."""
HIGHEST = 1.3
"""Top of the scale, in gaps; the oracle goes beyond."""
COLOURS = (
    chart.BLUE, chart.RED, chart.GREEN, chart.ORANGE, chart.PINK, chart.SKY, chart.GREY, chart.BLACK, chart.YELLOW,
)  # fmt: skip
Curves = Mapping[str, Mapping[str, Sequence[tuple[float, float]]]]


def svg(curves: Curves) -> str:
    """The plot as the text of an SVG file. `curves[benchmark][way]`: (share of strong calls, gap recovered)."""
    kinds = list(dict.fromkeys(way for ways in curves.values() for way in ways))
    colours = {kind: COLOURS[number % len(COLOURS)] for number, kind in enumerate(kinds)}
    panels = [
        (LEFT + number * (SIDE + GAP), TOP, _panel(benchmark, ways, colours))
        for number, (benchmark, ways) in enumerate(curves.items())
    ]
    return chart.document("netgpt bench routing", LEFT + len(curves) * (SIDE + GAP), TOP + SIDE + LEGEND, panels)


def _panel(benchmark: str, ways: Mapping[str, Sequence[tuple[float, float]]], colours: Mapping[str, str]) -> str:
    def y(share: float) -> float:
        return max(0.0, SIDE * (1 - share / HIGHEST))

    parts = [chart.text(0, -12, f"{benchmark}: gap recovered by share of strong calls", bold=True)]
    for share in (0, 0.2, 0.4, 0.6, 0.8, 1):
        parts.append(chart.line(0, y(share), SIDE, y(share)))
        parts.append(chart.text(-6, y(share) + 4, f"{share:.0%}", anchor="end"))
        parts.append(chart.text(share * SIDE, SIDE + 16, f"{share:.0%}", anchor="middle"))
    for number, (way, points) in enumerate(ways.items()):
        parts.append(chart.curve([(x * SIDE, y(gap)) for x, gap in points], colours[way]))
        parts.append(chart.legend({way: colours[way]}, 0, SIDE + 29 + 15 * number))
    return "".join(parts)
