"""The public sets that detection is judged on, read by path: never copied, skipped with a word where absent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from netgpt.tagging.everyday import PICKED, everyday, rows_of, sampled

__all__ = ["PICKED", "Query", "Tagged", "everyday", "pupa", "synthetic", "wnut"]

PUPA: Final = "privacy/pupa_new_dev.jsonl"
SYNTHETIC: Final = "privacy/presidio_synth_v2_dev.jsonl"
WNUT: Final = "privacy/wnut17_dev.jsonl"


@dataclass(frozen=True, slots=True)
class Query:
    """A text with the private units that people marked in it, as lower-case strings."""

    text: str = field(repr=False)
    units: frozenset[str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Tagged:
    """A text with marked spans: (start, end, type)."""

    text: str = field(repr=False)
    spans: tuple[tuple[int, int, str], ...]


def pupa(data: Path, sample: int, seed: int) -> list[Query]:
    """PUPA's queries of real people. Raises NotFound."""
    return [
        Query(row["user_query"], frozenset(unit.strip().lower() for unit in row["pii_units"] if unit.strip()))
        for row in _drawn(data / PUPA, sample, seed)
    ]


def synthetic(data: Path, sample: int, seed: int) -> list[Tagged]:
    """Presidio's generated sentences. Raises NotFound."""
    return [
        Tagged(row["text"], tuple((s["start"], s["end"], s["type"]) for s in row["spans"]))
        for row in _drawn(data / SYNTHETIC, sample, seed)
    ]


def wnut(data: Path, sample: int, seed: int) -> list[Tagged]:
    """WNUT17's noisy texts, tokens joined by single spaces. Raises NotFound."""
    return [_joined(row["tokens"], row["tags"]) for row in _drawn(data / WNUT, sample, seed)]


def _joined(tokens: Sequence[str], tags: Sequence[str]) -> Tagged:
    starts = [0]
    for token in tokens:
        starts.append(starts[-1] + len(token) + 1)
    begins = [i for i, tag in enumerate(tags) if tag.startswith("B-")]
    spans = []
    for begin, following in pairwise([*begins, len(tags)]):
        end = begin + 1
        while end < following and tags[end].startswith("I-"):
            end += 1
        spans.append((starts[begin], starts[end] - 1, tags[begin][2:]))
    return Tagged(" ".join(tokens), tuple(spans))


def _drawn(path: Path, sample: int, seed: int) -> list[dict[str, Any]]:
    return sampled(rows_of(path), sample, seed)
