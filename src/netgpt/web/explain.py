"""What an answer tells of itself when it is asked to: the facts, what left or would leave, what was hidden, and why."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson

from netgpt.exchange import Exchange
from netgpt.stages.record import private_of

__all__ = ["explained"]

_TOLD = {
    "facts": ("text", "kind", "source"),
    "hidden": ("placeholder", "kind", "rule", "policy_rule"),
    "generalised": ("kind", "was", "now", "rule", "policy_rule"),
}
"""So much of each entry stands in an answer; the record has all of it."""


def explained(exchange: Exchange) -> dict[str, Any]:
    """`netgpt.explain` of an answer that has begun. A dry run tells what would leave, byte for byte."""
    record = private_of(exchange, [])
    told = {name: record[name] for name in ("completion", "outbound", "adapter_note", "decision")}
    told |= {name: [{key: one[key] for key in keys} for one in record[name]] for name, keys in _TOLD.items()}
    told |= {"kept_because": exchange.kept_because, "timings_ms": dict(exchange.timings)}
    return told | _would_leave(exchange) if exchange.request.dry_run else told


def _would_leave(exchange: Exchange) -> dict[str, Any]:
    decision, outbounds = exchange.decision, exchange.outbounds
    going = [arm for arm in (decision.name, *decision.fallbacks) if arm in outbounds]
    shown = outbounds[going[0]] if going else None
    body, host = orjson.loads(shown.content) if shown else None, exchange.outcome.destination
    return {
        "leaves": "no" if not going else "yes" if decision.name == going[0] else "only if the edge fails",
        "destination": {"host": host, "model": body.get("model"), "arm": going[0]} if body else None,
        "would_send": body,
        "would_send_text": shown and shown.content.decode("utf-8"),
        "would_send_sha256": shown and hashlib.sha256(shown.content).hexdigest(),
        "if_that_fails": {arm: hashlib.sha256(outbounds[arm].content).hexdigest() for arm in going[1:]},
    }
