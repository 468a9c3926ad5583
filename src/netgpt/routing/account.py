"""A decision as JSON, for explanations: what each arm was expected to give, what ruled it out, what would have changed
it. Numbers and words of the box's own; nothing of the request."""

from __future__ import annotations

from typing import Any

from netgpt.types import Decision, Expected

__all__ = ["account_of"]


def account_of(decision: Decision, counterfactual: str = "") -> dict[str, Any]:
    """`counterfactual`: see `routing.why`; used where the decision does not hold one."""
    return {
        "route": decision.route,
        "arm": decision.name,
        "rule": decision.rule,
        "reason": decision.reason,
        "fallbacks": list(decision.fallbacks),
        "weights": decision.weights,
        "propensity": round(decision.propensity, 4),
        "expected": [_arm(one) for one in decision.expected],
        "counterfactual": decision.counterfactual or counterfactual,
    }


def _arm(one: Expected) -> dict[str, Any]:
    return {
        "arm": one.arm,
        "route": one.route,
        "p_ok": round(one.p_ok, 4),
        "latency_s": round(one.latency_s, 3),
        "cost": round(one.cost, 9),
        "energy_j": round(one.energy_j, 1),
        "exposure": round(one.exposure, 3),
        "value": round(one.value, 4),
        "ruled_out": one.ruled_out,
    }
