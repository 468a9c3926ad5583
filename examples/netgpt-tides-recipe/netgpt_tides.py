"""A recipe for `netgpt train tides`: short questions about the tides, and their answers."""

import random
from collections.abc import Iterable
from pathlib import Path

from netgpt import Example, ExampleRecipe

_ASKED = ("When is high water at {}?", "Is the tide in at {}?", "High tide, {}, today?")
_PLACES = ("Portwick", "Saltby", "Eastness")


def make(data: Path | None, seed: int) -> Iterable[Example]:
    """The same seed gives the same examples."""
    texts = [asked.format(place) for asked in _ASKED for place in _PLACES]
    random.Random(seed).shuffle(texts)  # noqa: S311 - must be made again from the seed
    for text in texts:
        yield Example(({"role": "user", "content": text},), "Ask the harbour office.", "recipe:tides")


TIDES = ExampleRecipe("tides", "where to ask about the tides", make)
