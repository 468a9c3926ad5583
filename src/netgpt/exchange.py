"""The object that travels: one question and its answer. Each field has one writer, a stage of the line."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, Self, TypeVar, overload

from netgpt.errors import WorkflowError
from netgpt.outbound import Outbound
from netgpt.types import (
    Caller,
    Chunk,
    Decision,
    Fact,
    Generalised,
    Hidden,
    Kept,
    Label,
    Location,
    Message,
    Person,
    Usage,
)

__all__ = ["Exchange", "Request", "new_id", "written_by"]

T = TypeVar("T")


def new_id() -> str:
    """A new exchange id: `ex_`, milliseconds (so that the database appends) and 80 random bits, in hexadecimal."""
    return f"ex_{int(time.time() * 1000):012x}{os.urandom(10).hex()}"


@dataclass(frozen=True)
class Request:
    """What was asked, as received and checked. `body` is OpenAI's request without the `netgpt` field."""

    body: Mapping[str, Any] = field(repr=False)
    model: str = "netgpt"
    stream: bool = False
    user: str | None = field(default=None, repr=False)
    complete: str | None = None
    """"select", "rewrite", "off", or None: what the settings and the profile say."""
    location: Location | None = None
    consent: frozenset[str] = frozenset()
    explain: bool = False
    dry_run: bool = False
    """Show what would leave; send nothing, and ask no model for an answer."""
    conversation: str | None = field(default=None, repr=False)
    """The caller's own name for the conversation, when given."""
    prefer: str | None = None
    """"quality", "balanced", "cheap", "fast", "private", or None: what the key or the settings say."""
    deadline_s: float | None = None
    """Seconds in which the caller wants the whole answer; None: server.deadline_s."""
    may_wait: bool = False
    """Where nobody can answer now, the request may be kept and sent when the link is back."""

    @property
    def messages(self) -> list[Message]:
        return list(self.body["messages"])


class written_by(Generic[T]):
    """A field of `Exchange` with one writer. Reading it too early names the stage that should have run."""

    def __init__(self, stage: str) -> None:
        self.stage = stage

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> Self | T:
        if instance is None:
            return self
        try:
            return instance.__dict__[self.name]  # type: ignore[no-any-return]
        except KeyError:
            raise WorkflowError(
                f"exchange.{self.name} is written by the stage '{self.stage}', which has not run"
            ) from None

    def __set__(self, instance: object, value: T) -> None:
        running = instance.__dict__.get("running")
        if running is not None and running != self.stage:
            raise WorkflowError(
                f"exchange.{self.name} may be written by the stage '{self.stage}' only, not by '{running}'"
            )
        instance.__dict__[self.name] = value


