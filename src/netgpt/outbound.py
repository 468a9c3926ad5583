"""What leaves and what became of it: `Outbound`, which `privacy/vault.py` alone makes (a test reads the imports)."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from netgpt.judgement import Confidence
from netgpt.types import Decision, Generalised, Hidden, Usage

_SEAL: Final = object()


class SaidBody(NamedTuple):
    """OpenAI's chat body as a cloud's dialect says it."""

    body: Mapping[str, Any]
    dialect: str = "openai"
    left_out: tuple[str, ...] = ()
    """Names of the hints that the dialect has no word for: the caller is told."""


Encoder = Callable[[Mapping[str, Any]], SaidBody]
"""Says a chat body in a dialect, of what is in it and nothing else. Raises RequestError: it cannot."""


class Outbound:
    """The exact bytes that may leave, with what was hidden in them; all that a remote model accepts.

    Immutable; `repr` shows no content. There is no public constructor: the vault calls `_sealed_by_vault`.
    """

    __slots__ = ("content", "dialect", "generalised", "hidden", "left_out", "renamed_from", "rule", "stream")

    content: bytes
    """The JSON body in UTF-8, exactly as it will be posted."""
    hidden: tuple[Hidden, ...]
    generalised: tuple[Generalised, ...]
    """What the policy let leave at a coarser level, or as it was."""
    rule: str
    """"masked" or "trusted destination"."""
    stream: bool
    dialect: str
    """"openai", "responses" or "anthropic": which API the bytes are for."""
    left_out: tuple[str, ...]
    """Fields of the caller that its receiver does not take, and that the caller may miss."""
    renamed_from: tuple[str, ...]
    """Fields that have another name here, by the one they had."""

    def __init__(
        self,
        content: bytes,
        hidden: tuple[Hidden, ...],
        rule: str,
        stream: bool,
        seal: object,
        generalised: tuple[Generalised, ...] = (),
        left_out: tuple[str, ...] = (),
        renamed_from: tuple[str, ...] = (),
        dialect: str = "openai",
    ) -> None:
        if seal is not _SEAL:
            raise TypeError("an Outbound is made by the vault only")
        fields = {"content": content, "hidden": hidden, "generalised": generalised, "rule": rule, "stream": stream}
        fields |= {"left_out": left_out, "renamed_from": renamed_from, "dialect": dialect}
        for name, value in fields.items():
            object.__setattr__(self, name, value)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("an Outbound does not change")

    def __reduce__(self) -> Any:
        raise TypeError("an Outbound is not copied or pickled; keep its content")

    def __repr__(self) -> str:
        return f"<Outbound {len(self.content)} bytes, {len(self.hidden)} hidden>"

    def adapted(
        self,
        drop: Collection[str],
        rename: Collection[str] = (),
        *,
        no_developer: bool = False,
        missed: Iterable[str] = (),
        marks: Collection[str] = (),
    ) -> Outbound:
        """The same for a receiver that does not take all of it: without the fields `drop`, those of `rename` (keys of
        `RENAMES`) under their other name, and with `no_developer` that role as the system's. Nothing can be added: the
        new names are ours. `missed`: of those dropped, what the caller has to be told. `marks`: fields that go where
        they stand in a message, a part, a call or a tool."""
        body = {name: value for name, value in json.loads(self.content).items() if name not in drop}
        body = {RENAMES[name] if name in rename else name: value for name, value in body.items()}
        for place in marked_places(body) if marks else ():
            for name in marks:
                place.pop(name, None)
        if no_developer:
            body["messages"] = [_as_system(message) for message in body["messages"]]
        content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
        left_out = tuple(dict.fromkeys((*self.left_out, *missed)))
        renamed = (*self.renamed_from, *rename)
        stream = self.stream and "stream" in body
        return Outbound(content, self.hidden, self.rule, stream, _SEAL, self.generalised, left_out, renamed)

    def shortened(self, shorten: Callable[[dict[str, Any]], dict[str, Any]], missed: str) -> Outbound:
        """The same with less in it: `shorten` may only leave out, and `missed` names it for the caller. Raises
        TypeError: something was added or changed."""
        body = json.loads(self.content)
        less = shorten(json.loads(self.content))
        if not _is_part(less, body):
            raise TypeError("what leaves can only be shortened")
        content = json.dumps(less, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
        left_out = tuple(dict.fromkeys((*self.left_out, missed)))
        return Outbound(
            content, self.hidden, self.rule, self.stream, _SEAL, self.generalised, left_out, self.renamed_from,
            self.dialect,
        )  # fmt: skip


def _is_part(less: Any, whole: Any) -> bool:
    """Whether nothing stands in `less` that does not stand at its place in `whole`."""
    if isinstance(less, dict) and isinstance(whole, dict):
        return all(name in whole and _is_part(value, whole[name]) for name, value in less.items())
    if isinstance(less, list) and isinstance(whole, list):
        rest = iter(whole)
        return all(any(_is_part(each, one) for one in rest) for each in less)
    return type(less) is type(whole) and bool(less == whole)


def marked_places(body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The objects of a chat body in which makers of models have fields of their own; schemas and arguments are not."""
    for name in ("messages", "tools"):
        for each in _objects(body.get(name)):
            yield each
            for inner in ("content", "tool_calls", "function"):
                yield from _objects(each.get(inner))


