"""Names of persons, places and organisations from many languages, in sentences as people write them."""

from __future__ import annotations

import random

__all__ = ["named"]

PERSONS = (
    "Margaret Holloway", "Tunde Adebayo", "Siobhán O'Malley", "Nguyễn Thị Hoa", "Rajesh Krishnamurthy",
    "Lars Østergaard",
    "Kateryna Shevchenko", "Giulia Ferraro", "João Pereira", "Yusuf Demir", "Haruto Watanabe", "Min-jun Park",
    "Aisha Al-Farsi", "Piotr Wiśniewski", "Chukwuemeka Obi", "Marie-Claire Dubois", "Dmitri Volkov", "Beatriz Gonzalez",
    "Thabo Mokoena", "Anneliese Vogt", "Xiuying Chen", "Owen Pritchard", "Fatoumata Diallo", "Eszter Kovács",
)  # fmt: skip
PLACES = (
    "Huddersfield", "Guadalajara", "Antwerp", "Novosibirsk", "Reykjavik", "Bangalore", "Marseille", "Thessaloniki",
    "Mombasa", "Winnipeg", "Gdansk", "Santiago", "Kuala Lumpur", "Tampere", "Galway", "Leipzig",
)  # fmt: skip
ORGS = (
    "Barclays", "Siemens", "Tata Consultancy Services", "Northgate Dental Practice", "Harlow & Finch LLP", "Nordea",
    "University of Leeds", "St Bartholomew's Hospital", "Kestrel Logistics Ltd", "Oxfam", "Mercadona", "Hitachi",
)  # fmt: skip
_SENTENCES = {
    "PERSON": (
        "Please write a birthday card for {}.", "I met {} at the office yesterday and we argued.",
        "{} owes me money, how do I ask for it?", "Dear {},\n\nthank you for your letter.\n\nBest regards",
        "Minutes: {} presented the budget, nobody objected.", "My boss {} wants the report by Friday.",
        "what should i tell {} about the party", '{{"assignee": "{}", "state": "open"}}',
        "From: {} <x>\nSubject: lunch",
    ),
    "PLACE": (
        "We are moving to {} next spring.", "Find me a dentist in {}.", "She was born in {} and grew up abroad.",
        "The branch in {} will close.", "how far is it from {} to the sea", "Event: reunion; where: {}",
    ),
    "ORG": (
        "I have an interview at {} on Monday.", "{} refused my refund, draft a complaint.",
        "My contract with {} ends in June.", "I used to work for {} as an analyst.", "we got an invoice from {} again",
    ),
}  # fmt: skip


def named(seed: int, count: int) -> list[tuple[str, str, str, bool]]:
    """(kind, name, sentence, whether it is typed in small letters)."""
    chance = random.Random(seed)
    result = []
    for number in range(count):
        kind = ("PERSON", "PLACE", "ORG")[number % 3]
        name = chance.choice({"PERSON": PERSONS, "PLACE": PLACES, "ORG": ORGS}[kind])
        small = chance.random() < 0.2
        sentence = chance.choice(_SENTENCES[kind]).format(name)
        result.append((kind, name, sentence.lower() if small else sentence, small))
    return result
