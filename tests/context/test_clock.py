from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netgpt.context import part_of_day, time_facts
from netgpt.errors import SettingsError
from netgpt.types import Label


def test_the_fact_tells_the_local_time_to_the_minute():
    (fact,) = time_facts(datetime(2026, 7, 6, 17, 42, 31, tzinfo=UTC), "Europe/London")
    assert fact.text == "It is Monday evening, 6 July 2026, 18:42 local time"
    assert (fact.kind, fact.label, fact.source, fact.precision) == ("time", Label.PUBLIC, "clock", "minute")


@given(st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC)))
def test_the_fact_holds_for_its_minute_only(now):
    (fact,) = time_facts(now, "Asia/Kathmandu")
    assert fact.expires is not None
    assert 0 < (fact.expires - now).total_seconds() <= 60
    assert fact.expired(fact.expires) and not fact.expired(now)


def test_every_hour_has_a_part_of_the_day():
    assert [part_of_day(hour) for hour in (0, 5, 11, 12, 17, 21, 22)] == [
        *("night", "morning", "morning", "afternoon", "evening", "evening", "night")
    ]


def test_a_naive_time_and_an_unknown_zone_are_refused():
    with pytest.raises(ValueError, match="timezone-aware"):
        time_facts(datetime(2026, 1, 1), "UTC")
    with pytest.raises(SettingsError, match="Europe/London"):
        time_facts(datetime(2026, 1, 1, tzinfo=UTC), "Europe/Cambridge")
