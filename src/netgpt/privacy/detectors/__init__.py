"""The built-in detectors: searches for private data that has a form, each run only where its prefilter agrees."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from netgpt.privacy.detectors import (
    accounts,
    addresses,
    emails,
    financial,
    national_ids,
    phones,
    references,
    secrets,
)
from netgpt.privacy.detectors.normalize import views
from netgpt.privacy.detectors.profile_values import PROFILE_KINDS
from netgpt.privacy.registry import PatternDetector, Prefilter
from netgpt.types import Span

__all__ = ["BUILT_IN", "PROFILE_KINDS", "find_patterns", "search"]

MODULES: Final = (emails, secrets, national_ids, references, accounts, addresses, financial, phones)
BUILT_IN: Final[tuple[PatternDetector, ...]] = tuple(
    each for module in MODULES for each in vars(module).values() if isinstance(each, PatternDetector)
)


def find_patterns(text: str) -> list[Span]:
    """Spans of every form of private data that a built-in detector knows, in original offsets; they may overlap.

    >>> [(span.start, span.end, span.kind) for span in find_patterns("ping 2001:db8::1")]
    [(5, 16, 'IP')]
    """
    return search(text, BUILT_IN)


def search(text: str, detectors: Iterable[PatternDetector]) -> list[Span]:
    """As `find_patterns`, with these detectors."""
    spans: dict[Span, None] = {}
    for view in views(text):
        seen = Prefilter.of(view.text)
        for detector in detectors:
            if detector.may_find(seen):
                for found in detector(view.text):
                    start, end = view.back(found.start, found.end)
                    spans[Span(start, end, found.kind, found.rule, found.score)] = None
    return sorted(spans, key=lambda span: (span.start, -span.end))
