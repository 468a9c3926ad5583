"""How well private words are found, on rows that the training did not see."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from netgpt.types import Span
from netgpt_bench.detector_data import pupa_units
from netgpt_bench.detector_synthetic import TaggedText

Find = Callable[[str], list[Span]]
"""A text's private spans."""

_WORD = re.compile(r"\w+")
_TOKEN = re.compile(r"\w+|[^\w\s]")


def judge_pupa(find: Find, rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """`left`: share of units that the masked text still contains; `over`: share of other words that are masked."""
    units = left = others = masked = 0
    for row in rows:
        text, wanted = row["user_query"], pupa_units(row)
        spans = find(text)
        shown, lowered = _masked(text, spans).lower(), text.lower()
        units += len(wanted)
        left += sum(unit in shown for unit in wanted)
        private = {i for unit in set(wanted) for at in _all(lowered, unit) for i in range(at, at + len(unit))}
        hidden = _covered(spans)
        for word in _WORD.finditer(text):
            if private.isdisjoint(range(*word.span())):
                others += 1
                masked += not hidden.isdisjoint(range(*word.span()))
    return {"left": left / max(units, 1), "over": masked / max(others, 1), "units": units}


def judge_synth(find: Find, rows: Sequence[Mapping[str, Any]]) -> tuple[dict[str, float], dict[str, float]]:
    """Precision, recall and F2 by token, of any kind; and the recall of each kind."""
    hits = wrong = missed = 0
    kinds: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    for row in rows:
        hidden = _covered(find(row["text"]))
        labels = {i: span["type"] for span in row["spans"] for i in range(span["start"], span["end"])}
        for token in _TOKEN.finditer(row["text"]):
            kind = next((labels[i] for i in range(*token.span()) if i in labels), None)
            found = not hidden.isdisjoint(range(*token.span()))
            hits, wrong, missed = (
                hits + (found and kind is not None),
                wrong + (found and kind is None),
                missed + (kind is not None and not found),
            )
            if kind is not None:
                kinds[kind][0] += found
                kinds[kind][1] += 1
    precision, recall = hits / max(hits + wrong, 1), hits / max(hits + missed, 1)
    score = 5 * precision * recall / max(4 * precision + recall, 1e-9)
    by_kind = {kind: found / whole for kind, (found, whole) in sorted(kinds.items())}
    return {"precision": precision, "recall": recall, "f2": score}, by_kind


def judge_names(find: Find, examples: Sequence[TaggedText]) -> dict[str, float]:
    """Whole names found, as written and in small letters, and the share of found spans that touch a name."""
    names = hits = small = found = right = 0
    for example in examples:
        hidden, lowered = find(example.text), _covered(find(example.text.lower()))
        covered = _covered(hidden)
        for start, end, _ in example.spans:
            letters = {i for i in range(start, end) if example.text[i].isalnum()}
            names += 1
            hits += letters <= covered
            small += letters <= lowered
        unsure = {i for start, end in example.unsure for i in range(start, end)}
        labelled = {i for start, end, _ in example.spans for i in range(start, end)}
        for span in hidden:
            if unsure.isdisjoint(range(span.start, span.end)):
                found += 1
                right += not labelled.isdisjoint(range(span.start, span.end))
    return {"recall": hits / max(names, 1), "recall_small": small / max(names, 1), "precision": right / max(found, 1)}


def judge_everyday(find: Find, examples: Sequence[TaggedText]) -> dict[str, float]:
    """Share of everyday requests without anything private in which anything was hidden."""
    plain = [e.text for e in examples if e.origin == "plain"]
    return {"touched": sum(bool(find(text)) for text in plain) / max(len(plain), 1), "requests": len(plain)}


def _masked(text: str, spans: Sequence[Span]) -> str:
    pieces, done = [], 0
    for span in spans:
        pieces += [text[done : span.start], "[#]"]
        done = span.end
    return "".join(pieces) + text[done:]


def _covered(spans: Sequence[Span]) -> set[int]:
    return {i for span in spans for i in range(span.start, span.end)}


def _all(text: str, part: str) -> Iterator[int]:
    at = text.find(part)
    while at >= 0:
        yield at
        at = text.find(part, at + 1)
