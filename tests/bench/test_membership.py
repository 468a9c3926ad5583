"""What a name's score tells of the training: names planted in it against fresh names made by the same rules."""

import random

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from netgpt_bench.detector_synthetic import (
    Inventor,
    TaggedText,
)
from netgpt_bench.detector_train import (
    Bench,
    Course,
)

from netgpt.privacy.tagger import Tagger

_NAMES, _TIMES = 40, 10
_SENTENCES = ("please call {} about the rent", "{} will be there", "i met {} last week", "tell {} that it is late")


def names_of(bench: Bench, count: int, seed: int) -> list[str]:
    """Names in which no word is in a list: nothing but their training tells of them."""
    inventor: Inventor = bench.inventor(seed)
    return [f"{inventor.made_up()} {inventor.made_up()}" for _ in range(count)]


def planted(names: list[str], chance: random.Random) -> list[TaggedText]:
    examples = []
    for name in names:
        for _ in range(_TIMES):
            sentence = chance.choice(_SENTENCES)
            at = sentence.index("{}")
            examples.append(TaggedText(sentence.format(name), ((at, at + len(name), "PERSON"),), "planted"))
    return examples


def score(tagger: Tagger, name: str, sentence: str) -> float:
    """Mean chance of the name's words in the sentence."""
    at = sentence.index("{}")
    [tags] = tagger.tags([sentence.format(name)], 0.0)
    return float(np.mean([chance for start, end, _, chance in tags if at <= start and end <= at + len(name)]))


def told_apart(members: list[float], others: list[float]) -> float:
    """Area under the curve: the chance that a planted name scores above a fresh one; one half tells nothing."""
    pairs = [(one > other) + 0.5 * (one == other) for one in members for other in others]
    return sum(pairs) / len(pairs)


@pytest.mark.slow
def test_a_score_hardly_tells_a_planted_name_from_a_fresh_one() -> None:
    torch.set_num_threads(1)
    bench = Bench(None, 3)
    names = names_of(bench, 2 * _NAMES, 11)
    course = Course(epochs=3, width=48, invented=1_200, seed=3)
    weights = bench.weights(planted(names[:_NAMES], random.Random(5)), course, lambda epoch, loss: None)
    tagger = Tagger(weights, bench.vectors)
    for sentence in (_SENTENCES[0], "the parcel was for {} only", "{}"):
        scores = [score(tagger, name, sentence) for name in names]
        area = told_apart(scores[:_NAMES], scores[_NAMES:])
        assert area <= 0.65, sentence
