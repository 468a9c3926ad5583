"""complete: P_con -> P_com (arXiv 2307.06148): the terse prompt completed with the facts that it needs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from netgpt.completion.compose import compose, replace_last
from netgpt.completion.rewrite import rewrite
from netgpt.completion.select import Selector
from netgpt.exchange import Exchange
from netgpt.routing.features import last_user_text, text_of
from netgpt.settings.sections import Completion
from netgpt.store.store import Store
from netgpt.types import Fact, Person

ADAPTER = "complete"  # name of the adapter that this stage's questions are answered with, where there is one

TERSE_WORDS = 60  # a longer request says itself what it needs


class AskEdge(Protocol):
    """One whole answer of the edge model, with these adapters. Raises ModelError."""

    async def __call__(self, body: Mapping[str, Any], adapters: Sequence[str] = ()) -> dict[str, Any]: ...


class Trained:
    """The edge model with one adapter on, as the selector asks it; knows whether it ever answered."""

    def __init__(self, ask: AskEdge, adapter: str) -> None:
        self.ask, self.adapter = ask, adapter
        self.answered = False

    async def __call__(self, body: Mapping[str, Any]) -> dict[str, Any]:
        answer = await self.ask(body, (self.adapter,))
        self.answered = True
        return answer


class Complete:
    """Chooses facts (`select`), or lets the edge model rewrite (`rewrite`), or does nothing (`off`).

    Never fails the exchange: what cannot be completed in time goes on as the person wrote it. `adapter_for` gives the
    version of the adapter `complete` for a person; `completion["adapter"]` is the one that took part.
    """

    name = "complete"
    reads = frozenset({"person", "facts"})
    writes = frozenset({"chosen", "messages", "completion"})

    def __init__(
        self,
        store: Store,
        selector: Selector,
        ask: AskEdge,
        settings: Completion,
        adapter_for: Callable[[Person], str | None] = lambda _person: None,
    ) -> None:
        self.store, self.selector, self.ask, self.settings = store, selector, ask, settings
        self.adapter_for = adapter_for

    async def __call__(self, exchange: Exchange) -> None:
        mode = await self._mode(exchange)
        messages = exchange.request.messages
        text = last_user_text(messages, must_end=True)
        summary: dict[str, Any] = {"mode": mode}
        chosen: tuple[Fact, ...] = ()
        rewritten: str | None = None
        if mode == "off":
            summary["why"] = "completion is off"
        elif not text.strip() or len(text.split()) > TERSE_WORDS:
            summary["why"] = "only terse requests of the person are completed"
        elif not exchange.facts:
            summary["why"] = "the box knows nothing that could help"
        else:
            adapter = self.adapter_for(exchange.person)
            trained = Trained(self.ask, adapter) if adapter else None
            chosen, rewritten = await self._complete(mode, text, exchange.facts, trained, summary)
            summary["adapter"] = adapter if trained is not None and trained.answered else None
        exchange.chosen = chosen
        exchange.messages = replace_last(messages, rewritten) if rewritten else compose(messages, chosen)
        summary["text"] = text_of(exchange.messages[-1].get("content")) if chosen else None
        summary["rewritten"] = rewritten is not None
        exchange.completion = summary

    async def _mode(self, exchange: Exchange) -> str:
        if exchange.request.complete is not None:
            return exchange.request.complete
        return await self.store.profile_mode(exchange.person) or self.settings.mode

    async def _complete(
        self, mode: str, text: str, facts: tuple[Fact, ...], trained: Trained | None, summary: dict[str, Any]
    ) -> tuple[tuple[Fact, ...], str | None]:
        try:
            async with asyncio.timeout(self.settings.timeout_s):
                selection = await self.selector.select(text, facts, trained)
                chosen = tuple(facts[i] for i in selection.chosen)
                summary["why"] = selection.why
                if mode != "rewrite" or not chosen:
                    return chosen, None
        except TimeoutError:
            summary["why"] = f"choosing took longer than {self.settings.timeout_s:g} s"
            return (), None
        return chosen, await self._rewritten(text, chosen, summary)

    async def _rewritten(self, text: str, chosen: tuple[Fact, ...], summary: dict[str, Any]) -> str | None:
        try:
            async with asyncio.timeout(self.settings.timeout_s):
                result = await rewrite(self.ask, text, chosen)
        except TimeoutError:
            summary["fell_back"] = "rewriting took too long: the chosen facts were written in by code"
            return None
        if result.text is None:
            summary["fell_back"] = f"the rewriting was refused ({result.why}): the chosen facts were written in by code"
        return result.text
