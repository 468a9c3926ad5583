"""What can be checked is: sums, days, forms, code, what was given, and what an answer is made of."""

from __future__ import annotations

from typing import Any

import pytest
from judging import judged, why

from netgpt.confidence.dates import asked_day, says_day
from netgpt.confidence.forms import broken_form, parses
from netgpt.confidence.sums import asked_value, equations, holds_value
from netgpt.confidence.texts import asked_text
from netgpt.confidence.words import loops, options_of, picks, without_claims


@pytest.mark.parametrize(
    ("question", "value"),
    [
        ("What is 17 + 25?", 42), ("17-9?", 8), ("Calculate 12 times 12.", 144), ("(3+4)*2 = ?", 14), ("5 squared", 25),
        ("Wie viel ist 12 mal 12?", 144), ("Combien font 7 fois 8 ?", 56), ("What is 15% of 240?", 36),
        ("what's 20% off 50?", 40), ("Was sind 15 Prozent von 80?", 12), ("How many minutes are 3 hours?", 180),
        ("Convert 5 km to miles", 3.106856), ("100 F in C?", 37.77778), ("What is 1,250 + 750?", 2000),
        ("seven times eight?", 56), ("What is the square root of 81?", 9), ("What is the sum of 3 and 4?", 7),
        ("How many ounces in a pound?", 16), ("divide 20 by 8", 2.5), ("Mean of 19, 27, 14?", 20),
        ("Was ist der Durchschnitt von 47, 56 und 41?", 48), ("I have 3 feet. How many inches is that?", 36),
        ("How many times does 15 go into 825?", 55), ("Multipliziere 52 mit 10.", 520),
        ("the largest of 3, 9 and 7", 9),
    ],
)  # fmt: skip
def test_a_bare_calculation_is_computed(question: str, value: float) -> None:
    assert asked_value(question) == pytest.approx(value, rel=1e-6)


@pytest.mark.parametrize(
    "question",
    [
        "Ana has 3 pens and buys 4 more. How many has she?", "Call 555-1234", "I need help with room 12-14", "24/7?",
        "What does HTTP 404 mean?", "What happened on 2024-03-05?", "solve 3x + 2 = 8", "Who won 3-2 in 2014?",
        "What is 2 + 2 and who is the king of France?", "Write 5 names", "What is the capital of France?", "1/2/2024?",
    ],
)  # fmt: skip
def test_what_is_no_bare_calculation_is_left_alone(question: str) -> None:
    assert asked_value(question) is None


@pytest.mark.parametrize(
    ("answer", "holds"),
    [
        ("The answer is 42.", True), ("17 + 25 = 42", True), ("**42**", True), ("It is 43.", False),
        ("forty two", True),
        ("42 is 17 plus 25, or 40 and 2", None), ("I do not know", None), ("42.0", True),
    ],
)  # fmt: skip
def test_an_answer_is_held_against_the_value(answer: str, holds: bool | None) -> None:
    assert holds_value(answer, 42.0) is holds


def test_written_sums_are_recomputed_and_rounding_is_none_of_their_faults() -> None:
    assert equations("7 * 8 = 56. 5 + 5 = 11; 17 / 3 = 5.67, 2 x 3 = 6") == [True, False, True, True]
    assert equations("x = 3, f(2) = 4, 2 + 3 = 5 apples") == [True]


