"""A plug-in's finds are added to the built-in ones: none of those is removed, moved, widened or called otherwise."""

from __future__ import annotations

import doctest
import re
import textwrap
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import netgpt
from netgpt.privacy import detectors
from netgpt.privacy.detector import PLUGGED, add_spans, merge_spans
from netgpt.privacy.detectors import BUILT_IN, MODULES
from netgpt.privacy.registry import FAMILIES, OTHER_KINDS, PatternDetector, Prefilter, families, family
from netgpt.testing import check_detector
from netgpt.types import Span

LENGTH = 40
places = st.integers(0, LENGTH)
KINDS = st.sampled_from(["EMAIL", "PERSON", "API_KEY", "PLACE"])


def spans(rule: str) -> st.SearchStrategy[list[Span]]:
    one = st.builds(lambda a, b, kind: Span(min(a, b), max(a, b), kind, rule), places, places, KINDS)
    return st.lists(one, max_size=6)


@given(own=spans("pattern:x"), more=spans(PLUGGED + "x"), text=st.text(" a1", min_size=LENGTH, max_size=LENGTH))
def test_every_built_in_find_stays_and_every_added_character_is_hidden(
    own: list[Span], more: list[Span], text: str
) -> None:
    before = merge_spans(own)
    after = add_spans(before, more, text)
    assert [span for span in after if not span.rule.startswith(PLUGGED)] == before
    assert all(left.end <= right.start for left, right in pairwise(after))
    hidden = {i for span in after for i in range(span.start, span.end)}
    wanted = {i for span in more for i in range(span.start, span.end) if not text[i].isspace()}
    assert wanted <= hidden


@given(own=spans("pattern:x"), more=spans(PLUGGED + "x"))
def test_where_runs_are_merged_the_kind_of_a_built_in_find_stays(own: list[Span], more: list[Span]) -> None:
    own = [span for span in own if span.end > span.start]
    kinds = {span.kind for span in own}
    for merged in merge_spans([*own, *more]):
        if any(span.start < merged.end and merged.start < span.end for span in own):
            assert merged.kind in kinds and not merged.rule.startswith(PLUGGED)


@pytest.mark.parametrize("detector", BUILT_IN, ids=lambda each: each.name)
def test_every_built_in_detector_keeps_the_contract(detector: PatternDetector) -> None:
    check_detector(detector)


def test_every_declared_family_is_the_same_for_a_kind() -> None:
    for each in BUILT_IN:
        assert each.family == family(each.kind), each.name
    assert set(families().values()) <= FAMILIES
    assert family("PERSON") == OTHER_KINDS["PERSON"] and family("DIET") == "own"
    secret = {kind for kind, of in families().items() if of == "secret"}
    assert secret == {each.kind for each in BUILT_IN if each.secret}


def test_every_module_that_declares_a_detector_is_searched() -> None:
    folder = Path(detectors.__file__).parent
    declaring = {path.stem for path in folder.glob("*.py") if "\n@detector" in path.read_text()}
    assert declaring == {module.__name__.rpartition(".")[2] for module in MODULES}


def test_plain_prose_passes_with_the_prefilter_alone() -> None:
    seen = Prefilter.of("What shall we cook tonight, something warm with beans and a little cream?")
    assert [each.name for each in BUILT_IN if each.may_find(seen)] == []


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/plugins.md"])
def test_the_detector_of_the_docs_works(page: str) -> None:
    text = (Path(__file__).parents[2] / page).read_text()
    code = textwrap.dedent(re.findall(r"(?s)```python\n(.*?)```", text)[0])
    names: dict[str, Any] = {"__name__": "our_detectors"}
    exec(compile(code, page, "exec"), names)
    check_detector(names["projects"])
    assert "@netgpt.detector" in code


def test_the_examples_of_the_api_page_are_true() -> None:
    page = Path(__file__).parents[2] / "docs" / "api.md"
    failed, tried = doctest.testfile(str(page), module_relative=False)
    assert tried >= 5 and not failed
    assert {name for name in netgpt.__all__ if not hasattr(netgpt, name)} == set()
