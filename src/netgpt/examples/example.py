"""What an adapter learns from: pairs of a conversation and its answer, each with its provenance."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from netgpt.errors import RequestError
from netgpt.types import Message, Person

__all__ = ["Example", "Summary", "deduplicated", "digest_of", "held_out", "split", "summary_of"]

CHARACTERS_A_TOKEN = 4.0
"""A rough measure for English, for tables before any tokenizer is loaded."""


@dataclass(frozen=True)
class Example:
    """One thing to learn. Texts stay out of `repr`: they may be a person's."""

    messages: tuple[Message, ...] = field(repr=False)
    """The conversation up to the answer, as the engine's chat template reads it."""
    answer: str = field(repr=False)
    """What the assistant should say; the loss is here alone."""
    origin: str
    """Where it comes from: "recipe:complete", "self-instruct", "exchange:ex_...", "file:NAME:LINE"."""
    person: Person | None = None
    """Whose it is; None: nobody's. One person's examples can be removed."""
    slice: str = "all"
    """The part of the held-out examples that the gate reports by: a topic, a data set."""
    options: tuple[str, ...] = ()
    """The closed list of answers when there is one (a class label); empty: free text."""

    @property
    def id(self) -> str:
        """A digest of what is learnt, stable over runs: for splits, duplicates and provenance."""
        content = json.dumps([list(self.messages), self.answer], sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:24]

    @property
    def prompt_id(self) -> str:
        """A digest of the conversation alone, so that the same question never stands on both sides of a split."""
        content = json.dumps(list(self.messages), sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(content.encode("utf-8", "surrogatepass")).hexdigest()[:24]

    def as_row(self) -> dict[str, Any]:
        """JSON-ready, for files and sealed columns."""
        row: dict[str, Any] = {"messages": list(self.messages), "answer": self.answer, "origin": self.origin}
        if self.person is not None:
            row["person"] = [self.person.tenant, self.person.user]
        if self.slice != "all":
            row["slice"] = self.slice
        if self.options:
            row["options"] = list(self.options)
        return row

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """Read what `as_row` wrote. Raises RequestError: the row is not one of ours."""
        try:
            person = Person(*row["person"]) if row.get("person") else None
            messages = tuple(dict(message) for message in row["messages"])
            answer, origin, slice = str(row["answer"]), str(row["origin"]), str(row.get("slice", "all"))
            return cls(messages, answer, origin, person, slice, tuple(row.get("options", ())))
        except (KeyError, TypeError, ValueError):
            raise RequestError("a kept example cannot be read: it was written by another version") from None

    @property
    def kind(self) -> str:
        """The origin without what tells one example from the next: "recipe:complete", "exchange", "file:NAME"."""
        parts = self.origin.split(":")
        return ":".join(parts[:-1]) if parts[0] in ("exchange", "file") and len(parts) > 1 else self.origin

    @property
    def about_tokens(self) -> int:
        """About how many tokens it has: conversation and answer."""
        texts = sum(len(str(message.get("content") or "")) for message in self.messages)
        return round((texts + len(self.answer)) / CHARACTERS_A_TOKEN) + 4 * (len(self.messages) + 1)


def digest_of(examples: Iterable[Example]) -> str:
    """One digest of a set of examples, whatever their order."""
    whole = hashlib.sha256()
    for id in sorted(example.id for example in examples):
        whole.update(id.encode())
    return whole.hexdigest()


def held_out(example: Example, share: float = 0.1) -> bool:
    """Whether the example is kept from training: decided by its conversation alone, the same in every run."""
    return int(example.prompt_id[:8], 16) / 0x1_0000_0000 < share


def deduplicated(examples: Iterable[Example]) -> list[Example]:
    """Each thing to learn once, in the order given; of the same text by two people both stay: both may take it back."""
    known: dict[tuple[str, Person | None], Example] = {}
    for example in examples:
        known.setdefault((example.id, example.person), example)
    return list(known.values())


def split(examples: Sequence[Example], share: float = 0.1) -> tuple[list[Example], list[Example]]:
    """(to learn, held out). The same question never stands on both sides."""
    learnt = [example for example in examples if not held_out(example, share)]
    return learnt, [example for example in examples if held_out(example, share)]


@dataclass(frozen=True)
class Summary:
    """What a set of examples is made of. No text, and nobody's name."""

    examples: int
    held_out: int
    tokens: int
    """About; measured by characters."""
    people: int
    origins: dict[str, int]
    slices: dict[str, int]
    digest: str


def summary_of(examples: Sequence[Example], share: float = 0.1) -> Summary:
    """Count by origin and slice; `share` is the held-out part."""
    return Summary(
        examples=len(examples),
        held_out=sum(held_out(example, share) for example in examples),
        tokens=sum(example.about_tokens for example in examples),
        people=len({example.person for example in examples if example.person is not None}),
        origins=dict(Counter(example.kind for example in examples).most_common()),
        slices=dict(Counter(example.slice for example in examples).most_common()),
        digest=digest_of(examples),
    )
