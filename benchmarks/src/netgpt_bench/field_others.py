"""Two public gateways' detectors, measured where the owner installed them beside this package; never needed.

`pip install privaite` and `pip install llm-shield-proxy` make them available. Their answers are taken as spans of the
text, before they replace anything.
"""

from __future__ import annotations

import asyncio
import logging
from importlib.util import find_spec
from typing import Any

from netgpt.privacy.detector import merge_spans
from netgpt.types import Span
from netgpt_bench.privacy import PrivacyWay, presidio_engine


class PrivAiTe:
    """PrivAiTe's preset `light` for English: Presidio and its own recognizers, on the small spaCy model.

    It asks for the large model, which no registry has; its other presets fetch weights from the network.
    """

    name = "privaite light + small spaCy"
    names = frozenset(("PERSON", "LOCATION", "ORGANIZATION", "NRP"))

    def __init__(self) -> None:
        self._engine: Any = None

    def load(self) -> None:
        from privaite.config.schema import PIIConfig
        from privaite.pii.detector_presidio import PresidioDetector, build_recognizers
        from privaite.pii.engine import PIIEngine

        config = PIIConfig(preset="light")
        config.detectors.presidio.languages = ["en"]
        detector = PresidioDetector(config.detectors.presidio)
        analyzer = presidio_engine()
        for recognizer in build_recognizers("en"):
            analyzer.registry.add_recognizer(recognizer)
        detector._analyzer = analyzer  # its `initialize` would download the large model
        self._engine = PIIEngine(config)
        self._engine.detectors.append(detector)

    def find(self, text: str) -> list[Span]:
        found = asyncio.run(self._engine.inspect_text(text))
        return merge_spans([Span(e.start, e.end, e.entity_type, "privaite", e.score) for e in found])


class LlmShield:
    """llm-shield-proxy: patterns and entropy. Its names need a model that is not in the package, so it finds none."""

    name = "llm-shield-proxy"
    names = frozenset(("PERSON",))

    def __init__(self) -> None:
        self._engine: Any = None

    def load(self) -> None:
        from llm_shield_proxy.engines.pii_engine import PIIEngine

        self._engine = PIIEngine()

    def find(self, text: str) -> list[Span]:
        found = self._engine.detect_spans(text)
        return merge_spans([Span(start, end, kind, "llm-shield-proxy") for start, end, kind, _ in found])


def others() -> tuple[list[PrivacyWay], list[str]]:
    """The loaded detectors that are installed, and the packages that are not. Raises ModelUnavailable."""
    present: list[PrivacyWay] = []
    missing: list[str] = []
    known: list[tuple[str, type[PrivAiTe | LlmShield]]] = [("privaite", PrivAiTe), ("llm_shield_proxy", LlmShield)]
    for package, way in known:
        if find_spec(package) is None:
            missing.append(package.replace("_", "-"))
            continue
        logging.getLogger(package).setLevel(logging.CRITICAL)
        made = way()
        made.load()
        present.append(made)
    return present, missing
