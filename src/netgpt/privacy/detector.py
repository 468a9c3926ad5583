"""Finding what is private in many texts at once: patterns, profile values and names, without overlaps.

`Finder` does the work and is synchronous. `LocalDetector` runs it in this process (command line, tests);
`process.DetectorProcess` runs it in a child that can be killed. Both are a `Detector`.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b
from typing import Protocol

from netgpt.errors import DetectorError, NetGPTError
from netgpt.privacy.detectors import find_patterns
from netgpt.privacy.detectors.profile_values import find_values
from netgpt.privacy.ner import NameFinder
from netgpt.types import Span

_STRONG = ("API_KEY", "CARD", "IBAN", "CRYPTO", "NATIONAL_ID")
"""Kinds that decide over a whole request: they win over any other kind that they overlap."""
_REMEMBERED = 4_096
"""Texts whose patterns are remembered, by hash."""
_REMEMBERED_SPANS = 40_000
"""Spans of them in all: about 6 MB."""


class Detector(Protocol):
    """What finds private data. No result is ever partial: it answers for all texts or raises DetectorError."""

    async def start(self) -> None:
        """Get ready; returns when `detect` answers."""
        ...

    async def detect(
        self, texts: Sequence[str], *, values: Sequence[tuple[str, str]] = (), names: Sequence[bool] | None = None
    ) -> list[list[Span]]:
        """For each text its private spans: sorted, not overlapping, in offsets of Python characters.

        `values` are (KIND, value) pairs that must be found wherever they stand; `names` says per text whether names
        are looked for (None: in all). Raises DetectorError.
        """
        ...

    def health(self) -> tuple[bool, str]: ...

    async def close(self) -> None: ...


class Finder:
    """The three ways of finding, joined. Not thread-safe."""

    def __init__(self, names: bool | NameFinder = True) -> None:
        """`names`: whether names are looked for, or what looks for them."""
        self._names = NameFinder() if names is True else names or None
        self._patterns: OrderedDict[bytes, list[Span]] = OrderedDict()
        self._kept = 0

    def load(self) -> None:
        """Load models and compile recognizers now, so that the first request is not the slow one."""
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
        while len(self._patterns) > _REMEMBERED or self._kept > _REMEMBERED_SPANS:
            self._kept -= len(self._patterns.popitem(last=False)[1])
        return found


def merge_spans(spans: Sequence[Span]) -> list[Span]:
    """One span for each run of overlapping ones, so that no private character stays outside; neighbours stay apart.

    The run takes kind and rule of its strongest member: a kind that decides over the request, then a profile value,
    then the longest.
    """
    merged: list[Span] = []
    run: list[Span] = []
    end = -1
    for span in sorted((s for s in spans if s.end > s.start), key=lambda s: (s.start, -s.end)):
        if run and span.start >= end:
            merged.append(_union(run, end))
            run = []
        end = max(end, span.end) if run else span.end
        run.append(span)
    if run:
        merged.append(_union(run, end))
    return merged


def _union(run: list[Span], end: int) -> Span:
    best = max(run, key=_strength)
    return Span(run[0].start, end, best.kind, best.rule, best.score)


def _strength(span: Span) -> tuple[bool, bool, float]:
    return span.kind in _STRONG, span.rule == "profile", (span.end - span.start) + span.score


class LocalDetector:
    """A detector in this process: simple, but nothing can stop a text that takes for ever."""

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
            except Exception as error:  # noqa: BLE001 - the border: whatever fails in a recognizer means "not checked"
                raise DetectorError(
                    f"the detector failed ({type(error).__name__}); nothing was sent. Report this fault"
                ) from None

    def health(self) -> tuple[bool, str]:
        return self._ready, "ready" if self._ready else "not started"

    async def close(self) -> None:
        self._ready = False


# --- One detection for several sealings of one request.

_Asked = tuple[tuple[str, ...], tuple[tuple[str, str], ...], tuple[bool, ...] | None]


class CachingDetector:
    """A `Detector` that asks another, and the same thing once. One that failed is not asked again."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._found: dict[_Asked, list[list[Span]]] = {}
        self._failed: DetectorError | None = None

    async def start(self) -> None:
        await self._detector.start()

    async def detect(
        self, texts: Sequence[str], *, values: Sequence[tuple[str, str]] = (), names: Sequence[bool] | None = None
    ) -> list[list[Span]]:
        """As `Detector.detect`."""
        if self._failed is not None:
            raise self._failed
        asked = (tuple(texts), tuple(values), None if names is None else tuple(names))
        found = self._found.get(asked)
        if found is None:
            try:
                found = self._found[asked] = await self._detector.detect(texts, values=values, names=names)
            except DetectorError as error:
                self._failed = error
                raise
        return [list(spans) for spans in found]

    def health(self) -> tuple[bool, str]:
        return self._detector.health()

    async def close(self) -> None:
        """The detector is not ours to close."""
