"""What an answer tells of itself when it is asked to: the facts, what left or would leave, what was hidden, and why."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson

from netgpt.exchange import Exchange

__all__ = ["explained"]


def explained(exchange: Exchange) -> dict[str, Any]:
    """`netgpt.explain` of an answer that has begun. A dry run tells what would leave, byte for byte."""
    sent = exchange.sent
    told: dict[str, Any] = {
        "facts": [{"text": f.text, "kind": f.kind, "source": f.source} for f in exchange.chosen],
        "completion": exchange.completion,
        "outbound": orjson.loads(sent.content) if sent is not None else None,
        "kept_because": exchange.kept_because,
        "adapter_note": exchange.adapter_note,
        "hidden": [
            {"placeholder": h.placeholder, "kind": h.kind, "rule": h.rule, "policy_rule": h.policy_rule}
            for h in exchange.hidden
        ],
        "generalised": [
            {"kind": g.kind, "was": g.was, "now": g.now, "rule": g.rule, "policy_rule": g.policy_rule}
            for g in exchange.generalised
        ],
        "timings_ms": exchange.timings,
    }
    return told | _would_leave(exchange) if exchange.request.dry_run else told


def _would_leave(exchange: Exchange) -> dict[str, Any]:
    decision, outbound = exchange.decision, exchange.outbound
    leaves = "no"
    if outbound is not None and "cloud" in (decision.route, *decision.fallbacks):
        leaves = "yes" if decision.route == "cloud" else "only if the edge fails"
    shown = outbound if leaves != "no" else None
    body = orjson.loads(shown.content) if shown else None
    return {
        "leaves": leaves,
        "destination": {"host": exchange.destination, "model": body.get("model")} if body else None,
        "would_send": body,
        "would_send_text": shown and shown.content.decode("utf-8"),
        "would_send_sha256": shown and hashlib.sha256(shown.content).hexdigest(),
        "decision": {
            "route": decision.route,
            "rule": decision.rule,
            "reason": decision.reason,
            "fallbacks": list(decision.fallbacks),
        },
    }
