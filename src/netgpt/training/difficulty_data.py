"""Labelled rows for the model of difficulty: public data sets, or a person's own file."""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from netgpt.errors import NotFound, RequestError
from netgpt.files import lines_in

_WORD = re.compile(r"\w+")
_RUN = 6
"""Words in a row that count as shared."""
_SHARE = 0.5
_ENDING, _SIBLINGS = 40, 10
"""An ending of so many characters that so many overlapping rows have is that benchmark's own form of a question."""


def overlapping(prompts: Sequence[str], judged: Sequence[str]) -> list[bool]:
    """For each prompt: whether it overlaps a judged text, so that a model which saw it is not judged on something new.

    Overlap: half of the runs of six words of either text are shared, or the prompt ends as such rows do.
    """
    sizes, known = [], defaultdict[tuple[str, ...], list[int]](list)
    for number, text in enumerate(judged):
        runs = _runs(text)
        sizes.append(len(runs))
        for run in runs:
            known[run].append(number)
    shared = []
    for prompt in prompts:
        runs = _runs(prompt)
        counts = Counter(number for run in runs for number in known.get(run, ()))
        shared.append(any(count >= _SHARE * min(len(runs), sizes[number]) for number, count in counts.items()))
    endings = Counter(prompt[-_ENDING:] for prompt, yes in zip(prompts, shared, strict=True) if yes)
    forms = {ending for ending, count in endings.items() if count >= _SIBLINGS}
    return [yes or prompt[-_ENDING:] in forms for prompt, yes in zip(prompts, shared, strict=True)]


def _runs(text: str) -> set[tuple[str, ...]]:
    words = _WORD.findall(text.lower())
    return {tuple(words[at : at + _RUN]) for at in range(len(words) - _RUN + 1)}


_SMALL_B = 10.0
_SIZE = re.compile(r"(\d+(?:\.\d+)?)b\b")


@dataclass(frozen=True)
class Labelled:
    """Prompts of one kind with the scores of a small and a large model's answers."""

    prompts: list[str]
    gain: NDArray[np.float64]
    """Score of the large model less that of the small one, -1 to 1."""
    ok: NDArray[np.float64]
    """How often the small model's answer did as well, 0 to 1."""

    def at(self, places: NDArray[np.intp] | NDArray[np.bool_]) -> Labelled:
        """Only these rows."""
        kept = np.arange(len(self.prompts))[places]
        return Labelled([self.prompts[n] for n in kept], self.gain[kept], self.ok[kept])


def rows_of(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each line of a JSONL file with its place ("file:7"). Raises NotFound, or RequestError with the place."""
    if not path.exists():
        raise NotFound(f"{path}: no such file")
    for number, line in lines_in(path, RequestError):
        place = f"{path}:{number}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            raise RequestError(f"{place}: not JSON; each line must be one JSON object") from None
        if not isinstance(row, dict):
            raise RequestError(f"{place}: not a JSON object; each line must be one")
        yield place, row


def routellm(path: Path) -> Labelled:
    """RouteLLM's results on one benchmark, without the rows that it calls contaminated."""
    kept = [row for _, row in rows_of(path) if not row["contaminated"]]
    gain = np.array([row["strong_correct"] - row["weak_correct"] for row in kept], dtype=np.float64)
    return Labelled([row["prompt"] for row in kept], gain, (gain <= 0).astype(float))


def open_questions(folder: Path) -> Labelled:
    """Questions answered by nine models: the two best against those of up to ten billion parameters."""
    rows = [row for _, row in rows_of(folder / "llmrouter9_dev.jsonl")]
    scores = np.array([row["scores"] for row in rows])
    names = json.loads((folder / "llmrouter9_models.json").read_text(encoding="utf-8"))
    large = np.argsort(-scores.mean(axis=0))[:2]
    small = [n for n, name in enumerate(names) if float(_SIZE.findall(name)[0]) <= _SMALL_B and n not in large]
    as_well = scores[:, small][:, :, None] >= scores[:, large][:, None, :]
    gain = scores[:, large].mean(axis=1) - scores[:, small].mean(axis=1)
    return Labelled([row["prompt"] for row in rows], gain, as_well.mean(axis=(1, 2)))


def public_sets(folder: Path) -> dict[str, Labelled]:
    """The public sets by name. Questions that two of them share are counted once."""
    judged = {name: routellm(folder / f"routellm_{name}_dev.jsonl") for name in ("mmlu", "gsm8k")}
    nine = open_questions(folder)
    shared = overlapping(nine.prompts, [prompt for rows in judged.values() for prompt in rows.prompts])
    return {**judged, "open": nine.at(~np.array(shared))}


def own_rows(path: Path) -> Labelled:
    """Rows {"prompt", "label"} (1: the small model's answer did) or {"prompt", "weak", "strong"} (scores, 0 to 1).

    Raises RequestError that names a faulty line.
    """
    prompts, gains = [], []
    for place, row in rows_of(path):
        if not isinstance(row.get("prompt"), str):
            raise RequestError(f'{place}: no text in the field "prompt"')
        prompts.append(row["prompt"])
        if "label" in row:
            gains.append(1.0 - _score(row, "label", place))
        else:
            gains.append(_score(row, "strong", place) - _score(row, "weak", place))
    gain = np.array(gains)
    return Labelled(prompts, gain, 1.0 - np.maximum(gain, 0))


def _score(row: Mapping[str, Any], name: str, place: str) -> float:
    value = row.get(name)
    if not isinstance(value, int | float) or not 0 <= value <= 1:
        raise RequestError(
            f'{place}: the field "{name}" must be a number from 0 to 1; each row needs "label" (1: the small model\'s '
            'answer did) or both "weak" and "strong"'
        )
    return float(value)
