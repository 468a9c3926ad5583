"""One detector for all tests of this folder: loading the language model takes a second."""

from collections.abc import Iterator, Sequence

import pytest

from netgpt.privacy.detector import Finder
from netgpt.types import Span


class SharedDetector:
    """A Detector over one Finder, without a thread: tests run one after the other."""

    def __init__(self, finder: Finder) -> None:
        self._finder = finder

    async def start(self) -> None: ...

    async def detect(
        self, texts: Sequence[str], *, values: Sequence[tuple[str, str]] = (), names: Sequence[int] | None = None
    ) -> list[list[Span]]:
        return self._finder.find(list(texts), values, names)

    def health(self) -> tuple[bool, str]:
        return True, "ready"

    async def close(self) -> None: ...


@pytest.fixture(scope="session")
def detector() -> Iterator[SharedDetector]:
    finder = Finder()
    finder.load()
    yield SharedDetector(finder)
