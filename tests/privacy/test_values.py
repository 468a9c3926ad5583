"""Profile values: found in every dress, and only as whole words."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netgpt.privacy.detectors.profile_values import clean_kind, find_values


@pytest.mark.parametrize(
    "text",
    [
        "I am gluten-free.",
        "GLUTEN FREE",
        "glutenfree!",
        "gluten\u00a0\u00a0free",
        "glu\u200bten\u2011free",
        "gluten_free",
        "gluten\nfree",
        "\\u0067luten-free",
        "ｇｌｕｔｅｎ-free",
        "(gluten-free)",
    ],
)
def test_a_value_is_found_in_every_dress(text: str) -> None:
    [span] = find_values(text, [("diet", "gluten-free")])
    assert span.kind == "DIET"
    assert text[span.end :].strip(".!)") == ""


@pytest.mark.parametrize("text", ["unpenicilline", "penicillinase", "", "pen icon"])
def test_parts_of_words_are_not_values(text: str) -> None:
    assert find_values(text, [("ALLERGY", "penicillin")]) == []


def test_accents_may_be_missing_or_decomposed() -> None:
    for text in ("Zoe", "Zoë", "Zoe\u0308"):
        assert len(find_values(f"Hi {text}!", [("NAME", "Zoë")])) == 1


def test_symbols_are_part_of_a_value() -> None:
    assert find_values("c and d", [("SKILL", "C++")]) == []
    assert len(find_values("I write c++ daily", [("SKILL", "C++")])) == 1


@given(st.text(min_size=1), st.text(), st.text())
def test_an_exact_value_between_spaces_is_always_found(value: str, before: str, after: str) -> None:
    text = f"{before} {value} {after}"
    spans = find_values(text, [("X", value)])
    if any(c.isalnum() for c in value.casefold()):
        assert spans
    for span in spans:
        assert 0 <= span.start < span.end <= len(text)


def test_kinds_are_made_fit_for_placeholders() -> None:
    assert clean_kind("diet") == "DIET"
    assert clean_kind("car model 2") == "CAR"
    assert clean_kind("e-mail") == "PRIVATE"
    assert clean_kind("national id") == "NATIONAL_ID"


@pytest.mark.parametrize("kind", ["addiction", "ada@mill.org", "HIV status", "ex husband Tom", ""])
def test_a_kind_of_the_persons_own_words_names_nothing(kind: str) -> None:
    assert clean_kind(kind) == "PRIVATE"


def test_kinds_without_letters() -> None:
    assert clean_kind("42") == "PRIVATE"
