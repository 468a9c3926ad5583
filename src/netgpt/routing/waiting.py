"""A call under way, as far as it has come: written by the model's client, read at every decision."""

from __future__ import annotations

from collections.abc import Callable

from netgpt.calls import KernelFacts

__all__ = ["PendingCall"]


class PendingCall:
    """Notes of one call to `arm`; times are `time.monotonic()`. `end` once it is over, however it ended.

    A stream is only stalled while somebody reads it: an answer that its reader leaves lying tells nothing of the link.
    """

    __slots__ = ("_end", "arm", "asked_at", "began", "chunks", "first_at", "kernel", "marked_at", "marked_chunks",
                 "marked_read_s", "read_s", "sent_at", "whole")  # fmt: skip

    def __init__(self, arm: str, began: float, end: Callable[[PendingCall], None]) -> None:
        self.arm, self.began = arm, began
        self.sent_at: float | None = None
        """When the request left; None: not yet."""
        self.first_at: float | None = None
        """When the answer began."""
        self.asked_at: float | None = None
        """Since when a reader waits for more of the answer; None while nobody does."""
        self.read_s = 0.0
        """How long readers have waited for more of it so far: most of its time, unless the reader is the slower one."""
        self.chunks = 0
        """Pieces of the answer with words in them so far."""
        self.whole = False
        """The answer comes in one piece: its first byte comes when the last word is written."""
        self.kernel: Callable[[], KernelFacts | None] | None = None
        """Asks the kernel about the connection; None where it is not told."""
        self.marked_at: float | None = None
        self.marked_chunks, self.marked_read_s = 0, 0.0
        """Since the mark, the pace of the answer is measured anew."""
        self._end = end

    def end(self) -> None:
        """The call is over. Safe to call twice."""
        self._end(self)
