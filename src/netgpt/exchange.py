"""The `Exchange` that travels through the pipeline: one request and its answer. Each field has one writer, a stage."""

from __future__ import annotations

import copy
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, Generic, Protocol, Self, TypeVar, overload

from netgpt.errors import PipelineError
from netgpt.outbound import Outbound, Outcome
from netgpt.types import (
    CHAT_PATH,
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
)

T = TypeVar("T")


def new_id() -> str:
    """A new exchange id: `ex_`, then milliseconds (so that the database appends) and 80 random bits in hexadecimal."""
    return f"ex_{int(time.time() * 1000):012x}{os.urandom(10).hex()}"


@dataclass(frozen=True)
class Request:
    """The validated request. `body` is OpenAI's request without the `netgpt` field."""

    body: Mapping[str, Any] = field(repr=False)
    model: str = "netgpt"
    stream: bool = False
    user: str | None = field(default=None, repr=False)
    complete: str | None = None
    """"select", "rewrite", "off", or None: as in the profile or the settings."""
    location: Location | None = None
    consent: frozenset[str] = frozenset()
    explain: bool = False
    dry_run: bool = False
    """Show what would leave, without calling a model."""
    conversation: str | None = field(default=None, repr=False)
    """The caller's id of the conversation."""
    prefer: str | None = None
    """"quality", "balanced", "cheap", "fast", "private", or None: as in the key or the settings."""
    fallback: str | None = None
    """"never", "transient", "always": when another model may answer than the one decided for; None: as in the key or
    the settings."""
    deadline_s: float | None = None
    """For the whole answer; None: server.deadline_s."""
    constraints: bool = True
    """Whether what the box knows in private may choose among an answer's options."""
    may_wait: bool = False
    """It may be queued until the link is back when no target is available."""
    on_low_confidence: str | None = None
    """"say", "answer", "refuse", or None: as in the settings."""
    keep: bool = True
    """False: no text of it is kept once it is answered, whatever the settings keep; what left stays on its receipt."""
    door: str = CHAT_PATH
    """The path at which it was asked: its answer is said in that door's dialect."""
    said: Mapping[str, Any] | None = field(default=None, repr=False)
    """The request in the words of another dialect, JSON values only, for its answer; None: chat needs none."""

    @property
    def messages(self) -> list[Message]:
        return list(self.body["messages"])


LONGEST_NOTE: Final = 4_000
"""Characters of JSON in one note of a plug-in's stage."""
PIPELINE: Final = "pipeline"
FRONT_END: Final = "front end"
"""Owners that are not stages: the pipeline, and who makes the exchange. Every stage may read what they write."""


class Declares(Protocol):
    """A stage, with the fields of the exchange that it reads and writes."""

    @property
    def name(self) -> str: ...
    @property
    def reads(self) -> frozenset[str]: ...
    @property
    def writes(self) -> frozenset[str]: ...


class written_by(Generic[T]):
    """A field of `Exchange` with one writer. Reading it too early raises PipelineError and names that stage."""

    def __init__(self, stage: str) -> None:
        self.stage = stage

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: Exchange, owner: type) -> T: ...
    def __get__(self, instance: Exchange | None, owner: type) -> Self | T:
        if instance is None:
            return self
        name, values = self.name, instance._values
        if name in values and name in instance._readable and not instance._plugged:  # a hundred times a request
            return values[name]  # type: ignore[no-any-return]
        value = instance.get(name, _MISSING)
        if value is _MISSING:
            raise PipelineError(f"exchange.{name} is written by the stage '{self.stage}', which has not run")
        return value  # type: ignore[no-any-return]

    def __set__(self, instance: Exchange, value: T) -> None:
        if instance._writer != self.stage:
            raise PipelineError(
                f"exchange.{self.name} may be written by the stage '{self.stage}' only, not by '{instance._writer}'"
            )
        if self.name not in instance._writable:
            raise PipelineError(f"the stage '{self.stage}' writes exchange.{self.name}, which it does not declare")
        instance._values[self.name] = value


