"""What calls tell of a link before they end. The clock is the test's own."""

from __future__ import annotations

import pytest
from links import World, value
from patience import cpu_seconds

from netgpt.types import KernelFacts


@pytest.fixture
def world() -> World:
    return World()


def test_a_call_that_waits_longer_than_usual_raises_the_first_byte_at_once(world: World) -> None:
    world.usual_calls()
    world.waiting()
    assert value(world.after(0.5).first_byte_s) == pytest.approx(0.4)
    assert value(world.after(2.5).first_byte_s) == pytest.approx(3.0)
    assert world.after(0).in_flight == 1


def test_one_that_hangs_while_others_are_answered_weighs_less(world: World) -> None:
    world.usual_calls()
    world.waiting()
    world.clock.now += 1
    for _ in range(9):
        world.call()
    late = value(world.after(9).first_byte_s)
    assert 0.4 < late < 2.0


def test_a_link_that_dies_under_many_calls_is_felt_within_three_seconds(world: World) -> None:
    world.usual_calls()
    for _ in range(10):
        world.waiting()
    link = world.after(2.9)
    assert value(link.first_byte_s) == pytest.approx(2.9)
    assert link.first_byte_s is not None
    assert link.first_byte_s.confidence > 0.8


def test_what_waited_in_vain_is_remembered_until_something_answers(world: World) -> None:
    world.usual_calls()
    call = world.waiting()
    world.clock.now += 10
    call.end()
    world.call(outcome="model_timeout", failed=True, first_byte_s=None, waited_s=10.0)
    assert value(world.after(1).first_byte_s) > 9
    world.call()
    assert value(world.after(1).first_byte_s) == pytest.approx(0.4)


def test_after_silence_one_quick_answer_is_enough_but_one_slow_answer_is_not(world: World) -> None:
    world.usual_calls()
    for _ in range(9):
        world.call(first_byte_s=4.0)
    world.call(first_byte_s=0.4)
    assert value(world.after(0).first_byte_s) > 2, "among others one says little"
    world.clock.now += 5
    world.call(first_byte_s=0.4)
    assert value(world.after(0).first_byte_s) == pytest.approx(0.4)
    world.clock.now += 5
    world.call(first_byte_s=4.0)
    assert value(world.after(0).first_byte_s) < 2.5


def test_a_link_that_was_waited_for_in_vain_is_in_trouble_until_it_answers(world: World) -> None:
    world.usual_calls()
    world.call(outcome="cancelled", first_byte_s=None, waited_s=2.0)
    link, now = world.signals.link("cloud"), world.clock.now
    for _ in range(9):
        link.probed(0.001, now)
    assert link.troubled(now + 30) and not link.troubled(now + 61)
    world.call()
    assert not link.troubled(now + 1)


def test_a_stream_that_stalls_lowers_the_pace(world: World) -> None:
    world.usual_calls()
    call = world.waiting()
    call.first_at = call.asked_at = world.clock.now
    assert value(world.after(0.2).tokens_s) == pytest.approx(49.5)
    assert value(world.after(2.8).tokens_s) < 1.0
    assert world.signals.view().links["cloud"].tokens_s is not None


def test_a_stream_that_nobody_reads_is_not_stalled(world: World) -> None:
    world.usual_calls()
    call = world.waiting()
    call.first_at, call.asked_at = world.clock.now, None
    assert value(world.after(30).tokens_s) == pytest.approx(49.5)


def test_a_slow_reader_tells_nothing_of_the_pace(world: World) -> None:
    world.usual_calls()
    world.call(tokens=100, receive_s=60.0, held_up=True)
    call = world.waiting()
    call.first_at = world.clock.now
    for _ in range(30):
        call.chunks += 1
        world.after(0.1)
    assert value(world.after(0).tokens_s) == pytest.approx(49.5)


def test_one_stalled_stream_of_four_lowers_the_pace_by_its_share(world: World) -> None:
    world.usual_calls()
    for number in range(4):
        call = world.waiting()
        call.first_at = world.clock.now
        call.asked_at = world.clock.now if number == 0 else None
    assert 30 < value(world.after(5).tokens_s) < 40


def test_the_pace_of_a_long_answer_is_measured_while_it_flows(world: World) -> None:
    world.usual_calls()
    call = world.waiting()
    call.first_at = world.clock.now
    for _ in range(32):
        call.chunks += 1
        call.read_s += 0.09
        call.asked_at = world.clock.now
        world.after(0.1)
    assert value(world.after(0).tokens_s) == pytest.approx(10.0, rel=0.1)


def test_tokens_of_fat_chunks_are_counted_as_tokens(world: World) -> None:
    for _ in range(5):
        world.clock.now += 1
        world.call(tokens=100, chunks=20, receive_s=2.0)
    call = world.waiting()
    call.first_at = world.clock.now
    for _ in range(32):
        call.chunks += 1
        call.read_s += 0.09
        call.asked_at = world.clock.now
        world.after(0.1)
    assert value(world.after(0).tokens_s) == pytest.approx(50, rel=0.05)


def test_a_whole_answer_may_take_as_long_as_whole_answers_do(world: World) -> None:
    world.usual_calls()
    for _ in range(5):
        world.call(whole=True, first_byte_s=8.0, receive_s=0.0, tokens=380)
    call = world.waiting()
    call.whole = True
    assert value(world.after(10).first_byte_s) < 1.0
    assert value(world.after(20).first_byte_s) > 20


def test_bytes_that_nobody_acknowledges_count_as_failing(world: World) -> None:
    world.usual_calls()
    call = world.waiting()
    mute = KernelFacts(0.02, 0.002, 0.02, unacknowledged=1, backoff=2, retransmits=2, segments=3, delivery_bytes_s=None)
    call.kernel = lambda: mute
    assert value(world.after(0.3).failures) == 1.0
    call.end()
    assert value(world.after(0.1).failures) == 0.0


def test_the_engines_queue_is_its_calls_under_way(world: World) -> None:
    calls = [world.waiting("edge") for _ in range(5)]
    system = world.signals.view().system
    assert (system.engine_slots, system.engine_busy, system.engine_waiting) == (2, 2, 3)
    for call in calls:
        call.end()
        call.end()
    world.clock.now += 1
    world.call(target="edge", prompt_tokens=200, prompt_s=1.0)
    system = world.signals.view().system
    assert (system.engine_busy, system.engine_waiting) == (0, 0)
    assert system.engine_prompt_tokens_s == 200.0
    assert system.engine_tokens_s == pytest.approx(49.5)


def test_a_view_takes_microseconds(world: World) -> None:
    for target in ("edge", "cloud", "other", "neighbour"):
        for _ in range(20):
            world.call(target=target)
        world.waiting(target)

    def look() -> None:
        world.clock.now += 0.03
        world.signals.view()

    took = sorted(cpu_seconds(look) for _ in range(200))
    assert took[100] < 0.002
