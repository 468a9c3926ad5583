"""How long to wait before the next try: exponential, with jitter, and a memory of how often it went wrong."""

from __future__ import annotations

import random

__all__ = ["Backoff"]


class Backoff:
    """Doubles from `first_s` to `longest_s`, in seconds.

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
