"""Smooths the links that decisions see: held still under noise, released when a link has really changed.

A decision that followed every measurement would flap. So each target's link is *held* until what is measured differs by
a margin, for a dwell. Worse is believed soon. Better is believed soon too, once an answer proves it, or a probe after
failures; but not where the link *relapsed*: got worse again within a minute after it was believed to be better. Then it
is left alone, longer with each relapse. Silence of a link proves nothing: one request may try it (`trial`), and its
answer decides. A change that goes on in one direction needs no dwell.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from netgpt.routing.link_state import LinkView
from netgpt.routing.scoring import blended, first_byte_s

DWELL_S: Final = 0.8  # a change lasts this long before it is believed
RETURN_S: Final = 1.5  # and so long that it is better, without failures before: noise is better now and then
GAP_S: Final = 3.0  # after so long without a decision, what is measured now is believed at once
CALM_S: Final = 60.0  # a relapse is forgotten after this, and a link that was better for so long does not relapse
ONWARD_S: Final = 3.0
"""Within this time after a change, more of the same is believed at once, and so is that it was not better after all."""
RATIO: Final = 1.5  # a link that answers this many times faster or slower has changed, ...
WIDER: Final = 1.3  # ... and, for each relapse within the last minute, this many times more
AWAY_S: Final = 45.0
"""So long for each relapse, a link that got worse is left alone before it is believed to be better again."""
FRESH_S: Final = 3.0  # an answer that began so recently proves what its link is like
NEARLY: Final = 1.25  # an answer proves that a link is back when it is no more times slower than before
UNPROVEN_S: Final = 60.0  # after so long, that no more failures are seen is proof enough
TRIAL_S: Final = 1.5
"""A link that got worse may be tried so long after it was last tried, or got worse: then after twice that, ..."""
MOST_TRIAL_S: Final = 6.0  # ... at most after this
TRIAL_EVERY: Final = 4  # and at most one request in so many tries it
LEAST_S: Final = 0.15  # smaller differences are nobody's business
FAILING: Final = 0.25  # a change of the share of failing calls that counts
UNKNOWN: Final = 2  # a link differs in that one of both was never measured
USUAL_TOKENS_S: Final = 40.0  # where the token rate was not measured
TOKENS: Final = 40.0  # a link is judged by an answer of this many tokens: a short one, which its first word decides


@dataclass(slots=True)
class _HeldLink:
    link: LinkView
    measured: LinkView  # at the last decision
    updated: float
    differs: int = 0  # which way the link differs now: 1 worse, -1 better, 0 not
    differs_since: float = 0.0
    went: int = 0  # which way the last change went; 0: there was none
    changed: float = -math.inf
    relapses: list[float] = field(default_factory=list)
    before: LinkView | None = None  # what it was like before it got worse; None: it did not, or is better again
    tried: float = 0.0  # when it was last tried, or got worse
    trials: int = 0  # since it got worse
    updates: int = 0  # since it was last tried, or got worse
    returned: float = -math.inf  # when it was last believed to be better after it had got worse

    def believe(self, link: LinkView, now: float, way: int) -> None:
        """It is as measured now, `way` of what it was held for."""
        if way > 0 and self.before is None:
            self.before, self.tried, self.trials, self.updates = self.link, now, 0, 0
            if now - self.returned < CALM_S:
                self.relapses.append(now)
        elif way < 0 and self.before is not None:
            self.before, self.returned = None, now
        self.link, self.differs = link, 0
        self.went, self.changed = way or self.went, now


class LinkSmoother:
    """One link a target. `update` at every decision, with a time in seconds that never goes back."""

    def __init__(self) -> None:
        self._held: dict[str, _HeldLink] = {}

    def update(self, links: Mapping[str, LinkView], now: float) -> dict[str, LinkView]:
        """Take in what is measured now; return the links to decide by."""
        return {name: _with_load(self._one(name, link, now), link) for name, link in links.items()}

    def trial(self, now: float) -> tuple[str, LinkView] | None:
        """The target that got worse and may be tried by this request, and its link as it was before; None: none is.

        To be called after `update`, at the same time.
        """
        for name, held in self._held.items():
            if held.before is not None and held.updated == now and _may_try(held, held.measured, now):
                return name, _with_load(held.before, held.measured)
        return None

    def tried(self, name: str, now: float) -> None:
        """A request tries this target."""
        held = self._held[name]
        held.tried, held.updates = now, 0
        held.trials += 1

    def _one(self, name: str, link: LinkView, now: float) -> LinkView:
        held = self._held.get(name)
        if held is None:
            self._held[name] = _HeldLink(link, link, now)
            return link
        gap, held.updated, held.measured = now - held.updated, now, link
        held.updates += 1
        if _is_known(held.link) != _is_known(link):  # nothing to compare with: no change of the link's
            return self._taken(held, link, now, gap, 0)
        if held.relapses:
            held.relapses = [moment for moment in held.relapses if now - moment < CALM_S]
        differs = _differs(held.link, link, len(held.relapses))
        if differs == 0 or (differs < 0 and gap < GAP_S and not _may_return(held, link, now)):
            held.differs = 0
            return held.link
        at_once = now - held.changed < ONWARD_S and (differs == held.went or differs > 0 > held.went)
        return self._taken(held, link, now, math.inf if at_once else gap, differs)

    def _taken(self, held: _HeldLink, link: LinkView, now: float, gap: float, way: int) -> LinkView:
        """Believe in the link as it is now, once it was so for the dwell."""
        if held.differs != (way or UNKNOWN):
            held.differs, held.differs_since = way or UNKNOWN, now
        doubted = way < 0 and not _fails(held.link, link)
        if gap >= GAP_S or now - held.differs_since >= (RETURN_S if doubted else DWELL_S):
            held.believe(link, now, way)
        return held.link


def _may_return(held: _HeldLink, link: LinkView, now: float) -> bool:
    """Whether it may be believed that the link is better: it was away for long enough, and something proves it."""
    if _is_away(held, now):
        return False
    if _fails(held.link, link) < 0 or now - held.changed >= UNPROVEN_S:
        return True
    return _is_proven(link) and (held.before is None or _is_like(held.before, link))


def _is_like(before: LinkView, link: LinkView) -> bool:
    """Whether it is as before, or nearly: somewhat better than bad is what a bad link is now and then."""
    return _seconds(link) <= NEARLY * _seconds(before) + LEAST_S


def _is_away(held: _HeldLink, now: float) -> bool:
    return bool(held.relapses) and now - held.changed < AWAY_S * len(held.relapses)


def _is_proven(link: LinkView) -> bool:
    return link.first_byte_s is None or link.first_byte_s.age_s < FRESH_S


def _may_try(held: _HeldLink, link: LinkView, now: float) -> bool:
    """No call is under way, the last answer is old, and it was not tried just before."""
    if link.in_flight or held.updates < TRIAL_EVERY or _failing(link) > FAILING:
        return False
    if _is_proven(link) or _is_away(held, now):
        return False
    return now - held.tried >= min(MOST_TRIAL_S, TRIAL_S * 2.0 ** min(held.trials, 8))


def _with_load(held: LinkView, now: LinkView) -> LinkView:
    """What a neighbour says of its queue is no measurement of a link: it is taken at its word, at once."""
    return held if held.load == now.load else replace(held, load=now.load)


def _is_known(link: LinkView) -> bool:
    return link.first_byte_s is not None or link.rtt_s is not None


def _differs(before: LinkView, now: LinkView, relapses: int) -> int:
    """1: worse by more than the margin; -1: better; 0: neither."""
    if failing := _fails(before, now):
        return failing
    old, new = _seconds(before), _seconds(now)
    way = 1 if new > old else -1
    margin = RATIO * WIDER**relapses
    return way if abs(old - new) > LEAST_S and not 1 / margin <= new / old <= margin else 0


def _fails(before: LinkView, now: LinkView) -> int:
    """1: more of its calls fail than before; -1: fewer; 0: as many."""
    failing = _failing(now) - _failing(before)
    return 0 if abs(failing) <= FAILING else 1 if failing > 0 else -1


def _seconds(link: LinkView) -> float:
    return first_byte_s(link) + TOKENS / blended(link.tokens_s, USUAL_TOKENS_S)


def _failing(link: LinkView) -> float:
    return link.failures.value * link.failures.confidence if link.failures is not None else 0.0
