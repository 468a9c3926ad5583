"""Options are taken out of answers of any shape, as they stream: the same however the answer is cut."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netgpt.constraints.asking import NOTES
from netgpt.constraints.choose import ChoiceAccount, OptionChooser, OptionJudge
from netgpt.constraints.json_options import JsonChooser
from netgpt.constraints.options import PieceReader
from netgpt.constraints.reading import constraints_of
from netgpt.constraints.stream import may_be_chosen

CHOSEN, NOTHING, UNKNOWN, _ = NOTES["en"]
NUMBERED = (
    "Here are ideas:\n\n1. **Pad Thai**: noodles\n   - £12\n2. **Curry**\n\n   Coconut rice.\n\n"
    "3. Lentil soup\n\nEnjoy!\n"
)
OWN_LISTS = (
    "Ideas\n\n1. **Satay**\n\nIngredients:\n- peanuts\n- chicken\n\n2. **Rice bowl**\n\nIngredients:\n"
    "- rice\n- peas\n\nEnjoy!"
)
SECTIONS = "# Dinner\n\n## 1. Pad Thai\nNoodles.\n\n### Ingredients\n- 50 g peanuts\n\n## 2. Rice\n- £4\n\n---\nBye"
GROUPS = "## Thai\n- Pad Thai\n- Green papaya with peanuts\n\n## Italian\n- Risotto with peas\n- Gnocchi\n"
RECIPE = (
    "Pad Thai for two.\n\n**Ingredients:**\n- 200 g noodles\n- 50 g peanuts\n\n**Method:**\n1. Soak\n2. Fry\n\nEnjoy!"
)
TABLE = "| Dish | With |\n|---|---|\n| Satay | peanut sauce |\n| Rice | peas |\n\nDone."
PARAGRAPHS = "You could make satay with peanuts.\n\nOr rice with peas.\n\nFinally, pasta with tomato."
CODE = "Look:\n```py\n- peanuts\n```\n- peanut soup\n- rice\n"
ALL = (NUMBERED, OWN_LISTS, SECTIONS, GROUPS, RECIPE, TABLE, PARAGRAPHS, CODE)


def judge(fact: str, where: str = "food", language: str = "en") -> OptionJudge:
    return OptionJudge(constraints_of(fact), frozenset({where}), language)


def chosen(
    text: str, fact: str = "is allergic to peanuts", where: str = "food", step: int = 0
) -> tuple[str, ChoiceAccount]:
    account = ChoiceAccount()
    chooser = OptionChooser(judge(fact, where), account)
    pieces = [text[at : at + step] for at in range(0, len(text), step)] if step else [text]
    return "".join(map(chooser.feed, pieces)) + chooser.end(), account


@pytest.mark.parametrize("text", ALL)
def test_pieces_are_the_whole_answer_and_the_same_at_every_cut(text: str) -> None:
    reader = PieceReader()
    whole = reader.feed(text) + reader.end()
    assert "".join(piece.text for piece in whole) == text
    for step in (1, 2, 3, 7, 50):
        assert chosen(text, step=step) == chosen(text)


@settings(max_examples=60)
@given(st.text(alphabet="-1.*#|`\n ab:peanut", max_size=120), st.integers(1, 9))
def test_any_text_is_read_whole_and_alike(text: str, step: int) -> None:
    assert chosen(text, step=step) == chosen(text)
    reader = PieceReader()
    assert "".join(piece.text for piece in reader.feed(text) + reader.end()) == text


def test_items_sections_rows_and_paragraphs_are_left_out_alone() -> None:
    for text, gone, kept in (
        (NUMBERED, "Pad Thai", "Coconut rice"), (OWN_LISTS, "Satay", "Rice bowl"), (SECTIONS, "Pad Thai", "## 2. Rice"),
        (GROUPS, "papaya", "Risotto"), (TABLE, "Satay", "| Rice | peas |"), (PARAGRAPHS, "satay", "Finally, pasta"),
    ):  # fmt: skip
        said, account = chosen(text)
        assert gone not in said and kept in said and said.endswith(CHOSEN), text
        assert account.fits and account.taken_out and account.kinds["allergy"]
    assert "## Thai" not in chosen(GROUPS)[0]  # no heading without its options
    assert "3. Lentil soup" in chosen(NUMBERED)[0]  # numbers stay as the cloud gave them


def test_a_recipe_is_one_thing_and_never_loses_an_ingredient() -> None:
    said, account = chosen(RECIPE)
    assert said == NOTHING and not account.fits
    said, account = chosen(RECIPE.replace("50 g peanuts", "50 g peanuts (optional)").replace("Pad Thai", "Noodles"))
    assert "peanuts" not in said and "200 g noodles" in said and account.corrected == 1


def test_code_is_untouched() -> None:
    said, _ = chosen(CODE)
    assert "```py\n- peanuts\n```" in said and "peanut soup" not in said


def test_a_route_is_one_thing_and_several_routes_are_options() -> None:
    way = "1. Leave the station by the east exit.\n2. Take the stairs down.\n3. Walk along the canal.\n"
    assert chosen(way, "uses a wheelchair", "route")[0] == NOTHING
    ways = "- Bridge: 40 steps\n- Quay: step-free, no stairs\n- Tram: lift at both ends\n"
    said, account = chosen(ways, "uses a wheelchair", "route")
    assert "Bridge" not in said and "Quay" in said and "Tram" in said and account.taken_out == 1


def test_prices_times_and_names() -> None:
    hotels = "- A: was €90, now €70 a night\n- B: €95 a night\n- C: 55 euros a night\n- D: breakfast included\n"
    said, _ = chosen(hotels, "at most 80 euros a night for a hotel", "stay")
    assert "- B" not in said and all(f"- {name}" in said for name in "ACD")
    shows = "- Matinee, Sunday 14:00\n- Late show, Friday 20:00\n"
    assert "Matinee" not in chosen(shows, "The user can't go out on Sundays", "activity")[0]
    assert "Heron" not in chosen("- The Grey Heron\n- The Mint\n", "got banned from the Grey Heron", "place")[0]


def test_a_wish_gives_way_where_nothing_else_is_left() -> None:
    text = "1. Coriander soup\n2. Coriander rice\n"
    assert chosen(text, "hates coriander") == (
        text,
        ChoiceAccount(options=2, kinds=chosen(text, "hates coriander")[1].kinds),
    )
    assert "Coriander" not in chosen(text + "3. Mint rice\n", "hates coriander")[0]


def test_what_is_not_known_comes_last_with_a_word_and_only_where_little_is_left() -> None:
    said, account = chosen("- Chef's surprise\n- Rice with peas\n")
    assert said.index("Rice") < said.index("surprise") < said.index(UNKNOWN) and account.unknown == 1
    said, account = chosen("- Chef's surprise\n- Rice with peas\n- Lentil soup\n")
    assert "surprise" not in said and account.taken_out == 1


def test_nothing_that_is_said_names_the_reason() -> None:
    for language, lines in NOTES.items():
        for line in lines:
            assert not any(word in line.casefold() for word in ("allerg", "diet", "budget", "health")), language
    said, _ = chosen(NUMBERED)
    assert "peanut" not in said and "allerg" not in said


def test_the_note_is_in_the_persons_language() -> None:
    account = ChoiceAccount()
    chooser = OptionChooser(judge("ist allergisch gegen Erdnüsse", language="de"), account)
    said = chooser.feed("1. Erdnusssuppe\n2. Linsensuppe\n3. Kartoffelsalat\n") + chooser.end()
    assert "Erdnuss" not in said and said.endswith(NOTES["de"][0])


def as_json(text: str, fact: str = "is allergic to peanuts", step: int = 0) -> tuple[str, ChoiceAccount]:
    account = ChoiceAccount()
    chooser = JsonChooser(judge(fact), account)
    pieces = [text[at : at + step] for at in range(0, len(text), step)] if step else [text]
    return "".join(map(chooser.feed, pieces)) + chooser.end(), account


def test_json_stays_json_at_every_cut() -> None:
    dishes = [
        {"name": "Satay", "ingredients": ["peanuts", "chicken"]},
        {"name": 'Rice, "plain" ]', "ingredients": ["rice"]},
        {"name": "Dal", "ingredients": ["lentils"]},
    ]
    for document, path in (
        ({"options": dishes, "note": "x"}, "options"),
        (dishes, None),
        ({"a": {"list": dishes}}, None),
    ):
        text = json.dumps(document, indent=1)
        said, account = as_json(text)
        assert "Satay" not in said and account.taken_out == 1 and account.options == 3
        read = json.loads(said)
        assert path is None or [each["name"] for each in read[path]] == ['Rice, "plain" ]', "Dal"]
        assert all(as_json(text, step=step)[0] == said for step in (1, 2, 5, 11))


def test_numbered_members_of_a_json_object_are_options() -> None:
    document = {
        "ideas": {"option_1": {"name": "Satay", "with": ["peanuts"]}, "option_2": {"name": "Rice"}, "note": "Enjoy"},
        "count": 2,
    }
    for text in (json.dumps(document), json.dumps(document, indent=2)):
        for step in (0, 1, 3, 7):
            said, account = as_json(text, step=step)
            assert json.loads(said) == {"ideas": {"option_2": {"name": "Rice"}, "note": "Enjoy"}, "count": 2}
            assert account.taken_out == 1 and account.options == 2 and account.fits
    steps = json.dumps({"steps": {"option 1": "chop the peanuts"}, "k": {"a": [1]}})
    assert as_json(steps, step=1)[0] == steps
    asked = {"type": "object", "properties": {"idea_1": {"type": "string"}, "more": {"type": "array"}}}
    form = {"response_format": {"type": "json_schema", "json_schema": {"schema": asked}}}
    assert not may_be_chosen(form)


def test_a_json_object_that_is_one_option_is_left_whole_and_said_not_to_fit() -> None:
    text = json.dumps({"name": "Satay", "ingredients": ["peanuts", "chicken"], "steps": ["fry", "serve"]})
    said, account = as_json(text)
    assert said == text and not account.fits
    empty, account = as_json('{"options": [{"name": "Satay"}]}')
    assert json.loads(empty) == {"options": []} and not account.fits


def test_hostile_answers() -> None:
    long = "".join(f"- peanut dish {number}\n" for number in range(3_000))
    said, account = chosen(long)
    assert "peanut dish" not in said and account.options == 3_000 and not account.fits
    rows = "| a | b |\n|---|---|\n" + "| | | x | |\n" * 200 + "| peanut |\n"
    assert "peanut" not in chosen(rows)[0]
    nested = "".join("  " * depth + "- x\n" for depth in range(300)) + "- peanut\n"
    assert "peanut" not in chosen(nested)[0]
    deep = as_json("[" * 2_000)[0]
    assert set(deep) <= {"["}
    broken = '{"options": [{"name": "peanut'
    assert as_json(broken)[0].startswith('{"options": [')
