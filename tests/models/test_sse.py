"""The events are the same however the bytes are cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netgpt.errors import BrokenStream
from netgpt.models.stream import Event, EventParser


def parse(*pieces: bytes, limit: int = 4_000_000) -> list[Event]:
    parser = EventParser(limit)
    return [event for piece in pieces for event in parser.feed(piece)]


def cut(data: bytes, places: list[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(data) + 1) for place in places), len(data)]
    return [data[start:end] for start, end in pairwise(edges)]


lines = st.sampled_from(
    [b"data: one", b"data:two", b"data", b"data:", b"event: error", b": ping", b"id: 7", b"retry: 5", b"", b"",
     b"unknown: x", "data: é\u2028b".encode(), b"data:  led", b"\xef\xbb\xbfdata: marked"]
)  # fmt: skip
ends = st.sampled_from([b"\n", b"\r\n", b"\r"])
streams = st.lists(st.tuples(lines, ends), max_size=20).map(lambda parts: b"".join(line + end for line, end in parts))


@given(streams, st.lists(st.integers(0, 1000), max_size=12))
def test_any_cut_gives_the_same_events(data: bytes, places: list[int]) -> None:
    assert parse(*cut(data, places)) == parse(data)


@given(st.lists(st.lists(st.binary(max_size=9).filter(lambda b: not {10, 13} & set(b)), min_size=1), max_size=6), ends)
def test_what_is_written_is_read(events: list[list[bytes]], end: bytes) -> None:
    data = b"".join(b"".join(b"data: " + line + end for line in event) + end for event in events)
    assert [event.data for event in parse(data)] == [b"\n".join(event) for event in events]


def test_comments_names_and_several_lines() -> None:
    data = b"\xef\xbb\xbf: ping\n\nevent: error\ndata: a\ndata: b\n\nid: 4\n\ndata: c\r\n\r\n"
    assert parse(data) == [Event(b"a\nb", "error"), Event(b"c")]


def test_an_event_that_never_ended_is_not_given_out() -> None:
    assert parse(b"data: whole\n\ndata: half\n") == [Event(b"whole")]


@given(st.lists(st.integers(0, 1000), max_size=12))
def test_a_large_event_is_refused_at_any_cut_and_what_came_before_is_kept(places: list[int]) -> None:
    parser, seen = EventParser(20), []
    with pytest.raises(BrokenStream, match="larger than 20 bytes"):
        for piece in cut(b"data: small\n\ndata: 12345678\ndata: 12345678\n\n", places):
            for event in parser.feed(piece):
                seen.append(event.data)
    assert seen == [b"small"]


def test_an_endless_line_is_refused_before_it_ends() -> None:
    with pytest.raises(BrokenStream):
        parse(*[b"x" * 10] * 11, limit=100)
