"""What would have changed a decision: one input changed at a time until another target answers. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

from netgpt.routing.candidates import Situation, Target
from netgpt.routing.link_state import SignalsView
from netgpt.routing.scoring import (
    PRESETS,
    UNKNOWN_LINK,
    Believe,
    Weighed,
    Weights,
    rtt_of,
    value_of,
    weigh,
    weigh_one,
    with_rtt,
)
from netgpt.routing.sessions import SESSION
from netgpt.settings.routing import Routing
from netgpt.types import EDGE, display_name

LONGEST_RTT_S: Final = 10.0
SHORTEST_RTT_S: Final = 0.001
MOST_TIMES: Final = 1000.0  # a price that had to be this many times higher is no counterfactual that helps
TRIES: Final = 14
FAR: Final = 1e6  # the lead over nobody
NEAR: Final = 0.02
"""A value this close (as a share of it) to where the target changes is close enough: two digits are shown."""


@dataclass(frozen=True, slots=True)
class Change:
    """A change of one input after which another target answers."""

    what: str
    """"rtt" (seconds, of `of`), "difficulty" (p_edge_ok), "price" (times as high, of `of`), "waiting" (answers that
    wait on the box), "prefer" (the preset's name)."""
    to: float | str
    target: str  # who answers then
    of: str = ""


@dataclass(frozen=True, slots=True)
class WhatIf:
    """A decision that can be taken again: all that went into it."""

    situation: Situation  # with the links as the decision took them
    rules: Routing
    weights: Weights
    believe: Believe
    threshold: float
    weighed: Weighed

    @property
    def chosen(self) -> str:
        return self.weighed.best.target

    def best(self, situation: Situation) -> str | None:
        """Who would answer there."""
        candidates = weigh(situation, self.rules, self.weights, self.believe, self.threshold).candidates
        return candidates[0].target if candidates else None

    def changes(self) -> tuple[Change, ...]:
        """Everything that alone would have changed a decision of the objective, nearest values first found; each was
        tried, so that it is true."""
        if len(self.weighed.candidates) < 2:
            return ()
        return tuple(filter(None, (*self._by_number(), *self._by_preset())))

    def _by_number(self) -> Iterator[Change | None]:
        best, second = self.weighed.candidates[:2]
        for one in (best, second):
            if one.route != EDGE:
                now = rtt_of(self.situation.signals.links.get(one.target, UNKNOWN_LINK))
                end = LONGEST_RTT_S if one is best else SHORTEST_RTT_S
                yield self._found("rtt", now, end, one.target)
        if (p := self.situation.p_edge_ok) is not None:
            yield self._found("difficulty", p, 0.01 if best.route == EDGE else 0.99)
        if any(one.target == EDGE for one in (best, second)):
            waiting = self.situation.signals.system.engine_waiting
            yield self._found("waiting", waiting, 64 if best.target == EDGE else 0)
        for one in (best, second):
            if one.cost > 0:
                yield self._found("price", 1.0, MOST_TIMES if one is best else 0.0, one.target)

    def _by_preset(self) -> Iterator[Change]:
        """The constraints are the same under all weights: only the values change."""
        clouds = self.situation.clouds
        for name, preset in PRESETS.items():
            weights = replace(preset, worth=self.weights.worth)
            values = {
                one.target: value_of(one, weights) + (self.threshold if one.target in clouds else 0.0)
                for one in self.weighed.candidates
            }
            order = [target.name for target in self.situation.targets if target.name in values]
            best = max(order, key=values.__getitem__)
            if best != self.chosen:
                yield Change("prefer", name, best)

    def _found(self, what: str, now: float, end: float, of: str = "") -> Change | None:
        """The nearest value between `now` and `end` that changes the target, rounded away from `now`; None: there is
        none."""
        if now == end or self._lead(what, end, of) >= 0:
            return None
        value = self._crossing(what, now, end, of)
        for tried in (math.ceil(value) if what == "waiting" else _rounded(value, up=end > now), value, end):
            target = self.best(changed(self.situation, what, tried, of))
            if target not in (None, self.chosen):
                return Change(what, tried, str(target), of)
        return None

    def _crossing(self, what: str, same: float, other: float, of: str) -> float:
        """Where the lead of the chosen target ends: by false position (Illinois), for it is nearly a straight line; by
        halves where a constraint ends it at once."""
        lead_same, lead_other = self._lead(what, same, of), self._lead(what, other, of)
        for _ in range(TRIES):
            if abs(other - same) <= 1.01 * NEAR * abs(other):
                break
            guess = _guess(same, other, lead_same, lead_other)
            lead = self._lead(what, guess, of)
            if lead >= 0:
                same, lead_same, lead_other = guess, lead, lead_other / 2
            else:
                other, lead_other, lead_same = guess, lead, lead_same / 2
        return other

    def _lead(self, what: str, to: float, of: str) -> float:
        """The lead of the chosen target over the best other candidate there; only what changes is computed anew."""
        there, lead, others = changed(self.situation, what, to, of), -math.inf, [-math.inf]
        clouds = self.situation.clouds
        for one in self.weighed.candidates:
            if _concerns(what, of, there.target(one.target)):
                one, violation = weigh_one(there.target(one.target), there, self.rules, self.weights, self.believe)
                if violation is not None and self.weighed.violations[one.target] is None:
                    continue
            value = one.value + self.threshold if one.target in clouds else one.value
            if one.target == self.chosen:
                lead = value
            else:
                others.append(value)
        return min(lead - max(others), FAR) if lead > -math.inf else lead


def _concerns(what: str, of: str, target: Target) -> bool:
    """Whether what is expected of a target depends on the input."""
    if what == "difficulty":
        return target.kind != "cloud"
    return target.name == (EDGE if what == "waiting" else of)


def changed(situation: Situation, what: str, to: float, of: str = "") -> Situation:
    """The situation with one input at another value: see `Change`."""
    signals = situation.signals
    if what == "rtt":
        links = {**signals.links, of: with_rtt(signals.links.get(of, UNKNOWN_LINK), to)}
        return replace(situation, signals=SignalsView(links, signals.system))
    if what == "difficulty":
        return replace(situation, p_edge_ok=to)
    if what == "waiting":
        busy = max(signals.system.engine_busy, min(1, int(to)))
        system = replace(signals.system, engine_waiting=int(to), engine_busy=busy)
        return replace(situation, signals=SignalsView(signals.links, system))
    one = situation.target(of)
    dearer = replace(one, price_prompt=one.price_prompt * to, price_completion=one.price_completion * to)
    return replace(situation, targets=tuple(dearer if each is one else each for each in situation.targets))


def _guess(same: float, other: float, lead_same: float, lead_other: float) -> float:
    """Where to look next: a little beyond where a straight line crosses, and never closer to `other` than it matters;
    in the middle where there is no line."""
    if lead_other == -math.inf:
        return math.sqrt(same * other) if same * other > 0 else (same + other) / 2
    share = lead_same / (lead_same - lead_other)
    crossing = same + (other - same) * share
    beyond = crossing + math.copysign(NEAR / 2 * abs(crossing), other - same)
    nearest = other + math.copysign(min(NEAR * abs(other), abs(other - same) / 2), same - other)
    return beyond if abs(beyond - same) < abs(nearest - same) else nearest


def _rounded(value: float, *, up: bool) -> float:
    """To two digits that a person reads, away from where it came."""
    if value == 0:
        return 0.0
    scale = 10.0 ** (1 - math.floor(math.log10(abs(value))))
    return (math.ceil(value * scale) if up else math.floor(value * scale)) / scale


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
    """One or two sentences: where another target would have answered; empty: nothing to say. `rule`: the decision's."""
    if rule in _CONSTRAINTS and (sentence := _without_the_constraint(what_if, rule)):
        return sentence
    if rule == SESSION:
        alone = f"A conversation that begins so would have gone to {display_name(what_if.chosen)}."
        held = what_if.situation.held
        return alone if held is not None and held.target != what_if.chosen else ""
    if rule in ("asked", "tried", "trial", "only"):
        return ""
    changes = what_if.changes()
    if not changes:
        return "No other link, price, difficulty or preset alone would have changed this."
    by_target: dict[str, list[str]] = {}
    for change in changes:
        by_target.setdefault(change.target, []).append(_words(change, what_if))
    sentences = [f"{display_name(target)} would have answered {_joined(ways)}." for target, ways in by_target.items()]
    return " ".join(sentence[0].upper() + sentence[1:] for sentence in sentences)


def without(situation: Situation, rule: str) -> Situation:
    """The same situation without what a constraint looks at."""
    features, targets = situation.features, situation.targets
    if rule == "personal":
        return replace(situation, personal_facts=False)
    if rule == "budget":
        return replace(situation, budget_left=None)
    if rule == "deadline":
        return replace(situation, deadline_s=None)
    if rule in ("schema", "media", "tools"):
        name = "structured" if rule == "schema" else rule
        unable = situation.unable if rule == "media" else {}
        return replace(situation, features=replace(features, **{name: False}), unable=unable)
    if rule == "sensitive":
        situation = replace(situation, sensitive=())
    return replace(situation, targets=tuple(_lifted(target, rule) for target in targets))


def _lifted(target: Target, rule: str) -> Target:
    if rule == "context":
        return replace(target, context_tokens=None)
    if rule in ("kept", "sensitive"):
        return replace(target, may_have=True)
    return replace(target, ok=True) if target.remote == (rule == "cloud-down") else target


def _without_the_constraint(what_if: WhatIf, rule: str) -> str:
    if what_if.situation.asked != "auto":
        return ""  # the text was not read: whatever is said of it would be a guess
    target = what_if.best(without(what_if.situation, rule))
    if target is None:
        return ""
    same = " all the same" if target == what_if.chosen else ""
    return f"Without {_CONSTRAINTS[rule]}, {display_name(target)} would have answered{same}."


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
    who = display_name(change.of)
    return f"at {to:.2g} times the price of {who}" if to else f"did {who} cost nothing"


def _milliseconds(seconds: float) -> str:
    return f"{1000 * seconds:.0f}" if seconds >= 0.01 else f"{1000 * seconds:.2g}"


def _joined(ways: list[str]) -> str:
    presets = [way.removeprefix("under ") for way in ways if way.startswith("under ")]
    others = [way for way in ways if not way.startswith("under ")]
    if presets:
        others.append("under " + " or ".join(filter(None, (", ".join(presets[:-1]), presets[-1]))))
    return others[0] if len(others) == 1 else ", ".join(others[:-1]) + ", or " + others[-1]
