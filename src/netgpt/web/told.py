"""What an answer says of itself: `netgpt` in its body, with all of it on request, and the x-netgpt headers."""

from __future__ import annotations

import hashlib
from typing import Any

import orjson

from netgpt.app.gateway import Gateway
from netgpt.exchange import Exchange
from netgpt.models.stream import Joiner
from netgpt.stages.record import confidence_as_dict, private_of
from netgpt.types import EDGE, LOAD_HEADER, Load
from netgpt.web.errors import REQUEST_ID

_EXPLAINED = {
    "facts": ("text", "kind", "source"),
    "hidden": ("placeholder", "kind", "rule", "policy_rule"),
    "generalised": ("kind", "was", "now", "rule", "policy_rule"),
}
"""The fields of each entry that an answer shows; the record has all of them."""


def explained(exchange: Exchange) -> dict[str, Any]:
    """`netgpt.explain` of an answer that has begun. A dry run shows what would leave, byte for byte."""
    record = private_of(exchange, Joiner())
    shown = {name: record[name] for name in ("completion", "outbound", "adapter_note", "fallback", "decision")}
    shown |= {name: [{key: one[key] for key in keys} for one in record[name]] for name, keys in _EXPLAINED.items()}
    shown |= {"kept_because": exchange.block_reason, "timings_ms": dict(exchange.timings)}
    return shown | _would_leave(exchange) if exchange.request.dry_run else shown


def _would_leave(exchange: Exchange) -> dict[str, Any]:
    decision, outbounds = exchange.decision, exchange.outbounds
    going = [target for target in (decision.name, *decision.fallbacks) if target in outbounds]
    shown = outbounds[going[0]] if going else None
    body, host = orjson.loads(shown.content) if shown else None, exchange.outcome.destination
    return {
        "leaves": "no" if not going else "yes" if decision.name == going[0] else "only if the edge fails",
        "destination": {"host": host, "model": body.get("model"), "arm": going[0]} if body else None,
        "would_send": body,
        "left_out": list(shown.left_out) if shown else [],
        "would_send_text": shown and shown.content.decode("utf-8"),
        "would_send_sha256": shown and hashlib.sha256(shown.content).hexdigest(),
        "if_that_fails": {target: hashlib.sha256(outbounds[target].content).hexdigest() for target in going[1:]},
    }


def summary(exchange: Exchange) -> dict[str, Any]:
    """The body's `netgpt` object: which exchange, which route, why; and all of it when `explain` is set."""
    outcome, by = exchange.outcome, exchange.outcome.answered_by
    summary: dict[str, Any] = {"exchange": exchange.id, "route": by.route, "arm": by.name, "reason": by.reason}
    summary["adapters"] = list(exchange.adapters_used())
    if outcome.finished_by is not None:
        summary["finished_by"] = outcome.finished_by
    if outcome.cached_age_s is not None:
        summary |= {"cached": True, "age_s": round(outcome.cached_age_s, 3)}
    if left_out := _left_out(exchange):
        summary["left_out"] = left_out
    if (confidence := confidence_as_dict(outcome)) is not None:
        summary["confidence"] = confidence
    account = exchange.get("restoring")
    if account and (account.withheld or account.beyond):
        summary["placeholders_kept"] = {"address_or_name": account.withheld, "too_much": account.beyond}
    choosing = exchange.get("choosing")
    if choosing and (
        choosing.taken_out or choosing.corrected or choosing.unknown or choosing.unread or not choosing.fits
    ):
        summary["choosing"] = choosing.as_dict(with_kinds=exchange.request.explain)
    if exchange.request.dry_run:
        summary["dry_run"] = True
    if exchange.request.explain or exchange.request.dry_run:
        summary["explain"] = explained(exchange)
    return summary


def _left_out(exchange: Exchange) -> list[str]:
    """Fields of the request that the model elsewhere that answers does not take, so that it answers without them."""
    outcome = exchange.outcome
    return list(outcome.sent.left_out) if outcome.sent is not None and outcome.answered_by.route != EDGE else []


def headers_of(gateway: Gateway, exchange: Exchange, *, decided: bool = True) -> dict[str, str]:
    """`decided`: it is known who answers; else the stream tells it, in its first chunk's `netgpt`."""
    if not decided:
        return {"x-netgpt-exchange": exchange.id, LOAD_HEADER: _load(gateway).text}
    by = exchange.outcome.answered_by
    headers = {
        "x-netgpt-exchange": exchange.id, "x-netgpt-route": by.route, "x-netgpt-arm": by.name,
        "x-netgpt-rule": by.rule, **dict.fromkeys(REQUEST_ID, exchange.id), LOAD_HEADER: _load(gateway).text,
    }  # fmt: skip
    if left_out := _left_out(exchange):
        headers["x-netgpt-left-out"] = ", ".join(left_out)
    if (confidence := exchange.outcome.confidence) is not None:
        headers["x-netgpt-confidence"] = f"{confidence.chance:.2f}"
    if used := exchange.adapters_used():
        headers["x-netgpt-adapter"] = ",".join(used)
    return headers


def _load(gateway: Gateway) -> Load:
    """How busy the model on this box is, this answer included: for neighbours that route by load."""
    now = gateway.signals.view().system
    return Load(now.engine_slots, now.engine_busy, now.engine_waiting)
