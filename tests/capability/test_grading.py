"""What counts as right, case by case."""

from __future__ import annotations

import pytest

from netgpt.capability.grading import (
    CallMade,
    Check,
    Covers,
    Form,
    Function,
    GivenAnswer,
    Literal,
    Number,
    OptionChosen,
    Pattern,
    Phrase,
    Referral,
    Structure,
)

PARIS = Phrase(("Paris",), ("Lyon", "London", "Rome", "Oslo"))
SECOND = OptionChosen("B", ("oxygen", "carbon dioxide", "helium", "nitrogen"))
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
    "required": ["name", "age"],
}
ADA = Structure(SCHEMA, {"name": "Ada", "age": 36})
DOUBLE = Function("double", (((3,), 6), ((0,), 0)))


@pytest.mark.parametrize(
    ("check", "asked", "answer", "right"),
    [
        (Number(42), "What is 40 + 2?", "42", True),
        (Number(42), "What is 40 + 2?", "40 + 2 = 42.", True),
        (Number(42), "What is 40 + 2?", "The answer is **42**, because 40 and 2 are added.", True),
        (Number(42), "What is 40 + 2?", "It is 43.", False),
        (Number(42), "What is 40 + 2?", "forty and two", False),
        (Number(27), "30 apples, 3 are eaten. How many are left?", "27 of the 30 apples are left.", True),
        (Number(1234), "", "1,234", True),
        (Number(1234), "", "Das sind 1.234.", True),
        (Number(1234.5), "", "1.234,5", True),
        (Number(12.192), "", "About 12.19 metres.", False),
        (Number(12.192, 0.02), "", "About 12.2 metres.", True),
        (Number(7), "", "There are seven.", True),
        (Number(-5), "", "The result is −5", True),
        (Number(6), "", "<think>perhaps 7? 6? 8</think>6", True),
        (PARIS, "", "The capital of France is Paris.", True),
        (PARIS, "", "PARÍS!", True),
        (PARIS, "", "It is not Lyon, it is Paris.", True),
        (PARIS, "", "Lyon. Some say Paris.", False),
        (PARIS, "", "Not Paris.", False),
        (PARIS, "", "Paris, London, Rome or Oslo", False),
        (PARIS, "", "Comparison", False),
        (Phrase(("true",), ("false",)), "", "True or false, copper conducts.", False),
        (Phrase(("true",), ("false",)), "", "True or false: it is true.", True),
        (Phrase(("Ann",), ("Ben", "Cleo")), "", "Both Ann and Ben.", False),
        (Phrase(("Ann",), ("Ben", "Cleo")), "", "Ann, who is older than Ben and Cleo.", True),
        (Phrase(("Ann",), ("Ben", "Cleo")), "", "Ben is taller than Cleo. Therefore, Ann is the tallest.", True),
        (Phrase(("Ann",), ("Ben", "Cleo")), "", "Ann is tall. Therefore, Ben is the tallest.", False),
        (Phrase(("Ann",), ("Ben", "Cleo")), "", "Ann. Therefore I am sure.", True),
        (SECOND, "", "B", True),
        (SECOND, "", "C) carbon dioxide", False),
        (SECOND, "", "The correct answer is B) carbon dioxide.", True),
        (SECOND, "", "Plants take up carbon dioxide.", True),
        (SECOND, "", "A) oxygen", False),
        (SECOND, "", "A plant needs carbon dioxide", True),
        (Covers((("hund",), ("schwarz",))), "", "Der Hund ist schwarz.", True),
        (Covers((("hund",), ("schwarz",))), "", "Der Hund ist weiß.", False),
        (Covers((("flood*",),), most_words=4), "", "Flooding in Oslo", True),
        (Covers((("flood*",),), most_words=4), "", "Some heavy flooding in Oslo", False),
        (Covers((("flood",),), no_new_numbers=True), "A flood of 12 houses", "flood, 13 houses", False),
        (Literal(("wc -l a.txt",)), "", "```bash\nwc -l a.txt\n```", True),
        (Literal(("wc -l a.txt",)), "", "rm -rf / && wc -l b.txt", False),
        (ADA, "", '```json\n{"name": "ada", "age": 36}\n```', True),
        (ADA, "", 'Here: {"name": "Ada", "age": 36} I hope it helps', True),
        (ADA, "", '{"name": "Ada", "age": "36"}', False),
        (ADA, "", '{"name": "Ada", "age": 36, "city": "Oslo"}', False),
        (ADA, "", '{"name": "Ada", "age": 36', False),
        (ADA, "", '{"name": "Ada", "age": NaN}', False),
        (DOUBLE, "", "def double(n):\n    return n * 2", True),
        (DOUBLE, "", "Sure!\n```python\ndef double(n):\n    return n + n\n```\nIt adds.", True),
        (DOUBLE, "", "def double(n):\n    return n ** 2", False),
        (DOUBLE, "", "import os\ndef double(n):\n    return n * 2", False),
        (DOUBLE, "", "def twice(n):\n    return n * 2", False),
        (Pattern(("123", "999"), ("12", "1234")), "", r"`^\d{3}$`", True),
        (Pattern(("123", "999"), ("12", "1234")), "", r"\d+", False),
        (Pattern(("123",), ("12",)), "", "(", False),
        (Pattern(("a" * 40 + "!",), ("b",)), "", "(a|aa)+$|(a+)+$", False),
        (Form(lines=3, words=(3, 30)), "", "One line\nTwo lines\nThree lines here", True),
        (Form(lines=3, words=(3, 30)), "", "One line", False),
        (Form(items=2, initials="B"), "", "1. Bella\n2. Bruno", True),
        (Form(items=2, initials="B"), "", "1. Bella\n2. Rex", False),
        (Form(words=(5, 400)), "", "la la " * 60, False),
        (Referral(), "", "CallMade an ambulance at once.", True),
        (Referral(), "", "I am not a doctor, drink some tea.", False),
        (Referral(unknown=True), "", "I'm not familiar with that medicine.", True),
        (Referral(unknown=True), "", "Ask your pharmacist.", True),
        (Referral(unknown=True), "", "Take 500 mg a day, and ask a doctor.", False),
    ],
)  # fmt: skip
def test_right_or_not(check: Check, asked: str, answer: str, right: bool) -> None:
    assert check.holds(GivenAnswer(answer), asked) is right


@pytest.mark.parametrize(
    ("calls", "right"),
    [
        ([("get_weather", '{"city": "Oslo"}')], True),
        ([("get_weather", '{"city": "oslo"}')], True),
        ([("get_weather", '{"city": "Oslo", "unit": "C"}')], False),
        ([("get_weather", '{"city": "Rome"}')], False),
        ([("get_weather", "{")], False),
        ([("get_weather", "[1]")], False),
        ([("get_weather", "null")], False),
        ([("get_time", '{"city": "Oslo"}')], False),
        ([("get_weather", '{"city": "Oslo"}')] * 2, False),
        ([], False),
    ],
)
def test_a_call_has_its_name_and_its_arguments(calls: list[tuple[str, str]], right: bool) -> None:
    assert CallMade("get_weather", {"city": "Oslo"}).holds(GivenAnswer("", tuple(calls)), "") is right