class Exchange:
    """One request and its answer, filled in as the pipeline runs.

    Each stage gets a `view`: the same values, but it reads and writes only what it declares, also while the answer
    streams. Code that holds the exchange itself reads all of it and writes no field of a stage.
    """

    __slots__ = ("_plugged", "_readable", "_values", "_writable", "_writer")

    id = written_by[str](FRONT_END)
    request = written_by[Request](FRONT_END)
    caller = written_by[Caller](FRONT_END)
    claim = written_by[str | None](FRONT_END)
    """Of a queued request: the claim under which it may leave, once."""
    received = written_by[datetime](FRONT_END)
    timings = written_by[Mapping[str, float]](FRONT_END)
    """Milliseconds of each stage, and `queue`, `first_token` and `total` when known: see `note_time`."""
    failure = written_by[BaseException | None](PIPELINE)
    """The error of the stage that failed, or the cancellation; None so far."""

    person = written_by[Person]("identify")
    facts = written_by[tuple[Fact, ...]]("recall")
    consents = written_by[frozenset[str]]("recall")
    """Purposes that the person consents to: in this request, or earlier and not withdrawn."""
    private_values = written_by[tuple[tuple[str, str], ...]]("recall")
    """(KIND, value) pairs of the person's facts that must not leave."""

    chosen = written_by[tuple[Fact, ...]]("complete")
    messages = written_by[list[Message]]("complete")
    """The conversation with the chosen facts written in, as the box may see it."""
    completion = written_by[dict[str, Any]]("complete")
    """The completion's mode, and any fallback with its reason."""

    vault = written_by[Any]("desensitize")
    """The conversation's `privacy.vault.Vault`, or None; `Any`: this module imports no capability."""
    outbound = written_by[Outbound | None]("desensitize")
    """What would leave; None when nothing may or need leave, see `block_reason`."""
    outbounds = written_by[Mapping[str, Outbound]]("desensitize")
    """By name of each remote target that may have it; `outbound` is the first of them."""
    block_reason = written_by[str | None]("desensitize")
    kept_for = written_by[Mapping[str, str]]("desensitize")
    """Why a remote target gets nothing, by name."""
    hidden = written_by[tuple[Hidden, ...]]("desensitize")
    generalised = written_by[tuple[Generalised, ...]]("desensitize")
    kept = written_by[tuple[Kept, ...]]("desensitize")
    """What the policy let leave at no level, so that nothing left."""
    policy = written_by[str]("desensitize")
    """Name and SHA-256 of the policy that was asked: "balanced b20f..."; empty when nothing was to leave."""
    label = written_by[Label]("desensitize")
    """The strictest label in the content."""

    decision = written_by[Decision]("route")
    counterfactual = written_by[Callable[[], str]]("route")
    """What would have changed the decision, in words; computed when called (0.3 ms)."""
    weighed = written_by[Callable[[], dict[str, Any]]]("route")
    """What went into the decision, as it is kept, so that it can be taken again."""

    stream = written_by[AsyncIterator[Chunk]]("generate")
    outcome = written_by[Outcome]("generate")
    """Filled in while the answer streams."""
    continuation = written_by[Callable[[AsyncIterator[Chunk]], AsyncIterator[Chunk]] | None]("generate")
    """Wraps the restored answer so that another target continues it where it breaks off; None: no other target."""

    restored = written_by[AsyncIterator[Chunk]]("restore")
    restoring = written_by[Any]("restore")
    """The `privacy.restore.Account` of the answer, filled in while it streams."""
    checked = written_by[AsyncIterator[Chunk]]("choose")
    """The restored answer without what private facts rule out."""
    choosing = written_by[Any]("choose")
    """The `constraints.choose.ChoiceAccount` of the answer, filled in while it streams; None: nothing to choose by."""
    chunks = written_by[AsyncIterator[Chunk]]("record")
    """What the client gets."""

    status = written_by[str]("record")
    """open, complete, failed, cancelled, dry_run."""
    error = written_by[Exception | None]("record")
    given = written_by[bool]("record")
    """Whether the client got any part of an answer."""

    def __init__(self, request: Request, caller: Caller, *, id: str | None = None, claim: str | None = None) -> None:
        self._readable, self._writable, self._writer, self._plugged = _ALL, _OF_THE_PIPELINE, PIPELINE, False
        times: dict[str, float] = {}
        self._values: dict[str, Any] = {
            "id": id or new_id(), "request": request, "caller": caller, "claim": claim, "received": datetime.now(UTC),
            "began": time.perf_counter(), "times": times, "timings": MappingProxyType(times), "failure": None,
            "status": "open", "error": None, "given": False, "notes": {},
        }  # fmt: skip

    def view(self, stage: Declares) -> Exchange:
        """The same exchange for one stage; a plug-in's stage gets copies.

        Reading or writing an undeclared field raises PipelineError, now and while the answer streams.
        """
        view = object.__new__(Exchange)
        view._values, view._writer, view._writable = self._values, stage.name, stage.writes
        view._readable = readable_by(stage)
        view._plugged = stage.name not in OWNERS
        return view

    @property
    def partial(self) -> bool:
        """Whether it failed after part of the answer was sent."""
        return self.status == "failed" and self.given

    def has(self, name: str) -> bool:
        """Whether the field was written."""
        return self.get(name, _MISSING) is not _MISSING

    def get(self, name: str, default: Any = None) -> Any:
        """The field, or `default` while it is not written: for the fields of a stage's `reads_if_written`."""
        if name not in self._readable:
            raise PipelineError(f"the stage '{self._writer}' reads exchange.{name}, which it does not declare")
        value = self._values.get(name, default)
        return copy.deepcopy(value) if self._plugged and value is not default else value

    def adapters_used(self) -> tuple[str, ...]:
        """Ids of all adapters used: the one that completed the request, then those that wrote the answer."""
        completion, outcome = self.get("completion"), self.get("outcome")
        completed = completion.get("adapter") if completion else None
        return ((completed,) if completed else ()) + (outcome.adapters if outcome else ())

    def elapsed_ms(self) -> float:
        """Milliseconds since it was received."""
        return (time.perf_counter() - self._values["began"]) * 1000  # type: ignore[no-any-return]

    def note_time(self, name: str, milliseconds: float | None = None) -> None:
        """Record a duration; None: from the receipt of the request until now."""
        self._values["times"][name] = round(self.elapsed_ms() if milliseconds is None else milliseconds, 3)

    @property
    def notes(self) -> Mapping[str, Mapping[str, Any]]:
        """What plug-ins put down, by stage and name."""
        return copy.deepcopy(self._values["notes"])

    def note(self, name: str, value: Any) -> None:
        """Put down what explanations show under this stage's name. Raises PipelineError: no JSON, or too long."""
        try:
            text = json.dumps(value, allow_nan=False)
        except (TypeError, ValueError, RecursionError):
            raise PipelineError(f"the stage '{self._writer}' notes '{name}', which is no JSON value") from None
        if len(text) > LONGEST_NOTE:
            raise PipelineError(f"the stage '{self._writer}' notes '{name}': over {LONGEST_NOTE} characters")
        self._values["notes"].setdefault(self._writer, {})[name] = json.loads(text)

    def __repr__(self) -> str:
        return f"<Exchange {self._values['id']} {self._values['status']}>"


def optional_reads(stage: Declares) -> frozenset[str]:
    """The fields that a stage reads only where they were written; most stages have none."""
    return getattr(stage, "reads_if_written", frozenset())


def owner_of(field: str) -> str:
    """The stage that writes this field, PIPELINE or FRONT_END; "?": no such field."""
    return getattr(getattr(Exchange, field, None), "stage", "?")


def readable_by(stage: Declares) -> frozenset[str]:
    """All fields that the stage may read; worked out once for each set of declarations."""
    return _readable(stage.reads, optional_reads(stage), stage.writes)


@lru_cache(maxsize=256)
def _readable(reads: frozenset[str], optional: frozenset[str], writes: frozenset[str]) -> frozenset[str]:
    return reads | optional | writes | _ALWAYS


_MISSING = object()
_ALL = frozenset(name for name, field in vars(Exchange).items() if isinstance(field, written_by))
_OF_THE_PIPELINE = frozenset(name for name in _ALL if owner_of(name) == PIPELINE)
OWNERS: Final = frozenset(owner_of(name) for name in _ALL)
"""Who writes the fields: every other stage is a plug-in's."""
_ALWAYS = _OF_THE_PIPELINE | {name for name in _ALL if owner_of(name) == FRONT_END}
