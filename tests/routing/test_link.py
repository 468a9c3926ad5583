"""What calls that have ended tell of a link. The clock is the test's own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from links import World, value

from netgpt.routing.link_state import Estimate
from netgpt.types import CallFacts


@pytest.fixture
def world() -> World:
    return World()


def test_a_call_tells_of_round_trip_loss_first_byte_pace_and_success(world: World) -> None:
    world.call(retransmits=1, segments=20)
    link = world.after(0.1)
    assert value(link.rtt_s) == 0.02
    assert value(link.jitter_s) == 0.002
    assert value(link.loss) == 0.05
    assert value(link.first_byte_s) == 0.4
    assert value(link.tokens_s) == pytest.approx(99 / 2.0)
    assert value(link.failures) == 0.0


def test_without_the_kernels_word_the_time_to_connect_stands_for_the_round_trip(world: World) -> None:
    world.call(rtt_s=None, rtt_var_s=None, connect_s=0.03)
    assert value(world.after(0).rtt_s) == 0.03


def test_small_transfers_tell_nothing_of_the_rate(world: World) -> None:
    world.call(received_bytes=5_000, receive_s=0.1, sent_bytes=900, up_bytes_s=1e6)
    link = world.after(0)
    assert link.down_bytes_s is None
    assert link.up_bytes_s is None


def test_large_ones_do_and_a_stream_is_only_a_lower_bound(world: World) -> None:
    world.call(received_bytes=1_000_000, receive_s=1.0, whole=True, sent_bytes=100_000, up_bytes_s=2e6)
    assert value(world.after(0).down_bytes_s) == 1e6
    world.call(received_bytes=100_000, receive_s=10.0)
    link = world.after(1)
    assert value(link.down_bytes_s) == 1e6
    assert value(link.up_bytes_s) == 2e6


def test_a_caller_that_hangs_up_after_a_long_wait_tells_of_it_too(world: World) -> None:
    world.usual_calls()
    world.call(outcome="cancelled", first_byte_s=None, waited_s=8.0)
    link = world.after(0)
    assert value(link.first_byte_s) == pytest.approx(8.4), "all the time waited for one answer"
    assert value(link.failures) == 0.0


def test_a_connection_where_none_could_be_opened_ends_the_fear(world: World) -> None:
    world.usual_calls()
    for _ in range(3):
        world.call(outcome="unreachable", failed=True, first_byte_s=None, waited_s=5.0, rtt_s=None, rtt_var_s=None)
        world.clock.now += 1
    before = world.after(0)
    assert value(before.failures) > 0.5 and value(before.first_byte_s) > 4
    assert world.signals.link("cloud").troubled(world.clock.now)
    for _ in range(2):
        world.signals.probed("cloud", 0.021)
    after = world.after(1)
    assert value(after.first_byte_s) == pytest.approx(0.4)
    assert value(after.failures) == 0.0
    assert not world.signals.link("cloud").troubled(world.clock.now)


def test_a_server_that_takes_connections_and_answers_nobody_is_feared_for_longer(world: World) -> None:
    world.usual_calls()
    for _ in range(3):
        world.call(outcome="model_timeout", failed=True, first_byte_s=None, waited_s=5.0)
        world.clock.now += 1
    world.signals.probed("cloud", 0.021)
    assert value(world.after(1).first_byte_s) > 3
    for _ in range(45):  # fifteen looks of three
        world.signals.probed("cloud", 0.021)
        world.clock.now += 0.7
    assert value(world.after(0).first_byte_s) < 1.0, "but not for ever"


def test_a_server_that_fails_is_not_well_because_it_takes_connections(world: World) -> None:
    world.usual_calls()
    for _ in range(4):
        world.call(outcome="model_error", failed=True, first_byte_s=None)
        world.clock.now += 1
    for _ in range(3):
        world.signals.probed("cloud", 0.021)
    assert value(world.after(0).failures) > 0.5


def test_two_failures_in_a_row_are_felt(world: World) -> None:
    world.usual_calls(60)
    for _ in range(2):
        world.call(outcome="unreachable", failed=True, first_byte_s=None, rtt_s=None, rtt_var_s=None)
        world.clock.now += 1
    assert value(world.after(0).failures) > 0.5


def test_a_refusal_or_a_hang_up_is_no_failure_of_the_link(world: World) -> None:
    world.call(outcome="model_rejected_request", first_byte_s=None, tokens=0)
    world.call(outcome="cancelled")
    assert world.after(0).failures is None


def test_whole_answers_alone_tell_their_sum(world: World) -> None:
    world.call(whole=True, first_byte_s=4.0, receive_s=0.0, tokens=100)
    link = world.after(0)
    assert value(link.tokens_s) == pytest.approx(25.0)
    assert link.first_byte_s is None
    world.call(whole=True, first_byte_s=4.5, receive_s=0.0, tokens=100)
    assert value(world.after(0).first_byte_s) == pytest.approx(0.5)


def test_old_values_lose_confidence(world: World) -> None:
    world.usual_calls()
    young, old = world.after(1).rtt_s, world.after(120).rtt_s
    assert young is not None
    assert old is not None
    assert old.confidence < young.confidence / 5
    assert old.age_s == 121


def test_links_do_not_mix(world: World) -> None:
    world.call(target="a", rtt_s=0.01)
    world.call(target="b", rtt_s=0.2)
    links = world.signals.view().links
    assert value(links["a"].rtt_s) == 0.01
    assert value(links["b"].rtt_s) == 0.2


def test_decisions_of_one_moment_see_one_view(world: World) -> None:
    world.call()
    first = world.signals.view()
    assert world.signals.view() is first
    world.call()
    assert world.signals.view() is not first


@given(
    st.lists(
        st.builds(
            CallFacts,
            target=st.just("cloud"),
            began=st.just(0.0),
            outcome=st.sampled_from(["ok", "cancelled", "unreachable", "model_timeout", "model_error"]),
            connect_s=st.none() | st.floats(0, 10),
            rtt_s=st.none() | st.floats(0, 10),
            rtt_var_s=st.none() | st.floats(0, 10),
            retransmits=st.integers(0, 100),
            segments=st.integers(0, 100),
            first_byte_s=st.none() | st.floats(0, 100),
            sent_bytes=st.integers(0, 10**7),
            received_bytes=st.integers(0, 10**7),
            receive_s=st.floats(0, 100),
            tokens=st.integers(0, 5000),
            tries=st.integers(1, 4),
            failed=st.booleans(),
            waited_s=st.floats(0, 100),
            whole=st.booleans(),
            chunks=st.integers(0, 5000),
            up_bytes_s=st.none() | st.floats(0, 1e9),
            prompt_tokens=st.integers(0, 9000),
            prompt_s=st.floats(0, 100),
        ),
        max_size=15,
    ),
    st.lists(st.floats(0, 30), min_size=15, max_size=15),
    st.integers(0, 3),
)
def test_whatever_calls_tell_every_estimate_is_a_sane_number(
    report: list[CallFacts], gaps: list[float], waiting: int
) -> None:
    world = World()
    for facts, gap in zip(report, gaps, strict=False):
        world.clock.now += gap
        world.signals.observed(facts)
    for _ in range(waiting):
        world.waiting()
    world.signals.link("cloud")
    link = world.after(gaps[0])
    for name in ("rtt_s", "jitter_s", "loss", "up_bytes_s", "down_bytes_s", "first_byte_s", "tokens_s", "failures"):
        estimate: Estimate | None = getattr(link, name)
        if estimate is not None:
            assert 0 <= estimate.value < float("inf"), name
            assert 0 <= estimate.confidence <= 1, name
            assert estimate.age_s >= 0, name
    for name in ("loss", "failures"):
        share: Estimate | None = getattr(link, name)
        assert share is None or share.value <= 1
    assert link.in_flight == waiting