class Exchange:
    """One question and its answer. `request` is fixed; the other fields fill as the line runs."""

    person = written_by[Person]("identify")
    facts = written_by[tuple[Fact, ...]]("recall")
    consents = written_by[frozenset[str]]("recall")
    """The purposes that the person consents to now: in this request, or before and not taken back."""
    private_values = written_by[tuple[tuple[str, str], ...]]("recall")
    """(KIND, value) pairs of the person's own facts that must not leave."""

    chosen = written_by[tuple[Fact, ...]]("complete")
    messages = written_by[list[Message]]("complete")
    """The completed conversation as the box may see it: every chosen fact written in."""
    completion = written_by[dict[str, Any]]("complete")
    """How the completion went: mode, what fell back and why."""

    vault = written_by[Any]("desensitize")
    """The conversation's `privacy.vault.Vault`, or None; `Any` because the core knows no capability."""
    outbound = written_by[Outbound | None]("desensitize")
    """What would leave, made safe; None when nothing may or need leave, with `kept_because` saying why."""
    outbounds = written_by[Mapping[str, Outbound]]("desensitize")
    """The same for every upstream that may have it, by its name; `outbound` is the first of them."""
    kept_because = written_by[str | None]("desensitize")
    kept_for = written_by[Mapping[str, str]]("desensitize")
    """Why an upstream gets nothing, by its name."""
    hidden = written_by[tuple[Hidden, ...]]("desensitize")
    generalised = written_by[tuple[Generalised, ...]]("desensitize")
    """What left in other words, or as it was, under which rule."""
    kept = written_by[tuple[Kept, ...]]("desensitize")
    """The kinds that the policy let leave in no form, so that nothing left."""
    policy = written_by[str]("desensitize")
    """Name and SHA-256 of the rules that were asked: "balanced b20f..."; empty when nothing was to leave."""
    label = written_by[Label]("desensitize")
    """The strictest label found in the content."""

    decision = written_by[Decision]("route")
    counterfactual = written_by[Callable[[], str]]("route")
    """What would have changed the decision, in words; reckoned when it is called (0.3 ms), from what was known then."""

    stream = written_by[AsyncIterator[Chunk]]("generate")
    answered_by = written_by[Decision]("generate")
    """The decision as carried out: differs from `decision` when a fallback answered."""
    model_name = written_by[str]("generate")
    destination = written_by[str]("generate")
    """Host of the remote model that was asked last, or would be; empty when there is none."""
    sent = written_by[Outbound | None]("generate")
    """The outbound that was really handed to the remote model that answered, else to the last that was asked."""
    sent_to = written_by[tuple[tuple[str, str], ...]]("generate")
    """Every arm that an outbound was handed to, and that one's SHA-256, in order: those that failed, and those whose
    answer came second, too."""
    carry_on = written_by[Callable[[AsyncIterator[Chunk]], AsyncIterator[Chunk]] | None]("generate")
    """Wraps the restored answer, so that another model finishes it where it breaks off; None: nobody would."""
    adapters = written_by[tuple[str, ...]]("generate")
    """Ids of the adapters that the answer was written with; none on the cloud."""
    adapter_note = written_by[str | None]("generate")
    """Why another adapter answered than the one that should have, or none; None: all is as it should be."""

    restored = written_by[AsyncIterator[Chunk]]("restore")
    restoring = written_by[Any]("restore")
    """The `privacy.restore.Account` of the answer: placeholders put back, and those that could not be; it grows while
    the answer streams."""
    chunks = written_by[AsyncIterator[Chunk]]("record")
    """What the door sends on."""

    def __init__(self, request: Request, caller: Caller, *, id: str | None = None) -> None:
        self.id = id or new_id()
        self.request = request
        self.caller = caller
        self.received = datetime.now(UTC)
        self.clock = time.perf_counter()
        self.timings: dict[str, float] = {}
        """Milliseconds per stage, and `first_token` and `total` when known."""
        self.usage: Usage | None = None
        """Tokens of the answer."""
        self.worked: dict[str, Usage] = {}
        """Tokens that each remote arm worked for, by its name, also when another answered in the end."""
        self.finished_by: str | None = None
        """The arm that finished an answer which another had begun and broke off."""
        self.given = False
        """Whether anything of an answer was handed out."""
        self.cached_age_s: float | None = None
        """Seconds since the answer was first given, where nobody could answer now and an earlier one was."""
        self.status = "open"
        """open, complete, failed, cancelled, dry_run."""
        self.error: Exception | None = None
        self.claim: str | None = None
        """Of a request that waited: the claim under which it may leave, once."""
        self.refused = False
        """A remote model had it, and refused it before it did anything (429)."""
        self.running: str | None = None
        """The stage at work; the line sets it."""

    @property
    def partial(self) -> bool:
        """A part of an answer was given, and then it failed."""
        return self.status == "failed" and self.given

    def has(self, name: str) -> bool:
        """Whether the field was written."""
        return name in self.__dict__

    def adapters_used(self) -> tuple[str, ...]:
        """Ids of all adapters that had a part in the answer: the one that completed the request, then the writers."""
        completed = self.completion.get("adapter") if self.has("completion") else None
        written = self.adapters if self.has("adapters") else ()
        return ((completed,) if completed else ()) + written

    def elapsed_ms(self) -> float:
        return (time.perf_counter() - self.clock) * 1000

    def __repr__(self) -> str:
        return f"<Exchange {self.id} {self.status}>"
