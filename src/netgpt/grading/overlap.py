"""Rows of one set that are also in another: a model that saw them is not judged on something new."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

__all__ = ["overlapping"]

_WORD = re.compile(r"\w+")
_RUN = 6
"""Words in a row that count as shared."""
_SHARE = 0.5
_ENDING, _SIBLINGS = 40, 10
"""An ending of so many characters that so many overlapping rows have is that benchmark's own form of a question."""


def overlapping(prompts: Sequence[str], judged: Sequence[str]) -> list[bool]:
    """For each prompt: whether it shares half of the runs of six words of itself or of a judged text with that text, or
    ends as such rows do.
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
