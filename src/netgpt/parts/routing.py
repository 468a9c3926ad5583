"""The parts that decisions are made with, made from the settings: signals, difficulty, memory, what was learnt."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from statistics import median
from typing import Final

from netgpt.embedding import StaticEmbedder
from netgpt.errors import SettingsError
from netgpt.exchange import Exchange
from netgpt.models.base import ChatModel, RemoteModel
from netgpt.routing.arms import Arm
from netgpt.routing.memory import Memory
from netgpt.routing.signals import Signals
from netgpt.settings import Settings, Upstream
from netgpt.stages.route import NO_CLOUD, Known, Read, Route
from netgpt.types import EDGE

__all__ = ["Deciding", "arms_of"]

log = logging.getLogger(__name__)

EVERYDAY: Final = (
    "tell me a joke", "what should I wear today", "when does the library open", "ideas for dinner tonight",
    "say thank you in Spanish",
)  # fmt: skip
"""What a small model is used for: texts are harder or easier than these. Reading them makes the libraries ready."""


def arms_of(settings: Settings) -> tuple[Arm, ...]:
    """Every arm, as far as the settings tell of it: the edge first. A box without any other names a cloud all the
    same, so that explanations say why it was not asked."""
    sees = settings.edge.base_url is not None  # the built-in engine reads text only; another edge server may do more
    edge = Arm(
        EDGE, EDGE, EDGE, context_tokens=settings.edge.context_tokens, reads_media=sees, surely_reads_media=False
    )
    others = [
        Arm(
            name,
            kind="neighbour" if remote.is_neighbour else "cloud",
            reads_media=not remote.is_neighbour,
            price_prompt=remote.price_prompt,
            price_completion=remote.price_completion,
            quality=remote.quality if isinstance(remote, Upstream) else 0.9,
        )
        for name, remote in settings.remotes.items()
    ]
    return (edge, *others) if others else (edge, NO_CLOUD)


class Deciding:
    """What the route stage decides with. Made with the box, started and closed with it."""

    def __init__(self, settings: Settings, embedder: StaticEmbedder, signals: Signals | None = None) -> None:
        self.settings, self.embedder = settings, embedder
        self.signals = signals or Signals()
        self.known = Known(Memory(settings.routing.max_cloud_share), self.signals.for_request)

    def stage(self, edge: ChatModel, remotes: Mapping[str, RemoteModel], *, names: Mapping[str, str]) -> Route:
        """The route stage of a box with these models. `names`: which arm a model's name asks for."""
        settings = self.settings
        own = {name for name, remote in settings.remotes.items() if remote.trusted or remote.is_neighbour}
        return Route(
            edge,
            remotes,
            arms_of(settings),
            settings.routing,
            self.known,
            names=names,
            own=frozenset(own),
        )

    def ended(self, exchange: Exchange) -> None:
        """Hear of a request that has ended: what went to a cloud in another's place counts towards its share."""
        if not exchange.has("outcome") or not exchange.outcome.sent_to:
            return
        clouds = {arm.name for arm in arms_of(self.settings) if arm.kind == "cloud"}
        if exchange.decision.name not in clouds and clouds.intersection(arm for arm, _ in exchange.outcome.sent_to):
            self.known.memory.share.also_went()

    async def start(self) -> None:
        """Read the model of difficulty, where there is a choice to make. Without it the rules alone decide."""
        if not self.settings.remotes:
            return
        try:
            self.known.read, self.known.p_usual = await asyncio.to_thread(self._reader)
        except SettingsError as error:
            log.error("routing: %s", error.message)

    def _reader(self) -> tuple[Read, float]:
        from netgpt.routing.difficulty import Difficulty

        read = Difficulty.shipped(self.embedder).told
        return read, median(read(text)[0] for text in EVERYDAY)