@pytest.mark.parametrize(
    ("question", "right", "wrong"),
    [
        ("Today is Monday. Which weekday is it in 10 days?", "Thursday", "It is Friday."),
        ("Heute ist Montag. Welcher Wochentag ist in 5 Tagen?", "Samstag", "Sonntag"),
        ("What day of the week was July 4, 1776?", "It was a Thursday.", "Sunday"),
        ("3 days ago it was Tuesday. What day is today?", "Friday", "Saturday"),
        ("How many days are there from 3 March 2024 to 10 March 2024?", "7 days", "There are 8 days."),
        ("Is 2024 a leap year?", "Yes, it is.", "No."),
        ("A meeting starts at 14:30 and lasts 90 minutes. When does it end?", "At 16:00.", "At 15:30."),
        ("It is 9:15. What time is it in 3 hours?", "12:15", "13:15"),
        ("What date is 10 days after March 5, 2024?", "March 15, 2024", "March 16, 2024"),
        ("How many days are in February 2024?", "29", "28"),
        ("What month comes 6 months after October?", "April", "It is May."),
        ("How many minutes are there between 16:40 and 17:55?", "75", "85 minutes"),
        ("If 30 June falls on a Tuesday, on which weekday does 19 July fall?", "Sunday", "Monday"),
        ("Ist 1945 ein Schaltjahr?", "Nein.", "Ja."),
    ],
)
def test_days_are_recomputed(question: str, right: str, wrong: str) -> None:
    wanted = asked_day(question)
    assert wanted is not None and says_day(right, wanted) is True and says_day(wrong, wanted) is False
    good, bad = judged(question, right, kind="dates"), judged(question, wrong, kind="dates")
    assert good.chance > 0.9 and not good.wrong and bad.chance < 0.1 and bad.wrong and bad.repair


@pytest.mark.parametrize(
    "question",
    ["What time is it?", "When was Ada Lovelace born?", "Plan my Monday", "What happens in 3 days?", "May I?"],
)
def test_what_asks_for_no_day_is_left_alone(question: str) -> None:
    assert asked_day(question) is None


@pytest.mark.parametrize(
    ("question", "right", "wrong"),
    [
        ("Write in capital letters: two cups of tea", "TWO CUPS OF TEA", "Two Cups Of Tea"),
        ("Rewrite in lower case: GOOD Day", '"good day"', "GOOD DAY"),
        ("Sort these names alphabetically: Zoe, Jonas, Keiko", "Jonas, Keiko, Zoe", "Zoe, Jonas, Keiko"),
        ('Replace the word "cat" by "dog" in this text: the cat, a cat', "It is: the dog, a dog.", "the dog, a cat"),
        ('How many letters are in the word "banana"?', "Six.", "5"),
        ("How many times does the letter r appear in strawberry?", "3", "two"),
        ("Spell the word 'stone' backwards.", "enots", "stone"),
    ],
)  # fmt: skip
def test_what_was_to_be_done_to_a_text_is_done_again(question: str, right: str, wrong: str) -> None:
    good, bad = judged(question, right, kind="rewriting"), judged(question, wrong, kind="rewriting")
    assert good.chance > 0.85 and not good.wrong and bad.chance < 0.1 and bad.wrong and bad.repair


@pytest.mark.parametrize(
    "question",
    [
        "Translate and sort: a, b, c", "Sort out my problem with the landlord", "What are capital letters?",
        "How many letters did Kafka write?", "Replace my old bicycle", "How many letters are in the drawer?",
        "What does this print?\n```\nx = 'abc'.upper()\n```",
    ],
)  # fmt: skip
def test_what_asks_for_no_such_thing_is_left_alone(question: str) -> None:
    assert asked_text(question) is None


SCHEMA = {
    "type": "object", "additionalProperties": False, "required": ["name", "tags"],
    "properties": {
        "name": {"type": "string"}, "age": {"type": ["integer", "null"], "minimum": 0},
        "tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}, "maxItems": 2},
    },
    "$defs": {"tag": {"enum": ["a", "b"]}},
}  # fmt: skip


@pytest.mark.parametrize(
    ("answer", "broken"),
    [
        ('{"name": "x", "tags": ["a"]}', ""), ('{"name": "x", "age": null, "tags": []}', ""), ('{"name": "x"}', "tags"),
        ('{"name": 3, "tags": []}', "name"), ('{"name": "x", "tags": ["c"]}', "tags"), ("{", "JSON"), ("[]", "type"),
        ('{"name": "x", "tags": ["a", "b", "a"]}', "tags"), ('{"name": "x", "age": -1, "tags": []}', "age"),
        ('{"name": "x", "tags": [], "more": 1}', "allow"), ('{"name": "x", "age": true, "tags": []}', "age"),
    ],
)  # fmt: skip
def test_json_is_held_against_its_schema(answer: str, broken: str) -> None:
    fields: dict[str, Any] = {
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}
    }
    found = broken_form(fields, answer)
    assert found == broken if not broken else found and broken in found
    told = judged("Describe x", answer, kind="json", fields=fields, prior=0.9)
    assert told.wrong is bool(broken) and (not broken or (told.repair and "tags" not in why(told)))


