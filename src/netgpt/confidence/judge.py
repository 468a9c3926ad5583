"""The judge of answers: what the checks settled is settled; the rest is a chance, from the profile and from the answer.

The chance begins with how often this model's answers of this kind do (the prior), and a logistic model moves it by how
sure the model was of its tokens and by what the checks found. The weights were fitted on answers of two models, and
measured on kinds that they were not fitted on (`netgpt bench confidence`). Where less is known, less is claimed:
without the tokens' figures nothing but a recomputed result raises a chance above the prior, without a prior it is a low
one.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any, Final

from netgpt.confidence import features
from netgpt.confidence.checks import Findings, examined
from netgpt.encoder import read_arrays
from netgpt.errors import ModelUnavailable
from netgpt.judgement import Confidence, TaskKind, TokenStats

BUNDLED: Final = "judge.safetensors"
CARD: Final = "judge.json"
"""Says of the weights what they were fitted on, what they measured on kinds left out, and their SHA-256."""
FORM: Final = "netgpt-judge-1"
UNMEASURED: Final = 0.6
"""The greatest chance where the model was never measured at the kind, unless the result was recomputed."""
HOPELESS: Final = 0.05
"""The greatest chance of an answer that is none: it goes round in a circle, or says the question again."""
FAULTY: Final = 0.2
"""The greatest chance of an answer that breaks the form asked for, holds code that does not parse, or is in another
language than the question."""
_TELLING: Final = 0.25
"""By so much a group of figures has to move the logit to be named as a reason."""
_TOKENS: Final = 8
"""After so many tokens what is written counts half."""
REASONS: Final[Mapping[str, str]] = {
    "unable": "it says that it cannot answer",
    "open": "it breaks off",
    "foreign": "it is in another language than the question",
    "loops": "it says the same again and again",
    "echo": "it says the question again",
    "numbers given": "a number in it stands in nothing that was given",
    "names given": "a name in it stands in nothing that was given",
    "new given": "much of it stands in nothing that was given",
    "new": "much of it goes beyond the question",
    "picked none": "it names none of the options",
    "picked more": "it names several of the options",
    "picked one": "it names one of the options",
    "sums right": "the sums in it add up",
}
"""What single findings mean, in words."""
_RAISE: Final = frozenset({"picked one", "sums right"})
_ALWAYS: Final = frozenset({"unable", "open", "foreign"})
"""Named wherever they are found."""


@dataclass(frozen=True)
class LogisticWeights:
    """Of one logistic model: the names of its figures, their means and scales, and what each moves the logit by."""

    names: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    weight: tuple[float, ...]
    offset: float
    slope: float  # of the prior's logit

    def moves(self, figures: Sequence[float]) -> dict[str, float]:
        """By how much each figure moves the logit."""
        rows = zip(self.names, figures, self.mean, self.scale, self.weight, strict=True)
        return {name: weight * (figure - mean) / scale for name, figure, mean, scale, weight in rows}


@dataclass(frozen=True)
class JudgeWeights:
    """All that the judge has learnt."""

    told: LogisticWeights  # with figures of the tokens
    untold: LogisticWeights  # without
    right: float  # the chance of an answer whose result was recomputed and is right
    wrong: float
    unmeasured: float  # the prior of a model that was never measured: a low one


def shipped() -> JudgeWeights:
    """The weights in the package. Raises ModelUnavailable."""
    folder = resources.files("netgpt.confidence")
    card = json.loads(folder.joinpath(CARD).read_text(encoding="utf-8"))
    with resources.as_file(folder.joinpath(BUNDLED)) as path:
        return read_weights(path, sha256=card["sha256"])


def read_weights(path: Path, *, sha256: str | None = None) -> JudgeWeights:
    """Read weights as `netgpt bench confidence --write` writes them. Raises ModelUnavailable: not there, or none."""
    cure = "Reinstall netgpt."
    file = read_arrays(path, sha256=sha256, cure=cure)
    try:
        if file.metadata.get("form") != FORM:
            raise ValueError("it is of another form")
        told, untold = (_weights(file.arrays, name) for name in ("told", "untold"))
        right, wrong, unmeasured = (float(one) for one in file.arrays["chances"])
    except (KeyError, ValueError, TypeError) as error:
        raise ModelUnavailable(f"{path}: holds no judge of answers ({type(error).__name__}). {cure}") from None
    return JudgeWeights(told, untold, right, wrong, unmeasured)


def _weights(arrays: Mapping[str, Any], name: str) -> LogisticWeights:
    names = (features.TOLD if name == "told" else ()) + features.SEEN
    mean, scale, weight, rest = (
        tuple(float(one) for one in arrays[f"{name}.{part}"]) for part in ("mean", "scale", "weight", "rest")
    )
    if not len(names) == len(mean) == len(scale) == len(weight) or len(rest) != 2 or min(scale) <= 0:
        raise ValueError("its figures are others")
    return LogisticWeights(names, mean, scale, weight, *rest)


class Judge:
    """An `AnswerJudge`. `weights`: None takes those in the package, at the first use (raises ModelUnavailable)."""

    def __init__(self, weights: JudgeWeights | None = None) -> None:
        self._given = weights

    def load(self) -> None:
        """Read the weights now. Raises ModelUnavailable."""
        assert self.weights.told.names

    @cached_property
    def weights(self) -> JudgeWeights:
        return self._given or shipped()

    def judge(
        self,
        body: Mapping[str, Any],
        answer: str,
        *,
        kind: TaskKind,
        prior: float | None = None,
        stats: TokenStats | None = None,
        facts: Sequence[str] = (),
        whole: bool = True,
    ) -> Confidence:
        """As `AnswerJudge.judge`."""
        tokens = stats.count if stats is not None and stats.count else None
        found = examined(body, answer, kind=kind.name, facts=facts, tokens=tokens, whole=whole)
        known = features.usable(stats)
        prior = min(max(prior, 0.0), 1.0) if prior is not None and math.isfinite(prior) else None
        if found.empty:
            return Confidence(0.0, tuple(found.reasons))
        if found.settled:
            chance = self.weights.right if found.right else self.weights.wrong
            return Confidence(chance, tuple(found.reasons), found.wrong, found.repair)
        chance, reasons = self._weighed(found, prior, known, whole)
        return Confidence(chance, (*found.reasons, *reasons), found.wrong, found.repair if found.wrong else "")

    def _weighed(
        self, found: Findings, prior: float | None, stats: TokenStats | None, whole: bool
    ) -> tuple[float, list[str]]:
        """The chance of an answer that no check settled, and why, most telling first."""
        model = self.weights.untold if stats is None else self.weights.told
        base = self.weights.unmeasured if prior is None else prior
        figures = features.of_findings(found)
        moves = model.moves(features.of_stats(stats, found.claims) + figures if stats is not None else figures)
        moved = sum(moves.values()) + model.offset
        if not whole:
            written = stats.count if stats is not None else found.words
            moved *= written / (written + _TOKENS)
        logit = model.slope * features.logit(base) + moved
        chance = 1 / (1 + math.exp(-min(max(logit, -30.0), 30.0)))
        if stats is None:
            chance = min(chance, base)
        if prior is None:
            chance = min(chance, UNMEASURED)
        if found.loops > 0.5 or found.only_asks:
            chance = min(chance, HOPELESS)
        if found.wrong or found.foreign:
            chance = min(chance, FAULTY)
        if found.unable:
            chance = min(chance, base / 4)
        return chance, _reasons(moves, dict(zip(features.SEEN, figures, strict=True)), prior, stats)


def _reasons(
    moves: Mapping[str, float], seen: Mapping[str, float], prior: float | None, stats: TokenStats | None
) -> list[str]:
    """What moved the chance, in words, what moved it most first; then what was unknown."""
    told = [(abs(move), REASONS[name]) for name, move in moves.items() if _tells(name, move, seen)]
    sure = sum(moves.get(name, 0.0) for name in features.TOLD)
    if abs(sure) >= _TELLING:
        told.append((abs(sure), "it was sure of its words" if sure > 0 else "it was unsure of its words"))
    if prior is not None:
        often = f"this model does in about {round(prior * 100)} of 100 such questions"
        told.append((abs(features.logit(prior)), often))
    reasons = [reason for _, reason in sorted(told, reverse=True)]
    if prior is None:
        reasons.append("how well this model does such questions was never measured")
    if stats is None:
        reasons.append("the model tells no probabilities")
    return reasons


def _tells(name: str, move: float, seen: Mapping[str, float]) -> bool:
    """Whether a finding is worth a word: it was found, and it moved the chance to the side that its words say."""
    if name not in REASONS or seen.get(name, 0.0) <= 0:
        return False
    return name in _ALWAYS or (move >= _TELLING if name in _RAISE else move <= -_TELLING)
