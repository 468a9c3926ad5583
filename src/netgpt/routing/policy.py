"""The rules that decide between edge and cloud. Pure: a situation in, a decision with its reason out."""

from __future__ import annotations

from dataclasses import dataclass

from netgpt.errors import ModelUnavailable, RequestError
from netgpt.routing.features import Features
from netgpt.sections_routing import Routing
from netgpt.types import Decision

__all__ = ["Situation", "decide"]


@dataclass(frozen=True, slots=True)
class Situation:
    """All that the rules may look at."""

    asked: str
    """"auto", "edge" or "cloud": what the caller asked for."""
    features: Features
    edge_ok: bool
    edge_detail: str
    cloud_ok: bool
    """A cloud is configured and its breaker lets calls through."""
    cloud_detail: str
    may_leave: bool
    """The vault made an `Outbound`."""
    kept_because: str | None
    sensitive: tuple[str, ...] = ()
    """Kinds found that the owner calls sensitive."""
    personal_facts: bool = False
    """The request was completed with facts that may not leave."""
    edge_context_tokens: int = 2048
    edge_reads_media: bool = False
    """The built-in engine reads text only; another edge server may do more."""


def decide(situation: Situation, rules: Routing) -> Decision:
    """Choose a route. Raises ModelUnavailable when neither side can answer; the message says why for both."""
    can_cloud = situation.cloud_ok and situation.may_leave
    if situation.sensitive and situation.asked == "auto":
        return _sensitive(situation)
    if situation.features.media and not situation.edge_reads_media:
        return _media(situation, can_cloud)
    if situation.asked == "edge":
        if not situation.edge_ok:
            raise ModelUnavailable(
                f"netgpt/edge was asked for and the edge model is not ready: {situation.edge_detail}", retry_after=2
            )
        return Decision("edge", "the caller asked for the edge", "asked")
    if not situation.edge_ok and not can_cloud:
        raise ModelUnavailable(
            f"nobody can answer now. Edge: {situation.edge_detail}. Cloud: {_why_no_cloud(situation)}.", retry_after=2
        )
    if not can_cloud:
        return Decision("edge", f"the box answers: {_why_no_cloud(situation)}", _no_cloud_rule(situation))
    if situation.asked == "cloud":
        return Decision("cloud", "the caller asked for the cloud", "asked", _other("edge", situation.edge_ok))
    if not situation.edge_ok:
        return Decision("cloud", f"the edge model is not ready: {situation.edge_detail}", "edge-down")
    return _by_content(situation, rules)


def _media(situation: Situation, can_cloud: bool) -> Decision:
    """Pictures, audio and files, and a model on the box that reads text only. Raises RequestError when nobody can."""
    if can_cloud and situation.asked != "edge":
        return Decision("cloud", "it holds media, which the model on the box cannot read", "media")
    why = "the caller asked for the edge" if situation.asked == "edge" else _why_no_cloud(situation)
    raise RequestError(
        f"the model on the box reads text only, and media may not leave: {why}. Send text, point [edge] at a model "
        'that sees, or let media go to the cloud (privacy.media = "send").',
        code="media_not_supported",
        param="messages",
    )


def _sensitive(situation: Situation) -> Decision:
    """Stays on the box whatever becomes of the edge. Raises ModelUnavailable when the edge cannot answer now."""
    kinds = ", ".join(sorted(situation.sensitive))
    if not situation.edge_ok:
        raise ModelUnavailable(
            f"it holds sensitive content ({kinds}), which stays on the box, and the edge model is not ready: "
            f"{situation.edge_detail}",
            retry_after=2,
        )
    return Decision("edge", f"it holds sensitive content ({kinds}), which stays on the box", "sensitive")


def _by_content(situation: Situation, rules: Routing) -> Decision:
    """Both sides can answer: what is personal first, then what the small model cannot do, then length."""
    features = situation.features
    if situation.personal_facts and rules.edge_when_personal and not features.tools:
        return Decision("edge", "it was completed with personal facts, which stay on the box", "personal", ("cloud",))
    # Four characters a token is the usual rule of thumb; a quarter of the context is left for the answer.
    if features.characters / 4 > situation.edge_context_tokens * 0.75:
        return Decision("cloud", "the conversation is longer than the edge model's context", "context")
    if features.media:
        return Decision("cloud", "it holds media, which the edge model may not read", "media", ("edge",))
    if features.structured:
        return Decision("edge", "an answer by schema: the edge model writes it under a grammar", "schema", ("cloud",))
    if because := features.hard_because:
        return Decision("cloud", f"a larger model will do better: {because}", "kind", ("edge",))
    if features.words > rules.max_edge_words:
        return Decision(
            "cloud",
            f"{features.words} words are more than the {rules.max_edge_words} kept on the box",
            "length",
            ("edge",),
        )
    return Decision("edge", "a short everyday request: the edge model will do", "short", ("cloud",))


def _why_no_cloud(situation: Situation) -> str:
    if not situation.cloud_ok:
        return situation.cloud_detail
    return situation.kept_because or "nothing may leave"


def _no_cloud_rule(situation: Situation) -> str:
    return "kept" if situation.cloud_ok else "cloud-down"


def _other(route: str, ok: bool) -> tuple[str, ...]:
    return (route,) if ok else ()
