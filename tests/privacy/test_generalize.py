"""Coarser levels: never the original, never finer than the level, the same every time."""

from __future__ import annotations

import re
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netgpt.privacy.gazetteer import folded
from netgpt.privacy.generalize import Generaliser
from netgpt.privacy.kinds import HIERARCHIES

TODAY = date(2026, 11, 23)
ORDER = HIERARCHIES["place"]


@pytest.fixture(scope="module")
def generaliser() -> Generaliser:
    made = Generaliser(lambda: TODAY)
    made.get_ready()
    return made


def words(generaliser: Generaliser, text: str, kind: str, precision: str) -> str | None:
    coarser = generaliser.coarser(text, kind, precision)
    return coarser.words if coarser else None


@pytest.mark.parametrize(
    ("kind", "text", "precision", "expected"),
    [
        ("ADDRESS", "12 Mill Road, Cambridge CB1 2AD, UK", "street", "Mill Road, Cambridge, UK"),
        ("ADDRESS", "12 Mill Road, Cambridge CB1 2AD, UK", "city", "Cambridge, UK"),
        ("ADDRESS", "12 Mill Road, Cambridge CB1 2AD, UK", "region", "England, United Kingdom"),
        ("ADDRESS", "12 Mill Road, Cambridge CB1 2AD, UK", "country", "UK"),
        ("ADDRESS", "1 Main St, Cambridge, MA 02139, USA", "city", "Cambridge, Massachusetts, USA"),
        ("ADDRESS", "Musterstraße 5, 10115 Berlin", "country", "Germany"),
        ("ADDRESS", "14 Rue de Paris, 69001 Lyon", "city", "Lyon"),
        ("ADDRESS", "14 Rue de Paris", "city", None),
        ("ADDRESS", "Ada Lovelace 12 Mill Road, Cambridge", "street", None),
        ("ADDRESS", "5 London Road", "country", None),
        ("PLACE", "Paris", "city", "Paris"),
        ("PLACE", "Paris", "region", "Île-de-France, France"),
        ("PLACE", "Paris, Texas", "region", "Texas"),
        ("PLACE", "München", "region", "Bavaria, Germany"),
        ("PLACE", "Bavaria", "city", "Bavaria"),
        ("PLACE", "Deutschland", "region", "Deutschland"),
        ("PLACE", "Cambridge", "country", None),  # in England, Ontario and Massachusetts
        ("PLACE", "Luxembourg", "country", None),  # the country would tell the city
        ("PLACE", "New York", "region", None),
        ("PLACE", "Willow Farm", "country", None),
        ("PLACE", "Paris", "year", None),
        ("DATE", "2024-03-15", "month", "2024-03"),
        ("DATE", "2024-03-15T10:00:00Z", "year", "2024"),
        ("DATE", "15.03.2024", "month", "2024-03"),
        ("DATE", "15/03/2024", "month", "2024-03"),
        ("DATE", "03/04/2024", "month", None),
        ("DATE", "03/04/2024", "year", "2024"),
        ("DATE", "March 15th, 2024", "month", "March 2024"),
        ("DATE", "15. März 2024", "month", "März 2024"),
        ("DATE", "le 1er mars 2024", "year", "2024"),
        ("DATE", "15 de marzo de 2024", "month", "marzo de 2024"),
        ("DATE", "15 March", "year", None),
        ("DATE", "yesterday", "year", None),
        ("DATE", "12.05.24", "year", None),
        ("DATE", "March 15 with Ada", "month", None),
        ("BIRTHDATE", "3 May 1985", "year", "1985"),
        ("BIRTHDATE", "3 May 1931", "year", "before 1937"),
        ("BIRTHDATE", "3 May 1931", "month", None),
        ("AGE", "42", "range", "39-50"),
        ("AGE", "40-year-old", "range", "39-50-year-old"),
        ("AGE", "101", "range", "over 89"),
        ("AGE", "7 Jahre alt", "range", "under 10 Jahre alt"),
        ("AGE", "Ada, 42", "range", None),
        ("AMOUNT", "€ 3,450.50", "range", "€ 1999-5000"),
        ("AMOUNT", "3.450 €", "range", "1999-5000 €"),
        ("AMOUNT", "1 to 2", "range", None),
        ("EMAIL", "42", "year", None),
        ("PLACE", "x" * 400, "city", None),
    ],
)
def test_levels(generaliser: Generaliser, kind: str, text: str, precision: str, expected: str | None) -> None:
    assert words(generaliser, text, kind, precision) == expected
    assert words(generaliser, text, kind, precision) == expected  # the same at every place of a conversation


