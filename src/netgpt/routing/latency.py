"""How long an answer would take on each arm, from the signals; where they know nothing, from what is usual.

What was measured counts by its confidence, the usual value by the rest, as a geometric mean: times and rates differ
by factors, not by sums.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Final

from netgpt.routing.arms import Arm
from netgpt.routing.situation import Situation
from netgpt.routing.views import BoxView, Estimate, LinkView

__all__ = ["UNKNOWN_LINK", "blended", "edge_busy_s", "first_byte_s", "rtt_of", "seconds", "wait_s", "with_rtt"]

UNKNOWN_LINK: Final = LinkView()

# What is usual where nothing was measured: seconds, bytes a second, tokens a second.
_RTT_S: Final = 0.05
_SERVER_S: Final = 0.6
"""A server's queue and its reading of the prompt."""
_UP_BYTES_S: Final = 250_000.0
_CLOUD_TOKENS_S: Final = 40.0
_EDGE_TOKENS_S: Final = 45.0
_EDGE_PROMPT_TOKENS_S: Final = 200.0


def blended(estimate: Estimate | None, usual: float) -> float:
    """The estimate, as far as it can be trusted; `usual` for the rest. Both above zero."""
    if estimate is None or estimate.confidence <= 0:
        return usual
    value = max(estimate.value, 1e-6)
    if estimate.confidence >= 1:
        return value
    return math.exp(estimate.confidence * math.log(value / usual)) * usual


def seconds(arm: Arm, situation: Situation, link: LinkView, box: BoxView) -> float:
    """From now to the last word of the answer, in seconds."""
    if not arm.remote:
        return wait_s(situation, box) + edge_busy_s(situation, box)
    upload = situation.features.characters / blended(link.up_bytes_s, _UP_BYTES_S)
    writing = situation.expected_tokens / blended(link.tokens_s, _CLOUD_TOKENS_S)
    return first_byte_s(link) + upload + _queue_s(situation, link) + writing


def _queue_s(situation: Situation, link: LinkView) -> float:
    """Seconds until a neighbour that says how busy it is has a place free: as `wait_s`, at the pace that it shows."""
    load = link.load
    if load is None or (load.busy < load.slots and load.waiting == 0):
        return 0.0
    one_s = situation.expected_tokens / blended(link.tokens_s, _EDGE_TOKENS_S)
    return (load.waiting + 0.5) / load.slots * one_s


def first_byte_s(link: LinkView) -> float:
    """Seconds from the end of the request to the first byte of the answer."""
    usual = _SERVER_S + 2 * blended(link.rtt_s, _RTT_S)
    return blended(link.first_byte_s, usual)


def rtt_of(link: LinkView) -> float:
    """The round trip that is reckoned with, in seconds."""
    return blended(link.rtt_s, _RTT_S)


def edge_busy_s(situation: Situation, box: BoxView) -> float:
    """Seconds of work for the model on the box: reading and writing, without the wait for a free place."""
    reading = situation.prompt_tokens / (box.engine_prompt_tokens_s or _EDGE_PROMPT_TOKENS_S)
    return reading + situation.expected_tokens / (box.engine_tokens_s or _EDGE_TOKENS_S)


def wait_s(situation: Situation, box: BoxView) -> float:
    """Seconds until the engine has a place free: answers before this one, each as long as this one, half done."""
    busy, slots = box.engine_busy, max(1, box.engine_slots)
    if busy < slots and box.engine_waiting == 0:
        return 0.0
    return (box.engine_waiting + 0.5) / slots * edge_busy_s(situation, box)


def with_rtt(link: LinkView, rtt_s: float) -> LinkView:
    """The same link with another round trip: the first byte comes later by as much as one round trip is longer."""
    before = rtt_of(link)
    told = link.first_byte_s
    later = None if told is None else replace(told, value=max(1e-3, told.value + rtt_s - before))
    return replace(link, rtt_s=Estimate(rtt_s, 0.0, 1.0), first_byte_s=later)
