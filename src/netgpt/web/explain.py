"""What an answer tells of itself when it is asked to: the facts, what left or would leave, what was hidden, and why."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson

from netgpt.exchange import Exchange
from netgpt.routing.account import account_of

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
        "decision": account_of(exchange.answered_by, _counterfactual(exchange)),
        "timings_ms": exchange.timings,
    }
    return told | _would_leave(exchange) if exchange.request.dry_run else told


def _counterfactual(exchange: Exchange) -> str:
    return exchange.counterfactual() if exchange.has("counterfactual") else ""


def _would_leave(exchange: Exchange) -> dict[str, Any]:
    decision, outbounds = exchange.decision, exchange.outbounds
    going = [arm for arm in (decision.name, *decision.fallbacks) if arm in outbounds]
    shown = outbounds[going[0]] if going else None
    body = orjson.loads(shown.content) if shown else None
    return {
        "leaves": "no" if not going else "yes" if decision.name == going[0] else "only if the edge fails",
        "destination": {"host": exchange.destination, "model": body.get("model"), "arm": going[0]} if body else None,
        "would_send": body,
        "would_send_text": shown and shown.content.decode("utf-8"),
        "would_send_sha256": shown and hashlib.sha256(shown.content).hexdigest(),
        "if_that_fails": {arm: hashlib.sha256(outbounds[arm].content).hexdigest() for arm in going[1:]},
    }
