"""The ways that the link lab compares: each a real box of its own, over its own link with the same trace and seed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from netgpt.bench.link import ShapedLink
from netgpt.bench.link_models import EDGE, PacedServer
from netgpt.bench.link_work import TimedRequest
from netgpt.bench.servers import free_port
from netgpt.build import Box, open_box
from netgpt.errors import NetGPTError
from netgpt.exchange import Exchange, Request
from netgpt.routing.features import features_of
from netgpt.routing.policy import TRIED
from netgpt.routing.trial import TRIAL
from netgpt.settings import load_settings
from netgpt.types import Caller, Role

__all__ = ["ADAPTIVE", "CLOUD_ONLY", "EDGE_ONLY", "THRESHOLD", "WAYS", "LinkReply", "LinkWay", "open_way"]

ADAPTIVE, EDGE_ONLY, CLOUD_ONLY, THRESHOLD = "adaptive", "edge-only", "cloud-only", "threshold"
WAYS = (ADAPTIVE, EDGE_ONLY, CLOUD_ONLY, THRESHOLD)
HANG_S = 5.0
"""A request that is open so long after its deadline hangs."""
OWNER = Caller("local", Role.ADMIN)
_THRESHOLD_WORDS = 40
"""Longer requests are hard for the fixed threshold: the default of `routing.max_edge_words`."""


@dataclass(frozen=True, slots=True)
class LinkReply:
    """What became of one request."""

    at_s: float
    kind: str
    chosen: str
    """The arm of the decision; empty: none was made."""
    answered: str
    """The arm that answered; empty: nobody did."""
    rule: str
    outcome: str
    """whole, partial (ended early and said so), refused (told so, without a word), hung."""
    took_s: float
    tokens: int
    late: bool
    """Not whole by its deadline."""
    drawn: bool
    """The box explored, or tried a link: the arm was not the best."""
    error: str = ""
    """Code of the error that it ended with."""

    def as_row(self) -> dict[str, Any]:
        return asdict(self)


class LinkWay:
    """Asks one box. `model_for` says under which name: for all but adaptive, the choice is made here."""

    def __init__(self, name: str, box: Box) -> None:
        self.name, self.box = name, box

    def model_for(self, asked: TimedRequest) -> str:
        if self.name == ADAPTIVE:
            return "netgpt"
        if self.name == THRESHOLD:
            features = features_of(asked.body)
            hard = features.hard_because is not None or features.words > _THRESHOLD_WORDS
            return "netgpt/cloud" if hard else "netgpt/edge"
        return "netgpt/edge" if self.name == EDGE_ONLY else "netgpt/cloud"

    async def ask(self, asked: TimedRequest) -> LinkReply:
        """Walk the line and read to the end. Never raises for what a model does."""
        request = Request(
            asked.body, self.model_for(asked), stream=True, user=f"lab-{asked.at_s:.3f}", deadline_s=asked.deadline_s
        )
        exchange, heard = Exchange(request, OWNER), _Heard()
        began = time.perf_counter()
        try:
            async with asyncio.timeout(asked.deadline_s + HANG_S):
                await _walk(self.box, exchange, heard)
        except TimeoutError:
            heard.outcome = "hung"
        took = time.perf_counter() - began
        decision = exchange.decision if exchange.has("decision") else None
        answered = exchange.outcome.answered_by if exchange.has("stream") else None
        return LinkReply(
            asked.at_s, asked.kind, decision.name if decision else "", answered.name if answered else "",
            answered.rule if answered else decision.rule if decision else "", heard.outcome, round(took, 4),
            heard.tokens, heard.outcome != "whole" or took > asked.deadline_s,
            bool(decision and decision.rule in (TRIED, TRIAL)), heard.error,
        )  # fmt: skip


@dataclass
class _Heard:
    outcome: str = "refused"
    tokens: int = 0
    finish: str | None = None
    error: str = ""


async def _walk(box: Box, exchange: Exchange, heard: _Heard) -> None:
    try:
        await box.workflow.run(exchange)
        async for chunk in exchange.chunks:
            for choice in chunk.get("choices") or ():
                heard.tokens += len(((choice.get("delta") or {}).get("content") or "").split())
                heard.finish = choice.get("finish_reason") or heard.finish
        heard.outcome = "whole" if heard.finish == "stop" else "partial"
    except NetGPTError as error:  # the door tells it: as an error in the stream, or as a status before the first word
        heard.outcome, heard.error = "partial" if heard.tokens else "refused", error.code


@asynccontextmanager
async def open_way(name: str, home: Path, link: ShapedLink | None) -> AsyncIterator[LinkWay]:
    """A box with its own edge, and the cloud behind `link` (None: no cloud). Cloud-only has nobody at the edge."""
    async with PacedServer("edge", EDGE) as edge:
        edge_url = f"http://127.0.0.1:{free_port()}/v1" if name == CLOUD_ONLY else edge.base_url
        sections: dict[str, Any] = {
            "edge": {"base_url": edge_url, "model": "small", "context_tokens": 16_384, "slots": EDGE.slots},
            "completion": {"mode": "off"},
        }
        if link is not None:
            sections["cloud"] = {"base_url": f"http://127.0.0.1:{link.port}/v1", "model": "far", "trusted": True}
        box = open_box(load_settings(environment={}, home=home, **sections))
        try:
            await box.start()
            yield LinkWay(name, box)
        finally:
            await box.close()
