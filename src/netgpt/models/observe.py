"""Watches one call to a model; what it says of its link and its server goes to an observer when it ends.

The client writes notes as the call goes; the observer (`routing.signals.Signals`) may read them meanwhile.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol, cast

from netgpt.errors import ModelRejected, NetGPTError
from netgpt.models.errors import is_servers_fault
from netgpt.models.http1 import Http1
from netgpt.types import CallFacts, KernelFacts

_TOO_MANY = 429


class CallNotes(Protocol):
    """A call under way, as `routing.waiting.PendingCall` keeps it."""

    sent_at: float | None
    first_at: float | None
    asked_at: float | None
    read_s: float
    chunks: int
    whole: bool
    kernel: Callable[[], KernelFacts | None] | None

    def end(self) -> None: ...


class Observer(Protocol):
    """Gets every call's beginning and end; must return at once."""

    def began(self, target: str) -> CallNotes: ...

    def observed(self, facts: CallFacts) -> None: ...


class _UnreadNotes:
    sent_at: float | None = None
    first_at: float | None = None
    asked_at: float | None = None
    read_s = 0.0
    chunks = 0
    whole = False
    kernel: Callable[[], KernelFacts | None] | None = None

    def end(self) -> None:
        """Nobody waits for it."""


class _NoObserver:
    def began(self, target: str) -> CallNotes:
        return _UnreadNotes()

    def observed(self, facts: CallFacts) -> None:
        """Nobody wants to know."""


SILENT: Observer = _NoObserver()


class Call:
    """One call with all its tries. The transport notes connections and bytes in it, the client chunks."""

    __slots__ = ("_before", "_connect_s", "_last_at", "_prompt", "_received", "_sent", "_tcp", "_tokens", "_tries",
                 "began", "notes")  # fmt: skip

    def __init__(self, notes: CallNotes | None = None) -> None:
        """`notes` None: nobody wants to know."""
        self.notes = notes or _UnreadNotes()
        self.began = time.monotonic()
        self._tries = self._sent = self._received = self._tokens = 0
        self._connect_s: float | None = None
        self._last_at = 0.0
        self._before = self._tcp = cast("KernelFacts | None", None)
        self._prompt: tuple[int, float] = (0, 0.0)

    def leaves(self, connection: Http1, size: int) -> None:
        """A try: a request of `size` bytes goes out over an open connection."""
        self._tries += 1
        self._sent = size
        if not connection.used:
            self._connect_s = connection.opened_s
        self._before = connection.kernel_facts()
        self.notes.kernel = connection.kernel_facts
        self.notes.sent_at = time.monotonic()

    def returns(self, connection: Http1) -> None:
        """The try is over; the connection is about to be released."""
        self._tcp = connection.kernel_facts() or self._tcp
        self.notes.kernel = None

    def forgets(self) -> None:
        """The last try was none: its connection had been closed meanwhile."""
        self._tries -= 1

    def asks(self) -> None:
        """Somebody waits for more of the answer."""
        self.notes.asked_at = time.monotonic()

    def came(self, size: int) -> None:
        """It came. An answer begins with its first bytes, not with its head: many servers send that at once."""
        notes = self.notes
        asked_at, notes.asked_at = notes.asked_at, None
        if size:
            self._received += size
            self._last_at = now = time.monotonic()
            if notes.first_at is None:
                notes.first_at = now
            elif asked_at is not None:
                notes.read_s += now - asked_at

    def chunk(self, chunk: Mapping[str, Any]) -> None:
        """One chunk of the answer, with words or with figures."""
        if chunk["choices"]:
            self.notes.chunks += 1
        usage = chunk.get("usage")
        if usage and type(usage.get("completion_tokens")) is int:
            self._tokens = usage["completion_tokens"]
        timings = chunk.get("timings")
        if timings:
            self._prompt = _prompt_of(timings)

    def facts(self, target: str, outcome: str, failed: bool) -> CallFacts:
        """The account of a call that has ended."""
        notes, tcp, before = self.notes, self._tcp, self._before
        first, sent = notes.first_at, notes.sent_at
        return CallFacts(
            target, self.began, outcome, connect_s=self._connect_s, failed=failed, whole=notes.whole,
            rtt_s=tcp.rtt_s if tcp else None,
            rtt_var_s=tcp.rtt_var_s if tcp else None,
            retransmits=max(0, tcp.retransmits - before.retransmits) if tcp and before else 0,
            segments=max(0, tcp.segments - before.segments) if tcp and before else 0,
            first_byte_s=first - sent if first is not None and sent is not None else None,
            sent_bytes=self._sent, received_bytes=self._received,
            receive_s=(receive_s := self._last_at - first if first is not None else 0.0),
            held_up=notes.read_s < receive_s / 2,
            tokens=self._tokens or notes.chunks, chunks=notes.chunks, tries=max(1, self._tries),
            waited_s=time.monotonic() - (self.began if sent is None else sent) if first is None else 0.0,
            up_bytes_s=tcp.delivery_bytes_s if tcp else None,
            prompt_tokens=self._prompt[0], prompt_s=self._prompt[1],
        )  # fmt: skip


@contextmanager
def watched(observer: Observer, target: str) -> Iterator[Call]:
    """Watch the call that the block makes; the observer gets its facts, however it ends."""
    call = Call(observer.began(target))
    outcome, failed = "ok", False
    try:
        yield call
    except NetGPTError as error:
        outcome, failed = error.code, speaks_against(error)
        raise
    except BaseException:
        outcome = "cancelled"
        raise
    finally:
        call.notes.end()
        observer.observed(call.facts(target, outcome, failed))


def speaks_against(error: NetGPTError) -> bool:
    """Whether another call would probably fail too: the server's fault, or it wants fewer calls."""
    return is_servers_fault(error) or (isinstance(error, ModelRejected) and error.status == _TOO_MANY)


def _prompt_of(timings: Any) -> tuple[int, float]:
    """Tokens and seconds of the prompt, from llama.cpp's `prompt_n` and `prompt_ms`."""
    try:
        return int(timings["prompt_n"]), float(timings["prompt_ms"]) / 1000
    except (TypeError, KeyError, ValueError):
        return 0, 0.0
