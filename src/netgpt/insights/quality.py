"""Connectivity insights (CAMARA, Connectivity Insights 0.6): does the network expect to meet an application's needs?

The needs are a profile that the owner made with the operator; its identifier is configured. Sent are that identifier,
the box's own line as configured (unless the token stands for it), where set the server that the box talks to, and the
token; nothing else, and never anything of a person who asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from netgpt.insights.asking import NO_TOKEN, Asker, Reply, Token, Unheard
from netgpt.insights.insight import Heard, Insight

__all__ = ["QualityOfLine", "read_quality"]

_NEEDS = {
    "packetDelayBudget": "delay",
    "targetMinDownstreamRate": "down rate",
    "targetMinUpstreamRate": "up rate",
    "packetlossErrorRate": "loss",
    "jitter": "jitter",
}
_MET = "meets the application requirements"
_UNMET = "unable to meet the application requirements"
_STRENGTHS = {"excellent": 1.0, "good": 1.0, "fair": 0.8, "poor": 0.4, "no signal": 0.0}
_ACCESS = ("5G-SA", "5G-NSA", "4G", "3G")
_NONE_MET = 0.3
"""The grade when no need is met: it is the word of a forecast."""


@dataclass(frozen=True, slots=True)
class QualityOfLine:
    """The service at `base_url`, such as "https://operator.example/connectivity-insights/v0.6"."""

    base_url: str
    profile: str
    """Identifier of the application profile."""
    token: Token = NO_TOKEN
    device: Mapping[str, Any] | None = field(default=None, repr=False)
    """The box's own line in the interface's words (`{"ipv4Address": {...}}`); None: the token stands for it."""
    server: Mapping[str, str] | None = None
    """The server that the line is to reach, such as `{"ipv4Address": "198.51.100.0/24"}`."""
    name: str = "quality"

    async def ask(self, asker: Asker) -> Heard:
        """One round. Never raises for what the operator does or says."""
        body = {"applicationProfileId": self.profile, "device": self.device, "applicationServer": self.server}
        url = f"{self.base_url.rstrip('/')}/check-network-quality"
        try:
            told = await asker.post(url, {name: value for name, value in body.items() if value}, self.token)
        except Unheard as fault:
            return Heard(None, str(fault))
        insight = read_quality(told)
        if insight is None:
            return Heard(None, "its answer says nothing of any need; check the application profile")
        return Heard(insight, insight.text)


def read_quality(told: Reply) -> Insight | None:
    """What the answer means; None when it holds nothing that is known here."""
    met = [words for name, words in _NEEDS.items() if told.get(name) == _MET]
    unmet = [words for name, words in _NEEDS.items() if told.get(name) == _UNMET]
    more = told.get("additionalKPIs")
    more = more if isinstance(more, Mapping) else {}
    strength = _STRENGTHS.get(str(more.get("signalStrength")))
    access = more.get("connectivityType")
    if not met and not unmet and strength is None:
        return None
    share = len(met) / (len(met) + len(unmet)) if met or unmet else 1.0
    words = [str(access)] if access in _ACCESS else []
    if strength is not None:
        words.append(f"signal {more['signalStrength']}" if strength else "no signal")
    if unmet:
        words.append("will not meet: " + ", ".join(unmet))
    elif met:
        words.append("meets the needs set")
    return Insight(", ".join(words), min(_NONE_MET + (1 - _NONE_MET) * share, 1.0 if strength is None else strength))
