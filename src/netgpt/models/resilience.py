"""When a failed call is tried again, how long to wait before, and when a server is left alone.

Exponential back-off with full jitter (Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015);
`Retry-After` as in RFC 9110, section 10.2.3; the circuit breaker is Michael Nygard's ("Release It!", 2007).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from netgpt.errors import ContextTooLong, ModelError, ModelRejected, ModelUnavailable

RETRIED_STATUSES = frozenset({408, 429, 500, 502, 503, 504})
"""Answers that another try may better. 409 is not among them: the same body would conflict again."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`retries` tries after the first, all of them before any byte of an answer.

    `base_s` and `cap_s` bound the back-off in seconds. A server that asks for more than `patience_s` is not waited
    for: its refusal is passed on, so that another model may answer.
    """

    retries: int
    base_s: float = 0.25
    cap_s: float = 8.0
    patience_s: float = 20.0
    random: random.Random = field(default_factory=random.Random, repr=False, compare=False)

    def wait_s(self, tried: int, retry_after: float | None = None) -> float | None:
        """Seconds to wait when `tried` tries after the first have failed too; None: give up.

        A `retry_after` is waited out in full, with a little jitter on top, so that clients do not return all at once.
        """
        if tried >= self.retries:
            return None
        if retry_after is None:
            return self.random.uniform(0.0, min(self.cap_s, self.base_s * 2.0**tried))
        if retry_after > self.patience_s:
            return None
        return retry_after + self.random.uniform(0.0, min(self.base_s, 0.1 * retry_after))


def read_retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds that the server asks to wait: `retry-after-ms`, or `retry-after` in seconds or as an HTTP date.

    `headers` has lower-case names (or is case-insensitive). None when there is no such header, or it is unreadable.
    """
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    text = headers.get("retry-after")
    seconds = _number(text)
    if seconds is not None or text is None:
        return seconds
    try:
        date = parsedate_to_datetime(text)
    except ValueError:
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return max(0.0, (date - (now or datetime.now(UTC))).total_seconds())


def _number(text: str | None) -> float | None:
    """A plain non-negative decimal number, or None. `float` alone would also take "inf" and "1e9"."""
    if text is None or not text.strip().replace(".", "", 1).isdecimal() or not text.isascii():
        return None
    return float(text)


def is_servers_fault(error: BaseException) -> bool:
    """Whether the failure is the server's (unreachable, silent, 5xx, broken), not the request's or the box's."""
    if not isinstance(error, ModelError) or isinstance(error, ModelRejected):
        return False
    return error.code != "too_many_connections"


class Breaker:
    """A circuit breaker: `failures` in a row open it; after `reset_s` seconds one call may try.

    `clock` gives seconds that never go back. One event loop only: there is no lock.
    """

    def __init__(self, failures: int, reset_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit, self._reset_s, self._clock = failures, reset_s, clock
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
            yield self._answers if trying else lambda: None
        except BaseException as error:
            if is_servers_fault(error):
                self._failed(trying)
            elif isinstance(error, ModelRejected | ContextTooLong):  # it answered; our own full pool says nothing
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


class Backoff:
    """Seconds to wait before the next try: doubles from `first_s` to `longest_s`, in seconds.

    Each wait is drawn from the upper half of its step, so that many boxes do not march in step.
    """

    def __init__(self, first_s: float = 0.1, longest_s: float = 30.0, *, seed: int | None = None) -> None:
        self.first_s, self.longest_s = first_s, longest_s
        self.failures = 0
        self._random = random.Random(seed)  # noqa: S311  jitter, not a secret

    def next(self) -> float:
        """Count one more failure; return the seconds to wait."""
        wait = min(self.longest_s, self.first_s * 2.0 ** min(self.failures, 60))
        self.failures += 1
        return wait * (0.5 + self._random.random() / 2)

    def reset(self) -> None:
        """It worked for long enough: forget the failures."""
        self.failures = 0
