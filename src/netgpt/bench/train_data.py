"""Examples for `netgpt bench train`: made-up questions about invented places, about 128 tokens each."""

from __future__ import annotations

import random

from netgpt.examples.example import Example

__all__ = ["site_examples"]

PLACES = ("Harbour Museum", "North Gallery", "Old Mill", "Glass House", "River Library", "Clock Tower")
THINGS = (
    "the lockers", "the guided tour", "the cafe", "the lift", "the family room", "the reading hall", "the workshop",
    "the shop", "the lost property", "the bicycle stands", "the film room", "the garden",
)  # fmt: skip
COMPANY = (
    "my two children", "a school class", "my grandmother, who walks slowly", "a colleague", "four friends", "my dog",
)  # fmt: skip
ASKING = (
    "I am at the {place} with {company} and would like to use {thing}. It is {hour} o'clock now. Where do we go first?",
    "We are standing at the door of the {place}. I came with {company}, and at {hour} o'clock we want {thing}. How?",
    "Could you tell me how {thing} works at the {place}? I will arrive at {hour} with {company} and a big bag.",
    "{company_big} and I plan {hour} o'clock for {thing} in the {place}. What must we know before we go there?",
)
ANSWER = (
    "Go to desk {desk} on floor {floor} of the {place} and ask for {thing}. Show the {colour} card there; you will be "
    "helped within {minutes} minutes. Large bags stay in room {room}, and the last round begins at {last} o'clock."
)
COLOURS = ("blue", "green", "yellow", "white")


def site_examples(count: int, seed: int = 7) -> list[Example]:
    """`count` different questions; the answer follows from place and thing alone, so that it can be learnt."""
    dice = random.Random(seed)
    found: dict[str, Example] = {}
    while len(found) < count:
        place, thing, company = dice.choice(PLACES), dice.choice(THINGS), dice.choice(COMPANY)
        asked = dice.choice(ASKING).format(
            place=place, thing=thing, company=company, company_big=company[0].upper() + company[1:],
            hour=dice.randint(9, 17),
        )  # fmt: skip
        example = Example(({"role": "user", "content": asked},), _answer(place, thing), "bench:site")
        found[example.id] = example
    return list(found.values())


def _answer(place: str, thing: str) -> str:
    at, which = PLACES.index(place), THINGS.index(thing)
    return ANSWER.format(
        place=place, thing=thing, desk=which + 2, floor=at % 4, colour=COLOURS[(at + which) % 4],
        minutes=5 + which % 3 * 5, room=at * 10 + 4, last=15 + at % 3,
    )  # fmt: skip
