"""A detector that starts when the first text comes: recipes and files of examples need none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from netgpt.privacy.detect import Detector
    from netgpt.settings import Settings
    from netgpt.types import Span

__all__ = ["DetectorOnDemand", "patient_detector"]

START_S = 300.0
TEXT_S = 60.0
"""Nobody waits for an answer here: a busy machine may take its time over start and text."""


def patient_detector(settings: Settings) -> DetectorOnDemand:
    """The detector of the settings for work in the background; to be closed."""
    from netgpt.privacy.process import DetectorProcess

    made = DetectorProcess(names=settings.privacy.names, timeout_s=TEXT_S, start_timeout_s=START_S)
    return DetectorOnDemand(made)


class DetectorOnDemand:
    """A `Detector` around another one."""

    def __init__(self, detector: Detector) -> None:
        self._detector = detector
        self._started = False

    async def start(self) -> None:
        """Later."""

    async def detect(
        self, texts: Sequence[str], *, values: Sequence[tuple[str, str]] = (), names: Sequence[bool] | None = None
    ) -> list[list[Span]]:
        if not self._started:
            await self._detector.start()
            self._started = True
        return await self._detector.detect(texts, values=values, names=names)

    def health(self) -> tuple[bool, str]:
        return self._detector.health()

    async def close(self) -> None:
        await self._detector.close()
