"""Guessing keys: locked longer and longer, without locking out neighbours, in bounded memory."""

from __future__ import annotations

import pytest

from netgpt.errors import RateLimited
from netgpt.settings.sections import LockoutSettings as Settings
from netgpt.web.lockout import Lockout, client_address, proxies


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def guard(clock: Clock) -> Lockout:
    return Lockout(Settings(failures=3, window_s=60, first_s=5, longest_s=40), clock)


def fails(guard: Lockout, times: int, address: str = "10.0.0.9", secret: str = "zzz9") -> None:
    for _ in range(times):
        guard.check(address, secret, "digest")
        guard.failed(address, secret)


def wait_of(guard: Lockout, address: str = "10.0.0.9", secret: str = "zzz9", digest: str | None = None) -> float | None:
    """How long a wrong key must wait; `digest`: of a right one."""
    try:
        guard.check(address, secret, digest or "")
        if digest is None:
            guard.check_wrong(address, secret)
    except RateLimited as error:
        assert error.code == "too_many_wrong_keys" and secret not in error.message
        return error.retry_after
    return None


def test_the_lock_comes_with_the_last_of_too_many_and_ends(guard: Lockout, clock: Clock) -> None:
    fails(guard, 2)
    assert wait_of(guard) is None
    fails(guard, 1)
    assert wait_of(guard) == 5
    clock.now += 5
    assert wait_of(guard) is None


def test_each_lock_is_twice_as_long_up_to_a_bound(guard: Lockout, clock: Clock) -> None:
    waits = []
    for _ in range(5):
        fails(guard, 3)
        wait = wait_of(guard)
        assert wait is not None
        waits.append(wait)
        clock.now += wait
    assert waits == [5, 10, 20, 40, 40]
    clock.now += 41  # quiet for long: as if nothing had been
    fails(guard, 3)
    assert wait_of(guard) == 5


def test_slow_failures_do_not_lock(guard: Lockout, clock: Clock) -> None:
    for _ in range(10):
        fails(guard, 2)
        clock.now += 61
    assert wait_of(guard) is None


def test_who_tries_many_beginnings_locks_out_wrong_keys_alone(guard: Lockout) -> None:
    for number in range(3):
        fails(guard, 1, secret=f"ngpt_{number:020}")
    assert wait_of(guard, secret="ngpt_yet another one") == 5
    assert wait_of(guard, secret="ngpt_a right one, new here", digest="right") is None, "its neighbours lose nothing"
    assert wait_of(guard, address="10.0.0.10", secret="ngpt_wrong, elsewhere") is None


def test_who_guesses_at_one_key_learns_nothing_while_locked(guard: Lockout) -> None:
    secret = "ngpt_ABCDEFG" + "x" * 20
    guard.accepted("10.0.0.9", "the owner's")
    fails(guard, 3, secret=secret)
    assert wait_of(guard, secret=secret, digest="right, but new here") == 5
    assert wait_of(guard, secret=secret, digest="the owner's") is None, "it worked from there before"
    assert wait_of(guard, secret="ngpt_abcdefg" + "x" * 20, digest="another right one") is None
    assert wait_of(guard, "10.0.2.1", secret, digest="the owner's, elsewhere") is None, "nobody is locked out from afar"


def test_tokens_share_their_beginning_and_are_not_locked_by_it(guard: Lockout) -> None:
    for host in range(5):
        fails(guard, 1, f"10.0.1.{host}", "eyJhbGciOiJSUzI1NiJ9.e30.wrong")
    assert wait_of(guard, "10.0.2.1", "eyJhbGciOiJSUzI1NiJ9.e30.other") is None


def test_memory_is_bounded() -> None:
    guard = Lockout(Settings(), entries=50)
    for number in range(500):
        guard.failed(f"10.1.{number // 250}.{number % 250}", f"ngpt_{number:020}")
        guard.accepted("10.0.0.1", str(number))
    assert len(guard._tries) <= 50 and len(guard._accepted) <= 50


TRUSTED = proxies(["127.0.0.1", "10.9.0.0/16"])


@pytest.mark.parametrize(
    ("peer", "forwarded", "address"),
    [
        ("192.0.2.7", ["198.51.100.1"], "192.0.2.7"),  # nobody's word but a trusted proxy's counts
        ("127.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["6.6.6.6, 198.51.100.1"], "198.51.100.1"),  # what the client wrote before is not believed
        ("127.0.0.1", ["6.6.6.6", "198.51.100.1, 10.9.3.4"], "198.51.100.1"),  # through two of ours
        ("127.0.0.1", ["6.6.6.6, nonsense"], "127.0.0.1"),
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", ["10.9.3.4"], "10.9.3.4"),
        ("::ffff:127.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("2001:db8:1:2:3:4:5:6", [], "2001:db8:1:2::/64"),
        ("127.0.0.1", ["2001:db8:1:2:ffff::1"], "2001:db8:1:2::/64"),
        ("", [], ""),
        ("testclient", [], "testclient"),
    ],
)
def test_whose_address_a_request_counts_for(peer: str, forwarded: list[str], address: str) -> None:
    assert client_address(peer, forwarded, TRUSTED) == address


def test_without_trusted_proxies_nobody_is_believed() -> None:
    assert client_address("127.0.0.1", ["198.51.100.1"], ()) == "127.0.0.1"
