"""One training from data folder to shipped file: cross-validation by row, the final network, and its card."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from netgpt.privacy.detect import Finder
from netgpt.privacy.names import NameFinder
from netgpt.privacy.tagger import Lexicon, Tagger, WordVectors
from netgpt.privacy.tagger_words import Bloom
from netgpt.tagging.batches import WordStore
from netgpt.tagging.gazetteers import blooms, lists, read_places
from netgpt.tagging.invented import Inventor, TaggedText
from netgpt.tagging.judging import Find, judge_everyday, judge_names, judge_pupa, judge_synth
from netgpt.tagging.learn import Course, learn
from netgpt.tagging.sources import FILES, read_prompts, read_pupa, read_synth, read_wnut, rows

__all__ = ["Bench", "Figures", "cross_validated", "final"]

_INVENTED_CITIES = 30_000
Told = Callable[[str, int, float], None]
"""Which part ("fold 1/5", "final"), passes done, mean loss."""
Figures = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Labelled:
    """The public sets, beside the rows that their figures are taken on."""

    pupa: list[TaggedText]
    synth: list[TaggedText]
    wnut: list[TaggedText]
    prompts: list[TaggedText]
    pupa_rows: list[dict[str, Any]]
    synth_rows: list[dict[str, Any]]


class Bench:
    """What every training of one run shares: places, lists, word features, data."""

    def __init__(self, data: Path | None, seed: int, plain: Collection[str] = ()) -> None:
        """`data`: the folder of public sets; None or a folder without them: invented sentences alone.

        `plain`: texts of everyday requests that hold nothing private.
        """
        self.seed, self._plain = seed, plain
        places = read_places()
        words = lists(places)
        self._cities, self._countries = places.cities[:_INVENTED_CITIES], places.countries
        self.lists: dict[str, Bloom] = blooms(words)
        self.vectors = WordVectors()
        self.lexicon = Lexicon(self.lists, self.vectors)
        self.store = WordStore(self.lexicon)
        known = frozenset((*words["regions"], *words["cities"], *words["first"]))
        self.labelled = self._read(data, known) if data is not None and (data / FILES["pupa"]).is_file() else None

    def _read(self, data: Path, known: frozenset[str]) -> _Labelled:
        def suspect(word: str) -> bool:
            return word.lower() in known and len(self.vectors.ids([word.lower()])[0]) > 1

        return _Labelled(
            read_pupa(data),
            read_synth(data),
            read_wnut(data),
            read_prompts(data, suspect, self._plain),
            list(rows(data / FILES["pupa"])),
            list(rows(data / FILES["synth"])),
        )

    def inventor(self, seed: int) -> Inventor:
        return Inventor(self._cities, self._countries, seed)

    def train(self, examples: Sequence[TaggedText], course: Course, told: Callable[[int, float], None]) -> Tagger:
        """A tagger that learned from these examples and invented sentences."""
        return Tagger(self.weights(examples, course, told), self.vectors)

    def weights(
        self, examples: Sequence[TaggedText], course: Course, told: Callable[[int, float], None]
    ) -> dict[str, NDArray[Any]]:
        """The arrays of the file: the network's, and the lists."""
        torch.use_deterministic_algorithms(True)
        arrays: dict[str, NDArray[Any]] = {
            f"list_{name}": np.frombuffer(bloom.bits, dtype=np.uint8) for name, bloom in self.lists.items()
        }
        arrays.update(learn(examples, self.inventor(course.seed), self.lexicon, course, told, self.store))
        return dict(sorted(arrays.items()))


def final(bench: Bench, course: Course, told: Told) -> dict[str, NDArray[Any]]:
    """The arrays of a network that learned from everything."""
    data = bench.labelled
    examples = [*data.pupa, *data.synth, *data.wnut, *data.prompts] if data else []
    return bench.weights(examples, course, lambda epoch, loss: told("final", epoch, loss))


def cross_validated(bench: Bench, course: Course, folds: int, told: Told) -> Figures:
    """Means over the folds of what a network finds in rows that it has not seen; every row is judged once."""
    assert bench.labelled is not None
    data = bench.labelled
    return _mean([_fold(bench, data, course, (number, folds), told) for number in range(folds)])


def _fold(bench: Bench, data: _Labelled, course: Course, fold: tuple[int, int], told: Told) -> Figures:
    rest, judged = parted(data, bench.seed, *fold)
    name = f"fold {fold[0] + 1}/{fold[1]}"
    tagger = bench.train(rest, course, lambda epoch, loss: told(name, epoch, loss))
    finder = Finder(NameFinder(tagger))
    return _judged(lambda text: finder.find([text], (), None)[0], bench, judged)


def parted(data: _Labelled, seed: int, number: int, folds: int) -> tuple[list[TaggedText], list[list[Any]]]:
    """What one fold learns from, and the rows of each set that it is judged on. Equal texts fall into one fold."""
    rest: list[TaggedText] = []
    judged: list[list[Any]] = []
    groups: list[tuple[list[TaggedText], list[Any]]] = [
        (data.pupa, data.pupa_rows),
        (data.synth, data.synth_rows),
        (data.wnut, data.wnut),
        (data.prompts, data.prompts),
    ]
    for examples, judged_rows in groups:
        places = [_place(example.text, seed, folds) for example in examples]
        rest.extend(e for e, place in zip(examples, places, strict=True) if place != number)
        judged.append([row for row, place in zip(judged_rows, places, strict=True) if place == number])
    return rest, judged


def _place(text: str, seed: int, folds: int) -> int:
    digest = blake2b(f"{seed}:{text.strip().lower()}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest) % folds


def _judged(find: Find, bench: Bench, judged: list[list[Any]]) -> Figures:
    pupa_rows, synth_rows, wnut, prompts = judged
    synth, kinds = judge_synth(find, synth_rows)
    inventor = bench.inventor(bench.seed + 1_000)
    invented = [example for example in (inventor.example() for _ in range(600)) if example.spans]
    return {
        "pupa": judge_pupa(find, pupa_rows),
        "synth": synth,
        "synth_recall": kinds,
        "wnut": judge_names(find, wnut),
        "everyday": judge_everyday(find, prompts),
        "invented": judge_names(find, invented),
    }


def _mean(results: Sequence[Mapping[str, Mapping[str, float]]]) -> Figures:
    figures: Figures = {}
    for part in results[0]:
        names = sorted({name for result in results for name in result[part]})
        values = {name: [result[part][name] for result in results if name in result[part]] for name in names}
        figures[part] = {
            name: sum(found) if name in ("units", "requests") else round(sum(found) / len(found), 4)
            for name, found in values.items()
        }
    return figures
