"""`netgpt bench decision`: what deciding costs, part by part, with everything that a running gateway has.

Three targets, links and an engine that change all the time, a learner that has learnt, a bound on the cloud's share:
no shortcut is left to take. Every text is new, so that no cache helps. One thread.
"""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from netgpt.routing.candidates import Situation, Target, features_of
from netgpt.routing.difficulty import Difficulty
from netgpt.routing.explain import counterfactual
from netgpt.routing.learner import Learner
from netgpt.routing.link_state import Estimate, LinkView, SignalsView, SystemView
from netgpt.routing.reward import DecisionOutcome, Parts
from netgpt.routing.router import Memory, decided
from netgpt.settings.routing import Routing
from netgpt.stages.route import READ_CHARS
from netgpt.word_pieces import StaticEmbedder
from netgpt_bench.report import machine, percentile, spread

T = TypeVar("T")

TARGETS: Final = (
    Target("edge", "edge", "edge", context_tokens=2048, reads_media=False, surely_reads_media=False),
    Target("cloud", price_prompt=2.5, price_completion=10.0, exposure=0.2),
    Target("other", price_prompt=0.5, price_completion=1.5, quality=0.8, exposure=0.2),
)
OPENINGS: Final = (
    "What is", "Tell me about", "Write a poem on", "Compare", "Explain step by step", "A python function for",
)  # fmt: skip
THINGS: Final = ("the harbour", "a bicycle", "two phone plans", "winter soup", "the bus to the station", "old maps")
LENGTHS: Final = (0, 0, 0, 5, 20, 60)
"""How often a sentence is added to a request: most are short, a few are as long as a letter."""
MORE: Final = " It should be good for somebody who has little time and has never done it before."


def run(*, decisions: int, seed: int) -> dict[str, Any]:
    """Decide `decisions` times. Returns `{"rows": [...]}` with times in microseconds."""
    chance = random.Random(seed)
    difficulty, learner, memory = Difficulty.shipped(StaticEmbedder()), learnt_by_chance(seed), Memory(0.3)
    rules, took = Routing(max_cloud_share=0.3), _Times()
    difficulty.assess("the first text reads the files")
    for text in itertools.islice(_texts(chance), decisions):
        body = {"messages": [{"role": "user", "content": text}]}
        began = time.perf_counter()
        features = took.time("features of the text", lambda: features_of(body))  # noqa: B023
        p_edge_ok, x = took.time("kind and difficulty", lambda: difficulty.assess(text[:READ_CHARS]))  # noqa: B023
        situation = Situation(
            "auto", features, TARGETS, random_signals(chance), p_edge_ok, x=x, key=f"key_{chance.randrange(50)}",
            long=features.words > rules.max_edge_words, now=time.monotonic(),
        )  # fmt: skip
        decision, what_if = took.time(
            "constraints, objective, learner, share", lambda: decided(situation, rules, memory, learner)  # noqa: B023
        )  # fmt: skip
        took.note("the whole decision", time.perf_counter() - began)
        took.time("counterfactual (afterwards)", lambda: counterfactual(what_if, decision.rule))  # noqa: B023
    return {"rows": took.rows(), "arms": len(TARGETS), "samples": decisions, "unit": "microseconds", **machine()}


class _Times:
    """Times by the name of the part, in seconds."""

    def __init__(self) -> None:
        self.parts: dict[str, list[float]] = {}

    def time(self, part: str, work: Callable[[], T]) -> T:
        began = time.perf_counter()
        result = work()
        self.note(part, time.perf_counter() - began)
        return result

    def note(self, part: str, seconds: float) -> None:
        self.parts.setdefault(part, []).append(seconds * 1e6)

    def rows(self) -> list[dict[str, Any]]:
        return [
            {"part": part, **{name: round(value, 1) for name, value in spread(times).items()}}
            | {"p99": round(percentile(times, 0.99), 1), "max": round(max(times), 1)}
            for part, times in self.parts.items()
        ]


def _texts(chance: random.Random) -> Iterator[str]:
    for number in itertools.count():
        yield f"{chance.choice(OPENINGS)} {chance.choice(THINGS)} ({number})?" + MORE * chance.choice(LENGTHS)


def random_signals(chance: random.Random) -> SignalsView:
    def sure(value: float) -> Estimate:
        return Estimate(value, chance.uniform(0, 10), chance.uniform(0.3, 1))

    links = {
        target.name: LinkView(
            rtt_s=sure(chance.uniform(0.01, 0.4)),
            first_byte_s=sure(chance.uniform(0.2, 2)),
            up_bytes_s=sure(1e6),
            tokens_s=sure(chance.uniform(10, 90)),
            failures=sure(chance.uniform(0, 0.1)),
        )
        for target in TARGETS
    }
    busy = chance.randrange(5)
    view = SystemView(engine_slots=2, engine_busy=min(busy, 2), engine_waiting=max(0, busy - 2), engine_tokens_s=40.0)
    return SignalsView(links, view)


def learnt_by_chance(seed: int) -> Learner:
    """A learner after some hundred rated answers."""
    learner, chance = Learner(seed=seed), random.Random(seed)
    for number in range(300):
        x = tuple(chance.gauss(0, 1) for _ in range(12))
        target = chance.choice(TARGETS)
        rating = 1 if chance.random() < target.quality else -1
        learner.update(
            DecisionOutcome(str(number), target.name, x, f"key_{number % 50}", target.quality, Parts(rating=rating))
        )
    return learner
