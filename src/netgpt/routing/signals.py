"""What links, models and the box tell now. Calls write into it as they go; every decision reads it."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Protocol

from netgpt.registry import PluginRegistry
from netgpt.routing.link_state import Estimate, Link, LinkView, PendingCall, SignalsView, SystemView
from netgpt.types import CallFacts, Load

SURE = 0.3  # the confidence of a fresh hint: between nothing and one real call (0.5)
KEEPS_S = 60.0  # after so long its confidence has fallen to 37 %
GONE_S = 300.0  # after so long it is dropped
DOUBT = 0.6  # how much of its confidence a measurement loses on a link without service


@dataclass(frozen=True, slots=True)
class Hint:
    """What a source of the network says of a link. Rates in bytes a second, times in seconds; None: it did not say."""

    text: str
    reported_at: float = 0.0  # on the signals' clock; a plug-in leaves it out
    grade: float = 1.0  # 0 (no service) to 1 (nothing stands in the way)
    rtt_s: float | None = None
    loss: float | None = None
    up_bytes_s: float | None = None
    down_bytes_s: float | None = None


class SignalSource(Protocol):
    """What a plug-in of the group `netgpt.signals` gives: something that tells of links, asked again and again."""

    every_s: float
    """Seconds between two samples."""

    async def sample(self) -> Mapping[str, Hint]:
        """By the target's name, what is known of its link now. It must not block the loop; it may fail."""
        ...


def _admit(_name: str, factory: Any) -> Callable[[Any], SignalSource]:
    if not callable(factory):
        raise ValueError("is no function of the settings that gives a source")
    return factory  # type: ignore[no-any-return]


SIGNALS: Final[PluginRegistry[Callable[[Any], SignalSource]]] = PluginRegistry("netgpt.signals", dict, _admit)
"""Sources of plug-ins: functions of the settings."""


def checked_hint(hint: Any, now: float) -> Hint:
    """A plug-in's hint, as of `now`. Raises TypeError, ValueError: nonsense."""
    if not isinstance(hint, Hint):
        raise TypeError("a sample holds Hints")
    rates = [rate for rate in (hint.rtt_s, hint.loss, hint.up_bytes_s, hint.down_bytes_s) if rate is not None]
    if not 0 <= hint.grade <= 1 or not all(0 <= rate < math.inf for rate in rates) or (hint.loss or 0) > 1:
        raise ValueError("a hint is out of its bounds")
    return replace(hint, text=str(hint.text)[:200], reported_at=now)


def with_hint(link: LinkView, hint: Hint, now: float) -> LinkView:
    """The link with the hint as a prior: it fills in what was never measured, or so long ago that the hint is surer.
    Where it says that the link got worse, older measurements lose confidence."""
    age = max(0.0, now - hint.reported_at)
    if age > GONE_S:
        return link
    fresh = math.exp(-age / KEEPS_S)
    doubt = DOUBT * (1.0 - min(1.0, max(0.0, hint.grade))) * fresh

    def seen(known: Estimate | None, hinted: float | None = None) -> Estimate | None:
        if known is not None and doubt and known.age_s > 0:
            known = replace(known, confidence=known.confidence * (1.0 - doubt))
        if hinted is None or (known is not None and known.confidence >= SURE * fresh):
            return known
        return Estimate(hinted, age, SURE * fresh)

    return replace(
        link,
        rtt_s=seen(link.rtt_s, hint.rtt_s),
        loss=seen(link.loss, hint.loss),
        up_bytes_s=seen(link.up_bytes_s, hint.up_bytes_s),
        down_bytes_s=seen(link.down_bytes_s, hint.down_bytes_s),
        first_byte_s=seen(link.first_byte_s),
        tokens_s=seen(link.tokens_s),
        failures=seen(link.failures, (1.0 - hint.grade) / 2 if hint.grade < 1 else None),
        hint="; ".join(word for word in (link.hint, hint.text) if word),
    )


MEASURE_EVERY_S = 0.25
LOAD_KEEPS_S = 10.0  # what a neighbour said of its queue counts for so long
SAME_VIEW_S = 0.02  # decisions within this time of one another see one view


