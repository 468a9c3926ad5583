"""The object that travels: one question and its answer. Each field has one writer, a stage of the line."""

from __future__ import annotations

import copy
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final, Generic, Protocol, Self, TypeVar, overload

from netgpt.errors import PipelineError
from netgpt.outbound import Outbound, Outcome
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
)

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


LONGEST_NOTE: Final = 4_000
"""Characters of JSON in one note of a plug-in's stage."""
LINE: Final = "line"
DOOR: Final = "door"
"""Owners that are no stages: `Workflow`, and who made the exchange. What they write, every stage may read."""


class Declares(Protocol):
    """Who looks at an exchange through a view: a stage, with what it declares."""

    @property
    def name(self) -> str: ...
    @property
    def reads(self) -> frozenset[str]: ...
    @property
    def writes(self) -> frozenset[str]: ...


class written_by(Generic[T]):
    """A field of `Exchange` with one writer. Reading it too early names the stage that should have run."""

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
        if self.name not in instance._readable:
            raise PipelineError(f"the stage '{instance._writer}' reads exchange.{self.name}, which it does not declare")
        try:
            value = instance._values[self.name]
            return copy.deepcopy(value) if instance._plugged else value  # type: ignore[no-any-return]
        except KeyError:
            raise PipelineError(
                f"exchange.{self.name} is written by the stage '{self.stage}', which has not run"
            ) from None

    def __set__(self, instance: Exchange, value: T) -> None:
        if instance._writer != self.stage:
            raise PipelineError(
                f"exchange.{self.name} may be written by the stage '{self.stage}' only, not by '{instance._writer}'"
            )
        if self.name not in instance._writable:
            raise PipelineError(f"the stage '{self.stage}' writes exchange.{self.name}, which it does not declare")
        instance._values[self.name] = value


class Exchange:
    """One question and its answer. What the door gave is fixed; the other fields fill as the line runs.

    Each stage gets its own `view`: the same values, but it reads and writes only what it declares, also while the
    answer streams. Who holds the exchange itself (doors, wiring) reads all of it and writes nothing of a stage's.
    """

    __slots__ = ("_plugged", "_readable", "_values", "_writable", "_writer")

    id = written_by[str](DOOR)
    request = written_by[Request](DOOR)
    caller = written_by[Caller](DOOR)
    claim = written_by[str | None](DOOR)
    """Of a request that waited: the claim under which it may leave, once."""
    received = written_by[datetime](DOOR)
    timings = written_by[Mapping[str, float]](DOOR)
    """Milliseconds per stage, and `queue`, `first_token` and `total` when known: see `note_time`."""
    failure = written_by[BaseException | None](LINE)
    """What the stage raised that failed, or the cancellation of the line; None: it has come this far."""

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
    block_reason = written_by[str | None]("desensitize")
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
    outcome = written_by[Outcome]("generate")
    """Who answers, with what, and what left; it grows while the answer streams."""
    continuation = written_by[Callable[[AsyncIterator[Chunk]], AsyncIterator[Chunk]] | None]("generate")
    """Wraps the restored answer, so that another model finishes it where it breaks off; None: nobody would."""

    restored = written_by[AsyncIterator[Chunk]]("restore")
    restoring = written_by[Any]("restore")
    """The `privacy.restore.Account` of the answer: placeholders put back, and those that could not be; it grows while
    the answer streams."""
    chunks = written_by[AsyncIterator[Chunk]]("record")
    """What the door sends on."""

    status = written_by[str]("record")
    """open, complete, failed, cancelled, dry_run."""
    error = written_by[Exception | None]("record")
    """What failed it; None: nothing did, or it was cancelled."""
    given = written_by[bool]("record")
    """Whether anything of an answer was handed out."""

    def __init__(self, request: Request, caller: Caller, *, id: str | None = None, claim: str | None = None) -> None:
        self._readable, self._writable, self._writer, self._plugged = _ALL, _OF_THE_LINE, LINE, False
        times: dict[str, float] = {}
        self._values: dict[str, Any] = {
            "id": id or new_id(),
            "request": request,
            "caller": caller,
            "claim": claim,
            "received": datetime.now(UTC),
            "began": time.perf_counter(),
            "times": times,
            "timings": MappingProxyType(times),
            "failure": None,
            "status": "open",
            "error": None,
            "given": False,
            "notes": {},
        }

    def view(self, stage: Declares) -> Exchange:
        """The same exchange as this stage sees it; a plug-in's stage gets copies.

        Reading or writing what it does not declare raises PipelineError, now and while the answer streams.
        """
        view = object.__new__(Exchange)
        view._values, view._writer, view._writable = self._values, stage.name, stage.writes
        view._readable = stage.reads | optional_reads(stage) | stage.writes | _ALWAYS
        view._plugged = stage.name not in OWNERS
        return view

    @property
    def partial(self) -> bool:
        """A part of an answer was given, and then it failed."""
        return self.status == "failed" and self.given

    def has(self, name: str) -> bool:
        """Whether the field was written."""
        return self.get(name, _MISSING) is not _MISSING

    def get(self, name: str, default: Any = None) -> Any:
        """The field, or `default` while it is not written: for what a stage declares in `reads_if_written`."""
        if name not in self._readable:
            raise PipelineError(f"the stage '{self._writer}' reads exchange.{name}, which it does not declare")
        value = self._values.get(name, default)
        return copy.deepcopy(value) if self._plugged else value

    def adapters_used(self) -> tuple[str, ...]:
        """Ids of all adapters that had a part in the answer: the one that completed the request, then the writers."""
        completion, outcome = self.get("completion"), self.get("outcome")
        completed = completion.get("adapter") if completion else None
        return ((completed,) if completed else ()) + (outcome.adapters if outcome else ())

    def elapsed_ms(self) -> float:
        """Milliseconds since it was received."""
        return (time.perf_counter() - self._values["began"]) * 1000  # type: ignore[no-any-return]

    def note_time(self, name: str, milliseconds: float | None = None) -> None:
        """Put down how long something took; None: as long as the exchange until now."""
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
    """What a stage reads only where it was written; most declare nothing of the kind."""
    return getattr(stage, "reads_if_written", frozenset())


def owner_of(field: str) -> str:
    """The stage that writes this field of an exchange, LINE, or DOOR; "?": there is no such field."""
    return getattr(getattr(Exchange, field, None), "stage", "?")


_MISSING = object()
_ALL = frozenset(name for name, field in vars(Exchange).items() if isinstance(field, written_by))
_OF_THE_LINE = frozenset(name for name in _ALL if owner_of(name) == LINE)
OWNERS: Final = frozenset(owner_of(name) for name in _ALL)
"""Who writes the fields: every other stage is a plug-in's."""
_ALWAYS = _OF_THE_LINE | {name for name in _ALL if owner_of(name) == DOOR}