CITIES = ("Lyon", "Berlin", "Sevilla", "Vienna", "Singapore", "Ely", "Munich", "New York", "Luxembourg", "Cambridge")
STREETS = ("Mill Road", "Rue de Paris", "Calle Mayor", "Berliner Straße", "London Road", "Vienna Street")


@given(
    number=st.integers(1, 999),
    street=st.sampled_from(STREETS),
    code=st.sampled_from(("", "69001 ", "10115 ")),
    city=st.sampled_from(CITIES),
)
def test_a_coarser_place_holds_nothing_finer(
    generaliser: Generaliser, number: int, street: str, code: str, city: str
) -> None:
    text = f"{number} {street}, {code}{city}"
    finer = {"city": [street], "region": [street, city], "country": [street, city]}
    for precision, hidden in finer.items():
        coarser = words(generaliser, text, "ADDRESS", precision)
        if coarser is not None:
            assert text not in coarser and not any(c.isdigit() for c in coarser)
            assert not any(f" {folded(part)} " in f" {folded(coarser)} " for part in hidden)


@given(day=st.dates(date(1900, 1, 1), date(2030, 12, 31)), form=st.sampled_from(("%Y-%m-%d", "%d.%m.%Y", "%d %B %Y")))
def test_a_coarser_date_holds_no_day(generaliser: Generaliser, day: date, form: str) -> None:
    text = day.strftime(form)
    month, year = words(generaliser, text, "DATE", "month"), words(generaliser, text, "DATE", "year")
    assert year == str(day.year) and month is not None and text not in month
    assert month in (day.strftime("%Y-%m"), day.strftime("%B %Y"))


@given(age=st.integers(0, 130))
def test_a_range_holds_the_age_but_not_its_number(generaliser: Generaliser, age: int) -> None:
    coarser = words(generaliser, f"{age} years old", "AGE", "range")
    assert coarser is not None and str(age) not in re.findall(r"\d+", coarser)
    others = {words(generaliser, f"{other} years old", "AGE", "range") for other in range(age // 10 * 10, age + 1)}
    assert others == {coarser}


@given(amount=st.integers(0, 10**11))
def test_a_range_holds_the_amount_but_not_its_number(generaliser: Generaliser, amount: int) -> None:
    coarser = words(generaliser, str(amount), "AMOUNT", "range")
    assert coarser is not None and str(amount) not in re.findall(r"\d+", coarser)
    bounds = [int(number) for number in re.findall(r"\d+", coarser)]
    assert bounds[0] < amount < bounds[1] if len(bounds) == 2 else amount < bounds[0]


@given(city=st.sampled_from(CITIES))
def test_the_hierarchy_is_monotone(generaliser: Generaliser, city: str) -> None:
    """A value at a level is no finer than the level, and coarser levels are no finer than it."""
    levels = [generaliser.coarser(city, "PLACE", level) for level in ("city", "region", "country")]
    ranks = [ORDER.index(coarser.now) for coarser in levels if coarser is not None]
    assert ranks == sorted(ranks)
    for level, coarser in zip(("city", "region", "country"), levels, strict=True):
        assert coarser is None or ORDER.index(coarser.now) >= ORDER.index(level)
