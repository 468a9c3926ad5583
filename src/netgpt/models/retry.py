"""When a failed call is tried again, and how long to wait before.

Exponential back-off with full jitter (Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog, 2015);
`Retry-After` as in RFC 9110, section 10.2.3.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

__all__ = ["RETRIED_STATUSES", "RetryPolicy", "read_retry_after"]

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
