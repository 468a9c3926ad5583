"""The requests that `netgpt bench completion` asks, each with facts to choose from and which of them help."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

from netgpt.bench.completion_truth import needed_kinds, profile
from netgpt.examples.complete_recipe import DATASETS, public_rows, reserved
from netgpt.types import Fact

__all__ = ["CompletionCase", "load_cases"]


@dataclass(frozen=True)
class CompletionCase:
    """One request, the facts to choose from, and which of them help."""

    dataset: str
    request: str
    facts: tuple[Fact, ...]
    needed: frozenset[int]


def load_cases(data: Path, sample: int, seed: int) -> list[CompletionCase]:
    """`sample` requests, a third of each data set, only of the rows that no training and no tuning saw.

    Raises RequestError that says what is missing and how to get on.
    """
    randomness = random.Random(seed)
    cases = []
    for dataset in DATASETS:
        rows = [row for row in public_rows(data, dataset) if reserved(row["text"])]
        for row in randomness.sample(rows, min(len(rows), max(1, sample // len(DATASETS)))):
            facts = tuple(profile(randomness))
            kinds = needed_kinds(dataset, row)
            needed = frozenset(index for index, fact in enumerate(facts) if fact.kind in kinds)
            cases.append(CompletionCase(dataset, row["text"], facts, needed))
    return cases
