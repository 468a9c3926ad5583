"""How well a way of finding does on the public sets. Every figure is a share from 0 to 1 unless it says percent."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from netgpt.bench.privacy_sets import Query, Tagged
from netgpt.bench.privacy_ways import PrivacyWay, masked
from netgpt.types import Span

__all__ = ["entities", "hidden_units", "tokens", "touched"]

_WORD = re.compile(r"\w+")
_RESAMPLES = 300


def hidden_units(way: PrivacyWay, queries: Sequence[Query]) -> dict[str, Any]:
    """PUPA: private units left (their text stands in the masked query, in any case), and how much else was masked.

    `other words masked`: of the words that lie in no unit, the share that a span touches.
    """
    pairs, clean, others, touched_others = [], 0, 0, 0
    for query in queries:
        spans = way.find(query.text)
        kept = masked(query.text, spans).lower()
        left = sum(unit in kept for unit in query.units)
        pairs.append((left, len(query.units)))
        clean += left == 0
        for start, end in _words_outside(query):
            others += 1
            touched_others += _touches(spans, start, end)
    low, high = _interval(pairs)
    return {
        "queries": len(queries),
        "units": sum(total for _, total in pairs),
        "units left %": _percent(sum(left for left, _ in pairs), sum(total for _, total in pairs)),
        "95 % of resamples": f"{low:.1f}-{high:.1f}",
        "other words masked %": _percent(touched_others, others),
        "queries clean %": _percent(clean, len(queries)),
    }


def _words_outside(query: Query) -> Iterable[tuple[int, int]]:
    """The words that no unit covers, wherever the unit stands."""
    lowered = query.text.lower()
    inside = bytearray(len(lowered) + 1)
    for unit in query.units:
        at = lowered.find(unit)
        while at >= 0:
            inside[at : at + len(unit)] = b"\1" * len(unit)
            at = lowered.find(unit, at + 1)
    if len(lowered) != len(query.text):  # a letter whose small form is longer: places would not fit
        return []
    return [match.span() for match in _WORD.finditer(query.text) if not any(inside[match.start() : match.end()])]


def tokens(way: PrivacyWay, rows: Sequence[Tagged]) -> dict[str, Any]:
    """Private or not, word by word, whatever the type; and the recall for each type. F2 weighs recall double."""
    right = wrong = missed = 0
    of_type: Counter[str] = Counter()
    found_of_type: Counter[str] = Counter()
    for row in rows:
        spans = way.find(row.text)
        for match in _WORD.finditer(row.text):
            told = next((kind for start, end, kind in row.spans if start < match.end() and match.start() < end), None)
            hit = _touches(spans, *match.span())
            right += bool(told and hit)
            wrong += bool(hit and not told)
            missed += bool(told and not hit)
            if told:
                of_type[told] += 1
                found_of_type[told] += hit
    precision, recall = _share(right, right + wrong), _share(right, right + missed)
    return {
        "sentences": len(rows),
        "precision": precision,
        "recall": recall,
        "F2": _f(precision, recall, 2.0),
        "recall by type": {kind: _share(found_of_type[kind], of_type[kind]) for kind in sorted(of_type)},
    }


def entities(way: PrivacyWay, rows: Sequence[Tagged], *, lower: bool) -> dict[str, Any]:
    """WNUT17: marked entities found, and found names that are marked; any overlap, and the same borders exactly."""
    marked = said = met = right = exact = 0
    for row in rows:
        text = row.text.lower() if lower else row.text
        spans = [span for span in way.find(text if len(text) == len(row.text) else row.text) if span.kind in way.names]
        gold = [(start, end) for start, end, _ in row.spans]
        marked, said = marked + len(gold), said + len(spans)
        met += sum(_touches(spans, start, end) for start, end in gold)
        right += sum(any(start < span.end and span.start < end for start, end in gold) for span in spans)
        exact += len({(span.start, span.end) for span in spans} & set(gold))
    recall, precision = _share(met, marked), _share(right, said)
    exact_recall, exact_precision = _share(exact, marked), _share(exact, said)
    return {
        "texts": len(rows),
        "entities": marked,
        "recall": recall,
        "precision": precision,
        "F1": _f(precision, recall, 1.0),
        "exact recall": exact_recall,
        "exact precision": exact_precision,
        "exact F1": _f(exact_precision, exact_recall, 1.0),
    }


def touched(way: PrivacyWay, texts: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """Everyday requests with nothing private in them: the share in which anything was found, whole and by set."""
    asked: Counter[str] = Counter()
    changed: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    for name, text in texts:
        spans = way.find(text)
        asked[name] += 1
        changed[name] += bool(spans)
        kinds.update({span.kind for span in spans})
    return {
        "requests": len(texts),
        "touched %": _percent(sum(changed.values()), len(texts)),
        **{f"{name} %": _percent(changed[name], asked[name]) for name in asked},
        "kinds": " ".join(f"{kind}:{count}" for kind, count in kinds.most_common(6)) or "none",
    }


def _touches(spans: Sequence[Span], start: int, end: int) -> bool:
    return any(start < span.end and span.start < end for span in spans)


def _interval(pairs: Sequence[tuple[int, int]]) -> tuple[float, float]:
    """The share in percent between the 2.5 and 97.5 percent points of resampled queries."""
    chance = random.Random(0)
    shares = []
    for _ in range(_RESAMPLES if pairs else 0):
        drawn = chance.choices(pairs, k=len(pairs))
        shares.append(_percent(sum(left for left, _ in drawn), sum(total for _, total in drawn)) or 0.0)
    shares.sort()
    return (shares[int(0.025 * len(shares))], shares[int(0.975 * len(shares))]) if shares else (0.0, 0.0)


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _percent(part: int, whole: int) -> float | None:
    return round(100 * part / whole, 2) if whole else None


def _f(precision: float | None, recall: float | None, beta: float) -> float | None:
    """The F measure; beta is how much more recall weighs."""
    if not precision or not recall:
        return 0.0 if precision is not None and recall is not None else None
    return round((1 + beta**2) * precision * recall / (beta**2 * precision + recall), 4)
