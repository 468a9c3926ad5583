"""`netgpt bench routing`: cost and quality of routing by difficulty, on RouteLLM's results for MMLU and GSM8K.

Three settings are kept apart: no labels of the benchmark, at most 1,500, all of the dev set; always judged on rows that
the model did not learn from. Rows that RouteLLM calls contaminated are dropped, as are the questions of the nine-model
set that are in the judged one too.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from netgpt.errors import NotFound
from netgpt.routing.difficulty import Difficulty, Embedder, Scale
from netgpt.training.difficulty import KernelShape, Learnt, Rows, apgr, assembled, cpt, fit, learn, prepared, recovered
from netgpt.training.difficulty_data import Labelled, public_sets
from netgpt_bench import chart
from netgpt_bench.harness import Progress
from netgpt_bench.report import percentile

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
        hardness: NDArray[np.float64] = words[asked] @ (known.T @ weights)
        return hardness

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


PUBLISHED = (
    ("mmlu", "no labels", "matrix factorization", 0.524, 45.00, 76.86),
    ("mmlu", "no labels", "causal LLM (8B)", 0.499, 48.88, 77.93),
    ("mmlu", "<= 1,500 labels", "similarity-weighted", 0.603, 35.40, 71.55),
    ("mmlu", "<= 1,500 labels", "causal LLM (8B)", 0.600, 35.49, 70.31),
    ("gsm8k", "its best", "causal LLM (8B)", 0.622, 33.64, 63.26),
    ("gsm8k", "its best", "similarity-weighted", 0.568, 41.21, 72.20),
)
"""RouteLLM (arXiv 2406.18665), on all rows of each benchmark."""
SHARES = (0.1, 0.3, 0.5)
_DRAWS = 40
_POINTS = 100


@dataclass(frozen=True)
class RoutingTrial:
    """How hard one way found rows that it had not learnt from."""

    hardness: NDArray[np.float64]
    gain: NDArray[np.float64]


def run(data: Path, *, splits: int, seed: int, progress: Progress) -> dict[str, Any]:
    """All tables. Raises NotFound when the sets are not there."""
    from netgpt.word_pieces import StaticEmbedder

    if not (data / "routellm_mmlu_dev.jsonl").is_file():
        raise NotFound(f"no public sets in {data}: point --data at the folder with routellm_mmlu_dev.jsonl")
    sets, embed = public_sets(data, seed), StaticEmbedder()
    result: dict[str, Any] = {"rows": [], "calibration": [], "curves": {}}
    for name in ("mmlu", "gsm8k"):
        judged = JudgedBenchmark(name, sets, embed, seed)
        trials = _trials(judged, splits, seed, progress)
        result["rows"] += _rows(name, trials) + _published(name)
        result["curves"][name] = {label: _curve(tried[0]) for label, tried in trials.items()}
        held_out = [trial for label, tried in trials.items() if label.startswith("all") and "NetGPT" in label
                    for trial in tried]  # fmt: skip
        result["calibration"] += _calibration(name, held_out, seed)
    result["milliseconds a decision"] = _speed(sets["mmlu"].prompts[:1000])
    result["notes"] = {
        "splits": splits,
        "dropped": "contaminated rows; questions of the nine-model set that the judged sets hold too",
        "no labels": "labels of the other RouteLLM set or of the nine models; unlabelled prompts of rows not judged",
        "spread": "standard deviation over splits; the draw of the dev rows themselves adds 0.02 (mmlu), 0.03 (gsm8k)",
    }
    return result


def _trials(judged: JudgedBenchmark, splits: int, seed: int, progress: Progress) -> dict[str, list[RoutingTrial]]:
    """Every way on every split, by "setting: way"."""
    labelled, count = judged.labelled, len(judged.labelled.prompts)
    other = "gsm8k" if judged.name == "mmlu" else "mmlu"
    parts = {
        "no labels": [folds(count, 2, seed + n) for n in range(splits)],
        "all dev labels": [folds(count, 5, seed + n) for n in range(splits)],
    }
    if count > 2 * FEW:
        parts["<= 1,500 labels"] = [[_few(count, seed + n)] for n in range(splits)]
    labelled_ways = {"NetGPT": ours(judged), "bag of words": bag_of_words(judged)}
    ways = dict.fromkeys(parts, labelled_ways) | {
        "no labels": {
            f"NetGPT, learnt from {other}": transferred(judged, other),
            "NetGPT, learnt from nine models": transferred(judged, "open"),
        }
    }
    trials: dict[str, list[RoutingTrial]] = {}
    for setting in ("no labels", "<= 1,500 labels", "all dev labels"):
        for name, way in ways.get(setting, {}).items() if setting in parts else ():
            progress(f"{judged.name}, {setting}: {name}")
            trials[f"{setting}: {name}"] = [
                _pooled([(asked, way(known, asked, seed)) for known, asked in split], labelled.gain)
                for split in parts[setting]
            ]
    length = np.array([len(prompt) for prompt in labelled.prompts], dtype=float)
    return trials | {
        "none: prompt length": [RoutingTrial(length, labelled.gain)],
        "none: random": [RoutingTrial(np.zeros(count), labelled.gain)],
        "none: oracle": [RoutingTrial(labelled.gain, labelled.gain)],
    }


def _few(count: int, seed: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    drawn = np.random.default_rng(seed).permutation(count)
    return drawn[:FEW], drawn[FEW:]


def _pooled(parts: Sequence[tuple[NDArray[np.intp], NDArray[np.float64]]], gain: NDArray[np.float64]) -> RoutingTrial:
    places, hardness = zip(*parts, strict=True)
    return RoutingTrial(np.concatenate(hardness), gain[np.concatenate(places)])


def _rows(name: str, trials: dict[str, list[RoutingTrial]]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    for label, tried in trials.items():
        setting, way = label.split(": ", 1)
        areas = [apgr(trial.hardness, trial.gain) for trial in tried]
        half, most = (float(np.mean([cpt(t.hardness, t.gain, share) for t in tried])) for share in (0.5, 0.8))
        rows.append(
            {
                "benchmark": name,
                "labels seen": setting,
                "router": way,
                "APGR": round(float(np.mean(areas)), 3),
                "spread": round(float(np.std(areas)), 3) if len(areas) > 1 else None,
                "CPT(50 %)": round(half, 1),
                "CPT(80 %)": round(most, 1),
                "judged rows": len(tried[0].gain),
            }
        )
    for way, gap, at in (("edge only", 0.0, None), ("cloud only", 1.0, 100.0)):
        row = {"benchmark": name, "labels seen": "none", "router": way, "gap recovered": gap}
        rows.append({**row, "CPT(50 %)": at, "CPT(80 %)": at})
    return rows


def _published(name: str) -> list[dict[str, Any]]:
    return [
        {"benchmark": of, "labels seen": setting, "router": f"RouteLLM: {way} (published)", "APGR": area,
         "CPT(50 %)": half, "CPT(80 %)": most}
        for of, setting, way, area, half, most in PUBLISHED
        if of == name
    ]  # fmt: skip


def _calibration(name: str, trials: Sequence[RoutingTrial], seed: int) -> list[dict[str, Any]]:
    """A threshold for a share of cloud, set on one half of the rows left out, and the share on the other half."""
    generator = np.random.default_rng(seed)
    rows = []
    for share in SHARES:
        off = []
        for _ in range(_DRAWS):
            trial = trials[int(generator.integers(len(trials)))]
            order = generator.permutation(len(trial.hardness))
            known, new = np.array_split(trial.hardness[order], 2)
            off.append(abs(float((new > np.quantile(known, 1 - share)).mean()) - share) * 100)
        chance = 100 * np.sqrt(share * (1 - share) * 4 / len(trials[0].hardness))
        rows.append(
            {
                "benchmark": name,
                "asked for, % cloud": 100 * share,
                "points off, mean": round(float(np.mean(off)), 2),
                "p95": round(percentile(off, 0.95), 2),
                "within 3 points, %": round(100 * float(np.mean(np.array(off) <= 3))),
                "one s.d. of chance": round(float(chance), 2),
                "draws": _DRAWS,
            }
        )
    return rows


def _curve(trial: RoutingTrial) -> list[tuple[float, float]]:
    """(share of strong calls, share of the gap recovered), a hundred points."""
    curve = recovered(trial.hardness, trial.gain)
    at = np.linspace(0, len(curve) - 1, _POINTS + 1)
    return [(round(float(x / (len(curve) - 1)), 4), round(float(curve[round(x)]), 4)) for x in at]


def _speed(texts: Sequence[str]) -> dict[str, float]:
    """One text after another, as the gateway asks."""
    model = Difficulty.shipped()
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
    kinds = list(dict.fromkeys(_kind(way) for ways in curves.values() for way in ways))
    colours = {kind: COLOURS[number % len(COLOURS)] for number, kind in enumerate(kinds)}
    panels = [
        (LEFT + number * (SIDE + GAP), TOP, _panel(benchmark, ways, colours))
        for number, (benchmark, ways) in enumerate(curves.items())
    ]
    return chart.document("netgpt bench routing", LEFT + len(curves) * (SIDE + GAP), TOP + SIDE + LEGEND, panels)


def _kind(way: str) -> str:
    """The same way has one colour in all panels, whichever other benchmark it learnt from."""
    return "learnt from the other" if way.endswith(("learnt from gsm8k", "learnt from mmlu")) else way


def _panel(benchmark: str, ways: Mapping[str, Sequence[tuple[float, float]]], colours: Mapping[str, str]) -> str:
    def y(share: float) -> float:
        return max(0.0, SIDE * (1 - share / HIGHEST))

    parts = [chart.text(0, -12, f"{benchmark}: gap recovered by share of strong calls", bold=True)]
    for share in (0, 0.2, 0.4, 0.6, 0.8, 1):
        parts.append(chart.line(0, y(share), SIDE, y(share)))
        parts.append(chart.text(-6, y(share) + 4, f"{share:.0%}", anchor="end"))
        parts.append(chart.text(share * SIDE, SIDE + 16, f"{share:.0%}", anchor="middle"))
    for number, (way, points) in enumerate(ways.items()):
        parts.append(chart.curve([(x * SIDE, y(gap)) for x, gap in points], colours[_kind(way)]))
        parts.append(chart.legend({way: colours[_kind(way)]}, 0, SIDE + 29 + 15 * number))
    return "".join(parts)
