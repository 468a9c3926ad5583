"""Situations for tests of decisions: an edge, a cloud, what is known of both."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from netgpt.routing.candidates import Situation, Target, features_of
from netgpt.routing.link_state import Estimate, LinkView, SignalsView, SystemView
from netgpt.settings.routing import Routing

RULES = Routing()
EDGE_TARGET = Target("edge", "edge", "edge", context_tokens=2048, reads_media=False, surely_reads_media=False)
CLOUD_TARGET = Target("cloud", exposure=0.2)
TEXTS = (
    "hi",
    "tell me a joke",
    "compare it",
    "write a python function",
    "word " * 60,
    "write a poem",
    "what is 3 * (4)?",
)


def situation(
    text: str = "hi",
    *,
    edge_ok: bool = True,
    edge_detail: str = "ready",
    cloud_ok: bool = True,
    cloud_detail: str = "ready",
    may_leave: bool = True,
    block_reason: str | None = None,
    edge_reads_media: bool = False,
    others: tuple[Target, ...] = (),
    **changes: Any,
) -> Situation:
    """Both well, nothing personal, no signals; `changes` are fields of Situation."""
    features = features_of({"messages": [{"role": "user", "content": text}]})
    edge = replace(EDGE_TARGET, ok=edge_ok, detail=edge_detail, reads_media=edge_reads_media)
    cloud = replace(CLOUD_TARGET, ok=cloud_ok, detail=cloud_detail, may_have=may_leave, block_reason=block_reason)
    usual = Situation("auto", features, (edge, cloud, *others), long=features.words > RULES.max_edge_words)
    return replace(usual, **changes)


def link(rtt_s: float, first_byte_s: float | None = None, tokens_s: float = 40.0, failures: float = 0.0) -> LinkView:
    """A link that was just measured."""
    first = first_byte_s if first_byte_s is not None else 0.3 + 2 * rtt_s
    return LinkView(
        rtt_s=sure(rtt_s), first_byte_s=sure(first), tokens_s=sure(tokens_s), failures=sure(failures)
    )  # fmt: skip


def sure(value: float) -> Estimate:
    return Estimate(value, 0.0, 1.0)


def links(**by_target: LinkView) -> SignalsView:
    return SignalsView(by_target)


def priced(one: Situation, prompt: float, completion: float, name: str = "cloud") -> Situation:
    """The same with other prices of a target, in money per million tokens."""
    targets = tuple(
        replace(target, price_prompt=prompt, price_completion=completion) if target.name == name else target
        for target in one.targets
    )
    return replace(one, targets=targets)


TARGETS = st.builds(
    Target,
    st.just("other"),
    kind=st.sampled_from(["cloud", "neighbour"]),
    ok=st.booleans(),
    may_have=st.booleans(),
    block_reason=st.just("it may not"),
    tools=st.booleans(),
    price_prompt=st.floats(0, 20),
    price_completion=st.floats(0, 60),
    quality=st.floats(0.1, 1),
    exposure=st.floats(0, 1),
)
VIEWS = st.builds(
    lambda rtt, rate, fails, waiting, other: SignalsView(
        {"cloud": link(rtt, tokens_s=rate, failures=fails), "other": link(other)},
        SystemView(
            engine_slots=2, engine_busy=min(2, waiting), engine_waiting=max(0, waiting - 2), engine_tokens_s=40.0
        ),
    ),
    st.floats(0.002, 2),
    st.floats(3, 120),
    st.floats(0, 0.9),
    st.integers(0, 8),
    st.floats(0.002, 2),
)
PRESET = st.sampled_from(["quality", "balanced", "cheap", "fast", "private"])
SITUATIONS = st.builds(
    lambda text, other, view, cloud, price, **changes: priced(
        situation(text, others=(other,), signals=view, cloud_ok=cloud[0], may_leave=cloud[1], **changes),
        price,
        4 * price,
    ),
    st.sampled_from(TEXTS),
    TARGETS,
    VIEWS,
    st.tuples(st.booleans() | st.just(True), st.booleans() | st.just(True)),
    st.floats(0, 30),
    asked=st.sampled_from(["auto", "auto", "auto", "edge", "cloud", "other"]),
    edge_ok=st.booleans() | st.just(True),
    p_edge_ok=st.none() | st.floats(0.02, 0.98),
    prefer=st.none() | PRESET,
    deadline_s=st.none() | st.floats(0.2, 30),
    budget_left=st.none() | st.floats(0, 0.02),
    personal_facts=st.booleans(),
    sensitive=st.just(()) | st.just(("CARD: sensitive-stays",)),
)
"""Any situation of three targets."""
