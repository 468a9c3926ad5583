"""Other languages word by word in English: what is known is replaced, what is English or code stays as it is."""

from __future__ import annotations

import pytest
from netgpt_bench.relevance_data import read_cards
from patience import cpu_seconds

from netgpt.wording.gloss import in_english


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Brauch ich heute nen Regenschirm?", "need umbrella today"),
        ("ai-je besoin d’un parapluie ce soir", "need umbrella tonight"),
        ("¿Necesito un paraguas esta tarde?", "need umbrella afternoon"),
        ("mi serve un ombrello oggi", "need umbrella today"),
        ("APOTHEKE", "pharmacy"),
        ("boulangerie ouverte le dimanche", "bakery open sunday"),
        ("Zahnarzt in der Nähe", "dentist near"),
        ("Hundefutter bestellen", "pet food order"),
        ("que desayuno hoy", "breakfast today"),
        ("ricette senza glutine", "recipe gluten free"),
        ("j'ai mal à la tête", "hurt head"),
        ("cuñado cumpleaños regalo", "brother-in-law birthday gift"),
    ],
)
def test_the_words_that_matter_are_told(text: str, words: str) -> None:
    glossed = in_english(text)
    assert not set(words.split()) - set(glossed.split()), glossed


@pytest.mark.parametrize("text", ["Reifenwechsel", "Kinderarzt", "Autoversicherung", "Wintermantel", "Hausaufgaben"])
def test_german_compounds_are_taken_apart(text: str) -> None:
    assert in_english(f"{text} bitte") != f"{text} bitte" and text.casefold() not in in_english(f"{text} bitte")


@pytest.mark.parametrize(
    "text",
    [
        "Do I need an umbrella today?", "taxi", "menu for tonight", "kubectl get pods", "who is Angela Merkel",
        "translate 'good night' into Spanish", "docker run -p 5432:5432 postgres:16.2", "", "  ", "12:30", "????",
        "今日は傘がいりますか", "нужен ли зонт", "Drives a Fiat Panda", "pizza margherita near me", "die hard",
        "also, was there an email?", "SELECT name FROM t",
    ],
)  # fmt: skip
def test_what_is_in_no_such_language_stays_as_it_is(text: str) -> None:
    assert in_english(text) == text


def test_english_requests_and_facts_are_hardly_ever_taken_for_another_language() -> None:
    cards = [card for card in read_cards() if not card.origin.startswith("lang_")]
    texts = [request for card in cards for request, _ in card.requests] + [
        text for card in cards for _, text in card.facts
    ]
    changed = [text for text in texts if in_english(text) != text]
    assert len(texts) > 10_000 and len(changed) < 0.01 * len(texts), changed[:20]


def test_names_and_brands_stay_among_the_words() -> None:
    assert "spotify" in in_english("spiel mir was von Radiohead auf Spotify").casefold()
    assert "radiohead" in in_english("mets de la musique de Radiohead").casefold()


@pytest.mark.parametrize(
    "text", ["wo " * 100_000, "x" * 1_000_000, "é" * 1_000_000, "ab" * 500_000 + " wo ist", "\ud800 wo ist das"]
)
def test_however_long_it_is_soon_done(text: str) -> None:
    in_english("wo")
    assert cpu_seconds(lambda: in_english(text)) < 1.0
