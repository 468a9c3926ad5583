"""What would have changed a decision, in words for people."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from netgpt.routing.arms import Arm
from netgpt.routing.situation import Situation
from netgpt.routing.whatif import Change, WhatIf
from netgpt.types import display_name

__all__ = ["counterfactual", "without"]

_CONSTRAINTS: Final = {
    "budget": "the key's budget",
    "cloud-down": "that",
    "context": "the length of the conversation",
    "deadline": "the deadline",
    "edge-down": "that",
    "kept": "what keeps it on the box",
    "media": "the media in it",
    "personal": "the personal facts",
    "schema": "the schema",
    "sensitive": "the sensitive content",
    "tools": "the tools",
}


def counterfactual(what_if: WhatIf, rule: str) -> str:
    """One or two sentences: where another arm would have answered. `rule`: of the decision. Empty: nothing to say."""
    if rule in _CONSTRAINTS and (told := _without_the_constraint(what_if, rule)):
        return told
    if rule in ("asked", "tried", "trial", "only"):
        return ""
    changes = what_if.changes()
    if not changes:
        return "No other link, price, difficulty or preset alone would have changed this."
    by_arm: dict[str, list[str]] = {}
    for change in changes:
        by_arm.setdefault(change.arm, []).append(_words(change, what_if))
    sentences = [f"{display_name(arm)} would have answered {_joined(ways)}." for arm, ways in by_arm.items()]
    return " ".join(sentence[0].upper() + sentence[1:] for sentence in sentences)


def without(situation: Situation, rule: str) -> Situation:
    """The same situation without what a constraint looks at."""
    features, arms = situation.features, situation.arms
    if rule == "personal":
        return replace(situation, personal_facts=False)
    if rule == "budget":
        return replace(situation, budget_left=None)
    if rule == "deadline":
        return replace(situation, deadline_s=None)
    if rule in ("schema", "media", "tools"):
        field = {"schema": "structured"}.get(rule, rule)
        return replace(situation, features=replace(features, **{field: False}))
    if rule == "sensitive":
        situation = replace(situation, sensitive=())
    return replace(situation, arms=tuple(_lifted(arm, rule) for arm in arms))


def _lifted(arm: Arm, rule: str) -> Arm:
    if rule == "context":
        return replace(arm, context_tokens=None)
    if rule in ("kept", "sensitive"):
        return replace(arm, may_have=True)
    return replace(arm, ok=True) if arm.remote == (rule == "cloud-down") else arm


def _without_the_constraint(what_if: WhatIf, rule: str) -> str:
    if what_if.situation.asked != "auto":
        return ""  # the text was not read: whatever is said of it would be a guess
    arm = what_if.best(without(what_if.situation, rule))
    if arm is None:
        return ""
    same = " all the same" if arm == what_if.chosen else ""
    return f"Without {_CONSTRAINTS[rule]}, {display_name(arm)} would have answered{same}."


def _words(change: Change, what_if: WhatIf) -> str:
    to = change.to
    if isinstance(to, str):
        return f"under `{to}`"
    if change.what == "rtt":
        above = "above" if change.of == what_if.chosen else "below"
        return f"{above} {_milliseconds(to)} ms RTT to {display_name(change.of)}"
    if change.what == "waiting":
        if to == 0:
            return "with nothing waiting on the box"
        return f"with {to:.0f} answers waiting on the box" if to > 1 else "with an answer waiting on the box"
    if change.what == "difficulty":
        p = what_if.situation.p_edge_ok or 0.0
        return f"were it {'easier' if to > p else 'harder'} ({to:.2g} for {p:.2g})"
    return (
        f"at {to:.2g} times the price of {display_name(change.of)}"
        if to
        else f"did {display_name(change.of)} cost nothing"
    )


def _milliseconds(seconds: float) -> str:
    told = seconds * 1000
    return f"{told:.0f}" if told >= 10 else f"{told:.2g}"


def _joined(ways: list[str]) -> str:
    presets = [way.removeprefix("under ") for way in ways if way.startswith("under ")]
    others = [way for way in ways if not way.startswith("under ")]
    if presets:
        others.append("under " + " or ".join(filter(None, (", ".join(presets[:-1]), presets[-1]))))
    return others[0] if len(others) == 1 else ", ".join(others[:-1]) + ", or " + others[-1]
