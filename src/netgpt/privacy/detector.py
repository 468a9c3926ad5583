"""Detects what is private in many texts at once: patterns, profile values and names, without overlaps.

`Finder` does the work and is synchronous. `LocalDetector` runs it in this process (command line, tests),
`process.DetectorProcess` in a child that can be killed; `CachingDetector` asks another one only once.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Hashable, Sequence
from dataclasses import replace
from hashlib import blake2b
from typing import Protocol

from netgpt.errors import DetectorError, NetGPTError
from netgpt.privacy.detectors import find_patterns
from netgpt.privacy.detectors.profile_values import find_values
from netgpt.privacy.ner import NameFinder
from netgpt.types import Span

_STRONG = ("API_KEY", "CARD", "IBAN", "CRYPTO", "NATIONAL_ID")
"""Kinds that can decide about a whole request: they win over any other kind that they overlap."""
_CACHED_TEXTS = 4_096
"""Texts whose patterns are cached, by hash."""
_CACHED_SPANS = 40_000
"""Spans of them in all: about 6 MB."""


class Detector(Protocol):
    """Finds private data. No result is partial: it answers for all texts or raises DetectorError."""

    async def start(self) -> None:
        """Get ready; returns when `detect` works."""
        ...

    async def detect(
        self, texts: Sequence[str], *, values: Sequence[tuple[str, str]] = (), names: Sequence[bool] | None = None
    ) -> list[list[Span]]:
        """For each text its private spans: sorted, not overlapping, in offsets of Python characters.

        `values`: (KIND, value) pairs to be found everywhere; `names`: for each text whether to look for names (None: in
        all). Raises DetectorError.
        """
        ...

    def health(self) -> tuple[bool, str]: ...

    async def close(self) -> None: ...


class Finder:
    """Patterns, profile values and names together. Not thread-safe."""

    def __init__(self, names: bool | NameFinder = True) -> None:
        """`names`: whether to look for names, or with what."""
        self._names = NameFinder() if names is True else names or None
        self._patterns: OrderedDict[bytes, list[Span]] = OrderedDict()
        self._kept = 0

    def load(self) -> None:
        """Load the tagger and compile the patterns now, so that the first request is not slow."""
        if self._names is not None:
            self._names.load()
        self.find(["Ada, ada@mill.example, +44 20 7946 0018, 10.1.2.3 key=AB12CD34EF56GH78 12345678Z"], (), None)

    def find(
        self, texts: Sequence[str], values: Sequence[tuple[str, str]], names: Sequence[bool] | None
    ) -> list[list[Span]]:
        wanted = [True] * len(texts) if names is None else list(names)
        named = self._names.find(texts, wanted) if self._names is not None and any(wanted) else [[] for _ in texts]
        return [
            merge_spans([*self._patterns_of(text), *find_values(text, values), *of_names])
            for text, of_names in zip(texts, named, strict=True)
        ]

    def _patterns_of(self, text: str) -> list[Span]:
        key = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        if (known := self._patterns.get(key)) is not None:
            self._patterns.move_to_end(key)
            return known
        found = self._patterns[key] = find_patterns(text)
        self._kept += len(found)
        while len(self._patterns) > _CACHED_TEXTS or self._kept > _CACHED_SPANS:
            self._kept -= len(self._patterns.popitem(last=False)[1])
        return found


def merge_spans(spans: Sequence[Span]) -> list[Span]:
    """One span for each group of overlapping ones, so that no private character stays outside.

    It has the kind and rule of the strongest: one of `_STRONG`, then a profile value, then the longest.
    """
    groups: list[list[Span]] = []
    end = -1
    for span in sorted((s for s in spans if s.end > s.start), key=lambda s: (s.start, -s.end)):
        if span.start >= end:
            groups.append([])
        groups[-1].append(span)
        end = max(end, span.end)
    strongest = [max(group, key=_strength) for group in groups]
    return [
        replace(best, start=group[0].start, end=max(span.end for span in group))
        for group, best in zip(groups, strongest, strict=True)
    ]


def _strength(span: Span) -> tuple[bool, bool, float]:
    return span.kind in _STRONG, span.rule == "profile", (span.end - span.start) + span.score


class LocalDetector:
    """A detector in this process: simple, but it cannot be interrupted."""

    def __init__(self, names: bool = True) -> None:
        self._finder = Finder(names)
        self._lock = asyncio.Lock()
        self._ready = False

    async def start(self) -> None:
        async with self._lock:
            await asyncio.to_thread(self._finder.load)
            self._ready = True

    async def detect(
        self, texts: Sequence[str], *, values: Sequence[tuple[str, str]] = (), names: Sequence[bool] | None = None
    ) -> list[list[Span]]:
        async with self._lock:
            try:
                return await asyncio.to_thread(self._finder.find, texts, values, names)
            except NetGPTError:
                raise
            except Exception as error:  # noqa: BLE001 - whatever fails in a recognizer means "not checked"
                raise DetectorError(
                    f"the detector failed ({type(error).__name__}); nothing was sent. Report this fault"
                ) from None

    def health(self) -> tuple[bool, str]:
        return self._ready, "ready" if self._ready else "not started"

    async def close(self) -> None:
        self._ready = False


class CachingDetector:
    """One detection for several sealings of a request: asks `detector` the same only once, and never after an error."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._found: dict[Hashable, list[list[Span]]] = {}
        self._failed: DetectorError | None = None

    async def start(self) -> None:
        await self._detector.start()

    async def detect(
        self, texts: Sequence[str], *, values: Sequence[tuple[str, str]] = (), names: Sequence[bool] | None = None
    ) -> list[list[Span]]:
        if self._failed is not None:
            raise self._failed
        key = (tuple(texts), tuple(values), None if names is None else tuple(names))
        try:
            if key not in self._found:
                self._found[key] = await self._detector.detect(texts, values=values, names=names)
        except DetectorError as error:
            self._failed = error
            raise
        return [list(spans) for spans in self._found[key]]

    def health(self) -> tuple[bool, str]:
        return self._detector.health()

    async def close(self) -> None:
        """Does nothing: the detector belongs to the gateway."""
