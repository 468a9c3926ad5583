"""What would leave of a text, under the rules in force or others: asked of the same stages as a request, and of nothing
after them. No model is asked, nothing leaves, nothing is kept.
"""

from __future__ import annotations

from typing import Any, Final

import orjson

from netgpt.app.gateway import Gateway
from netgpt.exchange import Exchange, Request
from netgpt.outbound import Outbound
from netgpt.policy import Policy
from netgpt.settings.sections import Cloud
from netgpt.stages.desensitize import Desensitize
from netgpt.types import Caller

_HIDDEN: Final = ("placeholder", "kind", "rule", "count", "policy_rule")
_COARSER: Final = ("kind", "was", "now", "rule", "count", "policy_rule")
_KEPT: Final = ("kind", "count", "policy_rule")
_BEFORE: Final = ("identify", "recall")
PRETENDED: Final = "cloud"
"""The target that is pretended where no cloud is configured, so that the rules can be seen at work."""


class _AsWritten:
    """In the place of `complete`: the text alone, no fact added."""

    name = "complete"
    reads = frozenset({"person"})
    writes = frozenset({"chosen", "messages"})

    async def __call__(self, exchange: Exchange) -> None:
        exchange.chosen, exchange.messages = (), [dict(each) for each in exchange.request.messages]


class TextTrial:
    """Tries texts for a gateway, with the detector and the facts of the person, under any rules."""

    def __init__(self, gateway: Gateway) -> None:
        self.gateway = gateway
        said = {"dialect": "openai"}  # so that what would leave is read alike
        self.remotes = {name: each.model_copy(update=said) for name, each in gateway.settings.remotes.items()}
        if not self.remotes:
            self.remotes = {PRETENDED: Cloud(base_url="https://cloud.example/v1", model="a-cloud")}
        self.is_pretended = not gateway.settings.remotes

    async def outcome(
        self, caller: Caller, user: str | None, text: str, policy: Policy, *, asked: bool
    ) -> dict[str, Any]:
        """`asked`: as if the caller had named the cloud. `leaves`, and then `text`; else `kept_because`; and what was
        found, with the rule that decided. Raises PermissionDenied, DetectorError."""
        await self._detecting()
        model = next(iter(self.remotes)) if asked else "auto"
        body = {"model": model, "messages": [{"role": "user", "content": text}]}
        exchange = Exchange(Request(body=body, model=model, user=user), caller)
        hide = Desensitize(
            self.gateway.store, self.gateway.detector, self.remotes, self.gateway.settings.privacy,
            names={name: name for name in self.remotes}, policy=lambda: policy,
        )  # fmt: skip
        known = {stage.name: stage for stage in self.gateway.workflow.stages}
        if isinstance(own := known.get(hide.name), Desensitize):
            hide.generaliser = own.generaliser  # its gazetteer is read once
        for stage in (*(known[name] for name in _BEFORE), _AsWritten(), hide):
            await stage(exchange.view(stage))
        outbound: Outbound | None = exchange.outbound
        return {
            "policy": policy.name, "sha256": policy.digest, "leaves": outbound is not None,
            "kept_because": None if outbound else exchange.block_reason,
            "text": outbound and _text_of(outbound),
            "hidden": [{name: getattr(each, name) for name in _HIDDEN} for each in exchange.hidden],
            "generalised": [{name: getattr(each, name) for name in _COARSER} for each in exchange.generalised],
            "kept": [{name: getattr(each, name) for name in _KEPT} for each in exchange.kept],
        }  # fmt: skip

    async def _detecting(self) -> None:
        if not self.gateway.detector.health()[0]:  # a box that sends nothing out has not started it
            await self.gateway.detector.start()


def _text_of(outbound: Outbound) -> str:
    return str(orjson.loads(outbound.content)["messages"][-1]["content"])
