"""route: which target answers, and why."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial

from netgpt.errors import ModelUnavailable
from netgpt.exchange import Exchange
from netgpt.judgement import TaskKind
from netgpt.models.base import ChatModel, RemoteModel
from netgpt.privacy.stated import STATED
from netgpt.routing.candidates import (
    AUTO,
    NOBODY,
    UNREAD,
    Assessed,
    Features,
    Prior,
    Situation,
    Target,
    asked_target,
    features_of,
    last_user_text,
    may_stand_in,
    must_call,
    needs_of,
    priors_of,
    unable_of,
)
from netgpt.routing.explain import counterfactual
from netgpt.routing.link_state import SignalsView
from netgpt.routing.recorded import as_kept
from netgpt.routing.router import ASKED, LearnerView, Memory, decided
from netgpt.routing.scoring import exposure_of
from netgpt.routing.sessions import Sessions
from netgpt.settings.routing import Routing
from netgpt.types import Decision, Label

READ_CHARS = 2_000  # so much of a text is assessed for its difficulty
NO_CLOUD = Target(
    "cloud", ok=False, detail="no cloud is configured", exposure=exposure_of(own=False, hidden=0, coarser=0, rank=0)
)
"""Stands for the cloud in explanations where none is configured."""

Assess = Callable[[str], Assessed]
"""A text in; what kind of task it is and how hard, out. About a millisecond: beside the event loop."""


@dataclass(slots=True)
class RoutingContext:
    """What decisions are made with, beside the request: the parts that learn and measure."""

    memory: Memory
    signals: Callable[[], SignalsView] = SignalsView
    assess: Assess | None = None  # none: no text is assessed for its difficulty
    p_usual: float = 0.88  # what `assess` says of an everyday request
    prior: Prior | None = None  # how often each target's answers do, by kind of task; none: not known
    experience: LearnerView | None = None
    sessions: Sessions | None = None  # none: every request stands alone


class Route:
    """Collects the situation and decides by the rules."""

    name = "route"
    reads = frozenset(
        {"person", "chosen", "outbounds", "block_reason", "kept_for", "kept", "hidden", "generalised", "label"}
    )
    writes = frozenset({"decision", "counterfactual", "weighed"})

    def __init__(
        self,
        edge: ChatModel,
        remotes: Mapping[str, RemoteModel],
        targets: tuple[Target, ...],
        rules: Routing,
        context: RoutingContext,
        *,
        names: Mapping[str, str],
        own: frozenset[str] = frozenset(),
    ) -> None:
        """`targets`: the edge, then the others, as the settings describe them; `names`: which target a model's name
        asks for; `own`: targets on servers of the owner's."""
        self.edge, self.remotes, self.targets, self.rules, self.context = edge, remotes, targets, rules, context
        self.names, self.own = names, own
        self.clouds = frozenset(target.name for target in targets if target.kind == "cloud")

    async def __call__(self, exchange: Exchange) -> None:
        context = self.context
        try:
            decision, what_if = decided(
                await self.situation(exchange), self.rules, context.memory, context.experience,
                counts=not exchange.request.dry_run,
            )  # fmt: skip
        except ModelUnavailable as error:  # raised by the next stage, unless an earlier answer may be given again
            exchange.decision = Decision("none", error.message, NOBODY)
            return
        if (why := self._no_other(exchange, decision)) is not None:
            exchange.decision = Decision("none", why, NOBODY)
            return
        exchange.decision = decision
        later = cache(partial(counterfactual, what_if, decision.rule))
        exchange.counterfactual = str if decision.rule == ASKED else later  # who names a target gets no other
        if decision.rule != ASKED and len(what_if.situation.targets) > 1:
            exchange.weighed = partial(as_kept, what_if)

    def _no_other(self, exchange: Exchange, decision: Decision) -> str | None:
        """Why no other may answer in the place of the target that was named and cannot be asked now; None: it may."""
        request = exchange.request
        asked, fallback = (
            asked_target(request.model, self.names),
            self.rules.fallback_by(request.fallback, exchange.caller.fallback)[0],
        )
        if asked in (AUTO, decision.name) or fallback == "always":
            return None
        why = next((one.ruled_out for one in decision.expected if one.target == asked), None) or decision.reason
        if fallback == "never":
            return f'{asked} was asked for, and no other may answer (fallback is "never"): {why}'
        is_away = asked in self.remotes and not self.remotes[asked].health().ok
        if is_away and not may_stand_in(self.context.prior, request.body, decision.name):
            return f"{why}; {decision.name} was not measured to call tools or to keep a schema, so it does not stand in"
        return None

    def count_fallback(self, exchange: Exchange) -> None:
        """Count an ended exchange towards the clouds' share where it fell back on one."""
        if not exchange.has("outcome") or exchange.decision.name in self.clouds:
            return
        if any(target in self.clouds for target, _ in exchange.outcome.sent_to):
            self.context.memory.share.also_went()

    async def situation(self, exchange: Exchange) -> Situation:
        """All that the decision looks at."""
        request, caller, context = exchange.request, exchange.caller, self.context
        asked = asked_target(request.model, self.names)
        # A named target answers whatever the text is like, so nothing is read of it.
        features = features_of(request.body) if asked == "auto" else UNREAD
        targets, sensitive = self._targets_now(exchange), _sensitive(exchange)
        held, unable = None, dict[str, str]()
        if asked == "auto" and context.sessions is not None:
            held = context.sessions.held(exchange.person, caller.key_id, request.body, request.conversation)
        if asked == "auto" and context.prior is not None and (needs := needs_of(request.body, features)):
            unable = unable_of(context.prior, targets, needs)
        has_choice = asked == "auto" and not sensitive and sum(each.ok and each.may_have for each in targets) > 1
        read = await self._assess(exchange) if has_choice else None
        kind = read.kind if read else TaskKind()
        return Situation(
            asked=asked,
            features=features,
            targets=targets,
            signals=context.signals(),
            p_edge_ok=read.p_edge_ok if read else None,
            p_usual=context.p_usual,
            kind=kind,
            p_kind=read.p_kind if read else context.p_usual,
            priors=self._priors(kind, features) if has_choice else {},
            x=read.x if read else (),
            key=caller.key_id or exchange.person.user,
            prefer=request.prefer or caller.prefer,
            deadline_s=request.deadline_s,
            budget_left=caller.budget_left,
            sensitive=sensitive,
            personal_facts=_stays(exchange),
            answer_tokens=request.body.get("max_completion_tokens") or request.body.get("max_tokens"),
            long=features.words > self.rules.max_edge_words,
            now=time.monotonic(),
            held=held,
            must_call=bool(unable) and must_call(request.body),
            unable=unable,
        )

    async def _assess(self, exchange: Exchange) -> Assessed | None:
        if self.context.assess is None:
            return None
        text = last_user_text(exchange.request.body["messages"])
        if len(text) > READ_CHARS:  # what is asked stands at either end
            text = f"{text[: READ_CHARS // 2]}\n{text[-READ_CHARS // 2 + 1 :]}"
        return await asyncio.to_thread(self.context.assess, text)

    def _priors(self, kind: TaskKind, features: Features) -> dict[str, float]:
        prior = self.context.prior
        return {} if prior is None else priors_of(prior, (target.name for target in self.targets), kind, features)

    def _targets_now(self, exchange: Exchange) -> tuple[Target, ...]:
        """The targets with their health now and what may leave to each."""
        exposed = {own: _exposure(exchange, own=own) for own in (True, False)}
        return tuple(self._now(target, exchange, exposed) for target in self.targets)

    def _now(self, target: Target, exchange: Exchange, exposed: Mapping[bool, float]) -> Target:
        if not target.remote:
            health = self.edge.health()
            return _with(target, health.ok, health.detail, True, None, 0.0)
        model = self.remotes.get(target.name)
        if model is None:
            return _with(
                target, False, target.detail if not target.ok else "it was not opened", False, None, target.exposure
            )
        health, may = model.health(), target.name in exchange.outbounds
        why = None if may else exchange.kept_for.get(target.name) or exchange.block_reason
        return _with(target, health.ok, health.detail, may, why, exposed[target.name in self.own])


