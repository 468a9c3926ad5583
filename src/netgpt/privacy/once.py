"""One detection for several sealings of one request."""

from __future__ import annotations

from collections.abc import Sequence

from netgpt.errors import DetectorError
from netgpt.privacy.detect import Detector
from netgpt.types import Span

__all__ = ["DetectOnce"]

_Asked = tuple[tuple[str, ...], tuple[tuple[str, str], ...], tuple[bool, ...] | None]


class DetectOnce:
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
