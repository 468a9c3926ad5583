"""Facts in any wording become constraints; what is denied, over, liked, or somebody else's does not."""

from __future__ import annotations

import pytest

from netgpt.constraints.reading import Constraint, constraints_of
from netgpt.constraints.taxonomy import taxonomy


def foods(text: str, kind: str = "note") -> set[str]:
    """All that a fact rules out to eat and drink."""
    return {food for each in constraints_of(text, kind) for food in each.foods}


@pytest.mark.parametrize(
    ("text", "ruled_out"),
    [
        ("The user is allergic to peanuts", "peanut"),
        ("breaks out in hives from cashews", "cashew"),
        ("Strawberries make me swell up", "strawberry"),
        ("The user carries an EpiPen for hazelnuts", "hazelnut"),
        ("The user has coeliac disease", "gluten"),
        ("The user can't have dairy, soy or eggs", "soy"),
        ("The user no longer eats meat", "meat"),
        ("The user gave up alcohol in March", "alcohol"),
        ("The user doesn't drink", "alcohol"),
        ("pork is off the table for her", "pork"),
        ("The user keeps kosher", "shellfish"),
        ("The user eats halal only", "alcohol"),
        ("The user is five months pregnant", "rawfish"),
        ("The user follows a ketogenic diet", "starch"),
        ("The user hates coriander", "coriander"),
        ("Ich esse kein Fleisch", "meat"),
        ("hat eine Haselnussallergie", "hazelnut"),
        ("Sellerie vertrage ich nicht", "celery"),
        ("Je suis allergique aux arachides", "peanut"),
        ("No como mariscos", "shellfish"),
        ("Sono intollerante al lattosio", "lactose"),
    ],
)
def test_what_a_fact_rules_out_to_eat_and_drink(text: str, ruled_out: str) -> None:
    assert ruled_out in foods(text)


@pytest.mark.parametrize(
    ("text", "need"),
    [
        ("The user uses a wheelchair", "wheelchair"),
        ("stairs are impossible for him since the stroke", "wheelchair"),
        ("kann keine Treppen steigen", "wheelchair"),
        ("The user is hard of hearing", "hearing"),
        ("gets dizzy at heights", "heights"),
        ("cannot swim a stroke", "water"),
        ("cat hair gives her asthma", "cats"),
        ("wool makes her skin itch", "wool"),
        ("wasp stings could kill me", "bees"),
    ],
)
def test_needs_that_are_not_about_food(text: str, need: str) -> None:
    assert need in {each.need for each in constraints_of(text)}


@pytest.mark.parametrize(
    "text",
    [
        "The user used to be vegetarian",
        "The user was vegan until 2019",
        "The user is not allergic to nuts",
        "no known allergies",
        "The user works at a vegan bakery",
        "The user loves peanuts",
        "The user outgrew a milk allergy",
        "The user wrote a thesis on coeliac disease",
        "The user sells wheelchairs",
        "lives above a halal butcher",
        "The user is not afraid of heights",
        "swims two kilometres a day",
        "Ich war früher Vegetarier",
        "has a dog called Pepper",
        "The user earns 3000 euros a month",
        "pays 850 euros rent a month",
        "paints horses",
        "tolerates dairy well",
        "The user takes the motorway to work",
        "It is Sunday evening, 29 November 2026, 11:01 local time",
        "works Monday to Thursday",
    ],
)
def test_what_rules_nothing_out(text: str) -> None:
    assert constraints_of(text) == ()


def test_what_is_said_of_others_is_theirs() -> None:
    cases = {
        "The user's daughter is allergic to peanuts": "daughter",
        "has a son who is coeliac": "son",
        "Lily has a peanut allergy": "lily",
        "best friend Marguerite is vegan": "friend",
    }
    for text, whose in cases.items():
        assert {each.whose for each in constraints_of(text)} == {whose}, text
    assert {each.whose for each in constraints_of("hates fish", "son")} == {"son"}
    assert {each.whose for each in constraints_of("celery gives the user migraines")} == {""}


def test_numbers_times_names_and_exceptions() -> None:
    (budget,) = constraints_of("can't spend more than £60 a night on hotels")
    assert (budget.limit, budget.currency, budget.per, budget.where) == (60.0, "gbp", "night", frozenset({"stay"}))
    (plain,) = constraints_of("80 euros", "budget")
    assert plain.limit == 80.0
    assert constraints_of("works until 18:00")[0].earliest == 18 * 60
    assert constraints_of("The user can't go out on Sundays")[0].days == {6}
    assert constraints_of("avoids her ex Daniel Brody")[0].words == {("daniel", "brody")}
    assert constraints_of("got banned from the Grey Heron")[0].words == {("grey", "heron")}
    (meat,) = constraints_of("eats no meat except chicken")
    assert meat.allowed == {"chicken"} and meat.foods == {"meat"}


def test_a_food_that_the_table_does_not_know_is_kept_as_a_name() -> None:
    (one,) = constraints_of("is allergic to zarzamorilla")
    assert one.words == {("zarzamorilla",)} and not one.foods
    assert repr(one) == "<Constraint allergy>"  # nothing private in a repr


def test_every_food_of_the_states_is_in_the_table() -> None:
    known = taxonomy().foods
    states = [
        "is vegan",
        "is vegetarian",
        "is pescatarian",
        "eats halal",
        "keeps kosher",
        "is a Jain",
        "is a Hindu",
        "is pregnant",
        "has gout",
        "eats paleo",
        "low-fodmap diet",
        "histamine intolerance",
        "takes statins",
        "is a Mormon",
        "favism",
    ]
    for text in states:
        found: tuple[Constraint, ...] = constraints_of(text)
        assert found and all(food in known for each in found for food in each.foods), text