class Signals:
    """One for a gateway. `clock` gives seconds that never go back. One event loop only: there is no lock."""

    def __init__(self, *, slots: int = 1, clock: Callable[[], float] = time.monotonic) -> None:
        """`slots`: answers that the edge model writes at once."""
        self.clock = clock
        self.slots = slots
        self.busy_elsewhere: Callable[[], int] = int
        """Answers that the edge model writes for other processes."""
        self.links: dict[str, Link] = {}
        self.system = SystemView(engine_slots=slots)  # as last sampled: see `box.BoxWatch`
        self.hints: dict[str, dict[str, Hint]] = {}
        """What the network says of a target's link, by target and source."""
        self.loads: dict[str, tuple[float, Load]] = {}  # when a neighbour last said how busy it is, and what
        self.used_at = -1e9  # when somebody last asked for something: probes are made only while the box is in use
        self._measured_at = -1e9
        self._view: tuple[float, SignalsView] | None = None

    def link(self, target: str) -> Link:
        """All that is known of a target, by its name."""
        link = self.links.get(target)
        if link is None:
            link = self.links[target] = Link()
        return link

    def began(self, target: str) -> PendingCall:
        """A call to `target` begins. Its notes are read until `PendingCall.end`."""
        now = self.clock()
        waiting = self.link(target).waiting
        call = PendingCall(target, now, waiting.discard)
        waiting.add(call)
        self._view = None
        return call

    def observed(self, facts: CallFacts) -> None:
        """A call has ended."""
        self.link(facts.target).observed(facts, self.clock())
        self._view = None

    def probed(self, target: str, rtt_s: float | None, lost: float = 0.0) -> None:
        """A probe of `target`: the round trip of opening a connection (None: it failed), the share of segments lost."""
        self.link(target).probed(rtt_s, self.clock(), lost)
        self._view = None

    def hinted(self, target: str, source: str, hint: Hint) -> None:
        """A source of the operator's network said this of the link to `target`; it replaces what it said before."""
        self.link(target)
        self.hints.setdefault(target, {})[source] = hint
        self._view = None

    def loaded(self, target: str, load: Load) -> None:
        """The server behind `target` said how busy it is."""
        self.loads[target] = (self.clock(), load)
        self._view = None

    def for_request(self) -> SignalsView:
        """The view for a decision: somebody asks, so the box is in use."""
        self.used_at = self.clock()
        return self.view(self.used_at)

    def view(self, now: float | None = None) -> SignalsView:
        """All signals at `now` (of `clock`; None: this moment)."""
        at = self.clock() if now is None else now
        if self._view is not None and 0 <= at - self._view[0] < SAME_VIEW_S:
            return self._view[1]
        if at - self._measured_at >= MEASURE_EVERY_S:
            self._measured_at = at
            for link in self.links.values():
                link.measure(at)
        view = SignalsView(
            {target: self._seen(target, link, at) for target, link in self.links.items()}, self._system(at)
        )
        self._view = (at, view)
        return view

    def _seen(self, target: str, link: Link, now: float) -> LinkView:
        view = link.view(now)
        for hint in self.hints.get(target, {}).values():
            view = with_hint(view, hint, now)
        said_at, load = self.loads.get(target, (-1e9, None))
        return replace(view, load=load) if now - said_at <= LOAD_KEEPS_S else view

    def _system(self, now: float) -> SystemView:
        """The box as last sampled, with the queue and the token rate of its engine now."""
        edge = self.links.get("edge")
        if edge is None:
            return replace(self.system, engine_slots=self.slots)
        in_flight = len(edge.waiting) + self.busy_elsewhere()
        token_rate = edge.token_rate_now(now)
        return replace(
            self.system,
            engine_slots=self.slots,
            engine_busy=min(in_flight, self.slots),
            engine_waiting=max(0, in_flight - self.slots),
            engine_prompt_tokens_s=edge.prompt_token_rate.value(),
            engine_tokens_s=token_rate.value if token_rate else None,
        )
