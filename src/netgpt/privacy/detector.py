"""Finding what is private in many texts at once: patterns, profile values and names, without overlaps.

`Finder` does the work and is synchronous. `LocalDetector` runs it in this process (command line, tests);
`process.DetectorProcess` runs it in a child that can be killed. Both are a `Detector`.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from hashlib import blake2b
from typing import Final, Protocol

from netgpt.errors import DetectorError, NetGPTError
from netgpt.privacy.detectors import find_patterns, search
from netgpt.privacy.detectors.profile_values import find_values
from netgpt.privacy.ner import NameFinder
from netgpt.privacy.registry import DETECTORS, PatternDetector, family
from netgpt.registry import BUILT_IN
from netgpt.types import Span

PLUGGED: Final = "plugin:"
"""How the rule of a plug-in's find begins; behind it stands the plug-in's name."""
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
        self._patterns: OrderedDict[bytes, tuple[list[Span], list[Span]]] = OrderedDict()
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
            add_spans(merge_spans([*built_in, *find_values(text, values), *of_names]), plugged, text)
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
        while len(self._patterns) > _REMEMBERED or self._kept > _REMEMBERED_SPANS:
            self._kept -= sum(map(len, self._patterns.popitem(last=False)[1]))
        return found


def find_plugged(text: str) -> list[Span]:
    """What plug-ins find. Raises DetectorError that names the one which raised or found nonsense."""
    found: list[Span] = []
    for entry in DETECTORS.entries():
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
    """One span for each run of overlapping ones, so that no private character stays outside; neighbours stay apart.

    The run takes kind and rule of its strongest member: never a plug-in's beside a built-in one, then a secret, then a
    profile value, then the longest.
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


def _strength(span: Span) -> tuple[bool, bool, bool, float]:
    built_in = not span.rule.startswith(PLUGGED)
    return built_in, family(span.kind) == "secret", span.rule == "profile", (span.end - span.start) + span.score


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
