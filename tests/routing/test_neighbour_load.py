"""A neighbour is asked when the own engine has a queue, and is left alone when it says that it has one too."""

from __future__ import annotations

import pytest

from netgpt.routing.candidates import Situation, Target, features_of
from netgpt.routing.link_state import Estimate, LinkView, SignalsView, SystemView
from netgpt.routing.router import decide
from netgpt.routing.signals import LOAD_KEEPS_S, Signals
from netgpt.settings.routing import Routing
from netgpt.types import Decision, Load

TARGETS = (Target("edge", "edge", "edge"), Target("next", kind="neighbour", exposure=0.1))


def sure(value: float) -> Estimate:
    return Estimate(value, 0.1, 0.95)


def decided(waiting: int, load: Load | None, rules: Routing | None = None) -> Decision:
    body = {"messages": [{"role": "user", "content": "what is the capital of France?"}]}
    link = LinkView(rtt_s=sure(0.002), first_byte_s=sure(0.15), tokens_s=sure(45), load=load)
    system = SystemView(engine_slots=2, engine_busy=2 if waiting else 0, engine_waiting=waiting, engine_tokens_s=45)
    signals = SignalsView({"next": link}, system)
    return decide(Situation("auto", features_of(body), TARGETS, signals, p_edge_ok=0.8), rules or Routing())


@pytest.mark.parametrize(
    ("waiting", "load", "target"),
    [
        (0, Load(2, 0, 0), "edge"),
        (4, None, "next"),
        (4, Load(2, 1, 0), "next"),
        (4, Load(2, 2, 8), "edge"),
        (20, Load(2, 2, 8), "next"),
    ],
)
def test_the_shorter_queue_answers(waiting: int, load: Load | None, target: str) -> None:
    assert decided(waiting, load).name == target


@pytest.mark.parametrize("prefer", ["quality", "balanced", "cheap", "private"])
def test_between_two_idle_boxes_a_tie_stays_at_home_and_a_queue_does_not(prefer: str) -> None:
    rules = Routing(prefer=prefer)
    assert decided(0, Load(2, 0, 0), rules).name == "edge"
    assert decided(0, None, rules).name == "edge"
    assert decided(40, Load(2, 0, 0), Routing()).name == "next"


def test_what_a_neighbour_said_is_forgotten_soon() -> None:
    now = [100.0]
    signals = Signals(clock=lambda: now[0])
    signals.began("next").end()
    signals.loaded("next", Load(2, 2, 3))
    assert signals.view().links["next"].load == Load(2, 2, 3)
    now[0] += LOAD_KEEPS_S + 1
    assert signals.view().links["next"].load is None


@pytest.mark.parametrize(
    "text", [None, "", "slots=2", "slots=0;busy=0;waiting=0", "slots=2;busy=-1;waiting=0", "x" * 99]
)
def test_an_unreadable_header_says_nothing(text: str | None) -> None:
    assert Load.read(text) is None


def test_a_header_is_read_as_it_is_written() -> None:
    assert Load.read(Load(4, 3, 2).text) == Load(4, 3, 2)
