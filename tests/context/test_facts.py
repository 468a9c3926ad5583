from __future__ import annotations

from datetime import UTC, datetime, timedelta

from netgpt.context import current
from netgpt.types import Fact, Label

NOW = datetime(2026, 6, 1, 12, 0, tzinfo=UTC)


def test_expired_facts_are_left_out_and_the_order_stays():
    facts = [
        Fact("It is noon", "time", expires=NOW),
        Fact("The user is in Ely", "place", expires=NOW + timedelta(seconds=1)),
        Fact("The user is vegan", "diet"),
    ]
    assert [fact.kind for fact in current(facts, NOW)] == ["place", "diet"]


def test_the_same_text_comes_once_and_under_the_stricter_label():
    public = Fact("The user is in Ely", "place", Label.PUBLIC)
    personal = Fact("the user  is in ely", "place", Label.PERSONAL)
    for order in ([public, personal], [personal, public]):
        (only,) = current(order, NOW)
        assert only.label is Label.PERSONAL
