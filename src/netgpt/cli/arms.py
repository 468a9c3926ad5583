"""A decision on the terminal: what each arm was expected to give, and what ruled it out."""

from __future__ import annotations

from typing import Any

from netgpt.cli.common import print_table

__all__ = ["show_arms"]

COLUMNS = ("arm", "will do", "seconds", "cost", "joules", "exposed", "value", "ruled out by")


def show_arms(decision: dict[str, Any] | None) -> None:
    """`decision`: as `routing.account.account_of` tells it. Shows nothing where no arms were weighed."""
    arms = (decision or {}).get("expected") or []
    if not arms:
        return
    assert decision is not None
    rows = [_row(one, decision) for one in sorted(arms, key=lambda one: (one["ruled_out"] is not None, -one["value"]))]
    print_table(COLUMNS, rows, title=f"the decision, by {decision['weights']}")


def _row(one: dict[str, Any], decision: dict[str, Any]) -> list[str]:
    fallbacks = decision["fallbacks"]
    place = "chosen" if one["arm"] == decision["arm"] else ""
    if one["arm"] in fallbacks:
        place = f"fallback {fallbacks.index(one['arm']) + 1}"
    return [
        f"{one['arm']} ({place})" if place else one["arm"],
        f"{one['p_ok']:.0%}",
        f"{one['latency_s']:.2f}",
        f"{one['cost']:.4g}",
        f"{one['energy_j']:.0f}",
        f"{one['exposure']:.0%}",
        f"{one['value']:+.2f}",
        one["ruled_out"] or "",
    ]
