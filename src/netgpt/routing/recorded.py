"""A decision as it is kept, and read again: to learn from it later, and to ask what another policy would have done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netgpt.routing.reward import Counted, DecisionOutcome, Parts
from netgpt.types import Decision, Expected

__all__ = ["as_private", "expected_of", "outcome_of"]


def as_private(decision: Decision, answered: str) -> dict[str, Any]:
    """Numbers and names of arms; no text. `answered`: the arm that answered in the end."""
    return {
        "x": [round(value, 5) for value in decision.features],
        "weights": decision.weights,
        "rule": decision.rule,
        "answered": answered,
        "expected": [
            {
                "arm": one.arm, "route": one.route, "p_ok": one.p_ok, "latency_s": one.latency_s, "cost": one.cost,
                "energy_j": one.energy_j, "exposure": one.exposure, "value": one.value,
                "open": one.ruled_out is None, "prior": one.prior,
            }
            for one in decision.expected
        ],
    }  # fmt: skip


def expected_of(private: Mapping[str, Any], *, only_open: bool = True) -> list[Expected]:
    """What each arm was expected to give; `only_open`: without those that a constraint ruled out."""
    return [
        Expected(
            one["arm"], one["route"], one["p_ok"], one["latency_s"], one["cost"], one["energy_j"], one["exposure"],
            one["value"], None if one["open"] else "ruled out", one["prior"],
        )
        for one in private["expected"]
        if one["open"] or not only_open
    ]  # fmt: skip


def outcome_of(id: str, key: str, private: Mapping[str, Any], news: Parts) -> DecisionOutcome:
    """What to tell the learner of a kept decision, now that `news` is known."""
    answered = private["answered"]
    expected = {one["arm"]: one for one in private["expected"]}.get(answered, {})
    prior = expected.get("prior")
    counted = private.get("counted")
    return DecisionOutcome(
        decision=id,
        arm=answered,
        x=tuple(private["x"]),
        key=key,
        prior=prior if prior is not None else expected.get("p_ok", 0.5),
        parts=Parts.of(private.get("parts", {})).with_(news),
        before=Counted(*counted) if counted is not None else None,
    )
