"""Invented texts for measuring speed and memory: letters with private data in them, no two alike."""

from __future__ import annotations

import random
from typing import Final

from netgpt.privacy.people import PersonMaker, PlantedPerson

__all__ = ["TextMaker"]


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
