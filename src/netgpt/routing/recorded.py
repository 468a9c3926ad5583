"""What went into a decision, as it is kept with the exchange, and the decision taken again under other conditions.

Figures and names of targets: no word of the request. The learner's part is kept as what it added to each target's
prior, so a decision of last week is taken with what was known then. The objective is the one that decides: `weigh`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Final

from netgpt.errors import RequestError
from netgpt.routing.candidates import Features, Situation, Target
from netgpt.routing.explain import WhatIf, changed
from netgpt.routing.learner import HIGHEST, LOWEST
from netgpt.routing.link_state import Estimate, LinkView, SignalsView, SystemView
from netgpt.routing.scoring import PRESETS, UNKNOWN_LINK, Weighed, Weights, rtt_of, weigh
from netgpt.settings.routing import Routing
from netgpt.types import Load

_PLAIN: Final = (
    "asked", "p_edge_ok", "p_usual", "p_kind", "priors", "prefer", "deadline_s", "budget_left", "sensitive",
    "personal_facts", "answer_tokens", "long", "must_call", "unable",
)  # fmt: skip
"""Of a situation; not the caller's key, nor the learner's numbers."""
_ESTIMATES: Final = ("rtt_s", "up_bytes_s", "first_byte_s", "tokens_s", "failures")
_SYSTEM: Final = (
    "engine_slots", "engine_busy", "engine_waiting", "engine_prompt_tokens_s", "engine_tokens_s", "power_w",
)  # fmt: skip
_USUAL: Final = {
    kind: {each.name: each.default for each in fields(kind)} for kind in (Situation, Target, SystemView, LinkView)
}


def _told(value: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """These fields, where they are not as usual."""
    usual = _USUAL[type(value)]
    return {name: found for name in names if (found := getattr(value, name)) != usual[name]}


_OF_TARGET: Final = tuple(_USUAL[Target])


def as_kept(what_if: WhatIf) -> dict[str, Any]:
    """A decision that can be taken again, as JSON values."""
    situation, links = what_if.situation, {}
    for target in situation.targets:
        link = situation.signals.links.get(target.name)
        if link is not None:
            known = {
                name: [one.value, one.age_s, one.confidence] for name in _ESTIMATES if (one := getattr(link, name))
            }
            links[target.name] = known | ({"load": asdict(link.load)} if link.load else {})
    learnt = {
        one.target: shift
        for one in what_if.weighed.expected
        if one.prior is not None and (shift := round(what_if.believe(one.target, one.prior) - one.prior, 5))
    }
    features = {name: value for name, value in asdict(situation.features).items() if value}
    return {
        **_told(situation, _PLAIN),
        "features": features,
        "targets": [_told(target, _OF_TARGET) for target in situation.targets],
        "links": links,
        "system": _told(situation.signals.system, _SYSTEM),
        "weights": asdict(what_if.weights),
        "edge_when_personal": what_if.rules.edge_when_personal,
        "threshold": what_if.threshold,
        "learnt": learnt,
    }


def from_kept(kept: Mapping[str, Any], rules: Routing) -> WhatIf:
    """The decision as it was. `rules`: those in force now, for what is not kept. Raises RequestError: malformed."""
    try:
        signals = SignalsView({name: _link(link) for name, link in kept["links"].items()}, SystemView(**kept["system"]))
        plain = {name: kept[name] for name in _PLAIN if name in kept}
        if "sensitive" in plain:
            plain["sensitive"] = tuple(plain["sensitive"])
        nothing = dict.fromkeys((each.name for each in fields(Features)), 0)
        features = Features(**{**nothing, **kept["features"]})
        targets = tuple(Target(**each) for each in kept["targets"])
        situation = Situation(features=features, targets=targets, signals=signals, **plain)
        personal = kept["edge_when_personal"]
        rules = rules.model_copy(update={"edge_when_personal": personal if personal == "able" else bool(personal)})
        weights, learnt = Weights(**kept["weights"]), dict(kept["learnt"])
        threshold = float(kept["threshold"])
    except (KeyError, TypeError, ValueError, AttributeError):
        raise RequestError("this decision was kept in a form that this version does not read", status=409) from None

    def believe(target: str, prior: float) -> float:
        return min(max(prior + learnt[target], LOWEST), HIGHEST) if target in learnt else prior

    weighed = weigh(situation, rules, weights, believe, threshold)
    return WhatIf(situation, rules, weights, believe, threshold, weighed)


def _link(kept: Mapping[str, Any]) -> LinkView:
    known: dict[str, Any] = {name: Estimate(*kept[name]) for name in _ESTIMATES if name in kept}
    return LinkView(**known, load=Load(**kept["load"]) if "load" in kept else None)


@dataclass(frozen=True, slots=True)
class Conditions:
    """What is to be otherwise than it was; None, and targets that are not named: as it was."""

    rtt_s: Mapping[str, float] = field(default_factory=dict)
    price: Mapping[str, float] = field(default_factory=dict)
    """So many times as high, by target."""
    difficulty: float | None = None
    """The chance that a small model's answer does, 0 to 1."""
    waiting: int | None = None
    prefer: str | None = None


def taken_again(what_if: WhatIf, conditions: Conditions) -> Weighed:
    """The decision under these conditions. Raises RequestError: a target or preset that there is not."""
    situation, names = what_if.situation, {target.name for target in what_if.situation.targets}
    for what, by_target in (("rtt", conditions.rtt_s), ("price", conditions.price)):
        for target, to in by_target.items():
            if target not in names:
                raise RequestError(f'{what}: "{target}" is none of {", ".join(sorted(names))}', param=what)
            situation = changed(situation, what, to, target)
    for what, number in (("difficulty", conditions.difficulty), ("waiting", conditions.waiting)):
        if number is not None:
            situation = changed(situation, what, number)
    weights = what_if.weights
    if conditions.prefer is not None:
        if conditions.prefer not in PRESETS:
            raise RequestError(f"prefer: one of {', '.join(PRESETS)}", param="prefer")
        weights = replace(PRESETS[conditions.prefer], worth=weights.worth)
    return weigh(situation, what_if.rules, weights, what_if.believe, what_if.threshold)


def inputs_of(what_if: WhatIf) -> dict[str, Any]:
    """What can be changed, and how it was."""
    situation = what_if.situation
    elsewhere = [target for target in situation.targets if target.remote]
    return {
        "rtt_ms": {
            target.name: round(1000 * rtt_of(situation.signals.links.get(target.name, UNKNOWN_LINK)), 1)
            for target in elsewhere
        },
        "price": {target.name: 1.0 for target in elsewhere if target.price_prompt or target.price_completion},
        "difficulty": None if situation.p_edge_ok is None else round(situation.p_edge_ok, 3),
        "waiting": situation.signals.system.engine_waiting,
        "prefer": situation.prefer,
        "presets": list(PRESETS),
    }
