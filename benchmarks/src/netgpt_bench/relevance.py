"""`netgpt bench relevance`: which facts are chosen for a request, by origin, beside the older ways; and how fast.

Origins that nothing was learnt from come first: PrefEval, cards with kinds of facts that no other card has, everyday
requests written before the model was tried. The public sets' own intents are learnt from (other rows of them), unless
`--weights` names a file that was trained with one left out; the facts beside them are in words never learnt from.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Final

import numpy as np
import psutil
from numpy.typing import NDArray

from netgpt.completion.choose import cut_for
from netgpt.completion.relevance import Relevance
from netgpt.completion.select import CUT as TOPICS_CUT
from netgpt.completion.select import Shortlist
from netgpt.encoder import SentenceEncoder
from netgpt.errors import RequestError
from netgpt.training.recipes import DATASETS
from netgpt.types import Fact, Label
from netgpt.word_pieces import StaticEmbedder
from netgpt_bench.harness import Progress
from netgpt_bench.relevance_data import (
    Ask,
    prefeval_asks,
    prefeval_rows,
    public_asks,
    read_cards,
)
from netgpt_bench.report import percentile

Scores = Callable[[Ask], NDArray[np.float32]]
Cut = Callable[[NDArray[np.float32]], float]
"""From which score on a fact is given, by the scores of all."""
BARE_CUT: Final = 0.25
"""Cosine of the bare encoder from which a fact is given."""
BINS: Final = 10
LANGUAGES: Final = ("German", "French", "Spanish", "Italian")
"""Of the cards `languages-1.txt` to `languages-4.txt`."""


def run(
    data: Path | None, encoder: Path, weights: Path | None, *, sample: int = 300,
    seed: int = 7, progress: Progress = lambda _: None,
) -> dict[str, Any]:  # fmt: skip
    """The tables of `netgpt bench relevance`. `data`: the folder with `prompts/`; None: our own cards alone.

    Shares from 0 to 1, times in milliseconds. Raises RequestError: no such data; ModelUnavailable: no weights.
    """
    bare = SentenceEncoder(encoder)
    before = _memory_mb()
    shipped = resources.files("netgpt.completion").joinpath("relevance.safetensors")
    with resources.as_file(shipped) as path:
        relevance = Relevance(bare.with_delta(weights or path))
        relevance.load()
    memory = {"added MB": _memory_mb() - before}
    rows = []
    for origin, asks in origins(data, sample, seed).items():
        for way, (scores, way_cut) in _ways(relevance, bare).items():
            progress(f"{origin}: {way}")
            rows.append({"origin": origin, "way": way, **figures(asks, [scores(ask) for ask in asks], way_cut)})
    tables: dict[str, Any] = {"which facts are given": rows, "speed": speed(relevance, progress)}
    if data is not None:
        progress("PrefEval: one of all")
        tables["the right preference of all"] = first_of_all(data, relevance, bare, min(sample, 200), seed)
    tables["memory"] = [memory]
    return tables


def origins(data: Path | None, sample: int, seed: int) -> dict[str, list[Ask]]:
    """Requests by origin, those that nothing was learnt from first."""
    own = {origin: [ask for card in read_cards([origin]) for ask in card.asks()] for origin in ("everyday", "heldout")}
    found = {"everyday, 30 of our own": own["everyday"], "kinds never learnt": own["heldout"]}
    cards = read_cards(["languages"])
    for index, language in enumerate(LANGUAGES):  # a file each: twelve cards, six either way
        its = cards[index * 12 : index * 12 + 12]
        found[f"{language} asks, English facts"] = [ask for card in its[:6] for ask in card.asks()]
        found[f"English asks, {language} facts"] = [ask for card in its[6:] for ask in card.asks()]
    if data is not None:
        found = {"PrefEval, one of eight": prefeval_asks(data, sample, seed), **found}
        found |= {dataset: public_asks(data, dataset, sample, seed) for dataset in DATASETS}
    return found


def _ways(relevance: Relevance, bare: SentenceEncoder) -> dict[str, tuple[Scores, Cut]]:
    embed = StaticEmbedder()
    embed.load()
    topics = Shortlist(embed)

    def by_topics(ask: Ask) -> NDArray[np.float32]:
        facts = [Fact(text, kind, Label.PERSONAL) for kind, text in ask.facts]
        return np.array(topics.scores(ask.request, facts), np.float32)

    def by_cosine(ask: Ask) -> NDArray[np.float32]:
        vectors = bare([ask.request, *ask.texts(kinds=False)])
        found: NDArray[np.float32] = vectors[1:] @ vectors[0]
        return found

    return {
        "relevance": (
            lambda ask: relevance(ask.request, ask.texts(kinds=True), [kind for kind, _ in ask.facts]),
            cut_for,
        ),
        "relevance, kinds untold": (lambda ask: relevance(ask.request, ask.texts(kinds=False)), cut_for),
        "topics": (by_topics, lambda _: TOPICS_CUT),
        "bare encoder": (by_cosine, lambda _: BARE_CUT),
        "all facts": (lambda ask: np.ones(len(ask.facts), np.float32), lambda _: 0.5),
        "none": (lambda ask: np.zeros(len(ask.facts), np.float32), lambda _: 0.5),
    }


def figures(asks: Sequence[Ask], scores: Sequence[NDArray[np.float32]], cut: Cut) -> dict[str, Any]:
    """Precision and recall over facts, share of requests given a needless one, how often a right fact is first (of the
    requests that need one), and the mean gap of chance and truth (ECE, ten bins)."""
    right = wrong = missed = spoiled = 0
    for ask, row in zip(asks, scores, strict=True):
        least = cut(row)
        given = {index for index, score in enumerate(row) if score >= least}
        right, wrong, missed = (
            right + len(given & ask.needed), wrong + len(given - ask.needed), missed + len(ask.needed - given)
        )  # fmt: skip
        spoiled += bool(given - ask.needed)
    needing = [(ask, row) for ask, row in zip(asks, scores, strict=True) if ask.needed]
    chances = np.concatenate(list(scores))
    truth = np.concatenate([[index in ask.needed for index in range(len(ask.facts))] for ask in asks])
    return {
        "requests": len(asks),
        "precision": right / (right + wrong) if right + wrong else None,
        "recall": right / (right + missed) if right + missed else None,
        "needless": spoiled / len(asks),
        "first": sum(int(row.argmax()) in ask.needed for ask, row in needing) / len(needing) if needing else None,
        "ece": expected_calibration_error(chances, truth.astype(np.float32)),
    }


def expected_calibration_error(chances: NDArray[np.float32], truth: NDArray[np.float32]) -> float:
    """The mean gap between chance and share of truth in ten bins of equal width, weighted by how many are in each."""
    bins = np.minimum((chances * BINS).astype(int), BINS - 1)
    gaps = [abs(float(chances[bins == b].mean() - truth[bins == b].mean())) * (bins == b).mean() for b in set(bins)]
    return float(sum(gaps))


def first_of_all(
    data: Path, relevance: Relevance, bare: SentenceEncoder, sample: int, seed: int
) -> list[dict[str, Any]]:
    """How often the right preference is first, and among five, of all of PrefEval's."""
    rows = prefeval_rows(data)
    chance = random.Random(seed)  # must be made again from the seed
    known = [row["preference"] for row in rows]
    vectors = bare(known)
    hits: dict[str, list[int]] = {"relevance": [], "bare encoder": []}
    for index in chance.sample(range(len(rows)), sample):
        question = rows[index]["question"]
        for way, scores in (
            ("relevance", relevance(question, known)),
            ("bare encoder", vectors @ bare([question])[0]),
        ):
            hits[way].append(int((scores > scores[index]).sum()))
    return [
        {
            "way": way, "preferences": len(known), "questions": sample,
            "first": sum(x == 0 for x in ranks) / sample, "of the first five": sum(x < 5 for x in ranks) / sample,
        }
        for way, ranks in hits.items()
    ]  # fmt: skip


def _memory_mb() -> float:
    return float(psutil.Process().memory_info().rss / 1e6)


def speed(relevance: Relevance, progress: Progress) -> list[dict[str, Any]]:
    """Milliseconds a request, with facts that are known already and with facts never read before."""
    cards = read_cards()
    facts = list(dict.fromkeys(text for card in cards for _, text in card.facts))
    requests = [text for card in cards for text, _ in card.requests]
    rows = []
    for count, rounds in ((20, 60), (1_000, 20)):
        if len(facts) < count:
            raise RequestError("there are too few cards to measure speed with")
        progress(f"speed with {count} facts")
        offered = facts[:count]
        relevance.forget()
        began = time.perf_counter()
        relevance(requests[0], offered)
        new = (time.perf_counter() - began) * 1000
        took = []
        for request in requests[1 : rounds + 1]:
            began = time.perf_counter()
            relevance(request, offered)
            took.append((time.perf_counter() - began) * 1000)
        rows.append(
            {"facts": count, "samples": rounds, "p50 ms": percentile(took, 0.5), "p95 ms": percentile(took, 0.95),
             "all facts new, ms": new}
        )  # fmt: skip
    return rows
