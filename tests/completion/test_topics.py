from __future__ import annotations

from netgpt.completion.select import ALIASES, known_kinds, topics


def test_no_request_stands_under_two_topics():
    requests = [request for topic in topics() for request in topic.requests]
    assert len(requests) == len(set(requests)) > 200


def test_topics_that_need_nothing_are_there_too():
    assert sum(len(topic.requests) for topic in topics() if not topic.kinds) > 80


def test_aliases_lead_to_known_kinds():
    assert set(ALIASES.values()) <= known_kinds()
    assert not set(ALIASES) & known_kinds()