def _with(target: Target, ok: bool, detail: str, may_have: bool, block_reason: str | None, exposure: float) -> Target:
    """`dataclasses.replace` in a fifth of its time: this runs for each target of each request."""
    return Target(
        target.name, target.route, target.kind, ok, detail, may_have, block_reason, target.context_tokens,
        target.reads_media, target.surely_reads_media, target.tools, target.price_prompt, target.price_completion,
        target.quality, exposure,
    )  # fmt: skip


def _exposure(exchange: Exchange, *, own: bool) -> float:
    coarser = sum(value.count for value in exchange.generalised)
    return exposure_of(own=own, hidden=len(exchange.hidden), coarser=coarser, rank=exchange.label.rank)


def _stays(exchange: Exchange) -> bool:
    """Whether the request was completed with personal facts of which nothing leaves, not even in coarser words."""
    leave = sum(value.count for value in exchange.generalised if value.rule == STATED)
    return sum(fact.label is not Label.PUBLIC for fact in exchange.chosen) > leave


def _sensitive(exchange: Exchange) -> tuple[str, ...]:
    """The kinds that may leave in no form, each with the rule that says so: "CARD: sensitive-stays"."""
    return tuple(sorted({f"{kept.kind}: {kept.policy_rule}" for kept in exchange.kept if kept.kind != "TEXT"}))
