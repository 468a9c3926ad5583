"""`netgpt kinds train`: the weights of `netgpt.sorts`, from generated requests and public sets, and their file.

A softmax regression by gradient descent, sorts weighing alike. The temperature is fitted on lines of the lessons that a
first head did not see; then all lessons teach. Seeded: the same data gives the same file.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from netgpt.asked import asked
from netgpt.sorts import forms_of, names, scaled
from netgpt.word_pieces import VERSION as WORD_VECTORS
from netgpt.word_pieces import StaticEmbedder
from netgpt_bench.task_lessons import SETS, Leaf, Lesson, generated, leaves, public

Floats = NDArray[np.float32]
A_LEAF: Final = 240
"""Generated requests of each sort."""
AN_INTENT: Final = 14
"""Requests of each intent of a public set."""
_HELD: Final = 5  # one line of so many teaches not, where heads are judged
_STEPS, _RATE, _MOMENTUM, _DECAY = 500, 8.0, 0.9, 3e-5
_TEMPERATURES: Final = np.geomspace(0.5, 4, 22)


@dataclass(frozen=True)
class Material:
    """Lessons with what is read of them."""

    lessons: Sequence[Lesson]
    leaf: NDArray[np.intp]
    forms: Floats
    vectors: Floats

    def of(self, *sources: str) -> NDArray[np.bool_]:
        """Which lessons are of these sources."""
        return np.array([lesson.source in sources for lesson in self.lessons])

    def rows(self, mean: Floats, spread: Floats) -> Floats:
        """As `netgpt.sorts.Sorts` makes them."""
        return scaled(self.forms, mean, spread, self.vectors)


def held_line(lesson: Lesson) -> bool:
    """Whether a lesson is of a line that teaches not where heads are judged: one line of five."""
    return lesson.line >= 0 and zlib.crc32(f"{lesson.leaf} {lesson.line}".encode()) % _HELD == 0


def material(folder: Path | None, seed: int, report: Callable[[str], None] = lambda _: None) -> Material:
    """Generated lessons, and public ones where `folder` (`prompts` of the data) is there."""
    lessons = generated(A_LEAF, seed)
    if folder is not None:
        lessons += [lesson for source in SETS for lesson in public(folder, source, AN_INTENT, seed)]
    order = {name: number for number, name in enumerate(leaves())}
    report(f"reading {len(lessons)} requests")
    tasks = [asked(lesson.text) for lesson in lessons]
    leaf = np.array([order[lesson.leaf] for lesson in lessons])
    return Material(lessons, leaf, forms_of(tasks), StaticEmbedder()([one.ends for one in tasks]))


def scale_of(forms: Floats) -> tuple[Floats, Floats]:
    """Mean and spread of words and forms."""
    return forms.mean(axis=0), forms.std(axis=0) + np.float32(0.05)


def fit_softmax(rows: Floats, truth: NDArray[np.intp], sorts: int) -> Floats:
    """(features + 1, sorts): the last row is added to each. Sorts weigh alike."""
    x = np.hstack([rows, np.ones((len(rows), 1), np.float32)])
    count = np.bincount(truth, minlength=sorts)
    weight = (1 / np.maximum(count, 1))[truth]
    weight = (weight / weight.sum()).astype(np.float32)[:, None]
    target = np.eye(sorts, dtype=np.float32)[truth]
    weights, velocity = np.zeros((x.shape[1], sorts), np.float32), np.zeros((x.shape[1], sorts), np.float32)
    for _ in range(_STEPS):
        logits = x @ weights
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        error = (odds / odds.sum(axis=1, keepdims=True) - target) * weight
        velocity = np.float32(_MOMENTUM) * velocity - np.float32(_RATE) * (x.T @ error + np.float32(_DECAY) * weights)
        weights = weights + velocity
    return weights


def temperature_of(rows: Floats, truth: NDArray[np.intp], weights: Floats) -> float:
    """The temperature by which the chances of rows that did not teach are likeliest."""
    logits = rows @ weights[:-1] + weights[-1]

    def loss(temperature: float) -> float:
        scaled_logits = logits / temperature
        top = scaled_logits.max(axis=1)
        total = top + np.log(np.exp(scaled_logits - top[:, None]).sum(axis=1))
        return float((total - scaled_logits[np.arange(len(truth)), truth]).mean())

    return float(min(_TEMPERATURES, key=loss))


@dataclass(frozen=True)
class Judged:
    """A head that did not see some lessons, and what it made of them."""

    temperature: float
    right: dict[str, float]  # share of the right kind, by source
    off: float  # how far chances of kinds are from what came true on lines left out (expected calibration error)


def judged(of: Material, mean: Floats, spread: Floats) -> Judged:
    """Learnt from four lines of five, without a public set: judged on the fifth, and on the public sets."""
    kinds = np.array([leaf.kind for leaf in leaves().values()])
    held = np.array([held_line(lesson) for lesson in of.lessons])
    rows, teach = of.rows(mean, spread), of.of("generated") & ~held
    weights = fit_softmax(rows[teach], of.leaf[teach], len(kinds))
    found = kinds[(rows @ weights[:-1] + weights[-1]).argmax(axis=1)]
    parts = {"lines left out": of.of("generated") & held} | {source: of.of(source) for source in SETS}
    right = {
        name: round(float((found[part] == kinds[of.leaf[part]]).mean()), 3)
        for name, part in parts.items()
        if part.any()
    }
    temperature, member = temperature_of(rows[held], of.leaf[held], weights), kinds[:, None] == np.unique(kinds)
    logits = (rows[held] @ weights[:-1] + weights[-1]) / temperature
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    chances = odds @ member.astype(np.float64) / odds.sum(axis=1, keepdims=True)
    true = np.unique(kinds)[chances.argmax(axis=1)] == kinds[of.leaf[held]]
    return Judged(temperature, right, _off(chances.max(axis=1), true))


def _off(chance: NDArray[np.float64], true: NDArray[np.bool_]) -> float:
    """The expected calibration error in ten parts of equal width."""
    part = np.minimum((chance * 10).astype(int), 9)
    gaps = [abs(chance[part == n].mean() - true[part == n].mean()) * (part == n).mean() for n in set(part.tolist())]
    return round(float(sum(gaps)), 3)


def export(of: Material, path: Path, seed: int) -> dict[str, Any]:
    """Judge, train on all, write `path` (.safetensors) and its card (.json); returns the card. Raises OSError."""
    known: dict[str, Leaf] = leaves()
    mean, spread = scale_of(of.forms)
    left_out = judged(of, mean, spread)
    weights = fit_softmax(of.rows(mean, spread), of.leaf, len(known))
    content = save({"weights": weights.astype(np.float16), "mean": mean, "spread": spread})
    card = {
        "what": "which sort of request a text is",
        "sorts": list(known),
        "kinds": [leaf.kind for leaf in known.values()],
        "temperature": round(left_out.temperature, 3),
        "learnt from": {source: int(of.of(source).sum()) for source in ("generated", *SETS)},
        "right kind, by a head that learnt from none of these": left_out.right,
        "calibration error on lines left out": left_out.off,
        "licences": "generated: Apache-2.0; CLINC150 CC BY 3.0, SLURP CC BY 4.0, SNIPS CC0",
        "word vectors": f"wordllama {WORD_VECTORS}, MIT, not part of the file",
        "seed": seed,
        "forms": list(names()),
        "bytes": len(content),
        "sha256": sha256(content).hexdigest(),
    }
    path.write_bytes(content)
    path.with_suffix(".json").write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    return card
