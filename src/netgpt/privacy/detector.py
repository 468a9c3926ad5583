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
from typing import Final, Protocol

from netgpt.errors import DetectorError, NetGPTError
from netgpt.privacy.detectors import find_patterns, search
from netgpt.privacy.detectors.profile_values import needles_of
from netgpt.privacy.kinds import NAMES
from netgpt.privacy.ner import NameFinder
from netgpt.privacy.registry import DETECTORS, PatternDetector, family
from netgpt.registry import BUILT_IN
from netgpt.types import Span

PLUGGED: Final = "plugin:"
"""How the rule of a plug-in's find begins; the plug-in's name follows."""
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
        self, texts: Sequence[str], *, values: Sequence[tuple[str, str]] = (), names: Sequence[int] | None = None
    ) -> list[list[Span]]:
        """For each text its private spans: sorted, not overlapping, in offsets of Python characters.

        `values`: (KIND, value) pairs to be found everywhere; `names`: for each text how names are looked for: 0,
        `NAMES` or `SURE_NAMES` of `kinds` (None: `NAMES` in all). Raises DetectorError.
        """
        ...

    def health(self) -> tuple[bool, str]: ...

    async def close(self) -> None: ...


class Finder:
    """Patterns, profile values and names together. Not thread-safe."""

    def __init__(self, names: bool | NameFinder = True) -> None:
        """`names`: whether to look for names, or with what."""
        self._names = NameFinder() if names is True else names or None
        self._patterns: OrderedDict[bytes, tuple[list[Span], list[Span]]] = OrderedDict()
        self._kept = 0

    def load(self) -> None:
        """Load the tagger and compile the patterns now, so that the first request is not slow."""
        if self._names is not None:
            self._names.load()
        self.find(["Ada, ada@mill.example, +44 20 7946 0018, 10.1.2.3 key=AB12CD34EF56GH78 12345678Z"], (), None)

    def find(
        self, texts: Sequence[str], values: Sequence[tuple[str, str]], names: Sequence[int] | None
    ) -> list[list[Span]]:
        wanted = [NAMES] * len(texts) if names is None else list(names)
        named = self._names.find(texts, wanted) if self._names is not None and any(wanted) else [[] for _ in texts]
        needles = needles_of(values)
        return [
            add_spans(merge_spans([*built_in, *needles.find(text), *of_names]), plugged, text)
            for text, of_names, (built_in, plugged) in zip(texts, named, map(self._patterns_of, texts), strict=True)
        ]

    def _patterns_of(self, text: str) -> tuple[list[Span], list[Span]]:
        """What the built-in detectors find, and what plug-ins find."""
        key = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        if (known := self._patterns.get(key)) is not None:
            self._patterns.move_to_end(key)
            return known
        found = self._patterns[key] = find_patterns(text), find_plugged(text)
        self._kept += sum(map(len, found))
        while len(self._patterns) > _CACHED_TEXTS or self._kept > _CACHED_SPANS:
            self._kept -= sum(map(len, self._patterns.popitem(last=False)[1]))
        return found


def find_plugged(text: str) -> list[Span]:
    """What plug-ins find. Raises DetectorError that names the one which raised or found nonsense."""
    found: list[Span] = []
    for entry in DETECTORS.entries():
        if entry.state == "refused":  # somebody relies on it: without it nothing has been looked at whole
            raise DetectorError(
                f'the plug-in "{entry.name}" cannot be used ({entry.why}); nothing was sent. '
                "Leave it out with plugins.off, or mend it"
            )
        for each in entry.value or () if entry.origin != BUILT_IN else ():
            try:
                found += _checked(search(text, (each,)), entry.name, each, len(text))
            except Exception as error:  # noqa: BLE001 - the code of others; its message may quote the text
                raise DetectorError(
                    f'the plug-in "{entry.name}" failed ({type(error).__name__}); nothing was sent. '
                    "Leave it out with plugins.off, or mend it"
                ) from None
    return found


def _checked(spans: Sequence[Span], name: str, declared: PatternDetector, length: int) -> list[Span]:
    """The spans under the plug-in's own kind and rule. Raises TypeError, ValueError: nonsense."""
    for span in spans:
        if not 0 <= span.start < span.end <= length:
            raise ValueError("a span outside of the text")
        if span.kind != declared.kind:
            raise ValueError("a span of a kind that is not declared")
    return [Span(span.start, span.end, declared.kind, PLUGGED + name, float(span.score)) for span in spans]


def add_spans(spans: Sequence[Span], more: Sequence[Span], text: str) -> list[Span]:
    """`spans` as they are, and of `more` the pieces that none of them covers: what was found stays what it was.

    >>> mail, badge = Span(4, 9, "EMAIL", "pattern:email"), Span(0, 12, "BADGE", "plugin:badge")
    >>> [(span.start, span.end, span.kind) for span in add_spans([mail], [badge], "B-7 a@b.c-77")]
    [(0, 3, 'BADGE'), (4, 9, 'EMAIL'), (9, 12, 'BADGE')]
    """
    pieces: list[Span] = []
    for span in merge_spans(more):
        at = span.start
        for start, end in [*((s.start, s.end) for s in spans if s.end > span.start), (span.end, span.end)]:
            if at < (stop := min(start, span.end)) and (piece := text[at:stop]).strip():
                first = at + len(piece) - len(piece.lstrip())
                pieces.append(Span(first, first + len(piece.strip()), span.kind, span.rule, span.score))
            at = max(at, end)
    return sorted([*spans, *pieces], key=lambda span: span.start)


def merge_spans(spans: Sequence[Span]) -> list[Span]:
    """One span for each group of overlapping ones, so that no private character stays outside.

    It has the kind and rule of the strongest: never a plug-in's beside a built-in one, then a secret, then a profile
    value, then the longest.
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


def _strength(span: Span) -> tuple[bool, bool, bool, float]:
    built_in = not span.rule.startswith(PLUGGED)
    return built_in, family(span.kind) == "secret", span.rule == "profile", (span.end - span.start) + span.score


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
        self, texts: Sequence[str], *, values: Sequence[tuple[str, str]] = (), names: Sequence[int] | None = None
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
        self, texts: Sequence[str], *, values: Sequence[tuple[str, str]] = (), names: Sequence[int] | None = None
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
