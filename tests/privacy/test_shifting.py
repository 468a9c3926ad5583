"""Dates that leave moved by secret weeks: the form, the days between them, and the way back, whole and in pieces."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netgpt.privacy.computing import LEAST_WEEKS, MOST_WEEKS, DayShift, dates_in, month_first_in

FORMS = (
    "2024-03-15", "2024/3/5", "15.03.2024", "5. 3. 2024", "15/03/2024", "3/15/2024", "2024年3月15日", "2024년 3월 15일",
    "15 March 2024", "15th of March 2024", "March 15, 2024", "march 2nd, 2024", "MARCH 15 2024", "15 Mar 2024",
    "15. März 2024", "1er mars 2024", "15 de marzo de 2024", "15. April 2024",
)  # fmt: skip
DAYS = st.dates(date(1900, 1, 1), date(2150, 1, 1))


def shifted(number: int, *texts: str) -> tuple[DayShift, list[str]]:
    shift = DayShift(number)
    slashes = month_first_in(texts)
    for text in texts:
        assert all(shift.take(found) for found in dates_in(text, slashes))
    return shift, [str(shift.away(text)) for text in texts]


@pytest.mark.parametrize("text", FORMS)
def test_every_form_is_kept_and_comes_back(text: str) -> None:
    shift, [away] = shifted(11, text)
    assert away != text and shift.text(f"On ({away}), yes.") == f"On ({text}), yes."
    [before], [after] = dates_in(text, False), dates_in(away, month_first_in([text]))
    assert before.day and after.day and (after.day - before.day).days % 7 == 0
    assert LEAST_WEEKS * 7 <= abs((after.day - before.day).days) <= MOST_WEEKS * 7


def test_words_of_months_keep_language_length_and_case() -> None:
    _, away = shifted(0, "15. April 2024", "15 APRIL 2024", "15 Apr 2024", "15 avril 2024", "3rd April 2024")
    assert away == ["18. März 2024", "18 MARCH 2024", "18 Mar 2024", "18 mars 2024", "6th March 2024"]


@given(one=DAYS, two=DAYS, number=st.integers(0, 2**64))
def test_the_days_between_stay_and_a_computed_day_comes_back(one: date, two: date, number: int) -> None:
    shift, [first, second] = shifted(number, str(one), str(two))
    assert date.fromisoformat(second) - date.fromisoformat(first) == two - one
    due = date.fromisoformat(first) + timedelta(days=30)
    if str(due) not in (first, second):
        assert shift.text(f"It is due on {due}.") == f"It is due on {one + timedelta(days=30)}."


def test_the_answer_may_write_a_date_otherwise_or_leave_out_the_year() -> None:
    shift, [away] = shifted(0, "2024-04-15")
    assert away == "2024-03-18"
    assert shift.text("From March 18, 2024 to 20 March") == "From April 15, 2024 to 17 April"
    assert shift.text("18.03.2024 or 3/18/2024") == "15.04.2024 or 4/15/2024"


def test_what_has_nothing_to_do_with_the_dates_stays() -> None:
    shift, _ = shifted(0, "2024-04-15")
    for text in (
        "The wall fell on 9 November 1989.",
        "version 1.2.2024.7",
        "you may 5 times",
        "/2024/03/18/x",
        "2024-13-45",
    ):
        assert shift.text(text) == text


def test_day_and_month_between_slashes_are_not_guessed() -> None:
    assert month_first_in(["3/4/2024"]) is None and [found.day for found in dates_in("3/4/2024")] == [None]
    assert month_first_in(["3/4/2024 and 25/4/2024"]) is False
    assert month_first_in(["25/4/2024", "4/25/2024"]) is None
    _, away = shifted(0, "3/4/2024", "25/4/2024")
    assert away == ["6/3/2024", "28/3/2024"]


@given(cuts=st.lists(st.integers(0, 90), max_size=12))
def test_in_pieces_it_is_the_same(cuts: list[int]) -> None:
    shift, _ = shifted(0, "2024-04-15", "1 May 2024")
    text = "From 2024-03-18 (Monday, March 18, 2024) to 3 April 2024: 16 days. May I add 2024? 5. Mar"
    stream, said = shift.stream(), ""
    places = sorted({0, len(text), *(min(cut, len(text)) for cut in cuts)})
    for start, end in pairwise(places):
        said += stream.feed(text[start:end])
    assert said + stream.flush() == shift.text(text)
    assert shift.text(text).startswith("From 2024-04-15 (Monday, April 15, 2024) to 1 May 2024: 16 days.")


def test_words_without_dates_pass_at_once() -> None:
    stream = shifted(0, "2024-04-15")[0].stream()
    assert [stream.feed(piece) for piece in ("Hello", " there", ", friend. ")] == ["Hello", " there", ", friend. "]


def test_dates_do_not_stand_in_its_repr() -> None:
    assert "2024" not in repr(shifted(0, "2024-04-15")[0])
