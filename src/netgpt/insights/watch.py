"""Asks the configured sources, round after round, and passes on what they tell."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from netgpt.insights.asking import Asker
from netgpt.insights.insight import Heard, Insight, InsightSource

__all__ = ["InsightWatch"]

log = logging.getLogger(__name__)


class InsightWatch:
    """`tell` gets every word of a source: (its name, the insight). `in_use`: whether anybody asks the box anything."""

    def __init__(
        self,
        sources: Sequence[InsightSource],
        asker: Asker,
        *,
        every_s: float,
        tell: Callable[[str, Insight], None],
        in_use: Callable[[], bool] = lambda: True,
    ) -> None:
        self.sources, self.every_s = tuple(sources), every_s
        self.heard: dict[str, Heard] = {}
        """What each source said when it was last asked, by its name."""
        self._asker, self._tell, self._in_use = asker, tell, in_use

    async def run(self) -> None:
        """Ask, again and again, until cancelled. Ends at once without sources."""
        while self.sources:
            if self._in_use():
                await self.look()
            await asyncio.sleep(self.every_s)

    async def look(self) -> None:
        """Ask every source once, side by side."""
        for source, heard in zip(
            self.sources, await asyncio.gather(*(source.ask(self._asker) for source in self.sources)), strict=True
        ):
            before = self.heard.get(source.name)
            self.heard[source.name] = heard
            if heard.insight is not None:
                self._tell(source.name, heard.insight)
            elif before is None or before.ok:  # said once, until it changes
                log.warning("insights: %s: %s", source.name, heard.detail)

    async def close(self) -> None:
        """Close the connections. Safe to call twice."""
        await self._asker.close()