def _objects(value: Any) -> list[dict[str, Any]]:
    return [each for each in (value if isinstance(value, list) else [value]) if isinstance(each, dict)]


RENAMES: Final = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}
"""What servers call the same field otherwise."""


def _as_system(message: Any) -> Any:
    if isinstance(message, dict) and message.get("role") == "developer":
        return {**message, "role": "system"}
    return message


def _sealed_by_vault(
    body: Mapping[str, Any],
    hidden: tuple[Hidden, ...],
    rule: str,
    generalised: tuple[Generalised, ...] = (),
    encode: Encoder = SaidBody,
) -> Outbound:
    said = encode(body)
    content = json.dumps(said.body, ensure_ascii=False, separators=(",", ":")).encode("utf-8")
    stream = bool(said.body.get("stream"))
    return Outbound(content, hidden, rule, stream, _SEAL, generalised, said.left_out, dialect=said.dialect)


@dataclass(frozen=True, slots=True)
class Acted:
    """What the box did because of how far an answer of its own may be believed, and what that cost."""

    how: str
    """given, escalated (another answers), said (that it is not sure), withheld (and nothing else), refused."""
    why: str = ""
    """Short stable name of what keeps the request on the box; empty: nothing does."""
    held_s: float = 0.0
    """How long its words were held back."""
    tokens: int = 0
    """Of its own words that nobody got: a start that was given up, a first try; estimated where nobody counted."""
    seconds: float = 0.0
    """That they took."""
    asked_again: bool = False
    """Once, because a check found the first answer wrong."""
    start: Confidence | None = None
    """How far the start that was given up was believed."""


@dataclass(slots=True)
class Outcome:
    """Which target answered, with what, and what left. Filled by the generation while the answer streams."""

    answered_by: Decision
    """The decision as carried out; it differs from the one made when a fallback answered."""
    model_name: str = ""
    """Of the model that answers; empty while none does."""
    destination: str = ""
    """Host of the remote model that was called last, or would be; empty when there is none."""
    sent: Outbound | None = None
    """The outbound of the remote model that answered, else of the last that was called."""
    sent_to: tuple[tuple[str, str], ...] = ()
    """(target, SHA-256 of its outbound) of every remote call in order, failed and superseded ones included."""
    usage: Usage | None = None
    worked: dict[str, Usage] = field(default_factory=dict)
    """Tokens used by each remote target, by name, also where another one answered in the end."""
    adapters: tuple[str, ...] = ()
    """Ids of the adapters that the answer was written with; none on the cloud."""
    adapter_note: str | None = None
    """Why another adapter answered than the wanted one, or none did; None: as wanted."""
    finished_by: str | None = None
    """The target that continued an answer which another one broke off."""
    fallback: str = ""
    """When another model may answer, who says so, and what came of it; empty: no model was asked."""
    refused: bool = False
    """A remote model refused it before any work (429)."""
    cached_age_s: float | None = None
    """Age of the answer in seconds, where an earlier one was served because no target was available."""
    confidence: Confidence | None = None
    """How far the answer may be believed; None: nobody judged it (a cloud's answer, no judge)."""
    acted: Acted | None = None
    """What was done because of it; None: nothing was judged."""
