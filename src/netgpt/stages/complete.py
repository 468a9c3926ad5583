"""complete: P_con -> P_com (arXiv 2307.06148): the terse prompt completed with the facts that it needs."""

from __future__ import annotations

import asyncio
from typing import Any

from netgpt.completion.compose import compose, replace_last
from netgpt.completion.rewrite import rewrite
from netgpt.completion.select import Ask, Selector
from netgpt.exchange import Exchange
from netgpt.routing.features import text_of
from netgpt.settings import Completion
from netgpt.store.store import Store
from netgpt.types import Fact

__all__ = ["Complete"]

TERSE_WORDS = 60
"""A longer request says itself what it needs."""


class Complete:
    """Chooses facts (`select`), or lets the edge model rewrite (`rewrite`), or does nothing (`off`).

    Never fails the exchange: what cannot be completed in time goes on as the person wrote it.
    """

    name = "complete"
    reads = frozenset({"person", "facts"})
    writes = frozenset({"chosen", "messages", "completion"})

    def __init__(self, store: Store, selector: Selector, ask: Ask, settings: Completion) -> None:
        self.store, self.selector, self.ask, self.settings = store, selector, ask, settings

    async def __call__(self, exchange: Exchange) -> None:
        mode = await self._mode(exchange)
        messages = exchange.request.messages
        text = text_of(messages[-1].get("content")) if messages[-1].get("role") == "user" else ""
        told: dict[str, Any] = {"mode": mode}
        chosen: tuple[Fact, ...] = ()
        rewritten: str | None = None
        if mode == "off":
            told["why"] = "completion is off"
        elif not text.strip() or len(text.split()) > TERSE_WORDS:
            told["why"] = "only terse requests of the person are completed"
        elif not exchange.facts:
            told["why"] = "the box knows nothing that could help"
        else:
            chosen, rewritten = await self._complete(mode, text, exchange.facts, told)
        exchange.chosen = chosen
        exchange.messages = replace_last(messages, rewritten) if rewritten else compose(messages, chosen)
        told["text"] = text_of(exchange.messages[-1].get("content")) if chosen else None
        told["rewritten"] = rewritten is not None
        exchange.completion = told

    async def _mode(self, exchange: Exchange) -> str:
        if exchange.request.complete is not None:
            return exchange.request.complete
        return await self.store.profile_mode(exchange.person) or self.settings.mode

    async def _complete(
        self, mode: str, text: str, facts: tuple[Fact, ...], told: dict[str, Any]
    ) -> tuple[tuple[Fact, ...], str | None]:
        try:
            async with asyncio.timeout(self.settings.timeout_s):
                selection = await self.selector.select(text, facts)
                chosen = tuple(facts[i] for i in selection.chosen)
                told["why"] = selection.why
                if mode != "rewrite" or not chosen:
                    return chosen, None
        except TimeoutError:
            told["why"] = f"choosing took longer than {self.settings.timeout_s:g} s"
            return (), None
        return chosen, await self._rewritten(text, chosen, told)

    async def _rewritten(self, text: str, chosen: tuple[Fact, ...], told: dict[str, Any]) -> str | None:
        try:
            async with asyncio.timeout(self.settings.timeout_s):
                result = await rewrite(self.ask, text, chosen)
        except TimeoutError:
            told["fell_back"] = "rewriting took too long: the chosen facts were written in by code"
            return None
        if result.text is None:
            told["fell_back"] = f"the rewriting was refused ({result.why}): the chosen facts were written in by code"
        return result.text
