"""The public sets that detection is judged on, read by path: never copied, skipped with a word where absent."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from netgpt_bench.detector_data import rows_of, sampled
from netgpt_bench.people import PersonMaker, PlantedPerson

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


# --- Invented texts for measuring speed and memory: letters with private data in them, no two alike.


def _listed(text: str) -> tuple[str, ...]:
    return tuple(text.split("|"))


_WHO: Final = _listed(
    "the manager|our neighbour|a friend from school|the doctor|my sister|the landlord|nobody|the clerk"
)
_DID: Final = _listed(
    "asked about|forgot|explained|wrote down|complained about|paid for|lost|repaired|described|looked at|sold|returned"
)
_WHAT: Final = _listed(
    "the invoice|a new bicycle|the old kitchen|the report of last week|two tickets|the heating|a long letter|the car"
    "|the contract|some medicine|the photographs|the garden door|a broken phone|the school trip|the insurance"
)
_WHY: Final = _listed(
    "because the weather was bad|before the meeting began|after we had talked for an hour|without telling anyone"
    "|although it was rather late|and nobody knew what to do next|so that everything could be finished|as always"
)
_ASKED: Final = _listed("Could you summarise this?|What should I answer?|Please correct the style.|Is that right?")
_PRIVATE: Final = (
    "My name is {name}, and you can write to {email}.",
    "Please ring {phone} or come to {address}.",
    "{name} works at {firm} in {town} since {year}.",
    "The account is {iban}, and the card is {card}.",
    "I met {name} near {address}.",
)
_FIRMS: Final = _listed("Brightwater Labs|Harrow & Sons|Nordhaus GmbH|Telvane|Quillon Systems|Merrow Bank")
_TOWNS: Final = _listed("Leicester|Utrecht|Porto|Graz|Lyon|Duluth|Galway|Tampere")


class TextMaker:
    """Makes texts from a seed. About one sentence in six tells something private."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._people = PersonMaker(self._random)

    def text(self, size: int) -> str:
        """A new text of exactly `size` characters."""
        pieces: list[str] = []
        length = 0
        person = self._people.person()
        while length <= size:
            pieces.append(self._private(person) if self._random.random() < 1 / 6 else self._plain())
            length += len(pieces[-1]) + 1
        return " ".join(pieces)[:size]

    def _plain(self) -> str:
        pick = self._random.choice
        if self._random.random() < 0.1:
            return pick(_ASKED)
        said = f"{pick(_WHO)} {pick(_DID)} {pick(_WHAT)} and {pick(_DID)} {pick(_WHAT)} {pick(_WHY)}."
        return said[0].upper() + said[1:]

    def _private(self, person: PlantedPerson) -> str:
        return self._random.choice(_PRIVATE).format(
            name=person.name, email=person.email, phone=person.phone, address=person.address, iban=person.iban,
            card=person.card, firm=self._random.choice(_FIRMS), town=self._random.choice(_TOWNS),
            year=self._random.randint(1975, 2025),
        )  # fmt: skip
