"""route: edge or cloud, with the reason."""

from __future__ import annotations

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
    reads = frozenset({"chosen", "outbound", "kept_because", "kept"})
    writes = frozenset({"decision"})

    def __init__(
        self,
        edge: ChatModel,
        cloud: RemoteModel | None,
        rules: Routing,
        *,
        edge_names: frozenset[str],
        cloud_names: frozenset[str],
        edge_context_tokens: int,
        edge_reads_media: bool,
    ) -> None:
        self.edge, self.cloud, self.rules = edge, cloud, rules
        self.edge_names, self.cloud_names = edge_names, cloud_names
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
                sensitive=_sensitive(exchange),
                personal_facts=any(fact.label is not Label.PUBLIC for fact in exchange.chosen),
                edge_context_tokens=self.edge_context_tokens,
                edge_reads_media=self.edge_reads_media,
            ),
            self.rules,
        )


def _sensitive(exchange: Exchange) -> tuple[str, ...]:
    """What keeps the request here in whatever form, each kind with the rule that says so: "CARD: sensitive-stays"."""
    return tuple(sorted({f"{kept.kind}: {kept.policy_rule}" for kept in exchange.kept if kept.kind != "TEXT"}))
