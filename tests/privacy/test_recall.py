"""How many names from many languages are found: a floor under a statistical promise."""

from collections import Counter

import pytest
from private_names import named

from netgpt.privacy.detector import Finder

FLOORS = {"PERSON": 0.88, "PLACE": 0.70, "ORG": 0.80}
"""Of places fewer: a well-known town in a question that speaks of nobody ("how far is it to Leipzig") is nobody's."""


@pytest.mark.slow
def test_names_written_with_capitals_are_found() -> None:
    finder = Finder()
    finder.load()
    rows = [(kind, name, sentence) for kind, name, sentence, small in named(3, 600) if not small]
    found: Counter[str] = Counter()
    for kind, name, sentence in rows:
        [spans] = finder.find([sentence], (), None)
        start = sentence.index(name)
        covered = {i for span in spans for i in range(span.start, span.end)}
        found[kind] += all(i in covered for i in range(start, start + len(name)) if sentence[i].isalnum())
    planted = Counter(kind for kind, _, _ in rows)
    assert {k: found[k] / planted[k] for k in FLOORS if found[k] < FLOORS[k] * planted[k]} == {}
