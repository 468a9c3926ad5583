"""Words that are never, or seldom, private by themselves."""

from __future__ import annotations

import pytest

from netgpt.privacy.ner import NUMBER, PLAIN, least_chance


def chance(text: str, word: str) -> float:
    start = text.index(word)
    return least_chance(text, start, start + len(word), not text.islower(), lambda word: word in ("sort", "ada"))


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("She owes 312 euros", "312"),
        ("She owes 312 euros", "euros"),
        ("a salary of 85,000 euros", "85"),
        ("a salary of 85,000 euros", "000"),
        ("It costs $40", "40"),
        ("Pay £7 now", "7"),
        ("up by 12 %", "12"),
        ("Translate it to German", "German"),
        ("say this in polish", "polish"),
        ("[09:14] is it open?", "09"),
        ("[09:14] is it open?", "14"),
    ],
)
def test_quantities_and_languages_are_never_private(text: str, word: str) -> None:
    assert chance(text, word) > 1


def test_a_number_alone_may_be_private_but_needs_more_proof() -> None:
    assert chance("Flat 312, Tannery Lane", "312") == NUMBER
    assert chance("My number is 4471190", "4471190") == 0


def test_small_letters_need_more_proof_only_where_names_would_have_capitals() -> None:
    assert chance("Ada met keller", "keller") == PLAIN
    assert chance("ada met keller", "keller") == 0
    assert chance("Then Keller came", "Keller") == 0


@pytest.mark.parametrize("text", ["Sort these names", "Now. Sort them", "- Sort them", "A list:\nSort it"])
def test_the_first_word_of_a_sentence_needs_more_proof(text: str) -> None:
    assert chance(text, "Sort") == PLAIN


def test_a_nationality_of_a_person_is_not_a_language() -> None:
    assert chance("my German neighbour", "German") == 0