@pytest.mark.parametrize(
    ("language", "code", "good"),
    [
        ("python", "def f(x):\n    return x", True), ("python", "def f(x)\n    return x", False),
        ("json", '{"a": 1,}', False),
        ("js", "f({a: [1]})", True), ("c", 'int main() { puts("(");', False), ("text", "((", None),
        ("python", ">>> 1", None),
        ("bash", "echo (", None), ("java", "class A { /* { */ }", True),
    ],
)  # fmt: skip
def test_code_parses_or_not(language: str, code: str, good: bool | None) -> None:
    assert parses(language, code) is good
    told = judged("Write it", f"Here:\n```{language}\n{code}\n```", kind="code", prior=0.6)
    assert told.wrong is (good is False)


def test_json_that_was_asked_for_in_words_has_to_parse() -> None:
    question = "Give Ada from Cork, aged 30, as JSON with the fields name and age."
    assert not judged(question, 'Here: {"name": "Ada", "age": 30}', kind="json", prior=0.6).wrong
    assert judged(question, '{"name": "Ada", "age": 30,', kind="json", prior=0.6).wrong
    assert not judged("What is JSON?", "A format of data.", prior=0.6).wrong


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", "empty"), ("As an AI language model, I cannot help with that.", "cannot answer"),
        ("Elite: Kira\n" * 12, "again and again"), ("What is the capital of Portugal", "question again"),
        ("The river was first named in 1320 by the monk Adalbert, who came from the large town of", "breaks off"),
    ],
)  # fmt: skip
def test_what_is_no_answer_is_believed_less_and_says_why(answer: str, reason: str) -> None:
    good = judged("What is the capital of Portugal?", "Lisbon.", prior=0.6)
    bad = judged("What is the capital of Portugal?", answer, prior=0.6)
    assert bad.chance < good.chance and (reason in why(bad) or bad.chance < 0.1)


def test_an_answer_in_another_language_is_seen_and_a_translation_is_none() -> None:
    answer = "Der Hafen ist nicht weit von hier und das Boot ist noch da."
    assert "another language" in why(judged("Where is the harbour and is the boat still there?", answer, prior=0.5))
    assert "another language" not in why(judged("Put into German: the harbour", answer, kind="translation", prior=0.5))


def test_numbers_against_the_facts_are_seen() -> None:
    facts = ["The library opens at 9:00 and closes at 18:00."]
    question = "When does the library close?"
    right = judged(question, "The library closes at 18:00.", kind="local", facts=facts, prior=0.6)
    wrong = judged(question, "The library closes at 23:15, it opens at 4:45.", kind="local", facts=facts, prior=0.6)
    assert "fact" in why(wrong) and "fact" not in why(right) and wrong.chance < right.chance


def test_options_are_found_and_which_one_is_named() -> None:
    assert options_of("Is this about sport, finance or technology?") == [
        ("", "sport"),
        ("", "finance"),
        ("", "technology"),
    ]
    assert options_of("Is it safe? Answer yes or no.") == [("", "yes"), ("", "no")]
    lettered = options_of("Which?\nA) water\nB) salt\nC) air")
    assert picks(lettered, "B) salt") == [1] and picks(lettered, "It is air.") == [2] and picks(lettered, "gold") == []
    assert options_of("Who wrote Faust?") == []


def test_claims_are_no_words_of_an_answer() -> None:
    assert without_claims("I am absolutely sure. It is Paris.").strip() == "It is Paris."
    assert without_claims("I am sure it is Paris").strip() == "it is Paris"
    assert "Paris" in without_claims("Definitely Paris, trust me!")
    assert loops("a b c d e f g h i") == 0.0


def test_formats_without_a_schema() -> None:
    assert broken_form({}, "words") is None and broken_form({"response_format": {"type": "text"}}, "words") is None
    assert broken_form({"response_format": {"type": "json_object"}}, "[1]")
    assert broken_form({"response_format": {"type": "json_object"}}, "") is None
    assert broken_form({"response_format": {"type": "json_schema", "json_schema": 3}}, "[1]") == ""
