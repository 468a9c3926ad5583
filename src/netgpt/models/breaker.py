"""A circuit breaker: a server that failed several times in a row is left alone for a while.

The pattern is Michael Nygard's ("Release It!", 2007): closed, open, half-open.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from netgpt.errors import ContextTooLong, ModelError, ModelRejected, ModelUnavailable

__all__ = ["Breaker", "is_servers_fault"]


def is_servers_fault(error: BaseException) -> bool:
    """Whether the failure speaks against the server (unreachable, silent, 5xx, broken), not the request or the box."""
    if not isinstance(error, ModelError) or isinstance(error, ModelRejected):
        return False
    return error.code != "too_many_connections"


class Breaker:
    """Counts failures in a row. `failures` of them open it; after `reset_s` seconds one call may try.

    `clock` gives seconds that never go back. One event loop only: there is no lock.
    """

    def __init__(self, failures: int, reset_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = failures
        self._reset_s = reset_s
        self._clock = clock
        self._in_a_row = 0
        self._opened: float | None = None
        self._trying = False

    @property
    def state(self) -> str:
        """`closed`, `open` or `half-open`."""
        if self._opened is None:
            return "closed"
        return "open" if self.wait_s > 0 else "half-open"

    @property
    def wait_s(self) -> float:
        """Seconds until an open breaker lets a call through; 0 when it would now."""
        if self._opened is None:
            return 0.0
        return max(0.0, self._opened + self._reset_s - self._clock())

    @contextmanager
    def guard(self, peer: str) -> Iterator[Callable[[], None]]:
        """Run one call: its end is counted. A call that is cancelled or closed early counts neither way.

        Gives a function to call when the server begins to answer: other calls need not wait for a long answer of
        the one that tries a half-open breaker. Should that answer fail, the breaker opens again.

        Raises ModelUnavailable at once while the breaker is open, or half-open with its one try under way.
        """
        trying = self._admit(peer)
        try:
            yield self._answers if trying else _nothing
        except BaseException as error:
            if is_servers_fault(error):
                self._failed(trying)
            elif isinstance(error, ModelRejected | ContextTooLong):  # it answered; our own full pool tells nothing
                self._succeeded()
            raise
        else:
            self._succeeded()
        finally:
            if trying:
                self._trying = False

    def _admit(self, peer: str) -> bool:
        if self.state == "closed":
            return False
        if self.state == "open" or self._trying:
            wait = max(self.wait_s, 1.0)
            raise ModelUnavailable(
                f"{peer} failed {self._limit} times in a row and is left alone; next try in {wait:.0f} s",
                code="breaker_open",
                retry_after=wait,
            )
        self._trying = True
        return True

    def _failed(self, trying: bool) -> None:
        self._in_a_row += 1
        if trying or (self._opened is None and self._in_a_row >= self._limit):
            self._opened = self._clock()

    def _answers(self) -> None:
        self._opened = None

    def _succeeded(self) -> None:
        self._in_a_row = 0
        self._opened = None


def _nothing() -> None:
    return None
