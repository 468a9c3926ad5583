"""Lists of properties for detectors and stages: run them over your own before you publish a plug-in.

def test_my_detector():
    check_detector(badges)
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from netgpt.exchange import Exchange, Request, owner_of
from netgpt.privacy.detectors import search
from netgpt.privacy.registry import PatternDetector, Prefilter
from netgpt.stages import check_plugged
from netgpt.types import Caller, Role

_ODD = ("", " ", "\n\t\x00", "\ud800 lone", "é̂" * 50, "🙂" * 500, "a\u200bb" * 100)
_HOSTILE = ("a", "7", "a ", "7 ", "-", "A-", "@", '"', "ab12 ", "\n")
_CHARACTERS = 50_000
_LONGEST_S = 5.0
"""CPU seconds for one hostile text of so many characters; what is linear takes milliseconds."""


def finds_its_examples(detector: PatternDetector) -> None:
    """It has examples and a docstring; each example passes the prefilter and gives a find of the declared kind."""
    assert detector.about, "say in its docstring what it finds"
    assert detector.examples, "give at least one example"
    for example in detector.examples:
        assert detector.may_find(Prefilter.of(example)), f"no trigger stands in {example!r}: it is never searched"
        kinds = {span.kind for span in search(example, (detector,))}
        assert kinds == {detector.kind}, f"in {example!r} it finds {sorted(kinds) or 'nothing'}, not {detector.kind}"


def stays_within_the_text(detector: PatternDetector) -> None:
    """Its spans are not empty and lie within the text, also in odd texts; the same text gives the same finds."""
    for text in (*_ODD, *detector.examples, *(f"{odd}{example}{odd}" for odd in _ODD for example in detector.examples)):
        found = list(detector(text))
        assert found == list(detector(text)), "the same text gives the same finds"
        for span in found:
            assert 0 <= span.start < span.end <= len(text), f"{span} lies outside of a text of {len(text)} characters"
            assert span.kind == detector.kind, f"it declares {detector.kind} and finds {span.kind}"


def takes_linear_time(detector: PatternDetector) -> None:
    """A long text made to take for ever takes a time that grows with its length."""
    for piece in (*_HOSTILE, *detector.examples):
        text = (piece * _CHARACTERS)[:_CHARACTERS]
        began = time.process_time()
        deque(detector(text), 0)
        took = time.process_time() - began
        assert took < _LONGEST_S, f"{took:.1f} s for {_CHARACTERS} characters of {piece[:20]!r}"


DETECTOR_PROPERTIES: tuple[Callable[[PatternDetector], None], ...] = (
    finds_its_examples, stays_within_the_text, takes_linear_time,
)  # fmt: skip


def check_detector(detector: PatternDetector) -> None:
    """Run every property over a function with `@netgpt.detector`. Raises AssertionError that names the property."""
    assert isinstance(detector, PatternDetector), "declare the function with @netgpt.detector(...)"
    for holds in DETECTOR_PROPERTIES:
        try:
            holds(detector)
        except AssertionError as error:
            raise AssertionError(f"{holds.__name__}: {error}") from error


class _Owner(NamedTuple):
    """In place of the stage that writes a field."""

    name: str
    writes: frozenset[str]
    reads: frozenset[str] = frozenset()


async def check_stage(stage: Any, **fields: Any) -> Exchange:
    """Run a plug-in's stage once over an exchange that has `fields`; return the exchange, for its `notes`.

    A text "hello" is asked unless `request` is given. Raises PipelineError: the stage reads or writes what a plug-in
    may not.
    """
    check_plugged(stage, stage.name)
    request = fields.pop("request", None) or Request({"messages": [{"role": "user", "content": "hello"}]})
    exchange = Exchange(request, Caller("local", Role.USER))
    for field, value in fields.items():
        setattr(exchange.view(_Owner(owner_of(field), frozenset((field,)))), field, value)
    await stage(exchange.view(stage))
    return exchange
