"""What foods a text names, and what is in them: plurals, compounds, and "without", "vegan" and "-free" beside them."""

from __future__ import annotations

import pytest

from netgpt.constraints.taxonomy import taxonomy


def held(text: str, language: str = "en") -> set[str]:
    """All that is in it for certain."""
    return set().union(*(mention.holds for mention in taxonomy().read(text, (language, "en")).mentions))


@pytest.mark.parametrize(
    ("text", "language", "holds", "lacks"),
    [
        ("Pad Thai", "en", "peanut egg fish", "milk"),
        ("Pad Thai without peanuts", "en", "egg", "peanut"),
        ("vegan lasagne", "en", "", "milk meat lactose"),
        ("Lasagne (vegan)", "en", "", "milk"),
        ("pizza without cheese", "en", "gluten", "milk"),
        ("gluten-free penne with prawns", "en", "crustacean", "gluten"),
        ("tofu instead of chicken", "en", "soy", "meat"),
        ("no eggs, milk or nuts; with ham", "en", "pork", "egg milk nut"),
        ("vegan chicken nuggets and bacon", "en", "pork", "poultry"),
        ("oat milk, almond yogurt, coconut cream", "en", "nut", "milk"),
        ("butternut squash, nutmeg, eggplant, buckwheat", "en", "", "milk nut egg gluten"),
        ("bean patty", "en", "pulse", "meat"),
        ("beef burger", "en", "beef", "pulse"),
        ("anchovies", "en", "fish", ""),
        ("Erdnusssoße mit Hähnchenbrustfilet", "de", "peanut poultry", "milk"),
        ("Nussbraten", "de", "nut", "meat"),
        ("Schweineschulter", "de", "pork", ""),
        ("glutenfreie Nudeln", "de", "starch", "gluten"),
        ("Nüsse und Äpfel", "de", "nut apple", ""),
        ("Preis 12 Euro, Reise inbegriffen", "de", "", "rice starch"),
        ("lait de coco, noix", "fr", "nut coconut", "milk"),
        ("le thé, mais sans sucre", "fr", "", "sugar starch"),
        ("gambas al ajillo", "es", "crustacean", ""),
        ("gnocchi senza glutine alle vongole", "it", "mollusc", "gluten"),
    ],
)
def test_what_is_in_it(text: str, language: str, holds: str, lacks: str) -> None:
    found = held(text, language)
    assert set(holds.split()) <= found and not set(lacks.split()) & found


def test_all_fourteen_allergens_and_no_loose_end() -> None:
    table = taxonomy()
    allergens = "gluten crustacean egg fish peanut soy milk nut celery mustard sesame sulphite lupin mollusc"
    assert set(allergens.split()) <= table.foods.keys()
    assert {part for food in table.foods.values() for part in (*food.holds, *food.may_hold)} <= table.foods.keys()


def test_the_language_of_a_few_names_is_told_by_them() -> None:
    assert taxonomy().likeliest("lentejas, tomate, cebolla") == "es"
    assert taxonomy().likeliest("sheet pan chicken with rice") == "en"


def test_hostile_texts_take_time_in_proportion_to_their_length() -> None:
    """Long compounds and negations without end are read once, and name nothing or something, never fail."""
    for text in ("ohne " * 5_000, "käse" * 5_000, "no nuts, " * 3_000, "(" * 5_000, "vegan " * 5_000, "\u0301" * 5_000):
        taxonomy().read(text, ("de", "en"))
