"""route: edge or cloud, with the reason."""

from __future__ import annotations

from netgpt.context.profile import SENSITIVE_KIND
from netgpt.exchange import Exchange
from netgpt.models.base import ChatModel, Health, RemoteModel
from netgpt.routing.features import UNREAD, features_of
from netgpt.routing.policy import Situation, decide
from netgpt.settings import Routing
from netgpt.types import Label

__all__ = ["Route", "asked_route"]


def asked_route(model: str, edge_names: frozenset[str], cloud_names: frozenset[str]) -> str:
    """What a model's name asks for: "auto", "edge" or "cloud"."""
    if model == "netgpt/edge" or model in edge_names:
        return "edge"
    if model == "netgpt/cloud" or model in cloud_names:
        return "cloud"
    return "auto"


class Route:
    """Collects the situation and lets the rules decide."""

    name = "route"
    reads = frozenset({"facts", "chosen", "outbound", "kept_because", "hidden"})
    writes = frozenset({"decision"})

    def __init__(
        self,
        edge: ChatModel,
        cloud: RemoteModel | None,
        rules: Routing,
        *,
        edge_names: frozenset[str],
        cloud_names: frozenset[str],
        sensitive_kinds: frozenset[str],
        edge_context_tokens: int,
        edge_reads_media: bool,
    ) -> None:
        self.edge, self.cloud, self.rules = edge, cloud, rules
        self.edge_names, self.cloud_names = edge_names, cloud_names
        self.sensitive_kinds = sensitive_kinds
        self.edge_context_tokens = edge_context_tokens
        self.edge_reads_media = edge_reads_media

    async def __call__(self, exchange: Exchange) -> None:
        edge = self.edge.health()
        cloud = self.cloud.health() if self.cloud else Health(False, "no cloud is configured")
        asked = asked_route(exchange.request.model, self.edge_names, self.cloud_names)
        exchange.decision = decide(
            Situation(
                asked=asked,
                # Who asks for a side gets it, whatever the text is like: reading it would be for nothing.
                features=features_of(exchange.request.body) if asked == "auto" else UNREAD,
                edge_ok=edge.ok,
                edge_detail=edge.detail,
                cloud_ok=cloud.ok,
                cloud_detail=cloud.detail,
                may_leave=exchange.outbound is not None,
                kept_because=exchange.kept_because,
                sensitive=self._sensitive(exchange),
                personal_facts=any(fact.label is not Label.PUBLIC for fact in exchange.chosen),
                edge_context_tokens=self.edge_context_tokens,
                edge_reads_media=self.edge_reads_media,
            ),
            self.rules,
        )

    def _sensitive(self, exchange: Exchange) -> tuple[str, ...]:
        """What keeps the request here: kinds that the owner calls sensitive, and sensitive facts of the person."""
        facts = {SENSITIVE_KIND} | {fact.kind.upper() for fact in exchange.facts if fact.label is Label.SENSITIVE}
        used = {fact.kind.upper() for fact in exchange.chosen if fact.label is Label.SENSITIVE}
        hidden = {hidden.kind for hidden in exchange.hidden}
        return tuple(sorted((hidden & (self.sensitive_kinds | facts)) | used))
