"""Joining the finders: no overlap, no gap; names spread over all texts."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from netgpt.privacy.detector import Detector, LocalDetector, merge_spans
from netgpt.types import Span

SPANS = st.builds(
    lambda start, length, kind: Span(start, start + length, kind, "pattern:x"),
    st.integers(0, 40),
    st.integers(0, 12),
    st.sampled_from(["EMAIL", "CARD", "PERSON", "DIET"]),
)


@given(st.lists(SPANS, max_size=12))
def test_merging_keeps_every_private_character_and_no_other(spans: list[Span]) -> None:
    merged = merge_spans(spans)
    before = {i for span in spans for i in range(span.start, span.end)}
    assert [i for span in merged for i in range(span.start, span.end)] == sorted(before)
    assert all(a.end <= b.start for a, b in pairwise(merged))


def test_nested_spans_become_one_and_neighbours_stay_apart() -> None:
    nested = [Span(0, 20, "URL", "pattern:url"), Span(5, 9, "EMAIL", "pattern:email"), Span(20, 24, "PERSON", "names")]
    assert [(s.start, s.end, s.kind) for s in merge_spans(nested)] == [(0, 20, "URL"), (20, 24, "PERSON")]


def test_a_kind_that_decides_over_the_request_is_never_hidden_by_a_longer_one() -> None:
    assert merge_spans([Span(0, 30, "ADDRESS", "a"), Span(3, 19, "CARD", "b")])[0].kind == "CARD"


async def test_a_name_found_once_is_hidden_in_every_text(detector: Detector) -> None:
    texts = [
        "I met Grace Hopper in London last year.",
        "so what did HOPPER say?",
        "a grace period, hop",
        "grace_hopper.txt",
    ]
    spans = await detector.detect(texts)
    assert [texts[1][s.start : s.end] for s in spans[1]] == ["HOPPER"]
    assert spans[2] == []
    assert [texts[3][s.start : s.end][:12] for s in spans[3]] == ["grace_hopper"]


async def test_names_are_looked_for_only_where_wanted(detector: Detector) -> None:
    text = "Ada Lovelace lives in London."
    with_names, without = await detector.detect([text, text], names=[True, False])
    assert {span.kind for span in with_names} == {"PERSON", "PLACE"}
    assert without == []


async def test_a_detector_without_names_needs_no_model() -> None:
    local = LocalDetector(names=False)
    await local.start()
    assert local.health() == (True, "ready")
    [spans] = await local.detect(["Ada Lovelace: ada@mill.org, vegan"], values=[("diet", "vegan")])
    assert [span.kind for span in spans] == ["EMAIL", "DIET"]
    await local.close()
    assert not local.health()[0]


async def test_long_texts_are_read_to_their_end(detector: Detector) -> None:
    text = "Nothing to see here. " * 900 + "Please write to Katherine Johnson in Edinburgh today."
    [spans] = await detector.detect([text])
    assert {text[s.start : s.end] for s in spans} >= {"Katherine Johnson", "Edinburgh"}
